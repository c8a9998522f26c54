//! `mqbroker -c FILE`: one broker.

use std::process::ExitCode;

use broker::process::{self, BrokerArgs, ConfigFile};
use clap::Parser;
use config::Role;

#[global_allocator]
static HEAP: shard::CountingHeap = shard::CountingHeap;

fn main() -> ExitCode {
    let args = BrokerArgs::parse();
    shard::signals::block();
    let environment = process::environment();
    let command_line: Vec<(&str, &str)> =
        args.namesrv_addr.as_deref().map(|addresses| ("namesrvAddr", addresses)).into_iter().collect();
    if args.check {
        return process::check(Role::Broker, args.config_file.as_deref(), &command_line, &environment);
    }
    let file = match args.config_file.as_deref().map(ConfigFile::read).transpose() {
        Ok(file) => file,
        Err(error) => {
            eprintln!("mqbroker does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let loaded = config::load_broker(file.as_ref().map(ConfigFile::source), &command_line, &environment);
    if args.print || args.print_important {
        eprint!("{}", loaded.report);
        let text =
            if args.print { config::print::all(&loaded.values) } else { config::print::important(&loaded.values) };
        print!("{text}");
        // Nothing would start with what was printed.
        return ExitCode::from(u8::from(!loaded.report.is_ok()));
    }
    let _log = process::log_to_stdout();
    let sound = process::tell(&loaded.report);
    let (true, Some(settings)) = (sound, loaded.settings) else {
        eprintln!("mqbroker does not start: correct the configuration first (mqbroker -c FILE --check shows it all)");
        return ExitCode::FAILURE;
    };
    tracing::info!("ports: {}", config::check::port_table(&config::check::broker_ports(&settings)));
    if settings.namesrv_addrs.is_empty() {
        tracing::warn!("registered nowhere, so that clients find no route here: set namesrvAddr, -n or NAMESRV_ADDR");
    }
    let options = match broker::from_settings::options(&settings, config::print::config_body(&loaded.values)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("mqbroker does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let running = match broker::start(options) {
        Ok(running) => running,
        Err(error) => return process::fail("mqbroker", &error),
    };
    running.wait_registered();
    process::say(&running.boot_line());
    process::run_until_signal(running)
}
