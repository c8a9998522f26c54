//! One shard's part of the store: takes puts, writes them once a turn, gives out acks and arrivals.
//!
//! Used on the shard's own thread only; never blocks on a flush. The order of a message's life is fixed here: encoded
//! in `put`; placed, stamped, written, pushed to its consume queue and completed in `commit`; acknowledged by
//! `take_acks` when its promise is kept; visible to `get` from the `take_arrivals` that told of it on. A turn calls
//! them in that order, so who got an ack also finds the message.
//!
//! On the steady path nothing is allocated for a message: encoded bytes, pending acks and units live in buffers that
//! are used again.
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use super::promise::Promise;
use super::queue_table::{QueueTable, Warm};
use super::types::{PutOutcome, QueueSlot};
use super::{Shared, deleted};
use crate::commitlog::segments::SegmentsView;
use crate::commitlog::tail::Piece;
use crate::consume_queue::{ConsumeQueue, Unit};

/// A message in the batch.
pub(super) struct BatchMessage {
    pub(super) slot: QueueSlot,
    pub(super) size: u32,
    pub(super) tags_code: i64,
    /// PREPARED and ROLLBACK types take no queue offset and get no unit.
    pub(super) has_unit: bool,
    pub(super) physical: i64,
    pub(super) queue_offset: i64,
}

/// A put in the batch.
pub(super) struct BatchUnit<A> {
    pub(super) messages: usize,
    pub(super) size: i64,
    pub(super) wait: bool,
    pub(super) ack: A,
}

/// The shard's unwritten batch.
pub(super) struct Batch<A> {
    pub(super) bytes: Vec<u8>,
    pub(super) messages: Vec<BatchMessage>,
    pub(super) units: Vec<BatchUnit<A>>,
    pub(super) pieces: Vec<Piece>,
    /// Placed and stamped, but the write found no space; tried again from this moment on.
    pub(super) write_again: Option<Instant>,
}

/// A put whose outcome is not decided.
pub(super) struct PendingAck<A> {
    pub(super) end: i64,
    pub(super) deadline: Instant,
    pub(super) ack: A,
    pub(super) outcome: PutOutcome,
}

/// A put whose outcome waits for a slave, too.
pub(super) struct PendingSlave<A> {
    pub(super) promise: Promise,
    pub(super) ack: A,
    pub(super) outcome: PutOutcome,
}

/// A message not visible yet.
pub(super) struct Arriving {
    pub(super) end: i64,
    pub(super) slot: QueueSlot,
    pub(super) queue_offset: i64,
    pub(super) tags_code: i64,
}

/// See the module's head. Not `Send`: it belongs to its thread.
pub struct ShardStore<A> {
    pub(super) shard: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) core: Arc<Core>,
    pub(super) view: SegmentsView,
    pub(super) queues: QueueTable,
    pub(super) units: Vec<Unit>,
    pub(super) batch: Batch<A>,
    /// Waiting for the watermark, in physical order.
    pub(super) acks_written: VecDeque<PendingAck<A>>,
    /// Waiting for the flusher, in physical order.
    pub(super) acks_flushed: VecDeque<PendingAck<A>>,
    /// Waiting for the flusher (or the watermark) and for a slave, in physical order.
    pub(super) acks_slave: VecDeque<PendingSlave<A>>,
    /// Puts refused after they had been taken, because the file they needed could not be made.
    pub(super) acks_refused: Vec<(A, PutOutcome)>,
    pub(super) arriving: VecDeque<Arriving>,
    pub(super) dirty: Vec<QueueSlot>,
    pub(super) warm: Warm,
    pub(super) last_write_back: Option<Instant>,
    pub(super) write_back_failed: bool,
    /// Queues of the running write-back pass that are still to do.
    pub(super) writing: Vec<QueueSlot>,
    /// The checkpoint round the pass is for, and its offset.
    pub(super) writing_round: Option<(u64, i64)>,
    /// The last round reported for.
    pub(super) round: u64,
    pub(super) expire_from: usize,
    pub(super) expired_log_min: i64,
    pub(super) closed: bool,
    /// On a slave: up to where the log was followed, and where it ended at the last look.
    pub(super) followed: i64,
    pub(super) followed_to_see: i64,
    /// On a slave: following cannot go on, and that was told.
    pub(super) follow_stopped: bool,
    /// On a slave: changes of the log carried out so far.
    pub(super) reshaped: u64,
    _one_thread: PhantomData<*const ()>,
}

