//! A sync on the shard itself: the turn that writes a batch also makes it durable, and its acks leave in that turn.
//!
//! One sync at a time in the whole store, whoever makes it, under one lock that is held until its outcome is told: an
//! error is reported once for an open file, so nobody may sync that file again before the failure is latched. A shard
//! never waits for the lock; when somebody else is syncing, the flush thread is called as if there were nothing but it.
//! What is made durable is the log up to the watermark, also what other shards wrote, so an ack still means that all
//! before it is durable, too. Blocks the shard for one sync, which is what `flushWay=inline` asks for and `auto` allows
//! while the disk is fast.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::flush;
use super::sync_times::{Chooser, SyncTimes};
use crate::options::{FlushMode, FlushWay};
use crate::progress::Counters;
use crate::store::core::Core;

/// From this median of the last hundred syncs on a shard that waits for the disk is warned about.
const SLOW: Duration = Duration::from_millis(2);

/// What whoever syncs knows of the syncs before.
pub(crate) struct Turns {
    pub(crate) times: SyncTimes,
    chooser: Chooser,
    warned: bool,
    /// A sync failed; none is ever made again.
    pub(crate) failed: bool,
}

/// The right to sync, and who has it at the moment.
pub(crate) struct Syncs {
    start: Instant,
    way: FlushWay,
    mode: FlushMode,
    turns: Mutex<Turns>,
    inline: AtomicBool,
    /// Whether there are cores besides the shards'. Asked where the store is opened: the thread itself may be kept off
    /// the shards' cores later and see only the rest.
    pub(crate) spare_cores: bool,
}

impl Syncs {
    pub(crate) fn new(mode: FlushMode, way: FlushWay, shards: usize) -> Self {
        let spare_cores = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > shards);
        let turns = Turns { times: SyncTimes::new(), chooser: Chooser::default(), warned: false, failed: false };
        let inline = AtomicBool::new(mode == FlushMode::Sync && way == FlushWay::Inline);
        Self { start: Instant::now(), way, mode, turns: Mutex::new(turns), inline, spare_cores }
    }

    /// Waits for the right to sync.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Turns>> {
        match self.turns.try_lock() {
            Ok(turns) => Some(turns),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether shards sync by themselves at the moment.
    pub(crate) fn is_inline(&self) -> bool {
        self.inline.load(Ordering::Relaxed)
    }

    /// A sync took so long. Answers with the median of the last ones.
    pub(crate) fn synced(&self, turns: &mut Turns, took: Duration) -> Duration {
        turns.times.add(took);
        let median = turns.times.median();
        if self.mode == FlushMode::Sync {
            match self.way {
                FlushWay::Auto => {
                    let inline = turns.chooser.synced(self.start.elapsed(), took, &turns.times);
                    if self.inline.swap(inline, Ordering::Relaxed) != inline {
                        tracing::debug!(
                            inline,
                            median_us = median.as_micros(),
                            took_us = took.as_micros(),
                            "who syncs changed"
                        );
                    }
                }
                FlushWay::Inline if median > SLOW && turns.times.is_full() && !turns.warned => {
                    turns.warned = true;
                    tracing::warn!(
                        median_us = median.as_micros(),
                        "a sync of this disk takes long, and with flushWay=inline a shard does nothing else meanwhile; set flushWay=thread"
                    );
                }
                _ => {}
            }
        }
        median
    }
}

/// Makes the log durable up to the watermark `to` on the calling shard, if that is its way at the moment and nobody
/// else is syncing. `false`: the flush thread has to be called. A failure is latched before this returns.
pub(crate) fn sync(core: &Core, to: i64) -> bool {
    if !core.syncs.is_inline() {
        return false;
    }
    let Some(mut turns) = core.syncs.try_lock() else { return false };
    let from = core.progress.flushed();
    if from >= to || turns.failed {
        return true;
    }
    let began = Instant::now();
    let result =
        flush::touched(core, from, to).iter().try_for_each(|segment| core.options.disk.sync_data(segment.file()));
    if flush::finished(core, &mut turns, to, began.elapsed(), result) {
        Counters::add(&core.progress.counters.inline_flushes, 1);
    }
    true
}
