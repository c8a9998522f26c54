//! What one measurement found, as `--json` writes it and reports read it.
//!
//! Owns the shape of that JSON object and its reading and writing. Must not measure: numbers are put in by the
//! workloads. Used once at the end of a run, on the caller's thread.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::counts::Counts;

/// One run of one workload. All numbers are finite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// produce, one-way, batch, drain, end-to-end, mixed, fan-out, fill or first-ack.
    pub what: String,
    /// The arguments in force, defaults included; names as on the command line, without the dashes.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// Measured time, without the warm-up.
    pub seconds: f64,
    /// Messages that count: acked (sends) or received (reads) inside the measured time.
    pub messages: u64,
    /// Their bodies (sends) or their whole records (reads), in bytes.
    pub bytes: u64,
    /// Requests that failed, over the whole run.
    #[serde(default)]
    pub bad: u64,
    /// How often each failure came: `2: SYSTEM_BUSY`, or words where there is no code (`no answer`, `not sent`,
    /// `connection lost`, `damaged`, `not stored`, `not received`).
    #[serde(default)]
    pub errors: BTreeMap<String, u64>,
    /// Messages a second.
    pub rate: f64,
    /// Null where a workload has no latency (one-way, fill).
    #[serde(default)]
    pub latency_us: Option<Latency>,
    /// The curve for a chart: (quantile from 0 to 1, microseconds), rising, ending at the max.
    #[serde(default)]
    pub percentiles: Vec<(f64, f64)>,
    /// The whole histogram in nanoseconds: HdrHistogram V2 with deflate, base64.
    #[serde(default)]
    pub histogram: Option<String>,
    /// Open loop: how late the loader itself wrote. Null in a closed loop.
    #[serde(default)]
    pub lateness_us: Option<Latency>,
    #[serde(default)]
    pub series: Vec<Second>,
    /// Null without `--pid`.
    #[serde(default)]
    pub broker: Option<BrokerUse>,
    #[serde(default)]
    pub loader: LoaderUse,
    /// All other processes and the kernel's own threads, in percent of one core.
    #[serde(default)]
    pub others_cpu_percent: f64,
    /// Null without `--verify`.
    #[serde(default)]
    pub verified: Option<Verified>,
    /// Workloads that read: what was received beside what was sent. Null elsewhere.
    #[serde(default)]
    pub received: Option<Received>,
    /// The same workloads: what was sent. Null elsewhere.
    #[serde(default)]
    pub sent: Option<SentShare>,
    /// What must be known to read the numbers (real-time priority, threads, ...).
    #[serde(default)]
    pub notes: Vec<String>,
    /// False when a signal or a broken connection cut it short; what was measured until then is here.
    pub complete: bool,
    /// The program ended with 1: requests failed (but under `--allow-errors`), or messages are lost, damaged or not
    /// received, or it could not go on.
    #[serde(default)]
    pub failed: bool,
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
    pub mean: f64,
}

/// One second of the measured time; a message counts in the second of its ack or receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// From 0 at the end of the warm-up.
    pub second: u64,
    pub messages: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

/// What the broker's processes used in the measured time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BrokerUse {
    /// Null without any message.
    pub cpu_us_per_message: Option<f64>,
    /// Of one core.
    pub cpu_percent: f64,
    /// Resident and anonymous memory at the end.
    pub rss_kib: u64,
    pub anon_kib: u64,
    /// Through to the disk, as the kernel counts it for the processes.
    pub read_bytes: u64,
    pub write_bytes: u64,
    /// Files made durable, in whatever way, by the kernel's count where it may be read, else the broker's own; null
    /// where neither is there.
    pub fdatasyncs: Option<u64>,
    /// System calls of all threads, with --count-calls and the right to trace; else null.
    #[serde(default)]
    pub syscalls: Option<u64>,
    /// Pieces taken from the heap on RingMQ's shards, by its own count; null for other brokers.
    #[serde(default)]
    pub allocations: Option<u64>,
    pub context_switches: u64,
}

impl BrokerUse {
    /// With what was counted.
    pub fn with(self, Counts { fdatasyncs, syscalls, allocations }: Counts) -> BrokerUse {
        BrokerUse { fdatasyncs, syscalls, allocations, ..self }
    }
}

/// What the loader itself used in the measured time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoaderUse {
    /// Null without any message.
    pub cpu_us_per_message: Option<f64>,
    /// Of one core.
    pub cpu_percent: f64,
}

/// The acked messages, looked for after the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verified {
    pub acked: u64,
    pub found: u64,
    /// Acked, and not at the queue offset of the ack, or another message there.
    pub lost: u64,
    /// Whose bytes do not match their checksum.
    pub damaged: u64,
    /// The same message at several offsets of its queue.
    #[serde(default)]
    pub duplicated: u64,
    /// Acked past the number of acks that are kept: not looked for.
    #[serde(default)]
    pub unchecked: u64,
}

