//! `mqbench`: reads the command line and runs one measurement. Prints one RESULT line of `key=value`, times in
//! microseconds unless the key says otherwise.

use std::process::ExitCode;

use bench::cli::{Cli, Measure};
use bench::{drain, fill, first_ack, matrix, produce, report};
use clap::Parser;

fn main() -> ExitCode {
    let result = match Cli::parse().measure {
        Measure::Produce(arguments) => produce::run(&arguments),
        Measure::Drain(arguments) => drain::run(&arguments),
        Measure::Fill(arguments) => fill::run(&arguments),
        Measure::FirstAck(arguments) => first_ack::run(&arguments),
        Measure::Matrix(arguments) => return ended(matrix::run(&arguments)),
        Measure::Report(arguments) => return ended(report::run(&arguments)),
    };
    match result {
        Ok(line) => {
            println!("RESULT {line}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("mqbench: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Of what is no single measurement and prints for itself.
fn ended(outcome: Result<ExitCode, String>) -> ExitCode {
    outcome.unwrap_or_else(|problem| {
        eprintln!("mqbench: {problem}");
        ExitCode::FAILURE
    })
}