impl<A> ShardStore<A> {
    pub(super) fn new(shard: usize, shared: Arc<Shared>, queues: Vec<(String, u32, ConsumeQueue)>) -> Self {
        let core = shared.core().clone();
        let mut table = QueueTable::new();
        for (topic, queue_id, units) in queues {
            table.add(&topic, queue_id, Some(units), &core.options);
        }
        Self {
            shard,
            view: SegmentsView::new(&core.segments),
            queues: table,
            units: Vec::new(),
            batch: Batch {
                bytes: Vec::new(),
                messages: Vec::new(),
                units: Vec::new(),
                pieces: Vec::new(),
                write_again: None,
            },
            acks_written: VecDeque::new(),
            acks_flushed: VecDeque::new(),
            acks_slave: VecDeque::new(),
            acks_refused: Vec::new(),
            arriving: VecDeque::new(),
            dirty: Vec::new(),
            warm: Warm::default(),
            last_write_back: None,
            write_back_failed: false,
            writing: Vec::new(),
            writing_round: None,
            round: 0,
            expire_from: 0,
            expired_log_min: core.segments.log_min(),
            closed: false,
            followed: core.progress.followed_by(shard),
            followed_to_see: -1,
            follow_stopped: false,
            // What was received or cut before this shard began is still to be followed.
            reshaped: 0,
            shared,
            core,
            _one_thread: PhantomData,
        }
    }

    /// The process-wide part.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// This shard's number.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// Finds or makes a queue. A new one costs memory only, until its first message.
    pub fn queue(&mut self, topic: &str, queue_id: u32) -> QueueSlot {
        match self.queues.find(topic, queue_id) {
            Some(slot) => slot,
            None => self.queues.add(topic, queue_id, None, &self.core.options),
        }
    }

    /// Finds a queue.
    pub fn queue_if_known(&self, topic: &str, queue_id: u32) -> Option<QueueSlot> {
        self.queues.find(topic, queue_id)
    }

    /// Topic and queue id of a slot.
    pub fn queue_name(&self, slot: QueueSlot) -> (&str, u32) {
        self.queues.get(slot).map_or(("", 0), |queue| (&queue.topic, queue.queue_id))
    }

    /// Every living queue of this shard.
    pub fn queues(&self) -> impl Iterator<Item = QueueSlot> + '_ {
        self.queues.slots()
    }

    /// Takes a topic's queues of this shard away, files included. Its records stay in the log until they expire.
    pub fn delete_topic(&mut self, topic: &str) {
        // What was put and not committed belongs to slots that are about to go; write it first.
        if let Err(failed) = self.commit() {
            tracing::error!(topic, %failed, "a topic is deleted on a failed store");
        }
        let ids = self.queues.used_ids(topic);
        let end = self.core.tail.next();
        if !ids.is_empty()
            && let Err(error) = deleted::note(&self.core.options.root, topic, &ids, end)
        {
            tracing::error!(topic, %error, "a deletion could not be noted; if consume queues are ever built again, the topic's old messages come back");
        }
        match self.queues.delete_topic(topic) {
            Ok(0) => {}
            Ok(queues) => {
                tracing::info!(topic, queues, "consume queues deleted");
                // Until the checkpoint knows, a crash would take the missing directories for damage.
                self.core.rounds.hurry();
            }
            Err(error) => {
                tracing::error!(topic, %error, "files of a deleted topic could not be removed; remove its directory below consumequeue by hand")
            }
        }
        // The last shard to get here removes the empty directory.
        if !topic.is_empty() && !topic.contains(['/', '.']) {
            let _ = std::fs::remove_dir(self.core.options.consume_queue_dir.join(topic));
        }
    }
}
