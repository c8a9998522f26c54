//! `mqbench matrix`: starts brokers over flush modes, replication modes and peers, loads each with the same workloads in
//! interleaved rounds, and writes one report.
//!
//! Owns the folder of the stores and all processes it starts; none outlives it. Must not measure by itself but for the
//! two probes: workloads are other runs of this program, which meet it in their command line and their `--json` file.
//! Everything here runs on the main thread.

pub mod child;
pub mod cli;
pub mod conf;
pub mod date;
pub mod disk;
pub mod facts;
pub mod interrupt;
pub mod java;
pub mod loopback;
pub mod plan;
pub mod ports;
pub mod progress;
pub mod runner;
pub mod scenario;
#[cfg(test)]
mod scenario_tests;
pub mod side;
pub mod slave;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::matrix::plan::{Job, Kind, Side};
use crate::matrix::progress::Progress;
use crate::matrix::runner::Runner;
use crate::matrix::scenario::Scenario;
use crate::matrix::side::Places;
use crate::report;
use crate::report::model::{Report, SideFacts};

const INTERRUPTED: u8 = 130;

/// Measures all of it. Ends with 1 when something failed, with 130 after Ctrl-C; the report is written either way.
pub fn run(arguments: &cli::Matrix) -> Result<ExitCode, String> {
    let mut scenario = Scenario::load(arguments.scenario.as_deref())?;
    let peers = adjust(&mut scenario, arguments)?;
    if arguments.plan {
        print_plan(&scenario, &peers);
        return Ok(ExitCode::SUCCESS);
    }
    let versions = peers.iter().filter_map(|peer| match &peer.kind {
        Kind::Java { version } => Some(version),
        _ => None,
    });
    versions.into_iter().try_for_each(|version| java::set_up(version))?;
    if arguments.setup {
        println!("ready: {}", peers.iter().map(|peer| peer.name.as_str()).collect::<Vec<_>>().join(", "));
        return Ok(ExitCode::SUCCESS);
    }
    let ringmq = ringmq(arguments.ringmq.as_deref())?;
    let work = made(&arguments.work)?;
    made(&arguments.out)?;
    let places = Places { ringmq, work, java: scenario.java.clone() };
    let _lock = lock(&places.work)?;
    interrupt::install()?;

    let mqbench = std::env::current_exe().map_err(|error| format!("the path of this program: {error}"))?;
    let expected: f64 = (0..scenario.rounds)
        .flat_map(|round| plan::round(&scenario, &peers, round))
        .map(|job| runner::expected_seconds(&scenario, &job))
        .sum();
    let report = Report {
        name: arguments.name.clone().unwrap_or_else(|| scenario.name.clone()),
        title: scenario.title.clone(),
        date: date::utc(date::now_ms()),
        command: facts::command_line(),
        complete: false,
        machine: machine(&places),
        sides: side_facts(&scenario, &peers, &places),
        scenario: scenario.clone(),
        runs: Vec::new(),
        aims: Vec::new(),
    };
    let progress = Progress::new(expected);
    let begun = Instant::now();
    let mut runner = Runner { scenario: &scenario, places: &places, progress, mqbench, begun, report };
    for round in 0..scenario.rounds {
        let jobs = plan::round(&scenario, &peers, round);
        let mut probed = None;
        for job in &jobs {
            if probed != Some(job.broker) {
                probed = Some(job.broker);
                if let Some(broker) = scenario.brokers.get(job.broker) {
                    runner.probe(broker, round);
                }
            }
            runner.job(job, round);
        }
    }
    let interrupted = interrupt::count() > 0;
    runner.progress.end();
    let mut report = runner.report;
    report.complete = !interrupted;
    report.judge();
    let written = report::write_all(&report, &arguments.out)?;
    for path in written {
        println!("written: {}", path.display());
    }
    for leftover in ["result.json", "loader.out"] {
        // Not there when nothing was measured.
        let _ = fs::remove_file(places.work.join(leftover));
    }
    let failed = report.runs.iter().filter(|run| run.failure.is_some()).count();
    if failed > 0 {
        eprintln!("mqbench: {failed} of {} runs failed; the report says which", report.runs.len());
    }
    Ok(match (interrupted, failed) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, 0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The command line's words on the scenario; the peers.
fn adjust(scenario: &mut Scenario, arguments: &cli::Matrix) -> Result<Vec<Side>, String> {
    if arguments.quick {
        // A JVM without any load before measures its interpreter; RingMQ alone needs none.
        let needs_jit = arguments.peer.iter().any(|peer| peer.starts_with("java"));
        scenario.quicken(if needs_jit { 2 } else { 0 });
    }
    scenario.rounds = arguments.rounds.unwrap_or(scenario.rounds);
    scenario.seconds = arguments.seconds.unwrap_or(scenario.seconds);
    scenario.warm_seconds = arguments.warm.unwrap_or(scenario.warm_seconds);
    scenario.jit_seconds = arguments.jit.unwrap_or(scenario.jit_seconds);
    arguments.set.iter().try_for_each(|assignment| scenario.set(assignment))?;
    if let Some(name) = &arguments.name
        && (name.is_empty() || name.contains('/'))
    {
        return Err(format!("--name {name:?} does not do as a file name"));
    }
    for name in &arguments.only {
        if !scenario.brokers.iter().any(|broker| broker.name == *name) {
            let known: Vec<&str> = scenario.brokers.iter().map(|broker| broker.name.as_str()).collect();
            return Err(format!("--only {name}: the scenario's brokers are {}", known.join(", ")));
        }
    }
    if !arguments.only.is_empty() {
        scenario.brokers.retain(|broker| arguments.only.contains(&broker.name));
    }
    let mut peers: Vec<Side> = Vec::new();
    for name in scenario.peers.iter().chain(&arguments.peer) {
        let side = plan::peer(name)?;
        if !peers.contains(&side) {
            peers.push(side);
        }
    }
    if !["ASYNC_FLUSH", "SYNC_FLUSH"].contains(&arguments.peer_flush.as_str()) {
        return Err(format!("--peer-flush {}: ASYNC_FLUSH or SYNC_FLUSH expected", arguments.peer_flush));
    }
    for address in &arguments.peer_address {
        peers.push(plan::running(address, &arguments.peer_flush)?);
    }
    Ok(peers)
}

fn print_plan(scenario: &Scenario, peers: &[Side]) {
    for round in 0..scenario.rounds {
        for Job { broker, flush, replication, side } in plan::round(scenario, peers, round) {
            let Some(broker) = scenario.brokers.get(broker) else { continue };
            let steps: Vec<&str> = broker.steps.iter().map(|step| step.name.as_str()).collect();
            println!(
                "round {} | {} {flush} {} | {} | {}",
                round + 1,
                broker.name,
                replication.name(),
                side.name,
                steps.join("; ")
            );
        }
    }
}

fn made(folder: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(folder)
        .and_then(|()| fs::canonicalize(folder))
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))
}

