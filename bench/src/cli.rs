//! The command line.
//!
//! Owns the names of the arguments and their defaults. Must not act on them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use protocol::HeaderForm;
use serde::Serialize;

use crate::body_size::BodySize;
use crate::matrix;

/// Light load generator for brokers that speak the RocketMQ 4.x protocol.
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
    /// Pull queues from their min offsets to their max.
    Drain(Drain),
    /// From the instant a message was to be sent to its receipt by long poll.
    EndToEnd(EndToEnd),
    /// Send and receive the same topics at once; the main figures are of the sends.
    Mixed(Mixed),
    /// Several groups receive every message.
    FanOut(FanOut),
    /// Fill one topic with batches, as fast as it goes.
    Fill(Fill),
    /// Try to connect and send until the first ack; prints the time since the start.
    FirstAck(FirstAck),
    /// Start brokers, run workloads on each in interleaved rounds, write one report.
    Matrix(matrix::cli::Matrix),
    /// Render the pages of a report again.
    Report(matrix::cli::Report),
}

/// How request headers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
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

/// What all workloads that send have in common.
#[derive(Clone, Debug, Args, Serialize)]
pub struct Load {
    #[arg(long)]
    pub broker: SocketAddr,
    /// With --topics > 1: followed by `-<number>`.
    #[arg(long, default_value = "Bench")]
    pub topic: String,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub topics: u32,
    /// Queues of each topic.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub queues: u32,
    /// Connections that send.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Requests of one connection without an ack (closed loop).
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub outstanding: u32,
    /// Messages a second over all connections, sent at their instants whatever the acks do; 0: closed loop.
    /// Without it: 1000 for end-to-end and fan-out, else 0.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Body bytes: `1024`, `100-4000` (each size as likely) or `128:60,1024:30` (size:weight).
    #[arg(long, default_value = "1024")]
    pub body: BodySize,
    #[arg(long, value_enum, default_value_t = Form::Json)]
    pub form: Form,
    /// Seconds of load before the measurement.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub warm: u64,
    /// Seconds measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Processes whose CPU time, memory and disk bytes count as the broker's, joined by commas.
    #[arg(long, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Count the system calls of --pid too, by the kernel's tracepoint: each becomes slower, so read no times of it.
    #[arg(long)]
    pub count_calls: bool,
    /// Threads of the loader; the connections are dealt out to them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Decides the sizes and bytes of the bodies.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Look for every acked message afterwards; fails when one is lost or damaged.
    #[arg(long)]
    pub verify: bool,
    /// End with 0 though requests were refused, unanswered or not sent, or messages not stored or not received: for
    /// loads beyond what a broker takes. They are counted all the same; damaged or lost messages fail in any case.
    #[arg(long)]
    pub allow_errors: bool,
    /// Leave the topics as they are.
    #[arg(long)]
    pub no_create: bool,
    /// Never sleep: wait for instants and answers in a loop that keeps a core busy.
    #[arg(long)]
    pub spin: bool,
    /// Real-time priority (SCHED_FIFO) for the loader's threads, where the system allows it.
    #[arg(long)]
    pub fifo: bool,
    /// Write the result there as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `mqbench produce`
#[derive(Clone, Debug, Args, Serialize)]
pub struct Produce {
    #[command(flatten)]
    #[serde(flatten)]
    pub load: Load,
    /// Ask for no acks: the broker's offsets say what arrived, and there is no latency.
    #[arg(long, conflicts_with_all = ["batch", "verify"])]
    pub one_way: bool,
    /// Messages a request (SEND_BATCH_MESSAGE); a latency then counts once a request.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch: Option<u32>,
}

/// What all workloads that long-poll have in common.
#[derive(Clone, Debug, Args, Serialize)]
pub struct Reading {
    /// With several groups: followed by `-<number>`.
    #[arg(long, default_value = "CID_mqbench")]
    pub group: String,
    /// Messages a pull asks for (a broker may give fewer).
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub pull_batch: u32,
    /// Connections of each group; its queues are dealt out to them, one pull in flight each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub readers: u32,
}

/// `mqbench end-to-end`
#[derive(Clone, Debug, Args, Serialize)]
pub struct EndToEnd {
    #[command(flatten)]
    #[serde(flatten)]
    pub load: Load,
    #[command(flatten)]
    #[serde(flatten)]
    pub reading: Reading,
}

/// `mqbench mixed`
#[derive(Clone, Debug, Args, Serialize)]
pub struct Mixed {
    #[command(flatten)]
    #[serde(flatten)]
    pub load: Load,
    #[command(flatten)]
    #[serde(flatten)]
    pub reading: Reading,
    /// Groups that receive every message.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub groups: u32,
}

/// `mqbench fan-out`
#[derive(Clone, Debug, Args, Serialize)]
pub struct FanOut {
    #[command(flatten)]
    #[serde(flatten)]
    pub load: Load,
    #[command(flatten)]
    #[serde(flatten)]
    pub reading: Reading,
    /// Groups that receive every message.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub groups: u32,
}

/// `mqbench drain`
#[derive(Clone, Debug, Args, Serialize)]
pub struct Drain {
    #[arg(long)]
    pub broker: SocketAddr,
    #[arg(long, default_value = "Bench")]
    pub topic: String,
    /// The first queue to read.
    #[arg(long, default_value_t = 0)]
    pub queue: i32,
    /// How many queues to read, side by side.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub queues: u32,
    #[arg(long, default_value = "CID_mqbench")]
    pub group: String,
    /// Messages a pull asks for (a broker may give fewer).
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096), conflicts_with = "bytes")]
    pub batch: u32,
    /// Ask by size: 4096 messages a pull, and this bound for brokers that know one (5.x). Others cut at their own
    /// (maxTransferBytesOnMessageInMemory, 256 KiB; maxTransferCountOnMessageInMemory, 32 messages).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub bytes: Option<u32>,
    /// Pulls on the way at once, over all queues and connections.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub in_flight: u32,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub connections: u32,
    /// Stop after so many messages of each queue; 0: at the max offset of the start.
    #[arg(long, default_value_t = 0)]
    pub messages: u64,
    #[arg(long, value_enum, default_value_t = Form::Json)]
    pub form: Form,
    #[arg(long, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Count the system calls of --pid too, by the kernel's tracepoint: each becomes slower, so read no times of it.
    #[arg(long)]
    pub count_calls: bool,
    /// Decode every record and compare its checksum.
    #[arg(long)]
    pub check: bool,
    /// Write the result there as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `mqbench fill`
