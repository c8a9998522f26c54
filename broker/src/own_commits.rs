//! Progress that groups commit on a slave: what its master has to hear of once it is there again.
//!
//! Consumers commit at a slave while they know of no master. Owns those commits, newest of each queue, until the thread
//! that copies tables has told the master. Noted by shards under a short lock; a master has none.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Commits kept at most; of more, the new ones are not told, and their groups may read some messages again.
const COMMITS_MAX: usize = 100_000;

/// By `topic@group` and queue: the committed offset.
pub type Commits = BTreeMap<(String, i32), i64>;

/// See the module's head.
#[derive(Default)]
pub struct OwnCommits(Mutex<Commits>);

impl OwnCommits {
    /// A group committed here.
    pub fn note(&self, key: String, queue_id: i32, queue_offset: i64) {
        let mut commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (key, queue_id);
        if commits.len() < COMMITS_MAX || commits.contains_key(&key) {
            commits.insert(key, queue_offset);
        }
    }

    /// Whether a group is known here to be farther than this, and the master does not know it yet.
    pub fn is_beyond(&self, key: &str, queue_id: i32, queue_offset: i64) -> bool {
        let commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !commits.is_empty() && commits.get(&(key.to_owned(), queue_id)).is_some_and(|own| *own > queue_offset)
    }

    /// What was noted since the last time.
    pub fn take(&self) -> Commits {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// These could not be told; newer ones of the same queues stand.
    pub fn put_back(&self, untold: Commits) {
        let mut commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, queue_offset) in untold {
            if commits.len() < COMMITS_MAX {
                commits.entry(key).or_insert(queue_offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_commit_of_a_queue_is_told() {
        let commits = OwnCommits::default();
        for (queue_id, queue_offset) in [(0, 5), (1, 7), (0, 6)] {
            commits.note("T@g".into(), queue_id, queue_offset);
        }
        for (key, queue_id, queue_offset, want) in
            [("T@g", 0, 5, true), ("T@g", 0, 6, false), ("T@g", 2, 5, false), ("T@h", 0, 5, false)]
        {
            assert_eq!(commits.is_beyond(key, queue_id, queue_offset), want, "{key} {queue_id} {queue_offset}");
        }
        let taken = commits.take();
        assert!(!commits.is_beyond("T@g", 0, 5), "the master hears of it");
        let expected: Commits = [(("T@g".to_owned(), 0), 6), (("T@g".to_owned(), 1), 7)].into();
        assert_eq!(taken, expected);
        commits.note("T@g".into(), 0, 9);
        commits.put_back(taken);
        assert_eq!(commits.take().into_values().collect::<Vec<_>>(), [9, 7]);
        assert!(commits.take().is_empty());
    }
}
