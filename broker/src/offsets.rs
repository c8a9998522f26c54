//! Consumer progress: the offsets that groups have committed on this shard's queues.
//!
//! Owns the committed offset of every (group, topic, queue) whose queue lies on this shard, and
//! remembers which changed since the last export. The home shard gathers the exports and writes
//! consumerOffset.json. No I/O, no clock. Offsets may move backwards: resets rely on it (Java
//! 4.9.7 only logs it).

use std::collections::{BTreeMap, HashMap, HashSet};

use protocol::body::ConsumerOffsetTable;

/// One committed offset as it travels between shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// `topic@group`, the key of consumerOffset.json.
    pub key: String,
    /// Queue id within the topic.
    pub queue_id: i32,
    /// Next queue offset the group will consume; `None` when the entry was removed.
    pub queue_offset: Option<i64>,
}

/// Committed offsets of one shard's queues.
#[derive(Debug, Default)]
pub struct OffsetTable {
    groups: HashMap<String, HashMap<String, BTreeMap<i32, i64>>>,
    dirty: HashSet<(String, String, i32)>,
    len: usize,
}

impl OffsetTable {
    /// The committed offset, if the group ever committed one here.
    pub fn get(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.groups.get(group)?.get(topic)?.get(&queue_id).copied()
    }

    /// The topics a group committed an offset on here.
    pub fn topics(&self, group: &str) -> impl Iterator<Item = &str> {
        self.groups.get(group).into_iter().flat_map(|topics| topics.keys()).map(String::as_str)
    }

    /// How many offsets are remembered.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody committed anything here.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Commits; returns the offset that was there before.
    pub fn commit(&mut self, group: &str, topic: &str, queue_id: i32, queue_offset: i64) -> Option<i64> {
        let before = self.put(group, topic, queue_id, queue_offset);
        if before != Some(queue_offset) {
            self.dirty.insert((group.to_owned(), topic.to_owned(), queue_id));
        }
        before
    }

    /// Puts an offset read from disk: no export needed.
    pub fn load(&mut self, group: &str, topic: &str, queue_id: i32, queue_offset: i64) {
        self.put(group, topic, queue_id, queue_offset);
    }

    fn put(&mut self, group: &str, topic: &str, queue_id: i32, queue_offset: i64) -> Option<i64> {
        // Look-ups by &str first: a commit of a known queue allocates nothing.
        if let Some(slot) = self.groups.get_mut(group).and_then(|t| t.get_mut(topic)).and_then(|q| q.get_mut(&queue_id))
        {
            return Some(std::mem::replace(slot, queue_offset));
        }
        self.len += 1;
        let topics = self.groups.entry(group.to_owned()).or_default();
        topics.entry(topic.to_owned()).or_default().insert(queue_id, queue_offset)
    }

    /// Forgets a group's progress (request 207 with removeOffset).
    pub fn remove_group(&mut self, group: &str) {
        let Some(topics) = self.groups.remove(group) else { return };
        for (topic, queues) in topics {
            self.len -= queues.len();
            for queue_id in queues.into_keys() {
                self.dirty.insert((group.to_owned(), topic.clone(), queue_id));
            }
        }
    }

    /// Takes what changed since the last export.
    pub fn export(&mut self) -> Vec<Committed> {
        let mut changed: Vec<_> = self.dirty.drain().collect();
        changed.sort();
        changed
            .into_iter()
            .map(|(group, topic, queue_id)| {
                let queue_offset =
                    self.groups.get(&group).and_then(|t| t.get(&topic)).and_then(|q| q.get(&queue_id)).copied();
                Committed { key: ConsumerOffsetTable::key(&topic, &group), queue_id, queue_offset }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_exported() {
        let mut table = OffsetTable::default();
        table.load("g", "T", 0, 5);
        assert!(table.export().is_empty());
        assert_eq!(table.commit("g", "T", 0, 5), Some(5));
        assert!(table.export().is_empty());
        assert_eq!(table.commit("g", "T", 0, 3), Some(5), "backwards is allowed");
        assert_eq!(table.commit("g", "T", 1, 9), None);
        let changed = table.export();
        assert_eq!(changed.len(), 2);
        assert_eq!(changed[0], Committed { key: "T@g".into(), queue_id: 0, queue_offset: Some(3) });
        table.remove_group("g");
        assert_eq!(table.get("g", "T", 0), None);
        assert!(table.export().iter().all(|c| c.queue_offset.is_none()));
    }
}
