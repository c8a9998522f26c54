//! A slave's shard follows the log: consume queue units for what the receiver appended.
//!
//! Part of [`ShardStore`], on its thread, in bounded steps. Queue offsets are the records'; a shard takes those of its
//! own queues and passes over the others. When the log is cut back, the shard cuts its queues first.

use std::io;

use protocol::message::{Peek, Record, peek};

use super::queue_table::{is_directory_name, unit_of};
use super::shard_store::Arriving;
use super::types::QueueSlot;
use super::{ShardStore, owner};
use crate::consume_queue::{ConsumeQueue, Unit};
use crate::options::StoreRole;
use crate::progress::Counters;
use crate::receive::Change;

/// Why a step ended before its budget.
enum Stop {
    /// The units of a queue cannot be taken now.
    Queue(io::Error),
    /// There is no sound record where the watermark says there is.
    NoRecord,
}

impl<A> ShardStore<A> {
    /// On a slave: looks at up to `budget_bytes` of the log behind what was followed and gives this shard's messages
    /// their units; they become visible with `take_arrivals`. Call it every turn before `take_acks`. `true`: more is
    /// waiting, turn again. On a master there is nothing to do.
    pub fn follow(&mut self, budget_bytes: usize) -> bool {
        if self.core.options.role != StoreRole::Slave || self.closed {
            return false;
        }
        if self.core.reshape.announced() != self.reshaped {
            self.reshape();
        }
        let watermark = self.core.tail.watermark();
        self.followed_to_see = watermark;
        if self.write_back_failed {
            // Units that cannot be written stay in memory; there need not be more of them.
            return false;
        }
        let budget = i64::try_from(budget_bytes.max(1)).unwrap_or(i64::MAX);
        let until = self.followed.saturating_add(budget).min(watermark);
        while self.followed < until {
            if let Err(stop) = self.follow_file(until, watermark) {
                self.tell_stop(&stop);
                break;
            }
            self.follow_stopped = false;
        }
        self.core.progress.set_followed(self.shard, self.followed);
        if self.shard == 0 && !self.core.options.index.enable {
            // Else the index follower does it.
            self.core.unmap_read(self.core.progress.followed());
        }
        self.followed < watermark && !self.follow_stopped
    }

    /// Asks for another turn if the log moved after this turn's `follow` looked.
    pub(super) fn look_behind(&self) {
        if self.core.tail.watermark() != self.followed_to_see && !self.closed {
            self.core.progress.wake(self.shard);
        }
    }

    fn tell_stop(&mut self, stop: &Stop) {
        if std::mem::replace(&mut self.follow_stopped, true) {
            return;
        }
        let (shard, physical) = (self.shard, self.followed);
        match stop {
            Stop::Queue(error) => {
                tracing::error!(shard, physical, %error, "a consume queue cannot take a message of the master; it is tried again, until then nothing behind it is read");
            }
            Stop::NoRecord => {
                tracing::error!(
                    shard,
                    physical,
                    "no record where the received log has one; nothing behind it is read until the next start"
                );
            }
        }
    }

    /// Follows in one file, from `followed` on until at least `until`, never over `watermark`.
    fn follow_file(&mut self, until: i64, watermark: i64) -> Result<(), Stop> {
        let log_min = self.core.segments.log_min();
        if self.followed < log_min {
            // Retention was faster, or the log begins there.
            self.followed = log_min;
            return Ok(());
        }
        let at = self.followed;
        let segment = self.view.find(&self.core.segments, at).cloned().ok_or(Stop::NoRecord)?;
        let position = segment.position(at).ok_or(Stop::NoRecord)?;
        let len = usize::try_from(segment.end().min(watermark).saturating_sub(at)).unwrap_or(0);
        let mut rest = segment.bytes(position, len);
        while self.followed < until && !rest.is_empty() {
            let size = match peek(rest) {
                Peek::Record { total_size } => {
                    let record = Record::decode(rest).map_err(|_| Stop::NoRecord)?;
                    self.follow_record(&record).map_err(Stop::Queue)?;
                    total_size
                }
                Peek::Blank { remaining } => remaining,
                Peek::Nothing | Peek::Bad => return Err(Stop::NoRecord),
            };
            rest = rest.get(size as usize..).ok_or(Stop::NoRecord)?;
            self.followed = self.followed.saturating_add(i64::from(size));
        }
        Ok(())
    }

