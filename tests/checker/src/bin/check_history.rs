//! `check_history FILE`: judges a history that was kept as JSON lines. Ends with 1 when a rule is broken.

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: check_history FILE (JSON lines, as the suites keep them when a case fails)");
        return ExitCode::FAILURE;
    };
    let records =
        File::open(&path).map_err(checker::HistoryError::Io).map(BufReader::new).and_then(checker::read_jsonl);
    match records {
        Ok(records) => {
            let report = checker::check(&records);
            println!("{report}");
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
