//! The process-wide part of a store: single records by physical offset, offsets, state, stopping. Any thread.

use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use protocol::message::{Peek, layout, peek};

use super::core::Core;
use super::types::QueryResult;
use super::{get, rounds};
use crate::commitlog::prepare::TMP_SUFFIX;
use crate::commitlog::segment::LogRange;
use crate::error::{OpenError, PutRefused, StoreFailed};
use crate::index::{Follower, LogReader, follow};
use crate::options::{FlushWay, StoreOptions, StoreRole};
use crate::progress::{Counters, Refuser};
use crate::receive::Receiver;
use crate::recover::DamagedRange;
use crate::slaves::SlaveProgress;
use crate::watch::{LogWatch, Watched};
use crate::{abort, clean, receive};

/// See the module's head.
pub struct Shared {
    core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    follower: Mutex<Option<Follower>>,
    stopped: Mutex<bool>,
}

impl Shared {
    /// Starts the store's threads.
    pub(crate) fn start(core: Arc<Core>) -> Result<Arc<Self>, OpenError> {
        let shared =
            Arc::new(Self { core, threads: Mutex::default(), follower: Mutex::default(), stopped: Mutex::new(false) });
        shared.start_follower()?;
        shared.spawn("store-prepare", crate::commitlog::prepare::run)?;
        shared.spawn("store-ahead", crate::commitlog::ahead::run)?;
        shared.spawn("store-checkpoint", rounds::run)?;
        shared.spawn("store-clean", clean::run)?;
        if shared.core.options.flush_way != FlushWay::Ring {
            shared.spawn(crate::commitlog::flush::THREAD, crate::commitlog::flush::run_on_thread)?;
        }
        Ok(shared)
    }

    pub(crate) fn start_follower(&self) -> Result<(), OpenError> {
        let index_dir = &self.core.options.index_dir;
        let follower = self.core.index.clone().start_follower(self.core.clone());
        let follower = follower.map_err(|error| OpenError::io("follow the log for the index in", index_dir, error))?;
        *self.follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(follower);
        Ok(())
    }

    fn spawn(&self, name: &'static str, body: fn(&Core)) -> Result<(), OpenError> {
        let core = self.core.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_string())
            .spawn(move || body(&core))
            .map_err(|error| OpenError::io("start a thread for", &self.core.options.root, error))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// What the store was opened with.
    pub fn options(&self) -> &StoreOptions {
        &self.core.options
    }

    /// The record at a physical offset, if it is whole, kept, and its promise decided. Reads its head from the page
    /// cache or the disk.
    pub fn record(&self, physical: i64) -> Option<LogRange> {
        let readable = self.core.readable();
        if physical < self.log_min() || physical >= readable {
            return None;
        }
        let segment = self.core.segments.find(physical)?;
        let position = segment.position(physical)?;
        let mut head = [0u8; layout::PHYSICAL_OFFSET + 8];
        segment.file().read_exact_at(&mut head, position).ok()?;
        let Peek::Record { total_size } = peek(&head) else { return None };
        let own = head.get(layout::PHYSICAL_OFFSET..)?.first_chunk::<8>()?;
        let end = physical.checked_add(i64::from(total_size))?;
        if i64::from_be_bytes(*own) != physical || end > readable {
            return None;
        }
        self.core.range(physical, i64::from(total_size))
    }

    /// The store time of the record at a physical offset, ms.
    pub fn store_time_at(&self, physical: i64) -> Option<i64> {
        get::stored_at(&self.core, physical)
    }

    /// Records whose key hashes like `topic#key`, stored between `begin` and `end` (ms), at most `max`. Reads index
    /// files: call it where blocking is allowed.
    pub fn query(&self, topic: &str, key: &str, max: usize, begin: i64, end: i64) -> QueryResult {
        let found = self.core.index.query(topic, key, max, begin, end);
        QueryResult {
            ranges: found.physical_offsets.iter().filter_map(|physical| self.record(*physical)).collect(),
            index_last_update_timestamp: found.last_update_timestamp,
            index_last_update_physical_offset: found.last_update_physical,
        }
    }

