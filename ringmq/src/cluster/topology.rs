//! The names of topologies in the field: `2m-noslave`, `2m-2s-sync`, `1m-2s`.
//!
//! Owns their reading. Must not know hosts. Pure, any thread.

use std::fmt;
use std::str::FromStr;

/// Masters are named broker-a to broker-z.
pub const MASTERS_MAX: usize = 26;

/// Copies beyond these are no use: one slave's word is enough for a sync master.
pub const SLAVES_EACH_MAX: usize = 8;

/// How many brokers there are, and what an acknowledgement waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    pub masters: usize,
    /// Slaves of each master.
    pub slaves_each: usize,
    /// Masters wait for a slave: SYNC_MASTER.
    pub sync: bool,
}

impl FromStr for Topology {
    type Err = String;

    /// `<masters>m-noslave` or `<masters>m-<slaves of all>s`, then optionally `-async` (what it is without) or `-sync`.
    fn from_str(text: &str) -> Result<Topology, String> {
        const FORM: &str = "write it as 2m-noslave, 2m-2s-async, 2m-2s-sync or 1m-2s";
        if text.to_ascii_lowercase().starts_with("dl") {
            return Err(format!("{text}: this version does not have DLedger; masters with slaves are there: {FORM}"));
        }
        let number = |part: &str, unit: char| part.strip_suffix(unit)?.parse::<usize>().ok();
        let mut parts = text.split('-');
        let masters = parts.next().and_then(|part| number(part, 'm'));
        let masters = masters.ok_or_else(|| format!("{text} is no topology; {FORM}"))?;
        let slaves = match parts.next() {
            Some("noslave") => Some(0),
            Some(part) => number(part, 's').filter(|slaves| *slaves > 0),
            None => None,
        };
        let slaves = slaves.ok_or_else(|| format!("{text} does not say how many slaves; {FORM}"))?;
        let sync = match (parts.next(), parts.next()) {
            (None | Some("async"), None) => false,
            (Some("sync"), None) => true,
            _ => return Err(format!("{text} ends in neither -async nor -sync; {FORM}")),
        };
        if masters == 0 || masters > MASTERS_MAX {
            return Err(format!("{text}: a plan has 1 to {MASTERS_MAX} masters (broker-a to broker-z)"));
        }
        if !slaves.is_multiple_of(masters) {
            return Err(format!(
                "{text}: {slaves} slaves cannot be shared out evenly among {masters} masters; the second number \
                 counts all slaves, so {masters}m-{masters}s gives each master one"
            ));
        }
        let slaves_each = slaves / masters;
        if slaves_each > SLAVES_EACH_MAX {
            return Err(format!("{text}: {slaves_each} slaves a master; at most {SLAVES_EACH_MAX} make sense"));
        }
        if sync && slaves == 0 {
            return Err(format!("{text}: a sync master waits for a slave, and there is none; use {masters}m-noslave"));
        }
        Ok(Topology { masters, slaves_each, sync })
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.slaves_each {
            0 => write!(f, "{}m-noslave", self.masters),
            each => {
                write!(f, "{}m-{}s-{}", self.masters, self.masters * each, if self.sync { "sync" } else { "async" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let got = text.parse::<Topology>().map_or_else(|error| error, |topology| topology.to_string());
        assert!(got == want || want.starts_with("…") && got.contains(&want["…".len()..]), "{text}: {got}");
    }

    #[test]
    fn names_of_the_field_are_read() {
        check("2m-noslave", "2m-noslave");
        check("3m-noslave", "3m-noslave");
        check("2m-2s-sync", "2m-2s-sync");
        check("2m-2s-async", "2m-2s-async");
        check("2m-2s", "2m-2s-async");
        check("1m-2s", "1m-2s-async");
        check("2m-4s-sync", "2m-4s-sync");
    }

    #[test]
    fn impossible_ones_are_refused_with_the_reason() {
        check("", "… is no topology; write it as");
        check("dledger", "…does not have DLedger");
        check("cluster", "…is no topology");
        check("2m", "…does not say how many slaves");
        check("2m-0s", "…does not say how many slaves");
        check("2m-2s-semi", "…neither -async nor -sync");
        check("2m-2s-sync-x", "…neither -async nor -sync");
        check("0m-noslave", "…1 to 26 masters");
        check("27m-noslave", "…1 to 26 masters");
        check("2m-3s", "…cannot be shared out evenly");
        check("1m-9s", "…at most 8");
        check("2m-noslave-sync", "…use 2m-noslave");
        check("99999999999999999999m-noslave", "…is no topology");
    }
}
