//! From where on damage is what the end of the machine left of writes, and what such an end takes with it.
//!
//! What was not flushed when a machine went down reached its disk sector by sector, in any order. Whole records behind
//! torn ones were promised no more than those, and keeping them would leave holes in queues and in the middle of the
//! log: there the log ends. Reads the log, writes nothing.

use super::scan::{Found, Log};
use crate::checkpoint::{Checkpoint, boot_hash};
use crate::options::{StoreOptions, StoreRole};

/// Damage at or behind this physical offset ends the log; damage before it is reported and kept.
///
/// On a slave it is where the last checkpoint ends: its log stays the beginning of the master's, which sends the rest
/// again. On a master the same once the machine has gone down since. After a killed process nothing is torn but what
/// was in flight, so damage there is the disk's, and nobody else has what lies behind it. A store without our part of
/// the checkpoint tells neither: all is kept.
pub(super) fn torn_from(options: &StoreOptions, checkpoint: &Checkpoint, abnormal: bool) -> i64 {
    let Some(extension) = &checkpoint.extension else { return i64::MAX };
    if options.role == StoreRole::Slave {
        return extension.dispatched;
    }
    let was_open = abnormal || !extension.clean;
    let same_boot = extension.boot != 0 && extension.boot == boot_hash();
    if was_open && !same_boot { extension.dispatched.max(extension.durable) } else { i64::MAX }
}

/// Where sound records go on behind damage at `at`, if they do before `limit`; in a log torn from `torn_from` on that
/// offset, a record's beginning, parts damage that is kept from what goes.
pub(super) fn goes_on(log: &Log<'_>, at: i64, limit: i64, torn_from: i64) -> Option<i64> {
    let next = log.next_valid(at, limit)?;
    Some(if at < torn_from { next.min(torn_from) } else { next })
}

/// The whole records that go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Physical offset of the first one.
    pub(super) first: i64,
    /// Physical offset of the last one.
    pub(super) last: i64,
    pub(super) records: u64,
}

/// Counts the whole records from `first`, which is one, on.
pub(super) fn count(log: &Log<'_>, first: i64) -> Dropped {
    let mut dropped = Dropped { first, last: first, records: 0 };
    let mut at = first;
    loop {
        at = match log.at(at) {
            Found::Record(record) => {
                dropped.last = at;
                dropped.records += 1;
                at.saturating_add(i64::from(record.total_size))
            }
            Found::Blank { next } => next,
            _ => match log.next_valid(at, i64::MAX) {
                Some(next) if next > at => next,
                _ => return dropped,
            },
        };
    }
}

/// One line about it.
pub(super) fn tell(options: &StoreOptions, end: i64, dropped: &Dropped) {
    let Dropped { first, last, records } = dropped;
    match options.role {
        StoreRole::Slave => tracing::warn!(
            end,
            first,
            last,
            records,
            "bytes a crash left out lie before messages received later; the log is cut there, the master sends them again"
        ),
        StoreRole::Master => tracing::warn!(
            end,
            first,
            last,
            records,
            "the machine went down before all that was written was on its disk; the log is cut at the first record that is not whole, and the whole ones behind it, which no flush had covered either, go with it"
        ),
    }
}
