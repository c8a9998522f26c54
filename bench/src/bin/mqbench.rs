//! `mqbench`: reads the command line and runs one measurement. Prints one RESULT line of `key=value`, times in
//! microseconds unless the key says otherwise. Ends with 0, with 1 when the measurement or requests of it failed or
//! messages are lost, with 130 when a signal cut it short.

use std::process::ExitCode;

use bench::cli::{Cli, Measure};
use bench::workload::{drain, end_to_end, fan_out, fill, first_ack, mixed, produce};
use bench::{matrix, report};
use clap::Parser;

fn main() -> ExitCode {
    let outcome = match Cli::parse().measure {
        Measure::Produce(arguments) => produce::measure(&arguments),
        Measure::Drain(arguments) => drain::measure(&arguments),
        Measure::EndToEnd(arguments) => end_to_end::measure(&arguments),
        Measure::Mixed(arguments) => mixed::measure(&arguments),
        Measure::FanOut(arguments) => fan_out::measure(&arguments),
        Measure::Fill(arguments) => fill::measure(&arguments),
        Measure::FirstAck(arguments) => first_ack::measure(&arguments),
        Measure::Matrix(arguments) => return ended(matrix::run(&arguments)),
        Measure::Report(arguments) => return ended(report::run(&arguments)),
    };
    match outcome {
        Ok(outcome) => {
            println!("RESULT {}", outcome.line);
            if let Some(warning) = &outcome.warning {
                eprintln!("mqbench: warning: {warning}");
            }
            if let Some(trouble) = &outcome.trouble {
                eprintln!("mqbench: {trouble}");
            }
            ExitCode::from(outcome.exit_code)
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
