//! What every thread of a store shares: files, tail, offsets, roll, signals. Any thread.
//!
//! The store's own threads hold a [`Core`], users hold a [`super::Shared`] around it: when the last user is gone the
//! threads are told to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::rounds::Rounds;
use crate::abort;
use crate::clean::CleanSignal;
use crate::commitlog::ahead::Ahead;
use crate::commitlog::flush::FlushSignal;
use crate::commitlog::flush_inline::{self, Syncs};
use crate::commitlog::prepare::{Roll, RoomError};
use crate::commitlog::segment::{LogRange, Segment};
use crate::commitlog::segments::Segments;
use crate::commitlog::tail::Tail;
use crate::error::{PutRefused, StoreFailed};
use crate::index::Index;
use crate::lock::StoreLock;
use crate::options::{FlushMode, Replication, StoreOptions};
use crate::progress::Progress;
use crate::receive::{Received, Reshape};
use crate::recover::DamagedRange;
use crate::slaves::Slaves;
use crate::watch::{Watched, Watchers};

/// See the module's head.
pub struct Core {
    pub(crate) options: StoreOptions,
    pub(crate) segments: Segments,
    pub(crate) tail: Tail,
    pub(crate) progress: Progress,
    pub(crate) roll: Roll,
    pub(crate) ahead: Ahead,
    pub(crate) flush_signal: FlushSignal,
    pub(crate) syncs: Syncs,
    pub(crate) clean_signal: CleanSignal,
    pub(crate) rounds: Rounds,
    pub(crate) slaves: Slaves,
    pub(crate) received: Received,
    written_watchers: Watchers,
    durable_watchers: Watchers,
    pub(crate) index: Arc<Index>,
    /// Written by this process from here on, so in the page cache when it is young.
    pub(crate) own_from: i64,
    /// Ranges recovery found unreadable with records behind them, in order.
    damaged: Vec<DamagedRange>,
    /// Behind this offset the ranges are of a log that was cut.
    damaged_until: AtomicI64,
    pub(crate) reshape: Reshape,
    /// Up to here the mapping's pages were given back, see [`Core::unmap_read`].
    unmapped: AtomicI64,
    stopping: AtomicBool,
    _lock: StoreLock,
}

/// What recovery hands over.
pub(crate) struct Recovered {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) end: i64,
    pub(crate) store_timestamp: i64,
    pub(crate) index: Arc<Index>,
    pub(crate) damaged: Vec<DamagedRange>,
}

/// Wall clock, ms.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// How much the index follower reads through mappings before their pages are given back.
const UNMAP_STEP: i64 = 32 << 20;

impl Core {
    /// Gives back the mapped pages of what the index follower has passed: they stay in the page cache, and the process's
    /// resident size does not grow to that of the log.
    pub(crate) fn unmap_read(&self, physical: i64) {
        let from = self.unmapped.load(Ordering::Relaxed).max(self.segments.log_min());
        if physical.saturating_sub(from) < UNMAP_STEP {
            return;
        }
        self.unmapped.store(physical, Ordering::Relaxed);
        let mut at = from;
        while at < physical {
            let Some(segment) = self.segments.find(at) else { return };
            let end = segment.end().min(physical);
            if let (Some(position), Ok(len)) = (segment.position(at), u64::try_from(end.saturating_sub(at))) {
                segment.unmap_pages(position & !0xfff, len);
            }
            at = end.max(at + 1);
        }
    }

    pub(crate) fn new(options: StoreOptions, lock: StoreLock, recovered: Recovered) -> Self {
        let segments = Segments::new(recovered.segments, options.segment_size);
        Self {
            tail: Tail::new(segments.size(), recovered.end, recovered.store_timestamp),
            progress: Progress::new(options.shards, recovered.end),
            roll: Roll::default(),
            ahead: Ahead::default(),
            flush_signal: FlushSignal::default(),
            syncs: Syncs::new(options.flush, options.flush_way, options.shards),
            clean_signal: CleanSignal::default(),
            rounds: Rounds::new(options.shards),
            slaves: Slaves::default(),
            received: Received::default(),
            written_watchers: Watchers::default(),
            durable_watchers: Watchers::default(),
            index: recovered.index,
            own_from: recovered.end,
            damaged: recovered.damaged,
            damaged_until: AtomicI64::new(i64::MAX),
            reshape: Reshape::default(),
            unmapped: AtomicI64::new(0),
            stopping: AtomicBool::new(false),
            _lock: lock,
            segments,
            options,
        }
    }

    pub(crate) fn watchers(&self, what: Watched) -> &Watchers {
        match what {
            Watched::Written => &self.written_watchers,
            Watched::Durable => &self.durable_watchers,
        }
    }

    /// The offset that is watched, now.
    pub(crate) fn watched(&self, what: Watched) -> i64 {
        match what {
            Watched::Written => self.tail.watermark(),
            Watched::Durable => self.durable(),
        }
    }

    /// Up to where the flush mode's promise is kept.
    fn durable(&self) -> i64 {
        match self.options.flush {
            FlushMode::Async => self.tail.watermark(),
            // The watermark is never behind, but it is read later than `flushed` here on purpose.
            FlushMode::Sync => self.progress.flushed().min(self.tail.watermark()),
        }
    }

