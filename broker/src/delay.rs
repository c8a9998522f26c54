//! Delayed messages: from SCHEDULE_TOPIC_XXXX to their real queues when their time has come.
//!
//! Owns, for each delay level whose queue lies on this shard, how far delivery has come. A level is
//! first in, first out; up to a window of messages is under way at once, and the level's offset
//! moves over those that are stored in their real queue. Runs on the shard that owns the queue.
//! Delivery is at least once: after a crash, what was delivered since the last delayOffset.json
//! comes again (as with Java 4.9.7).

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use engine::QueueSlot;
use protocol::message::properties::{self, names};
use protocol::message::{Record, tags_code};
use protocol::topic::SCHEDULE_TOPIC;

use crate::core::Core;
use crate::env::Env;
use crate::mesh::{Ack, OwnedPut};

/// Messages of one level under way at once.
const WINDOW: usize = 256;
/// Pause after a message could not be stored.
const RETRY_MS: i64 = 100;

struct Level {
    index: usize,
    delay_ms: i64,
    slot: Option<QueueSlot>,
    /// Next queue offset to hand out.
    next: i64,
    /// Handed out and not yet below `done`: whether it is stored.
    under_way: BTreeMap<i64, bool>,
    /// All below is delivered.
    done: i64,
    not_before_ms: i64,
}

/// The delay levels of one shard.
pub struct DelayLevels {
    levels: Vec<Level>,
}

impl DelayLevels {
    /// The levels whose queues `shard` owns.
    pub fn new(shard: usize, shards: usize, env: &Env) -> Self {
        let levels = env.options.delay_levels_ms.iter().enumerate();
        let levels = levels.filter(|(index, _)| engine::owner(SCHEDULE_TOPIC, *index as u32, shards) == shard);
        let levels = levels.map(|(index, delay_ms)| Level {
            index,
            delay_ms: *delay_ms,
            slot: None,
            next: 0,
            under_way: BTreeMap::new(),
            done: 0,
            not_before_ms: 0,
        });
        DelayLevels { levels: levels.collect() }
    }

    /// A message became visible in a queue; if it is a level's, it is looked at with the next tick.
    pub fn arrived(&mut self, slot: QueueSlot) {
        for level in &mut self.levels {
            if level.slot == Some(slot) && level.not_before_ms == i64::MAX {
                level.not_before_ms = 0;
            }
        }
    }

    /// A handed-out message is in its real queue, or could not be put there.
    pub fn delivered(&mut self, env: &Env, index: usize, queue_offset: i64, stored: bool) {
        let Some(level) = self.levels.iter_mut().find(|level| level.index == index) else { return };
        if stored {
            if let Some(state) = level.under_way.get_mut(&queue_offset) {
                *state = true;
            }
        } else if level.under_way.remove(&queue_offset).is_some() {
            // Hand out again from here; later ones that are stored already are skipped then.
            level.next = level.next.min(queue_offset);
            level.not_before_ms = shard::now_ms() + RETRY_MS;
        }
        while level.under_way.first_key_value() == Some((&level.done, &true)) {
            level.under_way.remove(&level.done);
            level.done += 1;
        }
        if level.not_before_ms == i64::MAX {
            level.not_before_ms = 0;
        }
        // At once: what is stored in its real queue must not come again after a clean stop.
        env.delay_offsets[level.index].store(level.done, Ordering::Relaxed);
    }

    /// Whether nothing is under way; asked while the broker stops.
    pub fn is_idle(&self) -> bool {
        self.levels.iter().all(|level| level.under_way.is_empty())
    }
}

