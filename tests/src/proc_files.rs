//! What the kernel says of a process: memory and CPU time.
//!
//! Owns the reading of `/proc/<pid>`. Must not keep anything between two looks.

use std::fs;

/// A figure of `/proc/<pid>/status` in KiB, e.g. `VmRSS`, `RssAnon`.
pub fn status_kib(pid: u32, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// User and system time used so far, milliseconds.
pub fn cpu_ms(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold blanks; the fields count from behind it.
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    // SAFETY: sysconf takes and returns plain numbers.
    let a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Some(ticks * 1000 / u64::try_from(a_second).ok()?.max(1))
}
