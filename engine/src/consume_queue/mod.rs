//! The consume queue: for each message of one (topic, queue id), where it lies in the commitlog, by queue offset.
//!
//! Owns the queue's files `<dir>/<20 digits>` in Java's format and the units not yet written to them. Must not look
//! into a message nor decide what is visible. Each queue belongs to the shard that owns its (topic, queue id) and
//! is used on that thread only; it costs some hundred bytes, no descriptor and no mapping while it is idle
//! ([`ConsumeQueue::release`]).
//!
//! Everything here can be built again from the commitlog, so a push is a store to memory; the files follow in
//! [`ConsumeQueue::write_back`] and become durable through [`ConsumeQueue::paths_to_sync`].

mod files;
mod list;
#[cfg(test)]
pub(crate) mod scratch;
mod search;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

pub use list::{list, queue_dir};
pub use unit::{BLANK_SIZE, UNIT_SIZE, Unit};

use files::{Files, POSITION_MAX};

/// Units not yet written at which a write-back is worth its system call.
const WRITE_BACK_UNITS: usize = 256;
/// Written units kept in memory for readers close behind the writer.
const RECENT_UNITS: usize = 256;
/// Highest queue offset: everything above cannot come from a sound record.
const OFFSET_MAX: i64 = (POSITION_MAX / UNIT_SIZE as u64) as i64 / 2;
/// Longest run of lost messages that is filled; more of them than a commitlog file of small records can hold.
const GAP_UNITS_MAX: i64 = 1 << 26;

const _: () = assert!(UNIT_SIZE == 20);

/// One queue. Offsets are queue offsets (places in the queue) unless called physical (bytes of the commitlog).
pub struct ConsumeQueue {
    files: Files,
    /// Offset of the first unit that stands for a message.
    min: i64,
    /// Offset the next pushed unit gets.
    max: i64,
    /// Units below this offset are in the files.
    written: i64,
    max_physical_end: i64,
    /// The newest units as they stand on disk; the last one has offset `max - 1`. Holds all of `written..max`.
    tail: VecDeque<[u8; UNIT_SIZE]>,
    damage: Option<Box<str>>,
}

impl ConsumeQueue {
    /// Finds the queue's bounds by looking at its first and last files; a missing directory is an empty queue.
    ///
    /// `file_size` in bytes is rounded up to whole units. Files of another size, made under another setting, are
    /// kept at theirs. A short last file is extended; what fits nowhere is left alone and told by
    /// [`ConsumeQueue::damage`].
    pub fn open(dir: &Path, file_size: u64) -> io::Result<ConsumeQueue> {
        let (mut files, trouble) = Files::open(dir, file_size)?;
        if let Some(trouble) = &trouble {
            tracing::warn!("consume queue {}: {trouble}", dir.display());
        }
        let max = files.end_offset()?.unwrap_or(0);
        let first = files.first_offset().unwrap_or(0);
        let mut queue = ConsumeQueue {
            files,
            min: first,
            max,
            written: max,
            max_physical_end: 0,
            tail: VecDeque::new(),
            damage: trouble.map(String::into_boxed_str),
        };
        // Java's pre-blank units stand at the start only, so the first other unit ends them.
        queue.min = queue.partition_point(first, max, |unit| *unit == Unit::PRE_BLANK)?;
        queue.settle_physical_end()?;
        queue.files.release();
        Ok(queue)
    }

    /// What was found wrong with the files when the queue was opened; a recovery that can does better to
    /// [`ConsumeQueue::destroy`] such a queue and build it again from the commitlog.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Directory of the queue's files.
    pub fn dir(&self) -> &Path {
        self.files.dir()
    }

    /// Bytes of each file of this queue.
    pub fn file_size(&self) -> u64 {
        self.files.file_size()
    }

    /// Appends a unit at [`ConsumeQueue::max_offset`]. Memory only; watch [`ConsumeQueue::needs_write_back`].
    pub fn push(&mut self, unit: Unit) {
        self.tail.push_back(unit.encode());
        self.max += 1;
        self.max_physical_end = unit.physical_end();
        self.trim();
    }