    /// Physical offset up to which the log is indexed.
    pub fn indexed_to(&self) -> i64 {
        self.core.index.followed_to()
    }

    /// First physical offset that is kept.
    pub fn log_min(&self) -> i64 {
        self.core.segments.log_min()
    }

    /// End of the log: the watermark.
    pub fn log_max(&self) -> i64 {
        self.core.tail.watermark()
    }

    /// The contiguous written end.
    pub fn watermark(&self) -> i64 {
        self.core.tail.watermark()
    }

    /// The durable end.
    pub fn flushed(&self) -> i64 {
        self.core.progress.flushed()
    }

    /// Up to where messages may be read: the watermark under ASYNC_FLUSH, the durable end under SYNC_FLUSH.
    pub fn readable(&self) -> i64 {
        self.core.readable()
    }

    /// Wakes one thread outside the shards when the written end moves.
    pub fn watch_log(&self) -> std::io::Result<LogWatch> {
        LogWatch::new(self.core.clone(), Watched::Written)
    }

    /// Written bytes from the physical offset `from` on: at most `max_len`, and only to the end of their file. `None`
    /// outside the log. The bytes are those of the file, records or not; they may not be flushed yet.
    pub fn log_range(&self, from: i64, max_len: usize) -> Option<LogRange> {
        let segment = self.core.segments.find(from)?;
        let end = segment.end().min(self.core.tail.watermark());
        let len = usize::try_from(end.checked_sub(from)?).ok()?.min(max_len);
        let position = segment.position(from)?;
        (len > 0).then_some(LogRange { segment, position, len })
    }

