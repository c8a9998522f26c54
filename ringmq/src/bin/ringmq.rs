//! `ringmq`: nameserver and broker in one process, on loopback unless told otherwise.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use broker::process::{self, ConfigFile};
use clap::{Parser, Subcommand};
use config::Role;
use nameserver::NamesrvOptions;

/// RocketMQ's nameserver and broker in one process.
#[derive(Debug, Parser)]
#[command(name = "ringmq", version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Directory of the store and of the nameserver's files
    #[arg(long, default_value = "./data")]
    data: PathBuf,
    /// Properties file with RocketMQ's keys for broker and nameserver
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Port of the nameserver [default: 9876]
    #[arg(long)]
    namesrv_port: Option<u16>,
    /// Port of the broker; it also takes this − 2 [default: 10911]
    #[arg(long)]
    port: Option<u16>,
    /// Check the configuration, print what is wrong with it, and end
    #[arg(long)]
    check: bool,
    /// Print all settings and end
    #[arg(short = 'p', long)]
    print: bool,
}

/// Without one of these nameserver and broker are started.
#[derive(Debug, Subcommand)]
enum Command {
    /// Plan a cluster of several hosts
    Cluster {
        #[command(subcommand)]
        cluster: ringmq::cluster::command::Cluster,
    },
}

#[global_allocator]
static HEAP: shard::CountingHeap = shard::CountingHeap;

fn main() -> ExitCode {
    let began = Instant::now();
    let args = Args::parse();
    if let Some(Command::Cluster { cluster }) = &args.command {
        return match ringmq::cluster::command::run(cluster) {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("ringmq cluster: {why}");
                ExitCode::FAILURE
            }
        };
    }
    shard::signals::block();
    match run(&args, began) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ringmq does not start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, began: Instant) -> Result<ExitCode, String> {
    let environment = process::environment();
    let file = args.config_file.as_deref().map(ConfigFile::read).transpose()?;
    let data = std::path::absolute(&args.data).map_err(|error| format!("--data {}: {error}", args.data.display()))?;
    let mut command_line: Vec<(&str, String)> = vec![
        ("kvConfigPath", data.join("namesrv/kvConfig.json").display().to_string()),
        ("configStorePath", data.join("namesrv/namesrv.properties").display().to_string()),
    ];
    let names_root = file.as_ref().is_some_and(ConfigFile::names_store_root);
    if !names_root {
        command_line.push(("storePathRootDir", data.join("store").display().to_string()));
    }
    command_line.extend(args.namesrv_port.map(|port| ("namesrvListenPort", port.to_string())));
    command_line.extend(args.port.map(|port| ("listenPort", port.to_string())));
    let command_line: Vec<(&str, &str)> = command_line.iter().map(|(key, value)| (*key, value.as_str())).collect();
    if args.check {
        return Ok(process::check(Role::AllInOne, args.config_file.as_deref(), &command_line, &environment));
    }
    let loaded = config::load_all_in_one(file.as_ref().map(ConfigFile::source), &command_line, &environment);
    if args.print {
        eprint!("{}", loaded.report);
        print!("{}", config::print::all(&loaded.values));
        return Ok(ExitCode::from(u8::from(!loaded.report.is_ok())));
    }
    let _log = process::log_to_stdout();
    let sound = process::tell(&loaded.report);
    let (true, Some(settings)) = (sound, loaded.settings) else {
        return Err("correct the configuration first (ringmq -c FILE --check shows it all)".into());
    };
    let options = broker::from_settings::options(&settings.broker, config::print::config_body(&loaded.values))?;

    shard::probe().map_err(|error| error.to_string())?;
    let nameserver = nameserver::start(NamesrvOptions::new(settings.namesrv.clone(), &loaded.values))
        .map_err(|error| error.to_string())?;
    process::say("The Name Server boot success. serializeType=JSON");
    let running = match broker::start(options) {
        Ok(running) => running,
        Err(error) => {
            let _ = nameserver.stop();
            return Err(error.to_string());
        }
    };
    running.wait_registered();
    process::say(&running.boot_line());
    process::say(&format!(
        "RingMQ ready in {} ms: nameserver {}, broker {} (VIP {}), store {}",
        began.elapsed().as_millis(),
        nameserver.address(),
        running.listening[0],
        running.listening[1],
        settings.broker.store.root.display()
    ));
    let code = process::run_until_signal(running);
    // Last: the broker withdraws from it first.
    match nameserver.stop() {
        Ok(()) => Ok(code),
        Err(panicked) => Err(panicked.to_string()),
    }
}