    /// Offset the next unit gets.
    pub fn max_offset(&self) -> i64 {
        self.max
    }

    /// Offset of the first unit whose message is in the commitlog, as of the last [`ConsumeQueue::correct_min`].
    pub fn min_offset(&self) -> i64 {
        self.min
    }

    /// Commitlog offset after the newest message of the queue, 0 if there is none.
    pub fn max_physical_end(&self) -> i64 {
        self.max_physical_end
    }

    /// Makes `offset` the next one by units that stand for no message ([`Unit::is_blank`]): the messages are lost,
    /// those behind them keep their offsets. An offset behind the end does nothing.
    ///
    /// A queue without any unit starts at `offset` instead. Writes the gap to the files; refuses a gap no damage
    /// of a commitlog explains.
    pub fn fill_gap_to(&mut self, offset: i64) -> io::Result<()> {
        let gap = offset.saturating_sub(self.max);
        if gap <= 0 {
            return Ok(());
        }
        if self.is_unused() {
            return self.start_at(offset);
        }
        if gap > GAP_UNITS_MAX || offset > OFFSET_MAX {
            return Err(self.refuse(format!("queue offset {offset} is too far behind the end {}", self.max)));
        }
        tracing::warn!("consume queue {}: {gap} messages from {} on are lost", self.dir().display(), self.max);
        let filler = Unit::gap(self.max_physical_end);
        for _ in 0..gap {
            self.push(filler);
            if self.needs_write_back() {
                self.write_back()?;
            }
        }
        Ok(())
    }

    /// Whether a record can have this queue offset, with the messages before it lost where it lies behind the end.
    pub(crate) fn can_reach(&self, offset: i64) -> bool {
        (0..=OFFSET_MAX).contains(&offset) && (self.is_unused() || offset.saturating_sub(self.max) <= GAP_UNITS_MAX)
    }

    /// Gives an empty queue its first offset, as on a slave whose log begins in the middle. The file gets Java's
    /// pre-blank units before it when the first unit is written.
    pub fn start_at(&mut self, offset: i64) -> io::Result<()> {
        if !self.is_unused() {
            return Err(self.refuse(format!("it has units and cannot start at {offset}")));
        }
        if !(0..=OFFSET_MAX).contains(&offset) {
            return Err(self.refuse(format!("it cannot start at {offset}")));
        }
        // Files made ahead of use, or emptied by a truncation, belong to other offsets.
        while self.files.count() > 0 {
            self.files.remove_first()?;
        }
        (self.min, self.max, self.written) = (offset, offset, offset);
        Ok(())
    }

    /// Appends to `out` at most `max` units from offset `from` on and returns how many.
    ///
    /// Nothing is returned below [`ConsumeQueue::min_offset`] or past the end. Blank units come along, so that
    /// the n-th unit always has offset `from + n`. A unit the files hold only zeros for (damage) ends the batch;
    /// when it is the first one, that is an error of kind `InvalidData`.
    pub fn read(&mut self, from: i64, max: usize, out: &mut Vec<Unit>) -> io::Result<usize> {
        if from < self.min || from >= self.max {
            return Ok(0);
        }
        let end = from.saturating_add(i64::try_from(max).unwrap_or(i64::MAX)).min(self.max);
        let tail_start = self.tail_start();
        let mut next = from;
        let mut buffer = [0; UNIT_SIZE * 128];
        while next < end.min(tail_start) {
            let units = ((end.min(tail_start) - next) as usize).min(buffer.len() / UNIT_SIZE);
            let (bytes, _) = buffer.split_at_mut(units * UNIT_SIZE);
            self.files.read(next, bytes)?;
            for bytes in bytes.as_chunks::<UNIT_SIZE>().0 {
                let unit = Unit::decode(bytes);
                if !unit.is_valid() {
                    if next == from {
                        return Err(self.no_unit(next));
                    }
                    return Ok((next - from) as usize);
                }
                out.push(unit);
                next += 1;
            }
        }
        if next < end {
            let skip = (next - tail_start) as usize;
            out.extend(self.tail.range(skip..skip + (end - next) as usize).map(Unit::decode));
            next = end;
        }
        Ok((next - from) as usize)
    }

