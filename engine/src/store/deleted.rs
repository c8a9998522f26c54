//! Which queues were deleted, and up to where in the log their records count for nothing.
//!
//! The log keeps a deleted topic's records until they expire, so a recovery that builds consume queues again would
//! bring the topic back, and a topic made again would go on behind its old messages. One text file below the root, a
//! line a deletion: topic, queue id, physical offset, separated by tabs. Java does not know the file and leaves it
//! alone. Written by shards on a deletion, read and shortened at the start.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Name of the file below the store's root.
const NAME: &str = "deletedQueues";

/// See the module's head.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    topics: HashMap<String, HashMap<u32, i64>>,
}

/// Where the file lies.
pub(crate) fn path(root: &Path) -> PathBuf {
    root.join(NAME)
}

impl Deleted {
    fn parse(text: &str) -> Self {
        let mut deleted = Self::default();
        for line in text.lines() {
            let mut words = line.split('\t');
            let entry = (|| {
                let topic = words.next()?;
                Some((topic, words.next()?.parse::<u32>().ok()?, words.next()?.parse::<i64>().ok()?))
            })();
            let Some((topic, queue_id, offset)) = entry.filter(|_| words.next().is_none()) else {
                // The last line of a crash may be torn; its deletion was not finished either.
                tracing::warn!(line, "a line about a deleted queue cannot be read and is passed over");
                continue;
            };
            let until = deleted.topics.entry(topic.to_string()).or_default().entry(queue_id).or_default();
            *until = offset.max(*until);
        }
        deleted
    }

    /// Reads the file; drops what lies before `log_min`, from the file as well.
    pub(crate) fn load(root: &Path, log_min: i64) -> io::Result<Self> {
        let path = path(root);
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut deleted = Self::parse(&text);
        for ids in deleted.topics.values_mut() {
            ids.retain(|_, until| *until > log_min);
        }
        deleted.topics.retain(|_, ids| !ids.is_empty());
        let kept = deleted.topics.values().map(HashMap::len).sum::<usize>();
        if kept == 0 {
            fs::remove_file(&path)?;
        } else if kept != text.lines().count() || !text.ends_with('\n') {
            let lines =
                deleted.topics.iter().flat_map(|(topic, ids)| ids.iter().map(move |(id, at)| (&**topic, *id, *at)));
            crate::tables::write_durably(&path, render(lines).as_bytes())?;
        }
        Ok(deleted)
    }

    /// Records of a queue before this physical offset are a deleted queue's.
    pub(crate) fn until(&self, topic: &str, queue_id: u32) -> i64 {
        self.topics.get(topic).and_then(|ids| ids.get(&queue_id)).copied().unwrap_or(0)
    }
}

/// On a slave whose log is cut at `end`: what was noted of offsets behind it holds up to there only.
pub(crate) fn limit(root: &Path, end: i64) -> io::Result<()> {
    let deleted = Deleted::load(root, i64::MIN)?;
    let entries =
        || deleted.topics.iter().flat_map(|(topic, ids)| ids.iter().map(move |(id, at)| (&**topic, *id, *at)));
    if entries().all(|(.., at)| at <= end) {
        return Ok(());
    }
    let text = render(entries().map(|(topic, id, at)| (topic, id, at.min(end))));
    crate::tables::write_durably(&path(root), text.as_bytes())
}

fn render<'a>(entries: impl Iterator<Item = (&'a str, u32, i64)>) -> String {
    let mut text = String::new();
    for (topic, queue_id, offset) in entries.filter(|(topic, ..)| !topic.contains(['\t', '\n', '\r'])) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{topic}\t{queue_id}\t{offset}");
    }
    text
}

/// Notes durably that a topic's queues are deleted as of a physical offset. One write, so that shards do not mix.
pub(crate) fn note(root: &Path, topic: &str, queue_ids: &[u32], offset: i64) -> io::Result<()> {
    let path = path(root);
    let new = !path.exists();
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    file.write_all(render(queue_ids.iter().map(|id| (topic, *id, offset))).as_bytes())?;
    file.sync_data()?;
    if new { File::open(root)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TempDir;

    #[test]
    fn what_is_noted_is_read_back_until_it_expires() {
        let dir = TempDir::new("deleted");
        assert_eq!(Deleted::load(dir.path(), 0).expect("none"), Deleted::default());
        note(dir.path(), "T", &[0, 1], 100).expect("noted");
        note(dir.path(), "%RETRY%g", &[7], 150).expect("noted");
        note(dir.path(), "T", &[1], 200).expect("noted");
        fs::OpenOptions::new()
            .append(true)
            .open(path(dir.path()))
            .expect("there")
            .write_all(b"T\t1\tto")
            .expect("torn");
        let check = |log_min, want: [i64; 4]| {
            let deleted = Deleted::load(dir.path(), log_min).expect("read");
            let got = [("T", 0), ("T", 1), ("%RETRY%g", 7), ("T", 7)].map(|(topic, id)| deleted.until(topic, id));
            assert_eq!(got, want, "log begins at {log_min}");
        };
        check(0, [100, 200, 150, 0]);
        check(100, [0, 200, 150, 0]);
        check(0, [0, 200, 150, 0]);
        check(200, [0; 4]);
        assert!(!path(dir.path()).exists());
    }
}
