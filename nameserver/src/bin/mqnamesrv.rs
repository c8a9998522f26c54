//! `mqnamesrv`: the name server as a process of its own.
//!
//! Owns the command line, the log's output, the signals and the exit code; everything else is the library's. The main
//! thread waits for a signal.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use config::{Environment, Loaded, NamesrvSettings, Role, Source};
use nameserver::{NamesrvOptions, Running};
use tracing_subscriber::EnvFilter;

/// The name server: brokers register here, clients ask it for routes.
#[derive(Parser)]
#[command(name = "mqnamesrv")]
struct Arguments {
    /// Name server config properties file
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Print all config items, then exit
    #[arg(short = 'p', long = "printConfigItem")]
    print: bool,
    /// Check the configuration without starting, then exit: 0 when it is usable
    #[arg(long)]
    check: bool,
    /// Accepted and ignored, as in RocketMQ: a name server asks no other one
    #[arg(short = 'n', long = "namesrvAddr", value_name = "ADDRESSES")]
    _namesrv_addr: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help is an "error" that goes to stdout.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mqnamesrv: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let loaded = load(arguments.config_file.as_deref())?;
    if arguments.check {
        return check(&loaded);
    }
    let Loaded { settings, values, report } = loaded;
    if arguments.print {
        eprint!("{report}");
        print(&config::print::all(&values))?;
        return if report.is_ok() { Ok(()) } else { Err("the configuration cannot be used".to_owned()) };
    }
    let settings =
        settings.ok_or_else(|| format!("the configuration cannot be used\n{}", report.to_string().trim_end()))?;

    let signals = signals::Blocked::new().map_err(|error| format!("signals cannot be set up: {error}"))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A thread writes the lines, so that a full pipe does not stop the name server.
    let (writer, _log) = tracing_appender::non_blocking(std::io::stdout());
    tracing_subscriber::fmt().with_writer(writer).with_env_filter(filter).with_ansi(false).init();
    report.lines().iter().for_each(|line| tracing::warn!("{line}"));
    let running = nameserver::start(NamesrvOptions::new(settings, &values)).map_err(|error| error.to_string())?;
    print("The Name Server boot success. serializeType=JSON\n")?;
    wait(&signals, &running)?;
    running.stop().map_err(|panicked| panicked.to_string())
}

fn load(file: Option<&Path>) -> Result<Loaded<NamesrvSettings>, String> {
    let environment = Environment::from_process();
    let Some(file) = file else { return Ok(config::load_namesrv(None, &[], &environment)) };
    let name = file.display().to_string();
    let bytes =
        std::fs::read(file).map_err(|error| format!("{name} cannot be read: {error}; check the path after -c"))?;
    Ok(config::load_namesrv(Some(Source { name: &name, bytes: &bytes }), &[], &environment))
}

fn check(loaded: &Loaded<NamesrvSettings>) -> Result<(), String> {
    print(&loaded.report.to_string())?;
    let Some(settings) = &loaded.settings else { return Err("the configuration cannot be used".to_owned()) };
    shard::probe().map_err(|error| error.to_string())?;
    let ports = config::check::namesrv_ports(settings, Role::Namesrv);
    print(&format!("ok: {}\n", config::check::port_table(&ports)))
}

/// A closed pipe behind us is no reason to panic.
fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("stdout: {error}")),
        _ => Ok(()),
    }
}

/// Returns at a signal; Err when the name server ended by itself.
fn wait(signals: &signals::Blocked, running: &Running) -> Result<(), String> {
    loop {
        if let Some(signal) = signals.next_within_a_second() {
            tracing::info!(signal, "signal received, stopping");
            return Ok(());
        }
        if running.is_finished() {
            return Err("the name server ended unexpectedly; the panic message stands above".to_owned());
        }
    }
}

/// Signals that end the process, taken by waiting for them: no handler runs, so nothing has to be signal-safe.
mod signals {
    use std::io;
    use std::mem::MaybeUninit;
    use std::ptr;

    /// The set; made before the first thread, so that every thread inherits the mask.
    pub struct Blocked(libc::sigset_t);

    /// Whether whoever started this process had the signal ignored.
    fn is_ignored(signal: i32) -> bool {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: sigaction only fills what it is given; what it filled is read after it succeeded.
        unsafe {
            libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init().sa_sigaction == libc::SIG_IGN
        }
    }

    impl Blocked {
        pub fn new() -> io::Result<Blocked> {
            let mut set = MaybeUninit::<libc::sigset_t>::uninit();
            // SAFETY: sigemptyset initialises the set it is given; the other calls take that set, valid signal numbers
            // and no pointer that may not be null.
            let (set, result) = unsafe {
                libc::sigemptyset(set.as_mut_ptr());
                let mut set = set.assume_init();
                libc::sigaddset(&mut set, libc::SIGTERM);
                libc::sigaddset(&mut set, libc::SIGINT);
                // A blocked signal arrives even where nohup has it ignored: then it must not be waited for.
                if !is_ignored(libc::SIGHUP) {
                    libc::sigaddset(&mut set, libc::SIGHUP);
                }
                let result = libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut());
                (set, result)
            };
            if result == 0 { Ok(Blocked(set)) } else { Err(io::Error::from_raw_os_error(result)) }
        }

        /// The number of the signal that came.
        pub fn next_within_a_second(&self) -> Option<i32> {
            let second = libc::timespec { tv_sec: 1, tv_nsec: 0 };
            // SAFETY: reads the set and the time, both alive here; a null info is allowed.
            let signal = unsafe { libc::sigtimedwait(&self.0, ptr::null_mut(), &second) };
            (signal > 0).then_some(signal)
        }
    }
}
