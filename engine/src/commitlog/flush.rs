//! Group commit: one fdatasync for everything written since the last one.
//!
//! [`Decider`] is pure: it is told the time and the watermark and says what to sync next. Two drivers carry it out: a
//! thread of the store, or a task on shard 0's ring; a shard may forestall the thread, see [`super::flush_inline`].
//! One sync in flight a broker, whoever makes it (two gained nothing when measured). Under SYNC_FLUSH there is no linger: the next sync starts when the last ended, for all that was written
//! meanwhile. The end is taken before the sync is asked for. A failed sync is final: it is never tried again, because
//! the kernel may have dropped the pages and would report success.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::flush_inline::Turns;
use super::segment::Segment;
use crate::io::{Disk, ring};
use crate::options::{FlushMode, FlushWay};
use crate::progress::Counters;
use crate::store::Shared;
use crate::store::core::Core;

/// Name of the thread that flushes: shards wait for it, so it may run anywhere.
pub const THREAD: &str = "store-flush";

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make `[from, to)` durable, then call [`Decider::synced`].
    Sync { from: i64, to: i64 },
    /// Nothing to do until the time has passed (or for ever) or a signal comes.
    Wait(Option<Duration>),
    /// Everything is durable and no more will come.
    End,
}

/// When to flush. Times are durations since any fixed moment.
#[derive(Debug)]
pub struct Decider {
    mode: FlushMode,
    interval: Duration,
    step_bytes: i64,
    flushed: i64,
    last: Duration,
}

impl Decider {
    /// Everything up to `flushed` is durable at `now`.
    pub fn new(mode: FlushMode, interval: Duration, step_bytes: u64, flushed: i64, now: Duration) -> Self {
        let step_bytes = i64::try_from(step_bytes.max(1)).unwrap_or(i64::MAX);
        Self { mode, interval, step_bytes, flushed, last: now }
    }

    /// What to do at `now` with everything up to `watermark` written.
    pub fn next(&self, now: Duration, watermark: i64, stopping: bool) -> Next {
        let dirty = watermark - self.flushed;
        if dirty <= 0 {
            return if stopping {
                Next::End
            } else {
                Next::Wait((self.mode == FlushMode::Async).then_some(self.interval))
            };
        }
        let sync = Next::Sync { from: self.flushed, to: watermark };
        match self.mode {
            FlushMode::Sync => sync,
            FlushMode::Async => {
                let due = self.last.saturating_add(self.interval);
                if stopping || dirty >= self.step_bytes || now >= due {
                    sync
                } else {
                    Next::Wait(Some(due.saturating_sub(now)))
                }
            }
        }
    }

    /// Everything up to `flushed` is durable: somebody else made it so, or the log of a slave was cut back to there.
    pub fn is_at(&mut self, flushed: i64) {
        self.flushed = flushed;
    }

    /// A sync up to `to`, begun at `began`, succeeded.
    pub fn synced(&mut self, to: i64, began: Duration) {
        assert!(self.flushed <= to, "flushes succeed in order");
        self.flushed = to;
        self.last = began;
    }
}

/// How shards call the flusher. A call costs one atomic swap while the flusher is busy.
#[derive(Default)]
pub struct FlushSignal {
    called: AtomicBool,
    parked: AtomicBool,
    waiter: Mutex<Option<Waker>>,
    witnesses: Mutex<Witnesses>,
}

/// The files of a sync on a ring, opened once more before it began. Each open file is told of an error on its own, so
/// these learn the outcome even if the ring goes before it could tell.
#[derive(Default)]
struct Witnesses {
    /// By physical offset; the last one is kept for the next sync.
    files: Vec<(i64, io::Result<File>)>,
    /// A sync was begun and its outcome not told.
    under_way: bool,
}

impl FlushSignal {
    /// There is something to flush, or to stop for.
    pub fn call(&self) {
        self.called.store(true, Ordering::SeqCst);
        if self.parked.swap(false, Ordering::SeqCst) {
            let waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }
    }

    fn witnesses(&self) -> MutexGuard<'_, Witnesses> {
        self.witnesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sync of these files begins on a ring.
    fn begin_on_ring(&self, segments: &[Arc<Segment>]) {
        let mut witnesses = self.witnesses();
        let mut known = std::mem::take(&mut witnesses.files);
        let opened = segments.iter().map(|segment| {
            let at = known.iter().position(|(base, file)| *base == segment.base() && file.is_ok());
            at.map_or_else(|| (segment.base(), File::open(segment.path())), |at| known.swap_remove(at))
        });
        witnesses.files = opened.collect();
        witnesses.under_way = true;
    }

