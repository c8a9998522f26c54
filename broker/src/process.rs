//! What a broker's process does around the broker: command line, configuration, log lines, signals.
//!
//! Owns nothing that a broker needs to run. Main thread only.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use config::nic::Interface;
use config::values::Source;
use config::{Environment, Report, Role};

use crate::startup::{Running, StartError};

/// `mqbroker`'s command line: Java's options, and `--check`.
#[derive(Debug, Parser)]
#[command(
    name = "mqbroker",
    about = "A RocketMQ broker; it runs until SIGTERM",
    disable_help_flag = true,
    disable_version_flag = true
)]
pub struct BrokerArgs {
    /// Broker config properties file
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Name server address list, eg: 192.168.0.1:9876;192.168.0.2:9876
    #[arg(short = 'n', long = "namesrvAddr", value_name = "ADDRESSES")]
    pub namesrv_addr: Option<String>,
    /// Print all config items and end
    #[arg(short = 'p', long = "printConfigItem")]
    pub print: bool,
    /// Print important config items and end
    #[arg(short = 'm', long = "printImportantConfig")]
    pub print_important: bool,
    /// Check the configuration, print what is wrong with it, and end: 0 sound, 1 not
    #[arg(long)]
    pub check: bool,
    /// Print help
    #[arg(short = 'h', long = "help", action = clap::ArgAction::Help)]
    pub help: Option<bool>,
}

/// Log lines go to standard output, as `nohup … > broker.log` expects; RUST_LOG selects more or less. A thread writes
/// them, so that a full pipe stops no shard: lines beyond its bound are dropped. What is returned writes the rest when it
/// is dropped; keep it to the end of `main`.
pub fn log_to_stdout() -> tracing_appender::non_blocking::WorkerGuard {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,glommio=warn"));
    let (writer, guard) = tracing_appender::non_blocking(std::io::stdout());
    // Already set by an embedding process: then its choice stands.
    let _ = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .try_init();
    guard
}

/// The process's surroundings, network cards included.
pub fn environment() -> Environment {
    let mut environment = Environment::from_process();
    environment.interfaces = remoting::interfaces::interface_addresses()
        .unwrap_or_default()
        .into_iter()
        .map(|card| Interface {
            name: card.name,
            address: card.address,
            up: card.up,
            loopback: card.loopback,
            point_to_point: card.point_to_point,
        })
        .collect();
    environment
}

/// A configuration file's name and bytes.
pub struct ConfigFile {
    name: String,
    bytes: Vec<u8>,
}

impl ConfigFile {
    /// Reads it; the error says which file and why.
    pub fn read(path: &std::path::Path) -> Result<Self, String> {
        let bytes = std::fs::read(path)
            .map_err(|error| format!("{} cannot be read: {error}; check the path after -c", path.display()))?;
        Ok(ConfigFile { name: path.display().to_string(), bytes })
    }

    /// Whether the file says itself where the store lies.
    pub fn names_store_root(&self) -> bool {
        config::Properties::parse(&self.bytes).get("storePathRootDir").is_some()
    }

    /// As the configuration takes it.
    pub fn source(&self) -> Source<'_> {
        Source { name: &self.name, bytes: &self.bytes }
    }
}

/// What `--check` prints, and its exit code.
pub fn check(
    role: Role,
    path: Option<&std::path::Path>,
    command_line: &[(&str, &str)],
    environment: &Environment,
) -> ExitCode {
    let Some(path) = path else {
        eprintln!("--check needs a file: -c FILE");
        return ExitCode::from(2);
    };
    let report = config::check_file(role, path, command_line, environment);
    print!("{report}");
    if report.is_ok() {
        println!("{}: {} warnings, no errors", path.display(), report.warnings());
        ExitCode::SUCCESS
    } else {
        println!("{}: {} errors, {} warnings", path.display(), report.errors(), report.warnings());
        ExitCode::FAILURE
    }
}

/// Writes what was found: warnings and notes to the log, errors to standard error. False when nothing may start.
pub fn tell(report: &Report) -> bool {
    for line in report.lines() {
        if line.contains(" error: ") || line.starts_with("error: ") {
            eprintln!("{line}");
        } else if line.contains("warning: ") {
            tracing::warn!("{line}");
        } else {
            tracing::info!("{line}");
        }
    }
    report.is_ok()
}

/// A line on standard output that operators and scripts wait for. A closed pipe is no reason to end.
pub fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// One message with cause and remedy on standard error.
pub fn fail(what: &str, error: &StartError) -> ExitCode {
    eprintln!("{what} does not start: {error}");
    ExitCode::FAILURE
}

/// Waits for a signal or for the broker to fail; stops it; the process's exit code.
pub fn run_until_signal(running: Running) -> ExitCode {
    loop {
        if let Some(signal) = shard::signals::wait(Duration::from_millis(200)) {
            tracing::info!("{signal}: stopping");
            return if running.stop() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        if running.has_failed() {
            eprintln!("the broker ends: its store failed; acknowledged messages are recovered at the next start");
            running.stop();
            return ExitCode::FAILURE;
        }
    }
}
