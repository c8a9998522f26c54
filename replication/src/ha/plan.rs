//! Decides how a slave begins a link, from what it has and what is known of the master.
//!
//! Plain functions, no I/O, any thread. Must not know how the facts were come by.

use super::options::InitialSync;
use super::seam::LogExtent;

/// The slave's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// First byte kept.
    pub start: i64,
    /// One past the last byte; equal to `start` when there is nothing.
    pub end: i64,
    /// What is safe ends here.
    pub durable: i64,
    /// Bytes of a commitlog file.
    pub file_size: u64,
}

/// Where the next byte of the master belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the first report: what is here from there on is compared.
    Compare,
    /// The log is empty and begins at this offset.
    At(i64),
    /// The log is empty and the master chooses, which is the beginning of its last file.
    WhereTheMasterSays,
}

/// How a link begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The first report.
    pub report: i64,
    /// What to do with the first byte.
    pub begin: Begin,
    /// The end of the slave's log.
    pub end: i64,
    /// What is safe ends here.
    pub durable: i64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Connect and begin so.
    Link(Start),
    /// Fetch the record at offset 0 and append it: a report of 0 would begin with the last file.
    FetchFirst,
    /// Nothing can be decided before the master has said where its log begins.
    NeedFacts,
    /// The master's log ends before the stretch that would be compared.
    Ahead { master: i64 },
    /// The master's log begins beyond our end.
    BehindFirst { first: i64 },
    /// The master's log begins where none of our files could.
    FileSize { first: i64 },
}

/// Plans a link. `overlap` is how many bytes before the end are compared.
pub fn plan(own: Own, facts: Option<LogExtent>, initial: InitialSync, overlap: u64) -> Plan {
    let file_size = i64::try_from(own.file_size).unwrap_or(i64::MAX).max(1);
    if own.end <= own.start {
        let start = |report, begin| Plan::Link(Start { report, begin, end: own.end, durable: own.durable });
        return match (initial, facts) {
            (InitialSync::LastFile, _) => start(0, Begin::WhereTheMasterSays),
            (InitialSync::All, None) => Plan::NeedFacts,
            (InitialSync::All, Some(LogExtent { min, .. })) if min % file_size != 0 || min < 0 => {
                Plan::FileSize { first: min }
            }
            // One file only: the last is the first.
            (InitialSync::All, Some(LogExtent { min: 0, max })) if max < file_size => start(0, Begin::At(0)),
            (InitialSync::All, Some(LogExtent { min: 0, .. })) => Plan::FetchFirst,
            (InitialSync::All, Some(LogExtent { min, .. })) => start(min, Begin::At(min)),
        };
    }
    let min = facts.map_or(0, |facts| facts.min);
    if own.end < min {
        return Plan::BehindFirst { first: min };
    }
    // Never more than is safe, for some masters count the first report; never 0, which has a meaning of its own.
    let overlap = i64::try_from(overlap).unwrap_or(i64::MAX);
    let report = own.end.saturating_sub(overlap).min(own.durable).max(own.start).max(min).max(1);
    match facts {
        Some(LogExtent { max, .. }) if max < report => Plan::Ahead { master: max },
        _ => Plan::Link(Start { report, begin: Begin::Compare, end: own.end, durable: own.durable }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: u64 = 1000;

    #[track_caller]
    fn check(own: (i64, i64, i64), facts: Option<(i64, i64)>, initial: InitialSync, want: &str) {
        let own = Own { start: own.0, end: own.1, durable: own.2, file_size: FILE };
        let plan = plan(own, facts.map(|(min, max)| LogExtent { min, max }), initial, 100);
        let found = match plan {
            Plan::Link(Start { report, begin, .. }) => format!("report {report}, {begin:?}"),
            other => format!("{other:?}"),
        };
        assert_eq!(found, want);
    }

    #[test]
    fn an_empty_slave_begins_where_it_was_told_to() {
        use InitialSync::{All, LastFile};
        check((0, 0, 0), None, All, "NeedFacts");
        check((0, 0, 0), None, LastFile, "report 0, WhereTheMasterSays");
        check((0, 0, 0), Some((0, 0)), All, "report 0, At(0)");
        check((0, 0, 0), Some((0, 999)), All, "report 0, At(0)");
        check((0, 0, 0), Some((0, 1000)), All, "FetchFirst");
        check((0, 0, 0), Some((3000, 4500)), All, "report 3000, At(3000)");
        check((2000, 2000, 2000), Some((3000, 4500)), All, "report 3000, At(3000)");
        check((0, 0, 0), Some((512, 4500)), All, "FileSize { first: 512 }");
        check((0, 0, 0), Some((-1000, 4500)), All, "FileSize { first: -1000 }");
    }

    #[test]
    fn a_slave_with_a_log_has_its_last_stretch_sent_again() {
        let all = InitialSync::All;
        check((0, 500, 500), None, all, "report 400, Compare");
        check((0, 500, 500), Some((0, 800)), all, "report 400, Compare");
        check((0, 500, 300), Some((0, 800)), all, "report 300, Compare");
        check((0, 50, 50), Some((0, 800)), all, "report 1, Compare");
        check((0, 1, 1), Some((0, 800)), all, "report 1, Compare");
        check((2000, 2050, 2050), Some((2000, 2800)), all, "report 2000, Compare");
        check((1000, 2050, 2050), Some((2000, 2800)), all, "report 2000, Compare");
        check((1000, 2000, 2000), Some((2000, 2800)), all, "report 2000, Compare");
        check((0, 500, 500), Some((0, 450)), all, "report 400, Compare");
        check((0, 500, 500), Some((0, 399)), all, "Ahead { master: 399 }");
        check((0, 500, 500), Some((1000, 3000)), all, "BehindFirst { first: 1000 }");
    }
}
