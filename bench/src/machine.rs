//! What the kernel says of the processes measured and of the machine beside them.
//!
//! Owns the reading of `/proc`. Must not keep anything between two looks.

use std::fs;

/// CPU time of some processes and of everything, in clock ticks.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    broker: u64,
    loader: u64,
    all: u64,
}

impl Cpu {
    /// Now.
    pub fn now(pids: &[u32]) -> Cpu {
        Cpu { broker: pids.iter().map(|pid| ticks(&pid.to_string())).sum(), loader: ticks("self"), all: busy_ticks() }
    }

    /// What was used since `before`, as the RESULT line has it: microseconds a message, and percent of one core.
    pub fn since(self, before: Cpu, messages: u64, seconds: f64) -> String {
        // SAFETY: sysconf takes and returns plain numbers.
        let a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64;
        let broker = self.broker.saturating_sub(before.broker) as f64 / a_second;
        let loader = self.loader.saturating_sub(before.loader) as f64 / a_second;
        let others = self.all.saturating_sub(before.all) as f64 / a_second - broker - loader;
        let each = 1e6 / messages.max(1) as f64;
        format!(
            "broker_cpu_us={:.2} loader_cpu_us={:.2} broker_cpu_pct={:.0} loader_cpu_pct={:.0} others_cpu_pct={:.0}",
            broker * each,
            loader * each,
            broker / seconds * 100.0,
            loader / seconds * 100.0,
            others / seconds * 100.0
        )
    }
}

fn ticks(pid: &str) -> u64 {
    let read = || {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold blanks; the fields count from behind it.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    };
    read().unwrap_or(0)
}

/// All that was no idling and no waiting for the disk.
fn busy_ticks() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let fields = line.split_whitespace().skip(1).take(8).enumerate();
    fields.filter(|(index, _)| !matches!(index, 3 | 4)).filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
}

/// Resident and anonymous memory of some processes, KiB.
pub fn memory(pids: &[u32]) -> String {
    let sum = |key: &str| pids.iter().filter_map(|pid| status_kib(*pid, key)).sum::<u64>();
    format!("rss_kib={} anon_kib={}", sum("VmRSS"), sum("RssAnon"))
}

fn status_kib(pid: u32, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
