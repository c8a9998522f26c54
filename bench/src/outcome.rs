//! What a subcommand leaves: a result, the RESULT line, and how the program ends.
//!
//! Owns the RESULT line: `key=value`, times in microseconds unless the key says otherwise; keys are added, never
//! renamed. Main thread.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::cli::{Form, Load};
use crate::conclude::Done;
use crate::result::{BrokerUse, Latency, RunResult};
use crate::stop;
use crate::verify;

/// The end of a measurement.
#[derive(Debug)]
pub struct Outcome {
    pub result: RunResult,
    /// Behind `RESULT `.
    pub line: String,
    pub exit_code: u8,
    /// Why it is not 0, in words.
    pub trouble: Option<String>,
    /// What must be known though the measurement did not fail.
    pub warning: Option<String>,
}

impl Outcome {
    /// Of a result that is as good as it is complete; writes it where it is wanted.
    pub fn new(result: RunResult, line: String, json: Option<&Path>) -> Result<Outcome, String> {
        if let Some(path) = json {
            result.write(path)?;
        }
        let exit_code = if stop::is_asked() { stop::EXIT_CODE } else { 0 };
        Ok(Outcome { result, line, exit_code, trouble: None, warning: None })
    }

    /// Of a load that sends.
    pub fn of_load(done: Done, load: &Load, arguments: BTreeMap<String, String>) -> Result<Outcome, String> {
        let Done { mut result, first_error, has_failed } = done;
        result.arguments = arguments;
        let line = load_line(&result, load, first_error.as_deref());
        let mut outcome = Outcome::new(result, line, load.json.as_deref())?;
        outcome.warning = outcome.result.verified.as_ref().and_then(verify::unchecked);
        if has_failed && outcome.exit_code == 0 {
            outcome.exit_code = 1;
            let first = first_error.unwrap_or_else(|| "the run failed".into());
            outcome.trouble = Some(match outcome.result.faults() {
                Some(faults) => format!("{faults}; the first: {first}"),
                None => first,
            });
        }
        Ok(outcome)
    }
}

fn load_line(result: &RunResult, load: &Load, first_bad: Option<&str>) -> String {
    let form = match load.form {
        Form::Json => "Json",
        Form::Rocketmq => "Rocketmq",
    };
    let rate = load.rate.unwrap_or(0);
    let latency = result.latency_us.unwrap_or_default();
    let mut line = format!(
        "what={} loop={} connections={} outstanding={} rate_asked={rate} body={} topics={} queues={} form={form} \
         messages={} bad={} first_bad={:?} rate={:.0} {}",
        result.what,
        if rate == 0 { "closed" } else { "open" },
        load.connections,
        load.outstanding,
        load.body,
        load.topics,
        load.queues,
        // Of plain sends those whose latency was taken, as ever.
        if result.what == "produce" { latency.count } else { result.messages },
        result.bad,
        first_bad.unwrap_or("-"),
        result.rate,
        latency_keys("", &latency, 0),
    );
    let _ = write!(line, " p9999={:.0} {}", latency.p9999, usage_keys(result));
    if let Some(lateness) = &result.lateness_us {
        let _ = write!(line, " {}", latency_keys("late_", lateness, 1));
    }
    if let Some(received) = &result.received {
        let _ = write!(
            line,
            " groups={} received={} missing={} pulls={} received_rate={:.0} {}",
            received.groups,
            received.messages,
            received.missing,
            received.pulls,
            received.rate,
            latency_keys("received_", &received.latency_us.unwrap_or_default(), 0),
        );
    }
    if let Some(sent) = &result.sent {
        let _ = write!(
            line,
            " sent_rate={:.0} {}",
            sent.rate,
            latency_keys("sent_", &sent.latency_us.unwrap_or_default(), 0)
        );
    }
    if let Some(verified) = &result.verified {
        let _ = write!(
            line,
            " acked={} found={} lost={} damaged={} duplicated={} unchecked={}",
            verified.acked, verified.found, verified.lost, verified.damaged, verified.duplicated, verified.unchecked
        );
    }
    let _ = write!(line, " complete={} failed={}", result.complete, result.failed);
    line
}

/// `p50=... max=... mean=...`, each key with a prefix, so many digits behind the point.
pub fn latency_keys(prefix: &str, latency: &Latency, digits: usize) -> String {
    let figures = [
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p99", latency.p99),
        ("p999", latency.p999),
        ("max", latency.max),
        ("mean", latency.mean),
    ];
    figures.map(|(key, value)| format!("{prefix}{key}={value:.digits$}")).join(" ")
}

/// What broker, loader and others used; `-` where it is not known.
pub fn usage_keys(result: &RunResult) -> String {
    let decimals =
        |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let of_broker =
        |count: fn(&BrokerUse) -> u64| result.broker.map_or("-".to_owned(), |used| count(&used).to_string());
    let counted = |count: fn(BrokerUse) -> Option<u64>| {
        result.broker.and_then(count).map_or("-".to_owned(), |count| count.to_string())
    };
    format!(
        "broker_cpu_us={} loader_cpu_us={} broker_cpu_pct={} loader_cpu_pct={:.0} others_cpu_pct={:.0} \
         rss_kib={} anon_kib={} read_bytes={} write_bytes={} fdatasyncs={} context_switches={} syscalls={} \
         allocations={}",
        decimals(result.broker.and_then(|used| used.cpu_us_per_message), 2),
        decimals(result.loader.cpu_us_per_message, 2),
        decimals(result.broker.map(|used| used.cpu_percent), 0),
        result.loader.cpu_percent,
        result.others_cpu_percent,
        of_broker(|used| used.rss_kib),
        of_broker(|used| used.anon_kib),
        of_broker(|used| used.read_bytes),
        of_broker(|used| used.write_bytes),
        counted(|used| used.fdatasyncs),
        of_broker(|used| used.context_switches),
        counted(|used| used.syscalls),
        counted(|used| used.allocations),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_keys_carry_their_prefix() {
        let latency = Latency { p50: 1.26, max: 1e6, ..Latency::default() };
        assert_eq!(
            latency_keys("late_", &latency, 1),
            "late_p50=1.3 late_p90=0.0 late_p99=0.0 late_p999=0.0 late_max=1000000.0 late_mean=0.0"
        );
    }

    #[test]
    fn the_keys_scripts_read_are_there() {
        let keys = usage_keys(&RunResult::default());
        for key in ["broker_cpu_us", "loader_cpu_us", "others_cpu_pct", "rss_kib", "anon_kib"] {
            assert!(keys.split(' ').any(|pair| pair.starts_with(&format!("{key}="))), "{key} in {keys}");
        }
        let broker = BrokerUse { cpu_us_per_message: Some(1.234), rss_kib: 7, ..BrokerUse::default() };
        let keys = usage_keys(&RunResult { broker: Some(broker), ..RunResult::default() });
        assert!(keys.contains("broker_cpu_us=1.23 ") && keys.contains(" rss_kib=7 "), "{keys}");
    }

    #[test]
    fn what_is_not_known_is_no_zero() {
        let keys = usage_keys(&RunResult::default());
        for key in ["broker_cpu_us", "loader_cpu_us", "broker_cpu_pct", "rss_kib", "write_bytes", "context_switches"] {
            assert!(keys.split(' ').any(|pair| pair == format!("{key}=-")), "{key} in {keys}");
        }
    }
}
