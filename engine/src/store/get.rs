//! Reading a queue: which records answer a pull, and where in time a queue offset lies.
//!
//! Part of [`ShardStore`], on its thread. Gives ranges of files, never copies and never touches a record's bytes: what
//! is not in the page cache is told as cold, and the caller reads it elsewhere.

use std::io;
use std::os::unix::fs::FileExt;

use protocol::message::{Peek, layout, peek, sys_flag};

use super::ShardStore;
use super::core::Core;
use super::types::{Get, GetResult, GetStatus, QueueSlot};
use crate::commitlog::segment::LogRange;
use crate::consume_queue::{ConsumeQueue, UNIT_SIZE, Unit};
use crate::progress::Counters;

/// Units looked at for one pull at least (Java: 16,000 bytes of the consume queue).
const SCAN_UNITS: usize = 800;
/// Units looked at in one pull at most, however many messages the client asks for.
const SCAN_UNITS_MAX: usize = 4096;
/// Units read at a time.
const READ_UNITS: usize = 64;

/// What a look at a queue's units gave.
enum Read {
    /// At least one unit.
    Some,
    /// There is none at that offset, and there never will be.
    Never,
    /// They could not be read now: no descriptor, no memory, a disk error.
    NotNow,
}

impl<A> ShardStore<A> {
    /// First queue offset whose message is kept.
    pub fn min_offset(&self, slot: QueueSlot) -> i64 {
        self.queues.get(slot).and_then(|queue| queue.units.as_ref()).map_or(0, |units| units.min_offset())
    }

    /// One past the last visible queue offset.
    pub fn max_offset(&self, slot: QueueSlot) -> i64 {
        self.queues.get(slot).map_or(0, |queue| queue.visible)
    }

    /// One past the last queue offset given out, visible or not.
    pub fn next_offset(&self, slot: QueueSlot) -> i64 {
        self.queues.get(slot).map_or(0, |queue| queue.next)
    }

    /// Answers a pull; the messages are appended to `ranges`, adjacent ones joined. Statuses, limits and next offsets
    /// are those of Java 4.9.7 on a master.
    pub fn get(&mut self, get: Get<'_>, ranges: &mut Vec<LogRange>) -> GetResult {
        let log_max = self.core.tail.watermark();
        let (min, max) = (self.min_offset(get.slot), self.max_offset(get.slot));
        let mut result = GetResult {
            status: GetStatus::NoMatchedMessage,
            next_begin_offset: get.offset,
            min_offset: min,
            max_offset: max,
            messages: 0,
            bytes: 0,
            cold: false,
            lag_bytes: 0,
            suggest_slave: false,
        };
        let outside = if self.queues.get(get.slot).is_none_or(|queue| queue.deleted) {
            Some((GetStatus::NoMatchedLogicQueue, 0))
        } else if max == 0 {
            Some((GetStatus::NoMessageInQueue, 0))
        } else if get.offset < min {
            Some((GetStatus::OffsetTooSmall, min))
        } else if get.offset == max {
            Some((GetStatus::OffsetOverflowOne, max))
        } else if get.offset > max {
            Some((GetStatus::OffsetOverflowBadly, max))
        } else {
            None
        };
        if let Some((status, next)) = outside {
            (result.status, result.next_begin_offset) = (status, next);
            return result;
        }
        let first_range = ranges.len();
        self.collect(&get, log_max, ranges, &mut result);
        let hot = self.core.options.transfer.hot_distance_bytes;
        let new = ranges.get(first_range..).unwrap_or(&[]);
        let own_from = self.core.own_from;
        result.cold = new.iter().any(|range| {
            let written_lately = range.physical() >= own_from && log_max.saturating_sub(range.physical()) <= hot;
            !written_lately && !range.segment.resident(range.position, range.len as u64)
        });
        if result.cold {
            Counters::add(&self.core.progress.counters.cold_gets, 1);
        }
        result
    }