/// Two measurements in one folder would remove each other's stores.
fn lock(work: &Path) -> Result<fs::File, String> {
    let path = work.join("lock");
    let file = fs::File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    file.try_lock().map_err(|_| format!("another mqbench matrix works in {}; give another --work", work.display()))?;
    Ok(file)
}

fn ringmq(given: Option<&Path>) -> Result<PathBuf, String> {
    let mut tried = Vec::new();
    if let Some(path) = given {
        tried.push(path.to_owned());
    } else {
        tried.extend(std::env::var_os("RINGMQ_BIN_DIR").map(|folder| PathBuf::from(folder).join("ringmq")));
        tried.extend(std::env::current_exe().ok().and_then(|own| own.parent().map(|folder| folder.join("ringmq"))));
    }
    match tried.iter().find(|path| path.is_file()) {
        Some(path) => fs::canonicalize(path).map_err(|error| format!("{}: {error}", path.display())),
        None => {
            let tried: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
            Err(format!(
                "no program ringmq at {}; build it (cargo build --release -p ringmq) or give --ringmq",
                tried.join(", ")
            ))
        }
    }
}

fn machine(places: &Places) -> Vec<facts::Fact> {
    let mut found = facts::machine(&places.work);
    let describe = Command::new("git").args(["describe", "--always", "--dirty", "--tags"]).output();
    if let Some(output) = describe.ok().filter(|output| output.status.success()) {
        found.push(("source tree".into(), String::from_utf8_lossy(&output.stdout).trim().to_owned()));
    }
    let loader = "mqbench on the same machine, over loopback; its CPU time is no part of the figures of the brokers";
    found.push(("loader".into(), format!("{loader}; version {}", env!("CARGO_PKG_VERSION"))));
    found
}

fn side_facts(scenario: &Scenario, peers: &[Side], places: &Places) -> Vec<SideFacts> {
    let version =
        Command::new(&places.ringmq).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version).trim().to_owned();
    let mut sides: Vec<SideFacts> = Vec::new();
    for side in plan::round(scenario, peers, 0).into_iter().map(|job| job.side) {
        if sides.iter().any(|known| known.name == side.name) {
            continue;
        }
        let version = match &side.kind {
            Kind::Ringmq { settings } if settings.is_empty() => version.clone(),
            Kind::Ringmq { settings } => {
                let lines: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("{version} with {}", lines.join(", "))
            }
            Kind::Java { version } => java::describe(version, &places.java),
            Kind::Running { address, flush, .. } => {
                format!("a broker at {address} that ran already, said to be {flush}")
            }
        };
        sides.push(SideFacts { is_ringmq: side.is_ringmq(), name: side.name, version });
    }
    sides
}