    /// Up to where messages may be read: their promise is decided.
    pub(crate) fn readable(&self) -> i64 {
        let durable = self.durable();
        match self.options.replication {
            Replication::Async => durable,
            // Read after the ends: a message that is written was undecided before.
            Replication::Sync { .. } => durable.min(self.progress.undecided()),
        }
    }

    /// Says that a shard's range is written; `waits` if the shard has acks that wait for the flush.
    pub(crate) fn complete(&self, shard: usize, from: i64, to: i64, waits: bool) {
        let Some(watermark) = self.tail.complete(from, to) else { return };
        self.written_watchers.moved(watermark, || self.tail.watermark());
        if self.options.shards > 1 {
            self.progress.watermark_moved(Some(shard));
        }
        if self.wants_next_segment() {
            self.roll.ask();
        }
        if !waits || !flush_inline::sync(self, watermark) {
            self.call_flusher(watermark);
        }
    }

    fn call_flusher(&self, watermark: i64) {
        let dirty = || u64::try_from(watermark.saturating_sub(self.progress.flushed())).unwrap_or(0);
        if self.options.flush == FlushMode::Sync || dirty() >= self.options.flush_step_bytes {
            self.flush_signal.call();
        }
    }

    /// On a slave: says that bytes are received up to `end` and whole records up to `watermark`, the newest stored at
    /// `store_timestamp`, ms.
    /// `true`: there are new whole records, of which the shards are yet to be told.
    pub(crate) fn received_to(&self, end: i64, watermark: i64, store_timestamp: i64) -> bool {
        let moved = self.tail.watermark() < watermark;
        self.tail.follow(end, watermark, store_timestamp);
        if self.wants_next_segment() {
            self.roll.ask();
        }
        if moved {
            self.written_watchers.moved(watermark, || self.tail.watermark());
            self.durable_watchers.moved(watermark, || self.durable());
            self.call_flusher(watermark);
        }
        moved
    }

    /// On a slave whose log was cut: what was known of bytes behind `end` does not hold any more.
    pub(crate) fn forget_from(&self, end: i64) {
        self.damaged_until.fetch_min(end, Ordering::SeqCst);
        self.unmapped.fetch_min(end, Ordering::SeqCst);
    }

    /// Publishes that everything up to `end` is durable.
    pub(crate) fn flushed_to(&self, end: i64) {
        self.progress.publish_flushed(end);
        self.durable_watchers.moved(end, || self.durable());
    }

    /// Whether the last file is in use: at full speed the rest of it is hardly more time than the next one takes.
    pub(crate) fn wants_next_segment(&self) -> bool {
        self.segments.room_end().saturating_sub(self.tail.next()) < self.segments.size()
    }

    /// Makes sure there are files up to `end`.
    pub(crate) fn room_for(&self, end: i64) -> Result<(), PutRefused> {
        self.roll.room_for(self, end).map_err(|error| match error {
            RoomError::Refused(refused) => refused,
            RoomError::Io(error, path) => {
                self.fail(format!("making the next commitlog file {} failed: {error}", path.display()));
                PutRefused::Failed
            }
        })
    }

    /// Latches a failure of the log and tells everyone.
    pub(crate) fn fail(&self, reason: String) {
        let failure = StoreFailed { reason };
        if self.progress.fail(failure.reason.clone()) {
            tracing::error!("{failure}");
            abort::note_failure(&self.options.abort_path);
            if let Some(tell) = &self.options.on_failure {
                tell(&failure);
            }
        }
        self.progress.wake_all();
        self.flush_signal.call();
    }

    /// The refusal of a full disk, with what the file system says now.
    pub(crate) fn disk_full(&self, key: &'static str) -> PutRefused {
        let path = self.options.commitlog_dir.clone();
        let space = self.options.retention.space.look(&path).ok();
        let (free_bytes, used_percent) = space.map_or((0, 100), |space| (space.free_bytes, space.used_percent));
        PutRefused::DiskFull { path, free_bytes, used_percent, key }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Tells the store's threads to end; the flusher flushes what is written first.
    pub(crate) fn stop_threads(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.flush_signal.call();
        self.roll.wake();
        self.ahead.wake();
        self.rounds.wake();
        self.clean_signal.wake();
    }

    /// Whether bytes of `[from, from + size)` lie in a range recovery found unreadable.
    pub(crate) fn is_damaged(&self, from: i64, size: i64) -> bool {
        let damaged = self.damaged();
        let behind = damaged.partition_point(|range| range.to <= from);
        damaged.get(behind).is_some_and(|range| range.from < from.saturating_add(size))
    }

    /// Ranges recovery found unreadable with records behind them, in order.
    pub(crate) fn damaged(&self) -> &[DamagedRange] {
        if self.damaged.is_empty() {
            return &[];
        }
        let until = self.damaged_until.load(Ordering::SeqCst);
        let count = self.damaged.partition_point(|range| range.from < until);
        self.damaged.get(..count).unwrap_or(&[])
    }

    /// The range of a record of `size` bytes at a physical offset, if all of it is kept, sound and in one file.
    pub(crate) fn range(&self, physical: i64, size: i64) -> Option<LogRange> {
        if self.is_damaged(physical, size) {
            return None;
        }
        let segment = self.segments.find(physical)?;
        let position = segment.position(physical)?;
        let len = usize::try_from(size).ok()?;
        (position.checked_add(len as u64)? <= segment.size()).then_some(LogRange { segment, position, len })
    }
}
