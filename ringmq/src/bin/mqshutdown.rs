//! `mqshutdown broker` and `mqshutdown namesrv`: ask the processes of that kind on this host to
//! stop, and wait until they have.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long a process may take to stop before this command gives up waiting.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let kind = std::env::args().nth(1).unwrap_or_default();
    let programs: &[&str] = match kind.as_str() {
        "broker" => &["mqbroker", "ringmq"],
        "namesrv" => &["mqnamesrv", "ringmq"],
        _ => {
            eprintln!("Usage: mqshutdown broker | namesrv");
            return ExitCode::from(2);
        }
    };
    let found = running(programs);
    if found.is_empty() {
        println!("No mq{kind} running.");
        return ExitCode::from(1);
    }
    let mut waiting = Vec::new();
    let mut failed = false;
    for (pid, program) in found {
        println!("The mq{kind}({program} {pid}) is running...");
        if program == "ringmq" {
            println!("  it is an all-in-one process: its nameserver and broker stop together");
        }
        // SAFETY: kill takes two numbers and touches no memory of ours.
        if unsafe { libc::kill(pid, libc::SIGTERM) } == 0 {
            println!("Send shutdown request to mq{kind}({pid}) OK");
            waiting.push(pid);
        } else {
            eprintln!("cannot stop process {pid}: {}", std::io::Error::last_os_error());
            failed = true;
        }
    }
    let began = Instant::now();
    while !waiting.is_empty() && began.elapsed() < PATIENCE {
        waiting.retain(|pid| program_of(&Path::new("/proc").join(pid.to_string()), programs).is_some());
        std::thread::sleep(Duration::from_millis(20));
    }
    for pid in &waiting {
        eprintln!("process {pid} still runs after {} s: look at its log", PATIENCE.as_secs());
        failed = true;
    }
    ExitCode::from(u8::from(failed))
}

/// Processes whose program is one of these.
fn running(programs: &[&str]) -> Vec<(i32, String)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, program_of(&entry.path(), programs)?))
        })
        .collect();
    found.sort();
    found
}

/// The program of a process that runs, if it is one of these. A zombie has no program any more.
fn program_of(process: &Path, programs: &[&str]) -> Option<String> {
    let exe = std::fs::read_link(process.join("exe")).ok()?;
    // The kernel adds " (deleted)" when the file was replaced by an upgrade.
    let name = exe.file_name()?.to_str()?.trim_end_matches(" (deleted)").to_owned();
    programs.contains(&name.as_str()).then_some(name)
}
