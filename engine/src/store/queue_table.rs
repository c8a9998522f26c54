//! A shard's queues: from (topic, queue id) to a small number, and what the shard knows of each.
//!
//! Owns the consume queues of one shard; used on that shard only. A slot is never used twice: a topic deleted and
//! made again gets new slots, so what was pending for the old ones finds nobody.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use protocol::message::{Record, properties, sys_flag, tags_code};

use super::rounds::Digest;
use super::types::QueueSlot;
use crate::checkpoint::{FNV_START, fnv1a};
use crate::consume_queue::{ConsumeQueue, Unit, queue_dir};
use crate::options::StoreOptions;

/// The topic whose units carry delivery times.
pub(crate) const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";

/// One queue of a shard.
pub(crate) struct Queue {
    pub(crate) topic: Arc<str>,
    pub(crate) queue_id: u32,
    /// Absent until the first message, so that looking at a queue makes no directory, and after a deletion.
    pub(crate) units: Option<ConsumeQueue>,
    /// Next queue offset to give out.
    pub(crate) next: i64,
    /// One past the last visible queue offset.
    pub(crate) visible: i64,
    /// Delay of this queue's messages if it is a schedule queue, ms.
    pub(crate) delay_ms: Option<i64>,
    /// Physical offset of the first message of its life; -1 when it is older than this run.
    pub(crate) first_physical: i64,
    /// In the list of queues with unwritten units.
    pub(crate) dirty: bool,
    pub(crate) deleted: bool,
    /// In [`Warm`]'s list.
    warm: bool,
    /// Used since [`Warm::cool`] looked last.
    used: bool,
    name_hash: u64,
}

/// Which queues a digest of a checkpoint at `bound` covers, told from the queue's own state.
pub(crate) fn name_hash(topic: &str, queue_id: u32) -> u64 {
    fnv1a(fnv1a(FNV_START, topic.as_bytes()), &queue_id.to_be_bytes())
}

/// The share of a queue that has messages, with its max offset.
pub(crate) fn queue_hash(name_hash: u64, max_offset: i64) -> u64 {
    fnv1a(name_hash, &max_offset.to_be_bytes())
}

/// See the module's head.
pub(crate) struct QueueTable {
    queues: Vec<Queue>,
    topics: HashMap<Arc<str>, Vec<(u32, QueueSlot)>, foldhash::fast::RandomState>,
}

impl QueueTable {
    pub(crate) fn new() -> Self {
        Self { queues: Vec::new(), topics: HashMap::default() }
    }

    /// Adds a queue that recovery found.
    pub(crate) fn add(
        &mut self,
        topic: &str,
        queue_id: u32,
        units: Option<ConsumeQueue>,
        options: &StoreOptions,
    ) -> QueueSlot {
        let slot = QueueSlot(u32::try_from(self.queues.len()).unwrap_or(u32::MAX));
        let topic: Arc<str> = match self.topics.get_key_value(topic) {
            Some((topic, _)) => topic.clone(),
            None => topic.into(),
        };
        let max = units.as_ref().map_or(0, ConsumeQueue::max_offset);
        self.queues.push(Queue {
            queue_id,
            next: max,
            visible: max,
            delay_ms: delay_ms(&topic, queue_id, options),
            first_physical: -1,
            dirty: false,
            deleted: false,
            warm: false,
            used: false,
            name_hash: name_hash(&topic, queue_id),
            topic: topic.clone(),
            units,
        });
        let ids = self.topics.entry(topic).or_default();
        let at = ids.partition_point(|(id, _)| *id < queue_id);
        ids.insert(at, (queue_id, slot));
        slot
    }

    pub(crate) fn find(&self, topic: &str, queue_id: u32) -> Option<QueueSlot> {
        let ids = self.topics.get(topic)?;
        let at = ids.binary_search_by_key(&queue_id, |(id, _)| *id).ok()?;
        ids.get(at).map(|(_, slot)| *slot)
    }

    pub(crate) fn get(&self, slot: QueueSlot) -> Option<&Queue> {
        self.queues.get(slot.index())
    }

    pub(crate) fn get_mut(&mut self, slot: QueueSlot) -> Option<&mut Queue> {
        self.queues.get_mut(slot.index())
    }

    /// Slots given out so far, deleted ones included.
    pub(crate) fn len(&self) -> usize {
        self.queues.len()
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.queues.iter_mut()
    }

