//! Where recovery begins to read. Pure apart from looking at the log; no writes.

use super::queues::Queues;
use super::scan::{Found, Log};
use crate::checkpoint::{Checkpoint, Extension};

/// The choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// Physical offset of a record's first byte, or of the log's end.
    pub(super) from: i64,
    /// A clean stop of ours: zeros behind the log are its end, nothing need be searched there.
    pub(super) trusts_zeros: bool,
    /// It is the own checkpoint's: what lies before it is durable, queues included, and stays as it is.
    pub(super) is_own: bool,
}

/// Chooses. With an own checkpoint that still counts: its offset, or the log's first byte when the queues are not
/// those it knew. Otherwise Java 4.9.7's rules: after a clean stop the third-last file; after a crash the newest file
/// whose first record is stored at or before the checkpoint's bound, else the first file.
pub(super) fn choose(log: &Log<'_>, checkpoint: &Checkpoint, abnormal: bool, queues: &Queues) -> Start {
    let untrusting = |from| Start { from, trusts_zeros: false, is_own: false };
    if let Some(extension) = checkpoint.extension.as_ref().filter(|extension| !extension.log_only)
        && let Some(from) = own(log, extension)
    {
        let known = queues.digest(from);
        let same_names = known.names == extension.names;
        let same_queues = abnormal || !extension.clean || known.queues == extension.queues;
        if !(same_names && same_queues) {
            tracing::warn!("consume queues are missing or changed since the last checkpoint; the whole log is read");
            return untrusting(log.min());
        }
        return Start { from, trusts_zeros: !abnormal && extension.clean, is_own: true };
    }
    if queues.is_empty() {
        return untrusting(log.min());
    }
    if !abnormal {
        let third_last = log.files.len().saturating_sub(3);
        return untrusting(log.files.get(third_last).map_or(log.min(), |file| file.base()));
    }
    let bound = checkpoint.timestamps.bound();
    let young = |time: i64| time > 0 && time <= bound;
    let file = log.files.iter().rev().find(|file| log.first_store_time(file).is_some_and(young));
    untrusting(file.map_or(log.min(), |file| file.base()))
}

/// The checkpoint's offset, if the log has a record's beginning (or its end) there.
fn own(log: &Log<'_>, extension: &Extension) -> Option<i64> {
    let from = extension.dispatched;
    if from < log.min() || from > log.room_end() {
        return None;
    }
    match log.at(from) {
        Found::Record(_) | Found::Blank { .. } | Found::Nothing | Found::End => Some(from),
        // A write torn by a crash begins exactly there, or the file is not the one the checkpoint knew: Java's rule
        // looks at the files themselves.
        Found::Bad | Found::SecondVersion { .. } => None,
    }
}
