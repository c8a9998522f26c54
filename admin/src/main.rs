//! `mqadmin`: the process around the commands. Owns the real network, clock, environment and standard output.

use std::io::{self, Write};
use std::process::ExitCode;

use admin::wire::Tcp;
use admin::{Clock, Ended};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|text| text.to_string_lossy().into_owned()).collect();
    let namesrv = std::env::var("NAMESRV_ADDR").ok();
    let mut print = |text: &str, complaints: &[String]| -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        complaints.iter().for_each(|complaint| eprintln!("mqadmin: {complaint}"));
        Ok(())
    };
    match admin::run(&arguments, namesrv.as_deref(), &Tcp::default(), &Clock::system(), &mut print) {
        // Who reads the output has seen enough: `mqadmin … | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mqadmin: standard output: {error}");
            ExitCode::FAILURE
        }
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Failed) => ExitCode::FAILURE,
        Ok(Ended::Misused) => ExitCode::from(2),
    }
}
