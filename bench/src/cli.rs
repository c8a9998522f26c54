//! The command line.
//!
//! Owns the names of the arguments and their defaults. Must not act on them.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use protocol::HeaderForm;

use crate::matrix;

/// Light loader for brokers that speak the RocketMQ 4.x protocol.
#[derive(Debug, Parser)]
#[command(name = "mqbench", version)]
pub struct Cli {
    #[command(subcommand)]
    pub measure: Measure,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Measure {
    /// Send messages: a closed loop (connections x outstanding), or an open one (--rate).
    Produce(Produce),
    /// Pull one queue from its min offset to its max.
    Drain(Drain),
    /// Fill one queue with batches, as fast as it goes.
    Fill(Fill),
    /// Try to connect and send until the first ack; prints the time since the start.
    FirstAck(FirstAck),
    /// Start brokers, run workloads on each in interleaved rounds, write one report.
    Matrix(matrix::cli::Matrix),
    /// Render the pages of a report again.
    Report(matrix::cli::Report),
}

/// How request headers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Json,
    Rocketmq,
}

impl From<Form> for HeaderForm {
    fn from(form: Form) -> HeaderForm {
        match form {
            Form::Json => HeaderForm::Json,
            Form::Rocketmq => HeaderForm::Rocketmq,
        }
    }
}

/// `mqbench produce`
#[derive(Clone, Debug, Args)]
pub struct Produce {
    #[arg(long)]
    pub broker: SocketAddr,
    /// With --topics > 1: followed by `-<number>`.
    #[arg(long, default_value = "Bench")]
    pub topic: String,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub topics: u32,
    /// Queues of each topic.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub queues: u32,
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Messages of one connection without an ack (closed loop).
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub outstanding: u32,
    /// Messages a second over all connections, sent at their instants whatever the acks do; 0: closed loop.
    #[arg(long, default_value_t = 0)]
    pub rate: u64,
    /// Body bytes.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    pub body: u32,
    #[arg(long, value_enum, default_value_t = Form::Json)]
    pub form: Form,
    /// Seconds of load before the measurement.
    #[arg(long, default_value_t = 3)]
    pub warm: u64,
    /// Seconds measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Processes whose CPU time and memory count as the broker's, joined by commas.
    #[arg(long, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Threads of the loader; the connections are dealt out to them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Leave the topics as they are.
    #[arg(long)]
    pub no_create: bool,
}

/// `mqbench drain`
#[derive(Clone, Debug, Args)]
pub struct Drain {
    #[arg(long)]
    pub broker: SocketAddr,
    #[arg(long, default_value = "Bench")]
    pub topic: String,
    #[arg(long, default_value_t = 0)]
    pub queue: i32,
    #[arg(long, default_value = "CID_mqbench")]
    pub group: String,
    /// Messages a pull asks for (a broker may give fewer).
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch: u32,
    /// Pulls on the way at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub in_flight: u32,
    /// Stop after so many messages; 0: at the max offset of the start.
    #[arg(long, default_value_t = 0)]
    pub messages: u64,
    #[arg(long, value_enum, default_value_t = Form::Json)]
    pub form: Form,
    #[arg(long, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Decode every record and compare its checksum.
    #[arg(long)]
    pub check: bool,
}

/// `mqbench fill`
#[derive(Clone, Debug, Args)]
pub struct Fill {
    #[arg(long)]
    pub broker: SocketAddr,
    #[arg(long, default_value = "Bench")]
    pub topic: String,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub queues: u32,
    /// Messages to send.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: u64,
    /// Body bytes.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub body: u32,
    /// Messages a batch.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub batch: u32,
}

/// `mqbench first-ack`
#[derive(Clone, Debug, Args)]
pub struct FirstAck {
    #[arg(long)]
    pub broker: SocketAddr,
    #[arg(long, default_value = "FirstAck")]
    pub topic: String,
    /// When the broker was started, ms since 1970; without it and without a command: now.
    #[arg(long)]
    pub since_ms: Option<u64>,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 120)]
    pub limit: u64,
    /// The broker's command: started here, left running; its pid is printed.
    #[arg(last = true)]
    pub command: Vec<String>,
}
