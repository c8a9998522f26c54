//! The arguments of `mqbench matrix` and `mqbench report`.
//!
//! Owns their names and defaults. Must not act on them.

use std::path::PathBuf;

use clap::Args;

/// `mqbench matrix`
#[derive(Clone, Debug, Args)]
pub struct Matrix {
    /// What to measure; without it the built-in comparison with the peers (perf/scenarios/peers.toml).
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// A peer to start beside RingMQ: java-4.9.7 or java-5.3.3. May be given several times.
    #[arg(long, value_name = "PEER")]
    pub peer: Vec<String>,
    /// A broker that runs already: HOST:PORT, with the pids of its processes HOST:PORT:PID,PID to measure CPU and memory.
    #[arg(long, value_name = "ADDRESS")]
    pub peer_address: Vec<String>,
    /// The flush mode of the brokers given by --peer-address; they are measured where the scenario asks for it.
    #[arg(long, default_value = "ASYNC_FLUSH")]
    pub peer_flush: String,
    /// Rounds; every other one goes through the sides in reverse order.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,
    /// Seconds measured of each workload that has a duration.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: Option<u64>,
    /// Seconds of each workload before they count.
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub warm: Option<u64>,
    /// Seconds of load on each fresh broker before its first workload.
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub jit: Option<u64>,
    /// One round of one second each with the scenario's [quick] parameters, RingMQ alone unless a peer is given.
    #[arg(long)]
    pub quick: bool,
    /// Only the brokers of the scenario with this name. May be given several times.
    #[arg(long, value_name = "BROKER")]
    pub only: Vec<String>,
    /// Another value for one of the scenario's [parameters]: KEY=VALUE.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where the report is written.
    #[arg(long, value_name = "DIR", default_value = ".cache/perf/report")]
    pub out: PathBuf,
    /// File name of the report, without suffix; the scenario's own name without it.
    #[arg(long)]
    pub name: Option<String>,
    /// Where stores and logs lie while it runs; its file system is the one measured.
    #[arg(long, value_name = "DIR", default_value = ".cache/perf")]
    pub work: PathBuf,
    /// The program ringmq; without it the one beside mqbench, or in RINGMQ_BIN_DIR.
    #[arg(long, value_name = "FILE")]
    pub ringmq: Option<PathBuf>,
    /// Fetch what the peers need, and end.
    #[arg(long)]
    pub setup: bool,
    /// Say what would be measured in which order, and end.
    #[arg(long)]
    pub plan: bool,
}

/// `mqbench report`
#[derive(Clone, Debug, Args)]
pub struct Report {
    /// The JSON that `mqbench matrix` wrote; .md, .html and .svg are written beside it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Another folder for what is written.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
