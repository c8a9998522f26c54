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
use std::time::{Duration, Instant};

use protocol::message::{self, EncodeError, NewRecord, layout, properties, sys_flag};

use super::Shared;
use super::core::{Core, now_ms};
use super::queue_table::{Queue, QueueTable, Warm};
use super::types::{PutMessage, PutOutcome, PutStatus, QueueSlot};
use crate::commitlog::append::{self, WriteError};
use crate::commitlog::segments::SegmentsView;
use crate::commitlog::tail::{BLANK_LEN, Piece};
use crate::consume_queue::{ConsumeQueue, Unit};
use crate::error::{PutRefused, StoreFailed};
use crate::io::is_out_of_space;
use crate::options::FlushMode;
use crate::progress::{Counters, Refuser};

/// Bytes a shard's batch buffer keeps when it is empty.
const BATCH_KEPT_BYTES: usize = 4 << 20;
/// How old unwritten units get before they are written to their files.
const WRITE_BACK_AGE: Duration = Duration::from_secs(1);
/// Queues looked at for expired files in one housekeeping.
const EXPIRE_SLICE: usize = 16;
/// How often a write that found no space is tried again.
const WRITE_AGAIN: Duration = Duration::from_millis(100);

/// A message in the batch.
struct BatchMessage {
    slot: QueueSlot,
    size: u32,
    tags_code: i64,
    /// PREPARED and ROLLBACK types take no queue offset and get no unit.
    has_unit: bool,
    physical: i64,
    queue_offset: i64,
}

/// A put in the batch.
struct BatchUnit<A> {
    messages: usize,
    size: i64,
    wait: bool,
    ack: A,
}

/// The shard's unwritten batch.
struct Batch<A> {
    bytes: Vec<u8>,
    messages: Vec<BatchMessage>,
    units: Vec<BatchUnit<A>>,
    pieces: Vec<Piece>,
    /// Placed and stamped, but the write found no space; tried again from this moment on.
    write_again: Option<Instant>,
}

/// A put whose outcome is not decided.
struct PendingAck<A> {
    end: i64,
    deadline: Instant,
    ack: A,
    outcome: PutOutcome,
}

/// A message not visible yet.
struct Arriving {
    end: i64,
    slot: QueueSlot,
    queue_offset: i64,
    tags_code: i64,
}

/// See the module's head. Not `Send`: it belongs to its thread.
pub struct ShardStore<A> {
    pub(super) shard: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) core: Arc<Core>,
    pub(super) view: SegmentsView,
    pub(super) queues: QueueTable,
    pub(super) units: Vec<Unit>,
    batch: Batch<A>,
    /// Waiting for the watermark, in physical order.
    acks_written: VecDeque<PendingAck<A>>,
    /// Waiting for the flusher, in physical order.
    acks_flushed: VecDeque<PendingAck<A>>,
    /// Puts refused after they had been taken, because the file they needed could not be made.
    acks_refused: Vec<(A, PutOutcome)>,
    arriving: VecDeque<Arriving>,
    dirty: Vec<QueueSlot>,
    pub(super) warm: Warm,
    last_write_back: Option<Instant>,
    write_back_failed: bool,
    round: u64,
    expire_from: usize,
    expired_log_min: i64,
    closed: bool,
    _one_thread: PhantomData<*const ()>,
}

fn refusal(error: &EncodeError) -> PutRefused {
    match *error {
        EncodeError::TopicTooLong(size) => PutRefused::TopicTooLong { size, max: layout::TOPIC_LEN_MAX },
        EncodeError::PropertiesTooLong(size) => PutRefused::PropertiesTooLong { size, max: layout::PROPERTIES_LEN_MAX },
        EncodeError::RecordTooLong(size) => PutRefused::BodyTooLarge { size, max: i32::MAX as usize },
    }
}

/// Takes the first element if it is due.
fn pop_if<T>(queue: &mut VecDeque<T>, due: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(due) { queue.pop_front() } else { None }
}

