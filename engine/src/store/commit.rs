//! Writing a shard's batch: placed, stamped, written, pushed to its consume queues, completed.
//!
//! Part of [`ShardStore`], on its thread; once a turn. One pwritev into the page cache, no wait for a flush.

use std::time::{Duration, Instant};

use protocol::message;

use super::ShardStore;
use super::core::now_ms;
use super::promise::Promise;
use super::shard_store::{Arriving, Batch, PendingAck, PendingSlave};
use super::types::{PutOutcome, PutStatus};
use crate::commitlog::append::{self, WriteError};
use crate::commitlog::tail::Piece;
use crate::consume_queue::Unit;
use crate::error::StoreFailed;
use crate::io::is_out_of_space;
use crate::options::{FlushMode, Replication};
use crate::progress::Counters;

/// Bytes a shard's batch buffer keeps when it is empty.
const BATCH_KEPT_BYTES: usize = 4 << 20;
/// How often a write that found no space is tried again.
const WRITE_AGAIN: Duration = Duration::from_millis(100);

impl<A> ShardStore<A> {
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

    pub(super) fn check_failed(&self) -> Result<(), StoreFailed> {
        match self.core.progress.failure() {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// The batch found no file: nothing of it is in the log.
    fn refuse_batch(&mut self) {
        let no_room = || PutOutcome {
            status: PutStatus::NoRoom,
            queue_offset: 0,
            physical_offset: 0,
            store_timestamp: 0,
            more: None,
        };
        self.acks_refused.extend(self.batch.units.drain(..).map(|unit| (unit.ack, no_room())));
        self.clear_batch();
    }

    /// Gives every message of the batch its place, offset and time, and queues its ack and arrival.
    fn stamp(&mut self, timestamp: i64) {
        let now = Instant::now();
        let deadline = now + self.core.options.sync_flush_timeout;
        let replication = self.core.options.replication;
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
                if let (true, Replication::Sync { timeout, fall_behind_max }) = (unit.wait, replication) {
                    if self.core.slaves.is_usable(physical, fall_behind_max) {
                        let slave_deadline = now + timeout;
                        let promise = Promise { end: physical, flush_deadline: deadline, slave_deadline };
                        self.acks_slave.push_back(PendingSlave { promise, ack: unit.ack, outcome });
                        continue;
                    }
                    outcome.status = PutStatus::SlaveNotAvailable;
                }
                let pending = PendingAck { end: physical, deadline, ack: unit.ack, outcome };
                if unit.wait && self.core.options.flush == FlushMode::Sync {
                    self.acks_flushed.push_back(pending);
                } else {
                    self.acks_written.push_back(pending);
                }
            }
        }
        drop(units);
        if replication != Replication::Async {
            self.tell_undecided();
        }
    }

    /// Writes the placed batch. Out of space keeps it for another try: its place is taken and everything behind it in
    /// the log waits, so no message is taken meanwhile.
    fn write(&mut self) -> Result<(), StoreFailed> {
        let Some(last) = self.batch.pieces.last().map(Piece::end) else { return Ok(()) };
        match append::write(&self.core, &mut self.view, &self.batch.bytes, &self.batch.pieces) {
            Ok(()) => {
                if self.batch.write_again.take().is_some() {
                    self.core.progress.write_found_space();
                }
                self.written(last);
                Ok(())
            }
            Err(WriteError { error, path, position }) if is_out_of_space(&error) => {
                let is_new = self.batch.write_again.replace(Instant::now() + WRITE_AGAIN).is_none();
                let refusal = self.core.disk_full("storePathCommitLog");
                if self.core.progress.write_waits(is_new, refusal) {
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
        let waits = !self.acks_flushed.is_empty() || !self.acks_slave.is_empty();
        self.core.complete(self.shard, start, end, waits);
    }

    fn clear_batch(&mut self) {
        self.batch.bytes.clear();
        self.batch.bytes.shrink_to(BATCH_KEPT_BYTES);
        self.batch.messages.clear();
        self.batch.pieces.clear();
    }
}
