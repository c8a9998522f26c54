//! Progress that groups commit on a slave: what its master has to hear of once it is there again.
//!
//! Consumers commit at a slave while they know of no master. Owns those commits, newest of each queue, until the thread
//! that copies tables has told the master, and the file in which they outlive a restart of the slave. Noted by shards
//! under a short lock, written by ordinary threads; a master has none.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::tables::{Loaded, read_table, write_durably};
use protocol::body::{Body, ConsumerOffsetTable};

/// The file, beside the tables; its form is that of consumerOffset.json.
const FILE_NAME: &str = "ownCommits.json";
/// Commits kept at most; of more, the new ones are not told, and their groups may read some messages again.
const COMMITS_MAX: usize = 100_000;

/// By `topic@group` and queue: the committed offset.
pub type Commits = BTreeMap<(String, i32), i64>;

/// See the module's head.
#[derive(Default)]
pub struct OwnCommits {
    commits: Mutex<Commits>,
    /// What the file has.
    kept: Mutex<Commits>,
}

impl OwnCommits {
    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what an earlier run of this slave could not tell.
    pub fn load(&self, dir: &Path) -> io::Result<()> {
        let parse = |bytes: &[u8]| ConsumerOffsetTable::from_json(bytes).map_err(|error| error.to_string());
        let table = match read_table(&dir.join(FILE_NAME), parse)? {
            Loaded::Main(table) | Loaded::Backup(table, _) => table.offset_table,
            Loaded::Missing => return Ok(()),
        };
        let queues = |(key, queues): (String, BTreeMap<i32, i64>)| {
            queues.into_iter().map(move |(queue_id, queue_offset)| ((key.clone(), queue_id), queue_offset))
        };
        let commits: Commits = table.into_iter().flat_map(queues).take(COMMITS_MAX).collect();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&commits);
        self.put_back(commits);
        Ok(())
    }

    /// Writes what is yet to be told, if that is not what the file has. Blocks on the disk.
    pub fn keep(&self, dir: &Path) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let commits = self.commits().clone();
        if commits == *kept {
            return Ok(());
        }
        let mut table = ConsumerOffsetTable::default();
        for ((key, queue_id), queue_offset) in &commits {
            table.offset_table.entry(key.clone()).or_default().insert(*queue_id, *queue_offset);
        }
        write_durably(&dir.join(FILE_NAME), &table.to_json())?;
        *kept = commits;
        Ok(())
    }

    /// A master's: what it could not tell when it was a slave is nobody's business any more.
    pub fn forget(dir: &Path) -> io::Result<()> {
        let path = dir.join(FILE_NAME);
        if path.exists() { write_durably(&path, &ConsumerOffsetTable::default().to_json()) } else { Ok(()) }
    }

    /// A group committed here.
    pub fn note(&self, key: String, queue_id: i32, queue_offset: i64) {
        let mut commits = self.commits();
        let key = (key, queue_id);
        if commits.len() < COMMITS_MAX || commits.contains_key(&key) {
            commits.insert(key, queue_offset);
        }
    }

    /// Whether a group is known here to be farther than this, and the master does not know it yet.
    pub fn is_beyond(&self, key: &str, queue_id: i32, queue_offset: i64) -> bool {
        let commits = self.commits();
        !commits.is_empty() && commits.get(&(key.to_owned(), queue_id)).is_some_and(|own| *own > queue_offset)
    }

    /// What was noted since the last time.
    pub fn take(&self) -> Commits {
        std::mem::take(&mut *self.commits())
    }

    /// These could not be told; newer ones of the same queues stand.
    pub fn put_back(&self, untold: Commits) {
        let mut commits = self.commits();
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

    #[test]
    fn what_was_not_told_outlives_a_restart() {
        let dir = std::env::temp_dir().join(format!("ringmq-own-commits-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let load = || {
            let commits = OwnCommits::default();
            commits.load(&dir).expect("loaded");
            commits
        };
        let commits = load();
        commits.keep(&dir).expect("nothing to keep");
        assert!(!dir.join(FILE_NAME).exists(), "whoever has nothing to tell leaves no file");
        commits.note("T@g".into(), 0, 5);
        commits.note("%RETRY%g@g".into(), 0, 2);
        commits.keep(&dir).expect("kept");
        let again = load();
        assert_eq!(again.commits().clone(), commits.take());
        again.keep(&dir).expect("kept already");
        again.take();
        again.keep(&dir).expect("told");
        assert!(load().take().is_empty());
        commits.note("T@g".into(), 0, 9);
        commits.keep(&dir).expect("kept");
        OwnCommits::forget(&dir).expect("forgotten");
        assert!(load().take().is_empty());
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
