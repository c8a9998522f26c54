//! Runs the cases of a suite, one after the other, and says how each ended.
//!
//! Owns the command line and the summary. Must not hide a skipped case: it is printed loudly and counted. The whole
//! suite fails when one case does. Arguments that are no flag select the cases whose name holds them.

use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

/// How a case ended, if it did not panic.
pub enum Outcome {
    Passed,
    /// Could not be run here, and why.
    Skipped(String),
}

/// A named case.
pub struct Case {
    pub name: &'static str,
    pub run: fn() -> Outcome,
}

/// Runs the cases; ends the process with 1 when one failed.
pub fn run(cases: &[Case]) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        cases.iter().for_each(|case| println!("{}: test", case.name));
        return;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen = |case: &&Case| wanted.is_empty() || wanted.iter().any(|part| case.name.contains(part.as_str()));
    let (mut failed, mut skipped, mut passed) = (Vec::new(), 0, 0);
    for case in cases.iter().filter(chosen) {
        println!("test {} ...", case.name);
        let begun = Instant::now();
        let outcome = panic::catch_unwind(AssertUnwindSafe(case.run));
        let took = begun.elapsed().as_secs_f32();
        match outcome {
            Ok(Outcome::Passed) => {
                passed += 1;
                println!("test {} ok ({took:.1} s)", case.name);
            }
            Ok(Outcome::Skipped(reason)) => {
                skipped += 1;
                println!("test {} SKIPPED: {reason}", case.name);
            }
            Err(_) => {
                failed.push(case.name);
                println!("test {} FAILED ({took:.1} s)", case.name);
            }
        }
    }
    println!("test result: {passed} passed; {} failed; {skipped} skipped", failed.len());
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
        std::process::exit(1);
    }
}

/// A number from the environment, or the default.
pub fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