    /// Where links tell what slaves have.
    pub fn slaves(&self) -> SlaveProgress<'_> {
        SlaveProgress::new(&self.core)
    }

    /// On a slave, where a master's bytes go in: one at a time, for any one thread. `None` while there is one, and on a
    /// master.
    pub fn receiver(self: &Arc<Self>) -> Option<Receiver> {
        Receiver::take(self)
    }

    /// Physical offset up to which every message has its place in a consume queue. On a slave the shards follow the
    /// log, see [`crate::ShardStore::follow`]; on a master it is the written end.
    pub fn dispatched(&self) -> i64 {
        match self.core.options.role {
            StoreRole::Master => self.core.tail.watermark(),
            StoreRole::Slave => self.core.progress.followed().min(self.core.tail.watermark()),
        }
    }

    /// Registers what wakes a shard when another thread moved an offset the shard waits for. Called on that thread:
    /// it must only wake.
    pub fn on_progress(&self, shard: usize, wake: Box<dyn Fn() + Send + Sync>) {
        self.core.progress.on_progress(shard, wake);
    }

    /// Why the log failed, if it did.
    pub fn failure(&self) -> Option<StoreFailed> {
        self.core.progress.failure().cloned()
    }

    /// Why no message is taken, if so.
    pub fn refused(&self) -> Option<PutRefused> {
        self.core.progress.refused()
    }

    /// Numbers for runtime information.
    pub fn counters(&self) -> &Counters {
        &self.core.progress.counters
    }

    /// Ranges of the log that hold no readable record although records follow, as found at the start.
    pub fn damaged(&self) -> &[DamagedRange] {
        self.core.damaged()
    }

    /// Deletes expired files now, whatever the hour (request 329).
    pub fn delete_expired_now(&self) {
        self.core.clean_signal.delete_now();
    }

    /// The last step of a stop, after every shard's `shutdown`: refuses puts, flushes, ends the threads, writes the
    /// checkpoint and removes the abort file, so that the next start, ours or Java's, is a normal one. Blocks on the
    /// disk. With `FlushWay::Ring` the flusher's task ends by itself; this call flushes what it left.
    pub fn stop(&self) -> Result<(), StoreFailed> {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *stopped, true) {
            return self.failure().map_or(Ok(()), Err);
        }
        let core = &self.core;
        core.progress.refuse(Refuser::Closing, Some(PutRefused::ShuttingDown));
        self.end_threads();
        if core.options.role == StoreRole::Slave {
            receive::close(core);
        }
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        self.flush_rest();
        // An error is told once for an open file, and a sync on the ring shares it: it may have been told to a task that
        // is gone.
        if let Err(error) = core.flush_signal.settle_ring(&core.options.disk) {
            core.fail(format!("the last fdatasync of {} failed: {error}", core.options.commitlog_dir.display()));
        }
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        self.stop_follower();
        let end = core.tail.watermark();
        if !core.rounds.sync_rest(core) {
            tracing::warn!("the store stops with consume queues that are not durable; the next start recovers it");
            return Ok(());
        }
        let is_whole = core.tail.next() == end && self.dispatched() == end;
        let Some(digest) = core.rounds.closing_digest().filter(|_| is_whole) else {
            tracing::warn!("the store stops without every shard having closed; the next start recovers it");
            return Ok(());
        };
        self.remove_unused_segments(end);
        let (_, timestamp) = core.tail.snapshot();
        if rounds::write(core, end, timestamp, digest, true)
            && let Err(error) = abort::remove(&core.options.abort_path)
        {
            tracing::error!(path = %core.options.abort_path.display(), %error, "the abort file could not be removed; the next start reads the log");
        }
        tracing::info!(log_end = end, "store stopped");
        Ok(())
    }

    /// Flushes what the flusher left (a ring flusher may be gone before this is called).
    fn flush_rest(&self) {
        let core = &self.core;
        let (from, to) = (core.progress.flushed(), core.tail.watermark());
        if from >= to {
            return;
        }
        for segment in core.segments.snapshot().iter().filter(|segment| segment.base() < to && segment.end() > from) {
            if let Err(error) = core.options.disk.sync_data(segment.file()) {
                core.fail(format!("fdatasync of {} failed: {error}", segment.path().display()));
                return;
            }
        }
        core.flushed_to(to);
    }

    /// Files made ready for a log that now ends before them. Java deletes its own so on a clean stop, too.
    fn remove_unused_segments(&self, end: i64) {
        let list = self.core.segments.snapshot();
        // Newest first, each durably: a crash in between leaves no gap, with which no start would succeed.
        for segment in list.iter().skip(1).rev().take_while(|segment| segment.base() >= end) {
            let removed = std::fs::remove_file(segment.path())
                .and_then(|()| self.core.options.disk.sync_dir(&self.core.options.commitlog_dir));
            if let Err(error) = removed {
                tracing::warn!(path = %segment.path().display(), %error, "an unused commitlog file stays");
                break;
            }
        }
        let entries = std::fs::read_dir(&self.core.options.commitlog_dir).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(TMP_SUFFIX)) {
            let _ = std::fs::remove_file(entry.path());
        }
        let _ = self.core.options.disk.sync_dir(&self.core.options.commitlog_dir);
    }

    pub(crate) fn stop_follower(&self) {
        let follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(follower) = follower {
            follower.stop();
        }
    }

    fn end_threads(&self) {
        self.core.stop_threads();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                self.core.fail("a thread of the store panicked".to_string());
            }
        }
    }
}

impl Drop for Shared {
    /// The last user is gone: the threads end. Without [`Shared::stop`] the abort file stays, as after a crash.
    fn drop(&mut self) {
        self.stop_follower();
        self.end_threads();
    }
}

/// The log as the index follower reads it, on its own thread: a page that is not resident may block it.
impl LogReader for Core {
    fn readable(&self) -> i64 {
        Core::readable(self)
    }

    fn log_min(&self) -> i64 {
        self.segments.log_min()
    }

    fn read_at(&self, physical: i64, f: &mut dyn FnMut(&[u8])) -> bool {
        let readable = Core::readable(self);
        let Some(segment) = self.segments.find(physical).filter(|_| physical < readable) else { return false };
        let len = usize::try_from(segment.end().min(readable).saturating_sub(physical)).unwrap_or(0);
        let Some(position) = segment.position(physical) else { return false };
        let near = LogRange { segment: segment.clone(), position, len: len.min(follow::BYTES_MAX) };
        if !near.is_resident() {
            near.warm();
        }
        f(segment.bytes(position, len));
        self.unmap_read(physical);
        true
    }

    fn next_segment_start(&self, physical: i64) -> i64 {
        get::next_file_start(physical, self.segments.size())
    }
}