    /// Walks the units from the wanted offset on. The caller has checked that it lies in the queue.
    fn collect(&mut self, get: &Get<'_>, log_max: i64, ranges: &mut Vec<LogRange>, result: &mut GetResult) {
        let limits = self.core.options.transfer;
        let scan_end = get
            .offset
            .saturating_add(SCAN_UNITS.max(get.max_messages.min(SCAN_UNITS_MAX)) as i64)
            .min(result.max_offset);
        let first_range = ranges.len();
        let mut next = get.offset;
        let mut last_physical = None;
        // After a missing record everything up to the next file is missing too.
        let mut skip_before = i64::MIN;
        'units: while next < scan_end {
            let want = usize::try_from(scan_end - next).unwrap_or(READ_UNITS).min(READ_UNITS);
            match self.read_units(get.slot, next, want) {
                Read::Some => {}
                Read::Never if next == get.offset => {
                    result.status = GetStatus::OffsetFoundNull;
                    next = self.next_file_offset(get.slot, next).min(result.max_offset);
                    break;
                }
                // The units are there and may be read the next time: nobody steps over them.
                Read::NotNow if next == get.offset => {
                    result.status = GetStatus::OffsetFoundNull;
                    break;
                }
                Read::Never | Read::NotNow => break,
            }
            for unit in &self.units {
                let Unit { physical_offset, size, tags_code } = *unit;
                if unit.is_blank() || physical_offset < skip_before {
                    next += 1;
                    continue;
                }
                let in_memory = log_max.saturating_sub(physical_offset) <= limits.memory_distance_bytes;
                let (bytes_max, count_max) = if in_memory {
                    (limits.memory_bytes, limits.memory_count)
                } else {
                    (limits.disk_bytes, limits.disk_count)
                };
                let size = usize::try_from(size).unwrap_or(0);
                let full = result.messages >= get.max_messages.min(count_max)
                    || result.bytes.saturating_add(size) > get.max_bytes.min(bytes_max);
                if result.messages > 0 && full {
                    break 'units;
                }
                last_physical = Some(physical_offset);
                if !get.filter.takes(tags_code) {
                    next += 1;
                    continue;
                }
                if self.core.is_damaged(physical_offset, i64::try_from(size).unwrap_or(i64::MAX)) {
                    // As a blank unit: there is no message here, those behind it are whole.
                    next += 1;
                    continue;
                }
                let found = self.view.find(&self.core.segments, physical_offset);
                let place = found.and_then(|segment| {
                    let position = segment.position(physical_offset)?;
                    (position.checked_add(size as u64)? <= segment.size()).then_some((segment, position))
                });
                let Some((segment, position)) = place else {
                    if result.messages == 0 {
                        result.status = GetStatus::MessageWasRemoving;
                    }
                    skip_before = next_file_start(physical_offset, self.core.segments.size());
                    next += 1;
                    continue;
                };
                match ranges.get_mut(first_range..).and_then(<[LogRange]>::last_mut) {
                    Some(last)
                        if last.segment.base() == segment.base()
                            && last.position.saturating_add(last.len as u64) == position =>
                    {
                        last.len += size;
                    }
                    _ => ranges.push(LogRange { segment: segment.clone(), position, len: size }),
                }
                result.messages += 1;
                result.bytes += size;
                result.status = GetStatus::Found;
                skip_before = i64::MIN;
                next += 1;
            }
        }
        result.next_begin_offset = next;
        result.lag_bytes = log_max.saturating_sub(last_physical.unwrap_or(log_max)).max(0);
        result.suggest_slave = result.lag_bytes > limits.memory_distance_bytes;
    }

    /// Reads units into `self.units`.
    fn read_units(&mut self, slot: QueueSlot, from: i64, count: usize) -> Read {
        self.units.clear();
        let Some(queue) = self.queues.get_mut(slot) else { return Read::Never };
        let Some(units) = &mut queue.units else { return Read::Never };
        let mut failed = Read::Never;
        match units.read(from, count, &mut self.units) {
            Ok(_) => {}
            Err(error) => {
                if error.kind() != io::ErrorKind::InvalidData {
                    failed = Read::NotNow;
                }
                tracing::error!(topic = &*queue.topic, queue_id = queue.queue_id, queue_offset = from, %error, "a consume queue cannot be read");
            }
        }
        if self.warm.is_crowded() && !queue.dirty {
            units.release();
        } else {
            self.warm.touch(queue, slot);
        }
        if self.units.is_empty() { failed } else { Read::Some }
    }

    /// First queue offset of the next consume queue file (Java's step over an unreadable place).
    fn next_file_offset(&self, slot: QueueSlot, offset: i64) -> i64 {
        let units = self.queues.get(slot).and_then(|queue| queue.units.as_ref());
        let file_bytes = units.map_or(self.core.options.consume_queue_file_bytes(), ConsumeQueue::file_size);
        let units = i64::try_from(file_bytes / UNIT_SIZE as u64).unwrap_or(i64::MAX).max(1);
        (offset / units).saturating_add(1).saturating_mul(units)
    }

    /// Queue offset of the message stored at `timestamp` (ms), or of the nearer neighbour; Java 4.9.7's rule. An empty
    /// queue gives 0.
    pub fn offset_by_time(&mut self, slot: QueueSlot, timestamp: i64) -> i64 {
        let core = self.core.clone();
        let Some(queue) = self.queues.get_mut(slot) else { return 0 };
        let visible = queue.visible;
        let Some(units) = &mut queue.units else { return 0 };
        let found = units.search_by_time(timestamp, visible, &mut |unit| stored_at(&core, unit.physical_offset));
        let found = found.unwrap_or_else(|error| {
            tracing::error!(topic = &*queue.topic, queue_id = queue.queue_id, timestamp, %error, "a consume queue cannot be searched");
            0
        });
        self.warm.touch(queue, slot);
        found
    }

    /// Store time of a visible message, ms.
    pub fn store_time(&mut self, slot: QueueSlot, offset: i64) -> Option<i64> {
        let (physical, _) = self.locate(slot, offset)?;
        stored_at(&self.core, physical)
    }

    /// Physical offset and size in bytes of a visible message.
    pub fn locate(&mut self, slot: QueueSlot, offset: i64) -> Option<(i64, i32)> {
        if offset >= self.max_offset(slot) || !matches!(self.read_units(slot, offset, 1), Read::Some) {
            return None;
        }
        self.units.first().filter(|unit| !unit.is_blank()).map(|unit| (unit.physical_offset, unit.size))
    }
}