/// What consumers received over the whole run, all groups together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Received {
    pub groups: u64,
    /// Acked messages times groups: what should have been received.
    pub expected: u64,
    pub messages: u64,
    /// Expected and not received when the run ended.
    pub missing: u64,
    /// Pulls answered, with messages or without.
    pub pulls: u64,
    /// Messages a second, all groups together, inside the measured time.
    #[serde(default)]
    pub rate: f64,
    /// From the instant a message was due to its receipt.
    #[serde(default)]
    pub latency_us: Option<Latency>,
}

/// What producers sent in a workload that also reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SentShare {
    /// Acked over the whole run.
    pub messages: u64,
    /// Acked a second, inside the measured time.
    pub rate: f64,
    /// From the instant a message was due to its ack.
    pub latency_us: Option<Latency>,
}

impl RunResult {
    /// What went wrong with requests and messages, counted, in words; `None` when nothing did.
    pub fn faults(&self) -> Option<String> {
        let mut faults: Vec<String> = self.errors.iter().map(|(name, count)| format!("{count} × {name}")).collect();
        if let Some(verified) = &self.verified {
            let found = [(verified.lost, "acked messages lost"), (verified.damaged, "stored messages damaged")];
            faults
                .extend(found.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")));
        }
        (!faults.is_empty()).then(|| faults.join(", "))
    }

    /// Writes it as JSON with a line break at the end, in one go.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| format!("{}: {error}", path.display()))?;
        text.push('\n');
        let partial = path.with_extension("json.part");
        fs::write(&partial, text)
            .and_then(|()| fs::rename(&partial, path))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Reads what [`RunResult::write`] wrote.
    pub fn read(path: &Path) -> Result<RunResult, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{} is no result: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> RunResult {
        let latency =
            Latency { count: 9, p50: 71.25, p90: 80.0, p99: 99.5, p999: 1e3, p9999: 2e3, max: 2.5e6, mean: 75.125 };
        RunResult {
            what: "produce".into(),
            arguments: BTreeMap::from([("body".into(), "100-4000".into())]),
            seconds: 10.0,
            messages: 9,
            bytes: 9 * 1024,
            bad: 3,
            errors: BTreeMap::from([("2: SYSTEM_BUSY".into(), 3)]),
            rate: 0.9,
            latency_us: Some(latency),
            percentiles: vec![(0.5, 71.25), (1.0, 2.5e6)],
            histogram: Some("HISTFAAA".into()),
            lateness_us: Some(latency),
            series: vec![Second { second: 0, messages: 9, p50_us: 71.25, p99_us: 99.5, max_us: 2.5e6 }],
            broker: Some(BrokerUse { cpu_us_per_message: Some(3.0), fdatasyncs: None, ..BrokerUse::default() }),
            loader: LoaderUse { cpu_us_per_message: Some(0.9), cpu_percent: 12.0 },
            others_cpu_percent: 1.5,
            verified: Some(Verified { acked: 9, found: 8, lost: 1, ..Verified::default() }),
            received: Some(Received { groups: 2, expected: 18, messages: 18, pulls: 7, ..Received::default() }),
            sent: Some(SentShare { messages: 9, rate: 0.9, latency_us: Some(latency) }),
            notes: vec!["SCHED_FIFO".into()],
            complete: true,
            failed: true,
        }
    }

    #[test]
    fn a_result_survives_its_file() {
        let directory = std::env::temp_dir().join(format!("mqbench-result-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("run.json");
        for result in [full(), RunResult { what: "fill".into(), ..RunResult::default() }] {
            result.write(&path).unwrap();
            assert_eq!(RunResult::read(&path).unwrap(), result);
        }
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn faults_are_counted_in_words() {
        assert_eq!(full().faults().as_deref(), Some("3 × 2: SYSTEM_BUSY, 1 acked messages lost"));
        assert_eq!(RunResult { verified: Some(Verified::default()), ..RunResult::default() }.faults(), None);
    }

    #[test]
    fn what_is_absent_is_null() {
        let text = serde_json::to_string(&RunResult { what: "one-way".into(), ..RunResult::default() }).unwrap();
        for key in ["latency_us", "lateness_us", "broker", "verified", "histogram"] {
            assert!(text.contains(&format!("\"{key}\":null")), "{key} in {text}");
        }
    }

    #[test]
    fn later_fields_may_be_missing_in_older_files() {
        let text = r#"{"what":"drain","seconds":1.0,"messages":1,"bytes":2,"rate":1.0,"complete":true}"#;
        let result: RunResult = serde_json::from_str(text).unwrap();
        assert_eq!((result.what.as_str(), result.messages, result.latency_us), ("drain", 1, None));
        let older = r#"{"cpu_us_per_message":1.5,"cpu_percent":2.0}"#;
        let loader: LoaderUse = serde_json::from_str(older).unwrap();
        assert_eq!(loader.cpu_us_per_message, Some(1.5));
    }
}