/// Properties that end with a zero get the separator Java up to 4.9.0 writes behind the last one: recovery takes a
/// record that ends with zeros for a torn one. No sane client sends such, so the list is copied only then.
fn end_properties<'a, 'm: 'a>(properties: &'m [&'m [u8]], ended: &'a mut Vec<&'m [u8]>) -> &'a [&'m [u8]] {
    let last = properties.iter().rev().find_map(|piece| piece.last());
    if last != Some(&0) {
        return properties;
    }
    ended.clear();
    ended.extend_from_slice(properties);
    ended.push(&[properties::PROPERTY_SEPARATOR]);
    ended
}

fn has_unit(flag: i32) -> bool {
    !matches!(sys_flag::transaction(flag), sys_flag::TRANSACTION_PREPARED | sys_flag::TRANSACTION_ROLLBACK)
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
            acks_refused: Vec::new(),
            arriving: VecDeque::new(),
            dirty: Vec::new(),
            warm: Warm::default(),
            last_write_back: None,
            write_back_failed: false,
            round: core.rounds.round().0,
            expire_from: 0,
            expired_log_min: core.segments.log_min(),
            closed: false,
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

    /// Takes messages of one queue that this shard owns: one message, or a batch that gets consecutive queue offsets
    /// and lies in one file. Under SYNC_FLUSH `wait` says whether the ack waits for the flush. On a refusal nothing was
    /// taken and the ack comes back.
    pub fn put(&mut self, messages: &[PutMessage<'_>], wait: bool, ack: A) -> Result<(), (A, PutRefused)> {
        match self.take(messages) {
            Ok((count, size)) => {
                self.batch.units.push(BatchUnit { messages: count, size, wait, ack });
                Ok(())
            }
            Err(refused) => Err((ack, refused)),
        }
    }

    fn take(&mut self, messages: &[PutMessage<'_>]) -> Result<(usize, i64), PutRefused> {
        self.is_writable()?;
        let Some(first) = messages.first() else { return Err(PutRefused::Empty) };
        if messages.iter().any(|message| message.topic != first.topic || message.queue_id != first.queue_id) {
            return Err(PutRefused::NotWritable("a batch holds messages of one queue only".to_string()));
        }
        let Ok(queue_id) = i32::try_from(first.queue_id) else {
            return Err(PutRefused::NotWritable(format!("queue id {} does not fit into a record", first.queue_id)));
        };
        let body = messages.iter().fold(0usize, |sum, message| sum.saturating_add(message.body.len()));
        if body > self.core.options.max_body_size {
            return Err(PutRefused::BodyTooLarge { size: body, max: self.core.options.max_body_size });
        }
        let bytes_before = self.batch.bytes.len();
        let messages_before = self.batch.messages.len();
        let result = self.encode(messages, queue_id).and_then(|()| {
            let size = self.batch.bytes.len() - bytes_before;
            self.check_room(size).map(|()| (messages.len(), i64::try_from(size).unwrap_or(i64::MAX)))
        });
        if result.is_err() {
            self.batch.bytes.truncate(bytes_before);
            self.batch.messages.truncate(messages_before);
        }
        result
    }

    fn encode(&mut self, messages: &[PutMessage<'_>], queue_id: i32) -> Result<(), PutRefused> {
        let Some(first) = messages.first() else { return Err(PutRefused::Empty) };
        if first.topic.len() > layout::TOPIC_LEN_MAX {
            return Err(PutRefused::TopicTooLong { size: first.topic.len(), max: layout::TOPIC_LEN_MAX });
        }
        let slot = self.queue(first.topic, first.queue_id);
        let mut ended = Vec::new();
        for message in messages {
            let record = NewRecord {
                topic: message.topic,
                queue_id,
                flag: message.flag,
                sys_flag: message.sys_flag,
                born_timestamp: message.born_timestamp,
                born_host: message.born_host,
                store_host: message.store_host,
                reconsume_times: message.reconsume_times,
                prepared_transaction_offset: message.prepared_transaction_offset,
                body: message.body,
                properties: end_properties(message.properties, &mut ended),
            };
            let size = message::encode(&record, &mut self.batch.bytes).map_err(|error| refusal(&error))?;
            self.batch.messages.push(BatchMessage {
                slot,
                size: u32::try_from(size).unwrap_or(u32::MAX),
                tags_code: message.tags_code,
                has_unit: has_unit(message.sys_flag),
                physical: 0,
                queue_offset: 0,
            });
        }
        let queue = self.queues.get_mut(slot).ok_or(PutRefused::Empty)?;
        if queue.units.is_none() {
            queue.open(&self.core.options).map_err(|error| {
                tracing::error!(topic = first.topic, queue_id, %error, "a consume queue cannot be opened");
                PutRefused::NotWritable(format!("the consume queue cannot be opened: {error}"))
            })?;
        }
        Ok(())
    }

    /// Whether a unit of `size` bytes, now the last of the batch, fits into a file and into the files there are or can
    /// be made. Other shards may take the room before `commit` does; then the put fails there.
    fn check_room(&mut self, size: usize) -> Result<(), PutRefused> {
        let segment_size = self.core.segments.size();
        let unit = i64::try_from(size).unwrap_or(i64::MAX);
        if unit.saturating_add(BLANK_LEN) > segment_size {
            let max = usize::try_from(segment_size.saturating_sub(BLANK_LEN)).unwrap_or(0);
            return Err(PutRefused::BodyTooLarge { size, max });
        }
        let batch = i64::try_from(self.batch.bytes.len()).unwrap_or(i64::MAX);
        let largest = self.batch.units.iter().map(|unit| unit.size).max().unwrap_or(0).max(unit);
        let from = self.core.tail.next();
        // Cheap and nearly always true: all of it fits without a roll.
        let plain_end = from.saturating_add(batch).saturating_add(BLANK_LEN);
        let room_end = self.core.segments.room_end();
        if plain_end <= room_end && segment_size.saturating_sub(from.rem_euclid(segment_size)) > batch + BLANK_LEN {
            return Ok(());
        }
        let rolls = batch / segment_size + 2;
        let end = plain_end.saturating_add(rolls.saturating_mul(largest.saturating_add(BLANK_LEN)));
        if end <= room_end { Ok(()) } else { self.core.room_for(end) }
    }

    /// Whether a put would be taken.
    pub fn is_writable(&self) -> Result<(), PutRefused> {
        if self.closed {
            return Err(PutRefused::ShuttingDown);
        }
        self.core.progress.refused().map_or(Ok(()), Err)
    }

    /// Writes everything put since the last call, and completes it. Call once a turn; cheap when there is nothing.
    /// An error is final: answer all acks (they come as `Failed`) and end the process.
    pub fn commit(&mut self) -> Result<(), StoreFailed> {
        self.check_failed()?;
        if let Some(again) = self.batch.write_again {
            if Instant::now() >= again || self.closed {
                self.write()?;
            }
            return self.check_failed();
        }
        if self.batch.units.is_empty() {
            return Ok(());
        }
        let timestamp = loop {
            let units = self.batch.units.iter().map(|unit| unit.size);
            let room_end = self.core.segments.room_end();
            match self.core.tail.reserve(units, now_ms(), room_end, &mut self.batch.pieces) {
                Ok(timestamp) => break timestamp,
                Err(no_room) => {
                    if self.core.room_for(no_room.end).is_err() {
                        self.refuse_batch();
                        return self.check_failed();
                    }
                }
            }
        };
        self.stamp(timestamp);
        self.write()
    }

    fn check_failed(&self) -> Result<(), StoreFailed> {
        match self.core.progress.failure() {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// The batch found no file: nothing of it is in the log.
    fn refuse_batch(&mut self) {
        let failed = || PutOutcome {
            status: PutStatus::Failed,
            queue_offset: 0,
            physical_offset: 0,
            store_timestamp: 0,
            more: None,
        };
        self.acks_refused.extend(self.batch.units.drain(..).map(|unit| (unit.ack, failed())));
        self.clear_batch();
    }

    /// Gives every message of the batch its place, offset and time, and queues its ack and arrival.
    fn stamp(&mut self, timestamp: i64) {
        let deadline = Instant::now() + self.core.options.sync_flush_timeout;
        let Batch { bytes, messages, units, pieces, .. } = &mut self.batch;
        let mut rest = &mut bytes[..];
        let mut messages = messages.iter_mut();
        let mut units = units.drain(..);
        for piece in pieces.iter() {
            let mut physical = piece.offset;
            for unit in units.by_ref().take(piece.units) {
                let mut outcome = PutOutcome {
                    status: PutStatus::Ok,
                    queue_offset: 0,
                    physical_offset: physical,
                    store_timestamp: timestamp,
                    more: None,
                };
                let mut more = Vec::new();
                for (number, message) in messages.by_ref().take(unit.messages).enumerate() {
                    let (record, behind) = rest.split_at_mut(message.size as usize);
                    rest = behind;
                    message.physical = physical;
                    let queue = self.queues.get_mut(message.slot);
                    if let (true, Some(queue)) = (message.has_unit, queue) {
                        message.queue_offset = queue.next;
                        queue.next += 1;
                        if let Some(delay_ms) = queue.delay_ms {
                            message.tags_code = timestamp.saturating_add(delay_ms);
                        }
                    }
                    message::stamp(record, message.queue_offset, physical, timestamp);
                    if number == 0 {
                        outcome.queue_offset = message.queue_offset;
                    } else {
                        more.push(physical);
                    }
                    physical += i64::from(message.size);
                    if message.has_unit {
                        self.arriving.push_back(Arriving {
                            end: physical,
                            slot: message.slot,
                            queue_offset: message.queue_offset,
                            tags_code: message.tags_code,
                        });
                    }
                }
                if !more.is_empty() {
                    outcome.more = Some(more.into_boxed_slice());
                }
                let pending = PendingAck { end: physical, deadline, ack: unit.ack, outcome };
                if unit.wait && self.core.options.flush == FlushMode::Sync {
                    self.acks_flushed.push_back(pending);
                } else {
                    self.acks_written.push_back(pending);
                }
            }
        }
    }

    /// Writes the placed batch. Out of space keeps it for another try: its place is taken and everything behind it in
    /// the log waits, so no message is taken meanwhile.
    fn write(&mut self) -> Result<(), StoreFailed> {
        let Some(last) = self.batch.pieces.last().map(Piece::end) else { return Ok(()) };
        match append::write(&self.core, &mut self.view, &self.batch.bytes, &self.batch.pieces) {
            Ok(()) => {
                self.batch.write_again = None;
                self.core.progress.refuse(Refuser::Write, None);
                self.written(last);
                Ok(())
            }
            Err(WriteError { error, path, position }) if is_out_of_space(&error) => {
                self.batch.write_again = Some(Instant::now() + WRITE_AGAIN);
                let refusal = self.core.disk_full("storePathCommitLog");
                if self.core.progress.refuse(Refuser::Write, Some(refusal)) {
                    tracing::error!(path = %path.display(), position, %error, "no space to write messages; it is tried again");
                }
                Ok(())
            }
            Err(WriteError { error, path, position }) => {
                self.core.fail(format!("writing {} at byte {position} failed: {error}", path.display()));
                self.check_failed()
            }
        }
    }

    /// The batch is in the page cache: units, watermark, counters.
    fn written(&mut self, end: i64) {
        for message in self.batch.messages.iter().filter(|message| message.has_unit) {
            let Some(queue) = self.queues.get_mut(message.slot) else { continue };
            let Some(units) = &mut queue.units else { continue };
            if units.max_offset() == 0 {
                queue.first_physical = message.physical;
            }
            let size = i32::try_from(message.size).unwrap_or(i32::MAX);
            units.push(Unit { physical_offset: message.physical, size, tags_code: message.tags_code });
            if !queue.dirty {
                queue.dirty = true;
                self.dirty.push(message.slot);
            }
            self.warm.touch(queue, message.slot);
        }
        let counters = &self.core.progress.counters;
        Counters::add(&counters.messages, self.batch.messages.len() as u64);
        Counters::add(&counters.bytes, self.batch.bytes.len() as u64);
        let start = self.batch.pieces.first().map_or(end, |piece| piece.offset);
        self.clear_batch();
        self.core.complete(self.shard, start, end);
    }

    fn clear_batch(&mut self) {
        self.batch.bytes.clear();
        self.batch.bytes.shrink_to(BATCH_KEPT_BYTES);
        self.batch.messages.clear();
        self.batch.pieces.clear();
    }

    /// Gives out the acks that are decided, each kind in the order of the log: written ones, then flushed ones, then
    /// those whose time ran out. Call after `commit`, after every wake, and at least every 10 ms or so for the
    /// time-outs.
    pub fn take_acks(&mut self, now: Instant, mut f: impl FnMut(A, PutOutcome)) {
        self.acks_refused.drain(..).for_each(|(ack, outcome)| f(ack, outcome));
        let core = &self.core;
        loop {
            if core.progress.is_failed() {
                let units = self.batch.units.drain(..).map(|unit| {
                    let (queue_offset, physical_offset, store_timestamp) = (0, 0, 0);
                    (
                        unit.ack,
                        PutOutcome {
                            status: PutStatus::Failed,
                            queue_offset,
                            physical_offset,
                            store_timestamp,
                            more: None,
                        },
                    )
                });
                let pending = self.acks_written.drain(..).chain(self.acks_flushed.drain(..));
                let pending =
                    pending.map(|pending| (pending.ack, PutOutcome { status: PutStatus::Failed, ..pending.outcome }));
                pending.chain(units).for_each(|(ack, outcome)| f(ack, outcome));
                return;
            }
            let (watermark, flushed) = (core.tail.watermark(), core.progress.flushed());
            for (queue, end) in [(&mut self.acks_written, watermark), (&mut self.acks_flushed, flushed)] {
                while let Some(pending) = pop_if(queue, |pending| pending.end <= end) {
                    f(pending.ack, pending.outcome);
                }
                while let Some(pending) = pop_if(queue, |pending| pending.deadline <= now) {
                    Counters::add(&core.progress.counters.flush_timeouts, 1);
                    f(pending.ack, PutOutcome { status: PutStatus::FlushTimeout, ..pending.outcome });
                }
            }
            if self.is_settled_after_wanting(watermark, flushed) {
                return;
            }
        }
    }

    /// Gives out the messages that became visible, in the order of the log, and makes them visible to `get`: queue,
    /// queue offset, tags code. Call after `take_acks`.
    pub fn take_arrivals(&mut self, mut f: impl FnMut(QueueSlot, i64, i64)) {
        loop {
            let (watermark, flushed) = (self.core.tail.watermark(), self.core.progress.flushed());
            let readable = match self.core.options.flush {
                FlushMode::Async => watermark,
                FlushMode::Sync => flushed,
            };
            while let Some(arriving) = pop_if(&mut self.arriving, |arriving| arriving.end <= readable) {
                match self.queues.get_mut(arriving.slot) {
                    Some(queue) if !queue.deleted => queue.visible = arriving.queue_offset + 1,
                    _ => continue,
                }
                f(arriving.slot, arriving.queue_offset, arriving.tags_code);
            }
            if self.is_settled_after_wanting(watermark, flushed) {
                return;
            }
        }
    }

    /// Asks to be woken for what is still pending, and looks whether something moved before that was asked.
    fn is_settled_after_wanting(&self, watermark: i64, flushed: i64) -> bool {
        let progress = &self.core.progress;
        let sync = self.core.options.flush == FlushMode::Sync;
        let wants_watermark = !self.acks_written.is_empty() || (!sync && !self.arriving.is_empty());
        let wants_flushed = !self.acks_flushed.is_empty() || (sync && !self.arriving.is_empty());
        progress.want(self.shard, wants_watermark, wants_flushed);
        (!wants_watermark || self.core.tail.watermark() == watermark)
            && (!wants_flushed || progress.flushed() == flushed)
            && !(progress.is_failed() && (wants_watermark || wants_flushed) && self.has_acks())
    }

    fn has_acks(&self) -> bool {
        !self.acks_written.is_empty() || !self.acks_flushed.is_empty()
    }

    /// Puts whose outcome was not given out yet.
    pub fn pending_acks(&self) -> usize {
        self.batch.units.len() + self.acks_written.len() + self.acks_flushed.len() + self.acks_refused.len()
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

    /// Work that is not a request's: writes consume queues back (every second, or sooner when 4 KiB wait), reports to
    /// checkpoint rounds, expires consume queue files, retries a write that found no space. Call every 10 ms or so.
    pub fn housekeep(&mut self, now: Instant) {
        self.view.refresh(&self.core.segments);
        if self.batch.write_again.is_some() {
            let _ = self.commit();
        }
        let (round, bound) = self.core.rounds.round();
        if round != self.round {
            self.write_back(true);
            if !self.write_back_failed {
                self.round = round;
                let paths = self.paths_to_sync();
                self.core.rounds.report(self.queues.digest(bound), paths);
            }
        } else {
            let old = self.last_write_back.is_none_or(|last| now.saturating_duration_since(last) >= WRITE_BACK_AGE);
            if old {
                self.last_write_back = Some(now);
                self.warm.cool(&mut self.queues);
            }
            if !self.dirty.is_empty() {
                self.write_back(old);
            }
        }
        self.expire();
    }

    /// Writes unwritten units to their files; without `all` only where enough wait.
    fn write_back(&mut self, all: bool) {
        let mut failed = None;
        let mut at = 0;
        while let Some(slot) = self.dirty.get(at).copied() {
            let Some(Queue { units: Some(units), dirty, .. }) = self.queues.get_mut(slot) else {
                self.dirty.swap_remove(at);
                continue;
            };
            if !all && !units.needs_write_back() {
                at += 1;
                continue;
            }
            match units.write_back() {
                Ok(()) => {
                    if self.warm.is_crowded() {
                        units.release();
                    }
                    *dirty = false;
                    self.dirty.swap_remove(at);
                }
                Err(error) => {
                    failed = Some((units.dir().to_path_buf(), error));
                    at += 1;
                }
            }
        }
        self.write_back_failed = failed.is_some();
        let refusal = failed.as_ref().map(|(path, error)| {
            if is_out_of_space(error) {
                self.core.disk_full("storePathConsumeQueue")
            } else {
                PutRefused::NotWritable(format!("consume queue {} cannot be written: {error}", path.display()))
            }
        });
        if self.core.progress.refuse(Refuser::Queues, refusal) {
            match failed {
                Some((path, error)) => {
                    tracing::error!(path = %path.display(), %error, "a consume queue cannot be written; its units stay in memory and no message is taken until it can")
                }
                None => tracing::info!("consume queues are written again"),
            }
        }
    }

    fn paths_to_sync(&mut self) -> Vec<std::path::PathBuf> {
        let mut paths = Vec::new();
        for queue in self.queues.all_mut() {
            if let Some(units) = &mut queue.units {
                paths.append(&mut units.paths_to_sync());
            }
        }
        paths
    }

    /// Corrects min offsets and removes files behind the log's first byte, some queues a call.
    fn expire(&mut self) {
        let log_min = self.core.segments.log_min();
        if self.expire_from == 0 {
            if log_min == self.expired_log_min {
                return;
            }
            self.expired_log_min = log_min;
        }
        let until = self.queues.len().min(self.expire_from + EXPIRE_SLICE);
        for number in self.expire_from..until {
            let slot = QueueSlot(u32::try_from(number).unwrap_or(u32::MAX));
            let Some(Queue { units: Some(units), .. }) = self.queues.get_mut(slot) else { continue };
            if let Err(error) = units.delete_expired(self.expired_log_min) {
                tracing::warn!(dir = %units.dir().display(), %error, "expired consume queue files stay for now");
            }
        }
        self.expire_from = if until == self.queues.len() { 0 } else { until };
    }

    /// The last call: commits, makes the consume queues durable and takes no more puts. Blocks on the disk. Under
    /// SYNC_FLUSH acks may still be pending: `Shared::stop` flushes, then `take_acks` gives them out.
    pub fn shutdown(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        let mut clean = self.commit().is_ok() && self.batch.write_again.is_none();
        for queue in self.queues.all_mut() {
            if let Some(units) = &mut queue.units
                && let Err(error) = units.sync()
            {
                tracing::error!(dir = %units.dir().display(), %error, "a consume queue could not be made durable; the next start rebuilds it");
                clean = false;
            }
        }
        self.core.rounds.close(self.queues.digest(i64::MAX), clean);
    }
}