    /// Writes the units that are in memory only to the files: one write for each file and contiguous run.
    ///
    /// On an error the units stay in memory and the next call tries again.
    pub fn write_back(&mut self) -> io::Result<()> {
        let skip = (self.written - self.tail_start()) as usize;
        let (front, back) = self.tail.as_slices();
        let front_rest = front.get(skip.min(front.len())..).unwrap_or_default();
        let back_rest = back.get(skip.saturating_sub(front.len())..).unwrap_or_default();
        for run in [front_rest, back_rest] {
            if !run.is_empty() {
                self.files.write(self.written, run.as_flattened())?;
                self.written += run.len() as i64;
            }
        }
        self.trim();
        Ok(())
    }

    /// Whether enough units wait in memory to be worth a write.
    pub fn needs_write_back(&self) -> bool {
        self.dirty_units() >= WRITE_BACK_UNITS
    }

    /// Bytes of units that are in memory only.
    pub fn dirty_bytes(&self) -> usize {
        self.dirty_units() * UNIT_SIZE
    }

    /// Writes back and makes everything durable. Blocks on the disk: for start and shutdown.
    pub fn sync(&mut self) -> io::Result<()> {
        self.write_back()?;
        for path in self.paths_to_sync() {
            sync_path(&path)?;
        }
        Ok(())
    }

    /// Files and directories changed since the last call, for [`sync_path`] on a thread that may block.
    pub fn paths_to_sync(&mut self) -> Vec<PathBuf> {
        self.files.take_unsynced()
    }

    /// Gives back what an idle queue does not need: the descriptor and the written units in memory.
    pub fn release(&mut self) {
        self.files.release();
        let keep = self.dirty_units();
        self.tail.drain(..self.tail.len() - keep);
        self.tail.shrink_to_fit();
    }

    /// Drops the units whose record ends behind `log_end`, and whatever the files hold behind the end.
    ///
    /// For recovery: call it with the offset from which records are dispatched again, and no unit written
    /// without a sync before a power cut stays.
    pub fn truncate_after(&mut self, log_end: i64) -> io::Result<()> {
        let first = self.first_available();
        let keep = self.partition_point(first, self.max, |unit| unit.is_valid() && unit.physical_end() <= log_end)?;
        self.truncate_to(keep)
    }

    /// Drops the units from `offset` on. An offset behind the end only clears what the files hold there; one before
    /// the first file empties the queue, whose max offset is then that file's first.
    pub fn truncate_to(&mut self, offset: i64) -> io::Result<()> {
        let offset = offset.clamp(self.first_available(), self.max);
        if self.files.count() > 0 {
            self.files.cut(offset.min(self.written))?;
        }
        self.tail.truncate((offset - self.tail_start()).max(0) as usize);
        self.max = offset;
        self.written = self.written.min(offset);
        self.min = self.min.min(offset);
        self.settle_physical_end()?;
        self.files.release();
        Ok(())
    }

    /// Sets the min offset to the first message at or behind `log_min`, the commitlog's first byte; to the max
    /// offset if all are gone.
    pub fn correct_min(&mut self, log_min: i64) -> io::Result<()> {
        let first = self.first_available();
        let mut min =
            self.partition_point(first, self.max, |unit| *unit == Unit::PRE_BLANK || unit.physical_offset < log_min)?;
        while min < self.max && self.unit(min)?.is_blank() {
            min += 1;
        }
        self.min = min;
        Ok(())
    }

    /// Removes the files whose last message lies before `log_min`, never the last file; corrects the min offset.
    /// Returns how many were removed.
    pub fn delete_expired(&mut self, log_min: i64) -> io::Result<usize> {
        let mut removed = 0;
        while self.files.count() > 1
            && let Some(next) = self.files.offset_of(1)
            && next <= self.written
            && self.unit(next - 1)?.physical_offset < log_min
        {
            self.files.remove_first()?;
            removed += 1;
        }
        self.correct_min(log_min)?;
        Ok(removed)
    }