    fn follow_record(&mut self, record: &Record<'_>) -> io::Result<()> {
        let Some((queue_id, unit)) = unit_of(record, &self.core.options) else { return Ok(()) };
        if owner(record.topic, queue_id, self.core.options.shards) != self.shard {
            return Ok(());
        }
        if !is_directory_name(record.topic) {
            tracing::warn!(
                topic = record.topic,
                physical = record.physical_offset,
                "a record's topic cannot name a directory; it gets no consume queue"
            );
            return Ok(());
        }
        let slot = self.queue(record.topic, queue_id);
        if !self.place(slot, record, unit)? {
            return Ok(());
        }
        Counters::add(&self.core.progress.counters.messages, 1);
        self.arriving.push_back(Arriving {
            end: unit.physical_offset.saturating_add(i64::from(unit.size)),
            slot,
            queue_offset: record.queue_offset,
            tags_code: unit.tags_code,
        });
        Ok(())
    }

    /// Puts a unit at its record's queue offset. `false`: the queue cannot have such an offset here, so the record is
    /// damaged and gets no place. The rules are recovery's.
    fn place(&mut self, slot: QueueSlot, record: &Record<'_>, unit: Unit) -> io::Result<bool> {
        let options = &self.core.options;
        let Some(queue) = self.queues.get_mut(slot) else { return Ok(false) };
        let offset = record.queue_offset;
        let units = queue.open(options)?;
        let max = units.max_offset();
        if (1..max).contains(&offset) || !units.can_reach(offset) {
            tracing::error!(
                topic = record.topic,
                queue_id = record.queue_id,
                queue_offset = offset,
                expected = max,
                physical = record.physical_offset,
                "a record claims a queue offset its queue cannot have here; it gets no place in the queue"
            );
            return Ok(false);
        }
        if offset < max {
            // From 0 on again: the topic was deleted and made again on the master.
            units.truncate_to(0)?;
            if units.max_offset() != 0
                && let Some(old) = queue.units.take()
            {
                let (dir, file_size) = (old.dir().to_path_buf(), old.file_size());
                old.destroy()?;
                queue.units = Some(ConsumeQueue::open(&dir, file_size)?);
            }
            (queue.next, queue.visible) = (0, 0);
            self.arriving.retain(|arriving| arriving.slot != slot);
        }
        let Some(units) = &mut queue.units else { return Ok(false) };
        let is_first = units.max_offset() == 0;
        units.fill_gap_to(offset)?;
        if is_first {
            queue.first_physical = record.physical_offset;
            queue.visible = units.min_offset();
        }
        units.push(unit);
        queue.next = offset + 1;
        if !queue.dirty {
            queue.dirty = true;
            self.dirty.push(slot);
        }
        self.warm.touch(queue, slot);
        Ok(true)
    }

    /// Carries out what the receiver announced, and says so.
    fn reshape(&mut self) {
        let (number, change) = self.core.reshape.change();
        self.reshaped = number;
        let result = match change {
            Some(Change::Cut(end)) => self.cut(end),
            Some(Change::Empty(start)) => {
                self.empty(start);
                Ok(())
            }
            None => Ok(()),
        };
        self.follow_stopped = false;
        self.core.progress.set_followed(self.shard, self.followed);
        self.core.reshape.answer(number, result.map_err(|error| error.to_string()));
    }

    /// Every queue is cut, also behind one that cannot be; the last error is told.
    fn cut(&mut self, end: i64) -> io::Result<()> {
        let mut result = Ok(());
        for queue in self.queues.all_mut() {
            let Some(units) = queue.units.as_mut().filter(|units| units.max_physical_end() > end) else { continue };
            if let Err(error) = units.truncate_after(end) {
                result = Err(error);
                continue;
            }
            queue.next = units.max_offset();
            queue.visible = queue.visible.min(queue.next);
        }
        self.arriving.retain(|arriving| arriving.end <= end);
        self.followed = self.followed.min(end);
        result
    }

    /// Forgets every message; files are left to the receiver, who sets them aside.
    fn empty(&mut self, start: i64) {
        for queue in self.queues.all_mut() {
            queue.units = None;
            (queue.next, queue.visible, queue.first_physical) = (0, 0, -1);
            queue.dirty = false;
        }
        self.arriving.clear();
        self.dirty.clear();
        self.writing.clear();
        self.followed = start;
    }

    /// Whether the shard's queues have everything below `bound`.
    pub(super) fn has_followed(&self, bound: i64) -> bool {
        self.core.options.role == StoreRole::Master || self.followed >= bound
    }
}