/// Hands out what is due. Called every tick. A slave's master does it for it: what it delivers comes with the log.
pub fn deliver(core: &mut Core) {
    if core.env.options.is_slave() {
        return;
    }
    let now_ms = core.now_ms;
    let env = core.env.clone();
    let mut levels = std::mem::take(&mut core.delay.levels);
    for level in &mut levels {
        if let Some(slot) = level.slot {
            env.delay_ends[level.index].store(core.store.max_offset(slot), Ordering::Relaxed);
        }
        if now_ms < level.not_before_ms || core.stopping {
            continue;
        }
        let slot = *level.slot.get_or_insert_with(|| {
            let slot = core.store.queue(SCHEDULE_TOPIC, level.index as u32);
            let saved = env.delay_offsets[level.index].load(Ordering::Relaxed);
            level.next = saved.clamp(core.store.min_offset(slot), core.store.max_offset(slot));
            level.done = level.next;
            slot
        });
        level.not_before_ms = now_ms;
        while level.under_way.len() < WINDOW {
            if level.under_way.contains_key(&level.next) {
                level.next += 1;
                continue;
            }
            if level.next >= core.store.max_offset(slot) {
                level.not_before_ms = i64::MAX; // until one arrives
                break;
            }
            let min = core.store.min_offset(slot);
            if level.next < min {
                tracing::warn!(
                    level = level.index + 1,
                    from = level.next,
                    to = min,
                    "delayed messages were deleted before their time came"
                );
                level.next = min;
                level.done = level.done.max(min);
                level.under_way.retain(|offset, _| *offset >= min);
            }
            let ready = prepare(core, level, slot, now_ms);
            match ready {
                Due::Later(due_ms) => {
                    level.not_before_ms = due_ms;
                    break;
                }
                Due::Unusable => {
                    level.under_way.insert(level.next, true);
                    let offset = level.next;
                    level.next += 1;
                    while level.under_way.first_key_value() == Some((&level.done, &true)) {
                        level.under_way.remove(&level.done);
                        level.done += 1;
                    }
                    tracing::warn!(
                        level = level.index + 1,
                        queue_offset = offset,
                        "a delayed message has no readable record or destination: skipped"
                    );
                }
                Due::Now(put) => {
                    level.under_way.insert(level.next, false);
                    level.next += 1;
                    core.put(*put);
                }
            }
        }
        env.delay_offsets[level.index].store(level.done, Ordering::Relaxed);
    }
    core.delay.levels = levels;
}

enum Due {
    Later(i64),
    Unusable,
    Now(Box<OwnedPut>),
}

fn prepare(core: &mut Core, level: &Level, slot: QueueSlot, now_ms: i64) -> Due {
    let Some((physical_offset, _)) = core.store.locate(slot, level.next) else { return Due::Unusable };
    let Some(range) = core.env.store.record(physical_offset) else { return Due::Unusable };
    let Ok(record) = Record::decode(range.bytes()) else { return Due::Unusable };
    let due_ms = record.store_timestamp.saturating_add(level.delay_ms);
    // A due time further away than the level's delay means that the clock moved: deliver (Java 4.9.7).
    if due_ms > now_ms && due_ms <= now_ms + level.delay_ms {
        return Due::Later(due_ms);
    }
    let (Some(topic), Some(queue_id)) =
        (record.property(names::REAL_TOPIC), record.property(names::REAL_QID).and_then(|id| id.parse::<u32>().ok()))
    else {
        return Due::Unusable;
    };
    if protocol::topic::check_topic_name(topic).is_err() {
        return Due::Unusable;
    }
    Due::Now(Box::new(OwnedPut {
        topic: topic.to_owned(),
        queue_id,
        flag: record.flag,
        sys_flag: record.sys_flag,
        born_timestamp: record.born_timestamp,
        born_host: record.born_host,
        store_host: core.env.options.advertised,
        reconsume_times: record.reconsume_times,
        body: record.body.to_vec(),
        // DELAY, REAL_TOPIC and REAL_QID stay in the stored properties, as in Java 4.9.7.
        properties: record.properties.to_vec(),
        tags_code: properties::get(record.properties, names::TAGS).map_or(0, tags_code),
        ack: Ack::Delayed { shard: core.id, level: level.index, queue_offset: level.next },
    }))
}