/// First physical offset of the file behind the one that holds `physical`.
pub(crate) fn next_file_start(physical: i64, segment_size: i64) -> i64 {
    physical.div_euclid(segment_size.max(1)).saturating_add(1).saturating_mul(segment_size)
}

/// Bytes up to the end of a store timestamp behind an IPv6 born host.
const HEAD_LEN: usize = layout::store_timestamp(true) + 8;

/// The store time of the record at a physical offset, ms; `None` where no record is. Reads the head from the page
/// cache or the disk.
pub(crate) fn stored_at(core: &Core, physical: i64) -> Option<i64> {
    let segment = core.segments.find(physical)?;
    let position = segment.position(physical)?;
    let mut head = [0u8; HEAD_LEN];
    let len = usize::try_from(segment.size().saturating_sub(position)).unwrap_or(HEAD_LEN).min(HEAD_LEN);
    segment.file().read_exact_at(head.get_mut(..len)?, position).ok()?;
    let Peek::Record { .. } = peek(&head) else { return None };
    let word = |at: usize| head.get(at..)?.first_chunk::<8>().map(|bytes| i64::from_be_bytes(*bytes));
    let flag = head.get(layout::SYS_FLAG..)?.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes))?;
    if word(layout::PHYSICAL_OFFSET)? != physical {
        return None;
    }
    word(layout::store_timestamp(sys_flag::is_born_host_v6(flag)))
}
