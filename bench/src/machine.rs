//! What the kernel says of the processes measured.
//!
//! Owns the reading of `/proc` for them; [`crate::others`] has the rest. A process's threads count with it, io_uring's
//! workers too; the kernel's own threads are processes of their own. Must not keep anything between two looks.

use std::fs;
use std::time::Instant;

pub use crate::others::Others;
use crate::result::{BrokerUse, LoaderUse};

/// Shorter times are too near to the clock tick, 10 ms.
const TELLING_SECONDS: f64 = 0.1;

/// What some processes and all others have used until now.
#[derive(Clone, Debug)]
pub struct Usage {
    at: Instant,
    broker: Process,
    loader_ticks: u64,
    others: Option<Others>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Process {
    ticks: u64,
    read_bytes: u64,
    write_bytes: u64,
    context_switches: u64,
}

/// What was used between two looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// `None` without processes to look at.
    pub broker: Option<BrokerUse>,
    pub loader: LoaderUse,
    pub others_cpu_percent: f64,
}

impl Usage {
    /// Now, with a look at the others from just before or after.
    pub fn now(pids: &[u32], others: Others) -> Usage {
        let mut usage = Usage::without_others(pids);
        usage.others = Some(others);
        usage
    }

    /// Now; the others are to be looked at next.
    pub fn without_others(pids: &[u32]) -> Usage {
        let mut broker = Process::default();
        for pid in pids {
            broker.ticks += stat_ticks(&pid.to_string());
            broker.read_bytes += status_number(&format!("/proc/{pid}/io"), "read_bytes");
            broker.write_bytes += status_number(&format!("/proc/{pid}/io"), "write_bytes");
            broker.context_switches += context_switches(*pid);
        }
        let at = Instant::now();
        Usage { at, broker, loader_ticks: stat_ticks("self"), others: None }
    }

    /// The same with the others' time.
    pub fn with_others(mut self, others: Others) -> Usage {
        self.others = Some(others);
        self
    }

    /// What was used since `before` for so many messages.
    pub fn since(&self, before: &Usage, messages: u64, pids: &[u32]) -> Used {
        // SAFETY: sysconf takes and returns plain numbers.
        let a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64;
        let cpu = |ticks: u64, before: u64| ticks.saturating_sub(before) as f64 / a_second;
        let seconds = self.at.saturating_duration_since(before.at).as_secs_f64().max(1e-9);
        // Without messages there is no time of one: 0 would be the best figure of all.
        let each = |seconds: f64| (messages > 0).then(|| seconds * 1e6 / messages as f64);
        let broker = cpu(self.broker.ticks, before.broker.ticks);
        let loader = cpu(self.loader_ticks, before.loader_ticks);
        Used {
            broker: (!pids.is_empty()).then(|| BrokerUse {
                cpu_us_per_message: each(broker),
                cpu_percent: broker / seconds * 100.0,
                rss_kib: memory_kib(pids, "VmRSS"),
                anon_kib: memory_kib(pids, "RssAnon"),
                read_bytes: self.broker.read_bytes.saturating_sub(before.broker.read_bytes),
                write_bytes: self.broker.write_bytes.saturating_sub(before.broker.write_bytes),
                context_switches: self.broker.context_switches.saturating_sub(before.broker.context_switches),
                ..BrokerUse::default()
            }),
            loader: LoaderUse { cpu_us_per_message: each(loader), cpu_percent: loader / seconds * 100.0 },
            others_cpu_percent: self.others_percent(before, a_second),
        }
    }

    fn others_percent(&self, before: &Usage, ticks_a_second: f64) -> f64 {
        let (Some(after), Some(before)) = (&self.others, &before.others) else { return 0.0 };
        let seconds = after.at.saturating_duration_since(before.at).as_secs_f64();
        // Ticks over next to no time say nothing.
        if seconds < TELLING_SECONDS {
            return 0.0;
        }
        after.ticks_since(before) as f64 / ticks_a_second / seconds * 100.0
    }
}

/// Refuses processes that are not there: their zeros would look like a result.
pub fn check(pids: &[u32]) -> Result<(), String> {
    match pids.iter().find(|pid| fs::metadata(format!("/proc/{pid}")).is_err()) {
        Some(pid) => Err(format!("--pid {pid}: there is no such process")),
        None => Ok(()),
    }
}

/// User and system time.
fn stat_ticks(pid: &str) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(0, |text| sum_ticks(&text))
}

fn sum_ticks(stat: &str) -> u64 {
    // The name in parentheses may hold blanks and parentheses; the fields count from behind the last one.
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0 };
    rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn context_switches(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .map(|task| {
            let path = task.path().join("status");
            let text = fs::read_to_string(path).unwrap_or_default();
            number_in(&text, "voluntary_ctxt_switches") + number_in(&text, "nonvoluntary_ctxt_switches")
        })
        .sum()
}

fn memory_kib(pids: &[u32], key: &str) -> u64 {
    pids.iter().map(|pid| status_number(&format!("/proc/{pid}/status"), key)).sum()
}

fn status_number(path: &str, key: &str) -> u64 {
    fs::read_to_string(path).map_or(0, |text| number_in(&text, key))
}

/// The number behind `key:`, 0 without it.
fn number_in(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 20 0";
        assert_eq!(sum_ticks(stat), 11 + 12);
        assert_eq!((sum_ticks(""), sum_ticks("7 (x) S")), (0, 0));
    }

    #[test]
    fn status_lines_are_found_by_their_whole_key() {
        let text = "VmRSS:\t  123 kB\nnonvoluntary_ctxt_switches:\t5\nvoluntary_ctxt_switches:\t7\n";
        for (key, wanted) in
            [("VmRSS", 123), ("voluntary_ctxt_switches", 7), ("nonvoluntary_ctxt_switches", 5), ("Vm", 0), ("none", 0)]
        {
            assert_eq!(number_in(text, key), wanted, "{key}");
        }
    }

    #[test]
    fn this_process_is_seen_and_nothing_goes_below_zero() {
        let pids = [std::process::id()];
        let before = Usage::now(&pids, Others::now(&pids));
        let after = Usage::without_others(&pids).with_others(Others::now(&pids));
        let used = after.since(&before, 0, &pids);
        let broker = used.broker.unwrap();
        assert!(broker.rss_kib > 0 && broker.anon_kib <= broker.rss_kib);
        assert!(used.others_cpu_percent >= 0.0);
        assert_eq!((used.loader.cpu_us_per_message, broker.cpu_us_per_message), (None, None));
        // The wrong way round, as after a process has ended.
        let used = before.since(&after, 1, &pids);
        assert!(used.others_cpu_percent >= 0.0 && used.loader.cpu_percent >= 0.0);
        assert!(used.broker.unwrap().cpu_us_per_message.is_some_and(|us| us >= 0.0));
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        assert!(check(&[std::process::id()]).is_ok());
        assert!(check(&[u32::MAX]).unwrap_err().contains("4294967295"));
    }
}