    /// Removes the queue from the disk.
    pub fn destroy(self) -> io::Result<()> {
        self.files.destroy()
    }

    /// Asks `check` about the newest units and about `sample` more spread over the queue; false at the first
    /// refusal or at a place without a unit.
    pub fn verify_against(&mut self, check: &mut dyn FnMut(i64, Unit) -> bool, sample: usize) -> io::Result<bool> {
        const NEWEST: i64 = 16;
        let total = self.max - self.min;
        let newest = (self.max - NEWEST).max(self.min)..self.max;
        let steps = (sample as i64).min(total);
        let spread = (0..steps).map(|i| self.min + (i128::from(total) * i128::from(i) / i128::from(steps)) as i64);
        for offset in newest.chain(spread.collect::<Vec<_>>()) {
            let unit = self.unit(offset)?;
            if !unit.is_valid() || !(unit.is_blank() || check(offset, unit)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The unit at an offset between [`ConsumeQueue::first_available`] and the end.
    fn unit(&mut self, offset: i64) -> io::Result<Unit> {
        let in_tail = offset - self.tail_start();
        match usize::try_from(in_tail).ok().and_then(|i| self.tail.get(i)) {
            Some(bytes) => Ok(Unit::decode(bytes)),
            None => self.files.unit(offset),
        }
    }

    /// The first offset in `low..high` whose unit does not satisfy `before`, which holds for a prefix.
    fn partition_point(
        &mut self,
        mut low: i64,
        mut high: i64,
        mut before: impl FnMut(&Unit) -> bool,
    ) -> io::Result<i64> {
        while low < high {
            let mid = low + (high - low) / 2;
            if before(&self.unit(mid)?) { low = mid + 1 } else { high = mid }
        }
        Ok(low)
    }

    fn settle_physical_end(&mut self) -> io::Result<()> {
        self.max_physical_end =
            if self.max > self.first_available() { self.unit(self.max - 1)?.physical_end() } else { 0 };
        Ok(())
    }

    fn tail_start(&self) -> i64 {
        self.max - self.tail.len() as i64
    }

    fn dirty_units(&self) -> usize {
        (self.max - self.written) as usize
    }

    /// The lowest offset a unit can be read at.
    fn first_available(&self) -> i64 {
        self.files.first_offset().unwrap_or_else(|| self.tail_start())
    }

    /// No file and no unit, so the first offset is still open.
    fn is_unused(&self) -> bool {
        self.tail.is_empty() && (self.files.count() == 0 || self.max == self.first_available())
    }

    fn trim(&mut self) {
        let excess = self.tail.len().saturating_sub(RECENT_UNITS.max(self.dirty_units()));
        if excess > 0 {
            self.tail.drain(..excess);
        }
    }

    fn no_unit(&self, offset: i64) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "consume queue {}: no unit at offset {offset} although the queue reaches {}; remove the directory \
                 while the broker is stopped and it is built again from the commitlog",
                self.dir().display(),
                self.max
            ),
        )
    }

    fn refuse(&self, why: String) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, format!("consume queue {}: {why}", self.dir().display()))
    }
}

/// Makes a path of [`ConsumeQueue::paths_to_sync`] durable. One that was removed meanwhile needs no sync.
pub fn sync_path(path: &Path) -> io::Result<()> {
    match open_to_sync(path)? {
        Some(file) => file.sync_all().map_err(|e| crate::tables::failed(path, "sync it", e)),
        None => Ok(()),
    }
}

/// The first half of [`sync_path`], which may be tried again after an error; the sync itself may not.
pub(crate) fn open_to_sync(path: &Path) -> io::Result<Option<std::fs::File>> {
    match std::fs::File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(crate::tables::failed(path, "open it for a sync", e)),
    }
}