    /// Living queues.
    pub(crate) fn slots(&self) -> impl Iterator<Item = QueueSlot> + '_ {
        self.queues.iter().zip(0u32..).filter(|(queue, _)| !queue.deleted).map(|(_, number)| QueueSlot(number))
    }

    /// The ids of a topic's queues that ever had a message.
    pub(crate) fn used_ids(&self, topic: &str) -> Vec<u32> {
        let ids = self.topics.get(topic).into_iter().flatten();
        ids.filter(|(_, slot)| self.get(*slot).is_some_and(|queue| queue.units.is_some())).map(|(id, _)| *id).collect()
    }

    /// Takes a topic's queues out and destroys their files. The first error is told after all were tried.
    pub(crate) fn delete_topic(&mut self, topic: &str) -> io::Result<usize> {
        let ids = self.topics.remove(topic).unwrap_or_default();
        let mut result = Ok(ids.len());
        for (_, slot) in ids {
            let Some(queue) = self.queues.get_mut(slot.index()) else { continue };
            queue.deleted = true;
            (queue.next, queue.visible) = (0, 0);
            if let Some(Err(error)) = queue.units.take().map(ConsumeQueue::destroy) {
                result = Err(error);
            }
        }
        result
    }

    /// The shard's share of a checkpoint's digest: queues with messages below `bound`.
    pub(crate) fn digest(&self, bound: i64) -> Digest {
        let mut digest = Digest::default();
        for queue in &self.queues {
            let max = queue.units.as_ref().map_or(0, ConsumeQueue::max_offset);
            if max > 0 {
                let names = if queue.first_physical < bound { queue.name_hash } else { 0 };
                digest.join(Digest { names, queues: queue_hash(queue.name_hash, max) });
            }
        }
        digest
    }
}

/// Queues that may hold a descriptor and recent units in memory; the idle ones are made to let go.
#[derive(Default)]
pub(crate) struct Warm {
    slots: Vec<QueueSlot>,
}

/// With more queues in use than this, each lets its descriptor go after every use.
const WARM_MAX: usize = 512;

impl Warm {
    /// Notes that a queue is used.
    pub(crate) fn touch(&mut self, queue: &mut Queue, slot: QueueSlot) {
        queue.used = true;
        if !queue.warm {
            queue.warm = true;
            self.slots.push(slot);
        }
    }

    /// Whether too many queues are in use to keep descriptors.
    pub(crate) fn is_crowded(&self) -> bool {
        self.slots.len() > WARM_MAX
    }

    /// Lets go what was not used since the last call.
    pub(crate) fn cool(&mut self, table: &mut QueueTable) {
        self.slots.retain(|slot| {
            let Some(queue) = table.get_mut(*slot) else { return false };
            if std::mem::take(&mut queue.used) && !queue.deleted {
                return true;
            }
            queue.warm = false;
            if let Some(units) = &mut queue.units {
                units.release();
            }
            false
        });
    }
}

impl Queue {
    /// Opens the files of a queue that gets its first message.
    pub(crate) fn open(&mut self, options: &StoreOptions) -> io::Result<&mut ConsumeQueue> {
        match &mut self.units {
            Some(units) => Ok(units),
            empty => {
                let dir = queue_dir(&options.consume_queue_dir, &self.topic, self.queue_id);
                let units = ConsumeQueue::open(&dir, options.consume_queue_file_bytes())?;
                (self.next, self.visible) = (units.max_offset(), units.max_offset());
                Ok(empty.insert(units))
            }
        }
    }
}

/// What a schedule queue adds to the store time; Java's dispatch takes one second where the table has no level.
pub(crate) fn delay_ms(topic: &str, queue_id: u32, options: &StoreOptions) -> Option<i64> {
    let level = i32::try_from(queue_id).unwrap_or(i32::MAX).saturating_add(1);
    (topic == SCHEDULE_TOPIC).then(|| options.delay_ms(level).unwrap_or(1000))
}

/// Queue id and unit of a record; none for half and rolled back messages, which have no place in a queue.
pub(crate) fn unit_of(record: &Record<'_>, options: &StoreOptions) -> Option<(u32, Unit)> {
    let transaction = sys_flag::transaction(record.sys_flag);
    if matches!(transaction, sys_flag::TRANSACTION_PREPARED | sys_flag::TRANSACTION_ROLLBACK) {
        return None;
    }
    let queue_id = u32::try_from(record.queue_id).ok()?;
    let tags_code = match delay_ms(record.topic, queue_id, options) {
        Some(delay_ms) => record.store_timestamp.saturating_add(delay_ms),
        None => record.property(properties::names::TAGS).map_or(0, tags_code),
    };
    let size = i32::try_from(record.total_size).ok()?;
    Some((queue_id, Unit { physical_offset: record.physical_offset, size, tags_code }))
}

/// A topic becomes part of a path only if it is one plain name.
pub(crate) fn is_directory_name(topic: &str) -> bool {
    !topic.is_empty() && topic != "." && topic != ".." && !topic.contains(['/', '\0'])
}