    /// The outcome of the sync on a ring was told.
    fn end_on_ring(&self) {
        let mut witnesses = self.witnesses();
        witnesses.under_way = false;
        let before_last = witnesses.files.len().saturating_sub(1);
        witnesses.files.drain(..before_last);
    }

    /// Learns how the sync that is under way on a ring ends, if one is; the ring's shard may be gone. Blocks on the
    /// disk.
    pub(crate) fn settle_ring(&self, disk: &Disk) -> io::Result<()> {
        let witnesses = std::mem::take(&mut *self.witnesses());
        let files = witnesses.files.into_iter().filter(|_| witnesses.under_way);
        files.map(|(_, file)| file).try_for_each(|file| disk.sync_data(&file?))
    }

    /// Takes a call if one came; else has `waker` called at the next one.
    fn take_or_park(&self, waker: &Waker) -> bool {
        if self.called.swap(false, Ordering::SeqCst) {
            return true;
        }
        *self.waiter.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        self.parked.store(true, Ordering::SeqCst);
        // A call between the first look and the parking would be lost without this second look.
        self.called.swap(false, Ordering::SeqCst)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The files that hold bytes of `[from, to)`.
pub(super) fn touched(core: &Core, from: i64, to: i64) -> Vec<Arc<Segment>> {
    let list = core.segments.snapshot();
    list.iter().filter(|segment| segment.base() < to && segment.end() > from).cloned().collect()
}

/// The bookkeeping after a sync up to `to`, the same for every way. `false`: it failed, none follows.
pub(super) fn finished(core: &Core, turns: &mut Turns, to: i64, took: Duration, result: io::Result<()>) -> bool {
    match result {
        Ok(()) => {
            let median = core.syncs.synced(turns, took);
            let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            let counters = &core.progress.counters;
            Counters::add(&counters.flushes, 1);
            counters.last_flush_us.store(us(took), Ordering::Relaxed);
            counters.median_flush_us.store(us(median), Ordering::Relaxed);
            counters.slowest_flush_us.fetch_max(us(took), Ordering::Relaxed);
            core.flushed_to(to);
            true
        }
        Err(error) => {
            turns.failed = true;
            core.fail(format!("fdatasync of {} failed: {error}", core.options.commitlog_dir.display()));
            false
        }
    }
}

fn decider(core: &Core) -> Decider {
    let options = &core.options;
    let flushed = core.progress.flushed();
    Decider::new(options.flush, options.flush_interval, options.flush_step_bytes, flushed, Duration::ZERO)
}

/// The thread driver; returns when the store stopped and all is durable, or when a sync failed, whoever made it.
pub(crate) fn run_on_thread(core: &Core) {
    let start = Instant::now();
    let mut decider = decider(core);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let may_spin = core.options.flush == FlushMode::Sync && core.syncs.spare_cores;
    let mut spin = Duration::ZERO;
    loop {
        let mut turns = core.syncs.lock();
        if turns.failed {
            return;
        }
        decider.is_at(core.progress.flushed());
        match decider.next(start.elapsed(), core.tail.watermark(), core.is_stopping()) {
            Next::Sync { from, to } => {
                let began = start.elapsed();
                let result =
                    touched(core, from, to).iter().try_for_each(|segment| core.options.disk.sync_data(segment.file()));
                let took = start.elapsed().saturating_sub(began);
                if !finished(core, &mut turns, to, took, result) {
                    return;
                }
                decider.synced(to, began);
                spin = turns.times.median().min(core.options.flush_spin);
            }
            Next::Wait(limit) => {
                drop(turns);
                let spin = std::mem::take(&mut spin);
                if may_spin && !core.syncs.is_inline() {
                    spin_for(spin, || core.flush_signal.called.load(Ordering::Acquire));
                }
                if !core.flush_signal.take_or_park(&waker) {
                    match limit {
                        Some(limit) => std::thread::park_timeout(limit),
                        None => std::thread::park(),
                    }
                }
            }
            Next::End => return,
        }
    }
}

/// Looks for `done` for so long, and lets others run in between.
fn spin_for(limit: Duration, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() && begun.elapsed() < limit {
        std::thread::yield_now();
    }
}

/// The ring driver: run it as a task of shard 0 when the store was opened with `FlushWay::Ring`; else it returns at
/// once. Returns when the store stopped and all is durable, or when a sync failed.
pub async fn run_on_ring(shared: Arc<Shared>) {
    let core = shared.core().clone();
    drop(shared);
    if core.options.flush_way != FlushWay::Ring {
        return;
    }
    let start = Instant::now();
    let mut decider = decider(&core);
    let mut files = ring::SyncFiles::default();
    loop {
        match decider.next(start.elapsed(), core.tail.watermark(), core.is_stopping()) {
            Next::Sync { from, to } => {
                let began = start.elapsed();
                let segments = touched(&core, from, to);
                core.flush_signal.begin_on_ring(&segments);
                let result = files.sync(&core.options.disk, &segments).await;
                let took = start.elapsed().saturating_sub(began);
                let goes_on = finished(&core, &mut core.syncs.lock(), to, took, result);
                core.flush_signal.end_on_ring();
                if !goes_on {
                    break;
                }
                decider.synced(to, began);
                files.keep_last().await;
            }
            Next::Wait(limit) => {
                let signal = poll_fn(|context| {
                    if core.flush_signal.take_or_park(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
                });
                ring::until(signal, limit).await;
            }
            Next::End => break,
        }
    }
    files.close().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn decider(mode: FlushMode) -> Decider {
        Decider::new(mode, 500 * MS, 1000, 100, Duration::ZERO)
    }

    #[test]
    fn sync_flush_never_lingers() {
        let mut decider = decider(FlushMode::Sync);
        assert_eq!(decider.next(MS, 100, false), Next::Wait(None));
        assert_eq!(decider.next(MS, 101, false), Next::Sync { from: 100, to: 101 });
        decider.synced(101, MS);
        assert_eq!(decider.next(2 * MS, 150, false), Next::Sync { from: 101, to: 150 });
        decider.synced(150, 2 * MS);
        assert_eq!(decider.next(2 * MS, 150, true), Next::End);
    }

    #[test]
    fn async_flush_waits_for_the_interval_or_the_step() {
        let mut decider = decider(FlushMode::Async);
        assert_eq!(decider.next(MS, 100, false), Next::Wait(Some(500 * MS)));
        assert_eq!(decider.next(MS, 101, false), Next::Wait(Some(499 * MS)));
        assert_eq!(decider.next(500 * MS, 101, false), Next::Sync { from: 100, to: 101 });
        assert_eq!(decider.next(MS, 1100, false), Next::Sync { from: 100, to: 1100 });
        assert_eq!(decider.next(MS, 101, true), Next::Sync { from: 100, to: 101 });
        decider.synced(1100, 500 * MS);
        assert_eq!(decider.next(501 * MS, 1101, false), Next::Wait(Some(499 * MS)));
    }

    #[test]
    fn a_sync_left_under_way_is_asked_about_once() {
        let dir = crate::store::testing::TempDir::new("witness");
        let path = dir.path().join("file");
        std::fs::write(&path, "x").expect("written");
        let faults = Arc::new(crate::io::Faults::default());
        let disk = Disk::with_faults(faults.clone());
        let signal = FlushSignal::default();
        faults.fail_syncs(0, 1, libc::EIO);
        signal.settle_ring(&disk).expect("nothing is under way");
        let segment = Arc::new(Segment::open(&disk, &path, 0, 1).expect("opened"));
        let segments = std::slice::from_ref(&segment);
        signal.begin_on_ring(segments);
        assert_eq!(signal.settle_ring(&disk).expect_err("told").raw_os_error(), Some(libc::EIO));
        signal.begin_on_ring(segments);
        signal.settle_ring(&disk).expect("durable");
        faults.fail_syncs(0, 1, libc::EIO);
        signal.begin_on_ring(segments);
        signal.end_on_ring();
        let kept = |signal: &FlushSignal| match &signal.witnesses().files[..] {
            [(0, Ok(file))] => std::os::fd::AsRawFd::as_raw_fd(file),
            files => panic!("{files:?}"),
        };
        let first = kept(&signal);
        signal.begin_on_ring(segments);
        assert_eq!(kept(&signal), first, "opened once");
        signal.end_on_ring();
        signal.settle_ring(&disk).expect("told already");
        std::fs::remove_file(&path).expect("removed");
        signal.begin_on_ring(segments);
        signal.settle_ring(&disk).expect_err("nobody knows");
    }

    #[test]
    fn a_call_before_the_wait_is_not_lost() {
        struct Count(std::sync::atomic::AtomicU64);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                Counters::add(&self.0, 1);
            }
        }
        let count = Arc::new(Count(Default::default()));
        let waker = Waker::from(count.clone());
        let signal = FlushSignal::default();
        signal.call();
        assert!(signal.take_or_park(&waker));
        assert!(!signal.take_or_park(&waker));
        signal.call();
        signal.call();
        assert_eq!(Counters::get(&count.0), 1);
        assert!(signal.take_or_park(&waker));
    }
}
