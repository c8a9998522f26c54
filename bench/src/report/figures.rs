//! The figures of a run: their names, what they are called in a table, how they are written.
//!
//! Owns the names that aims and charts use. Pure.

use std::collections::BTreeMap;

use crate::result::{Latency, RunResult};

/// How a figure is shown.
pub struct Figure {
    pub name: &'static str,
    pub heading: &'static str,
    /// The value is divided by this before it is written.
    pub divisor: f64,
    pub digits: usize,
}

const fn figure(name: &'static str, heading: &'static str, divisor: f64, digits: usize) -> Figure {
    Figure { name, heading, divisor, digits }
}

/// In the order of the columns.
pub const ALL: &[Figure] = &[
    figure("rate", "msg/s", 1.0, 0),
    figure("mb_s", "MB/s", 1.0, 0),
    figure("p50_us", "p50 ms", 1e3, 3),
    figure("p90_us", "p90 ms", 1e3, 3),
    figure("p99_us", "p99 ms", 1e3, 2),
    figure("p999_us", "p99.9 ms", 1e3, 2),
    figure("p9999_us", "p99.99 ms", 1e3, 2),
    figure("max_us", "max ms", 1e3, 1),
    figure("lateness_p99_us", "loader late, p99 ms", 1e3, 3),
    figure("lateness_p999_us", "loader late, p99.9 ms", 1e3, 3),
    figure("lateness_max_us", "loader late, max ms", 1e3, 2),
    figure("cpu_us_per_message", "CPU us/msg", 1.0, 2),
    figure("cpu_percent", "CPU %", 1.0, 0),
    figure("loader_cpu_us_per_message", "loader CPU us/msg", 1.0, 2),
    figure("fdatasyncs_per_message", "syncs/msg", 1.0, 3),
    figure("syscalls_per_message", "calls/msg", 1.0, 3),
    figure("allocations_per_message", "shards' allocations/msg", 1.0, 3),
    figure("context_switches_per_message", "switches/msg", 1.0, 2),
    figure("write_bytes_per_message", "disk bytes/msg", 1.0, 0),
    figure("lag_p50_kib", "slave behind, p50 KiB", 1.0, 0),
    figure("lag_p99_kib", "slave behind, p99 KiB", 1.0, 0),
    figure("lag_max_kib", "slave behind, max KiB", 1.0, 0),
    figure("catch_up_mb_s", "caught up MB/s", 1.0, 0),
    figure("ms", "first ack ms", 1.0, 0),
    figure("store_mib", "store MiB", 1.0, 0),
    figure("rss_mib", "resident MiB", 1.0, 1),
    figure("anon_mib", "anonymous MiB", 1.0, 1),
    figure("odsync_p50_us", "O_DSYNC p50 ms", 1e3, 3),
    figure("odsync_p99_us", "O_DSYNC p99 ms", 1e3, 3),
    figure("fdatasync_p50_us", "fdatasync p50 ms", 1e3, 3),
    figure("fdatasync_p99_us", "fdatasync p99 ms", 1e3, 3),
    figure("missing", "not received", 1.0, 0),
    figure("lost", "lost", 1.0, 0),
    figure("damaged", "damaged", 1.0, 0),
    figure("bad", "failed", 1.0, 0),
    figure("others_cpu_percent", "others CPU %", 1.0, 0),
];

/// How a figure of this name is shown; unknown ones as they are.
pub fn of_name(name: &str) -> Option<&'static Figure> {
    ALL.iter().find(|figure| figure.name == name)
}

/// What it is called.
pub fn heading(name: &str) -> &str {
    of_name(name).map_or(name, |figure| figure.heading)
}

/// The value in the heading's unit.
pub fn text(name: &str, value: f64) -> String {
    let (divisor, digits) = of_name(name).map_or((1.0, 2), |figure| (figure.divisor, figure.digits));
    grouped(value / divisor, digits)
}

/// `12 345.6`: thousands apart by a narrow blank from 10 000 on.
fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |rest| ("-", rest));
    let mut out = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if whole.len() > 4 && index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// All figures of a workload's result.
pub fn of(result: &RunResult) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    let mut put = |name: &str, value: f64| {
        figures.insert(name.to_owned(), value);
    };
    let each = (result.messages > 0).then(|| 1.0 / result.messages as f64);
    put("rate", result.rate);
    put("messages", result.messages as f64);
    if result.seconds > 0.0 {
        put("mb_s", result.bytes as f64 / result.seconds / 1e6);
    }
    put("bad", result.bad as f64);
    put("others_cpu_percent", result.others_cpu_percent);
    result.loader.cpu_us_per_message.iter().for_each(|us| put("loader_cpu_us_per_message", *us));
    let mut spread = |prefix: &str, latency: &Latency| {
        let values = [latency.p50, latency.p90, latency.p99, latency.p999, latency.p9999, latency.max, latency.mean];
        for (name, value) in ["p50", "p90", "p99", "p999", "p9999", "max", "mean"].into_iter().zip(values) {
            put(&format!("{prefix}{name}_us"), value);
        }
    };
    result.latency_us.iter().for_each(|latency| spread("", latency));
    result.lateness_us.iter().for_each(|latency| spread("lateness_", latency));
    if let Some(broker) = &result.broker {
        broker.cpu_us_per_message.iter().for_each(|us| put("cpu_us_per_message", *us));
        put("cpu_percent", broker.cpu_percent);
        put("rss_mib", broker.rss_kib as f64 / 1024.0);
        put("anon_mib", broker.anon_kib as f64 / 1024.0);
        let counts = [
            ("context_switches_per_message", Some(broker.context_switches)),
            ("write_bytes_per_message", Some(broker.write_bytes)),
            ("fdatasyncs_per_message", broker.fdatasyncs),
            ("syscalls_per_message", broker.syscalls),
            ("allocations_per_message", broker.allocations),
        ];
        for (name, count) in counts {
            if let (Some(count), Some(each)) = (count, each) {
                put(name, count as f64 * each);
            }
        }
    }
    if let Some(verified) = &result.verified {
        put("lost", verified.lost as f64);
        put("damaged", verified.damaged as f64);
    }
    if let Some(received) = &result.received {
        put("missing", received.missing as f64);
    }
    figures
}

/// Smallest, middle and largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

/// Over the rounds; `None` without any.
pub fn spread(values: &[f64]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let median = if sorted.len() % 2 == 1 { upper } else { (upper + sorted.get(middle - 1)?) / 2.0 };
    Some(Spread { min, median, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some(Spread { min: 3.0, median: 3.0, max: 3.0 }));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 9.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some(Spread { min: 1.0, median: 3.0, max: 9.0 }));
    }

    #[test]
    fn values_are_written_in_their_unit() {
        for (name, value, expected) in [
            ("rate", 1_234_567.8, "1\u{202f}234\u{202f}568"),
            ("rate", 9999.0, "9999"),
            ("p50_us", 71.25, "0.071"),
            ("others_cpu_percent", -12345.0, "-12\u{202f}345"),
            ("something", 0.126, "0.13"),
        ] {
            assert_eq!(text(name, value), expected);
        }
    }
}