#[derive(Clone, Debug, Args, Serialize)]
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
    #[arg(long, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Write the result there as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `mqbench first-ack`
#[derive(Clone, Debug, Args, Serialize)]
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
    /// Write the result there as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The broker's command: started here, left running; its pid is printed.
    #[arg(last = true)]
    pub command: Vec<String>,
}

/// The arguments as the result carries them: their names without dashes in front, their values as text; what was
/// neither given nor has a default is left out.
pub fn as_given(arguments: &impl Serialize) -> BTreeMap<String, String> {
    use serde_json::Value;
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let Ok(Value::Object(fields)) = serde_json::to_value(arguments) else { return BTreeMap::new() };
    fields
        .into_iter()
        .filter(|(key, value)| !value.is_null() && key != "json")
        .map(|(key, value)| {
            let value = match &value {
                Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
                other => text(other),
            };
            (key.replace('_', "-"), value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Measure, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.measure)
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_come_back_as_text() {
        let Ok(Measure::Produce(produce)) =
            parse("mqbench produce --broker 127.0.0.1:10911 --body 1:2,3:4 --pid 4,5 --verify --batch 8")
        else {
            panic!("not read");
        };
        let given = as_given(&produce);
        for (key, value) in [
            ("broker", "127.0.0.1:10911"),
            ("body", "1:2,3:4"),
            ("pid", "4,5"),
            ("verify", "true"),
            ("batch", "8"),
            ("form", "json"),
            ("no-create", "false"),
        ] {
            assert_eq!(given.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert_eq!(given.get("rate"), None);
    }

    #[test]
    fn what_cannot_go_together_is_refused() {
        for line in [
            "mqbench produce --broker 127.0.0.1:1 --one-way --batch 2",
            "mqbench produce --broker 127.0.0.1:1 --one-way --verify",
            "mqbench produce --broker 127.0.0.1:1 --body 5-",
            "mqbench drain --broker 127.0.0.1:1 --bytes 4 --batch 3",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
