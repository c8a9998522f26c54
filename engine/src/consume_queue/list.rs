//! Which consume queues a store has.
//!
//! Owns the directory layout `<root>/<topic>/<queue id>`. Touches no file. Runs where the store is opened.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::tables::failed;

/// Longest topic name taken from a directory: 127 bytes since Java 4.9, 255 before.
const TOPIC_LEN_MAX: usize = 255;

/// Directory of one queue's files.
pub fn queue_dir(root: &Path, topic: &str, queue_id: u32) -> PathBuf {
    root.join(topic).join(queue_id.to_string())
}

/// All queues below `root` (the store's `consumequeue`), sorted by topic and id: `(topic, queue id, directory)`.
///
/// A directory whose name no broker writes is left alone. A missing root is a store without queues.
pub fn list(root: &Path) -> io::Result<Vec<(String, u32, PathBuf)>> {
    let mut queues = Vec::new();
    for (topic, topic_dir) in directories(root)? {
        if !is_topic_name(&topic) {
            tracing::warn!("{} is not named like a topic: left alone", topic_dir.display());
            continue;
        }
        for (name, dir) in directories(&topic_dir)? {
            match queue_id(&name) {
                Some(id) => queues.push((topic.clone(), id, dir)),
                None => tracing::warn!("{} is not named like a queue: left alone", dir.display()),
            }
        }
    }
    queues.sort_unstable();
    Ok(queues)
}

fn directories(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(dir, "list it", e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| failed(dir, "list it", e))?;
        let path = entry.path();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => continue,
            // Removed meanwhile, or a link to nowhere.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(failed(&path, "look at it", e)),
        }
        // A name that is no UTF-8 is no topic either; its lossy form holds U+FFFD and is refused by the caller.
        found.push((entry.file_name().to_string_lossy().into_owned(), path));
    }
    Ok(found)
}

/// Java's alphabet of topic names (`%|a-zA-Z0-9_-`), which has no dot and no slash.
fn is_topic_name(name: &str) -> bool {
    (1..=TOPIC_LEN_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'%' | b'|' | b'_' | b'-'))
}

/// Only the form the broker writes: `7`, not `07` or `+7`, which would be a second directory of one queue.
fn queue_id(name: &str) -> Option<u32> {
    let id: u32 = name.parse().ok()?;
    (i32::try_from(id).is_ok() && id.to_string() == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consume_queue::scratch::Scratch;

    #[test]
    fn only_directories_a_broker_makes_are_queues() {
        let scratch = Scratch::new("list");
        let root = scratch.path();
        for dir in [
            "T/0",
            "T/11",
            "T/2",
            "%RETRY%g|x_1-2/0",
            "T/07",
            "T/+1",
            "T/x",
            "T/4294967296",
            "T/-1",
            "a.b/0",
            "A",
            ".hidden/0",
        ] {
            fs::create_dir_all(root.join(dir)).expect("dir");
        }
        fs::write(root.join("T/3"), "a file").expect("file");
        let found = list(root).expect("list");
        let found: Vec<(&str, u32)> = found.iter().map(|(topic, id, _)| (topic.as_str(), *id)).collect();
        assert_eq!(found, [("%RETRY%g|x_1-2", 0), ("T", 0), ("T", 2), ("T", 11)]);
        assert_eq!(list(&root.join("missing")).expect("no root"), []);
        assert_eq!(queue_dir(root, "T", 2), root.join("T/2"));
    }
}
