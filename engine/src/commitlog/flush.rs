//! Group commit: one fdatasync for everything written since the last one.
//!
//! [`Decider`] is pure: it is told the time and the watermark and says what to sync next. Two drivers carry it out: a
//! thread of the store, or a task on shard 0's ring. One flusher a broker; one sync in flight (two gained nothing when
//! measured). Under SYNC_FLUSH there is no linger: the next sync starts when the last ended, for all that was written
//! meanwhile. The end is taken before the sync is asked for. A failed sync is final: it is never tried again, because
//! the kernel may have dropped the pages and would report success.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::segment::Segment;
use crate::io::{Disk, ring};
use crate::options::FlushMode;
use crate::progress::Counters;
use crate::store::Shared;
use crate::store::core::Core;

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
    /// While a sync is under way on a ring: its files, opened once more before it began. Each open file is told of an
    /// error on its own, so these learn the outcome even if the ring goes before it could tell. Taken back after the
    /// outcome was told.
    witnesses: Mutex<Vec<io::Result<File>>>,
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

    fn set_witnesses(&self, witnesses: Vec<io::Result<File>>) {
        *self.witnesses.lock().unwrap_or_else(PoisonError::into_inner) = witnesses;
    }

    /// Learns how the sync that is under way on a ring ends, if one is; the ring's shard may be gone. Blocks on the
    /// disk.
    pub(crate) fn settle_ring(&self, disk: &Disk) -> io::Result<()> {
        let witnesses = std::mem::take(&mut *self.witnesses.lock().unwrap_or_else(PoisonError::into_inner));
        witnesses.into_iter().try_for_each(|file| disk.sync_data(&file?))
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
fn touched(core: &Core, from: i64, to: i64) -> Vec<Arc<Segment>> {
    let list = core.segments.snapshot();
    list.iter().filter(|segment| segment.base() < to && segment.end() > from).cloned().collect()
}

/// Both drivers' bookkeeping after a sync. `false` ends the flusher.
fn finished(
    core: &Core,
    decider: &mut Decider,
    to: i64,
    began: Duration,
    took: Duration,
    result: io::Result<()>,
) -> bool {
    match result {
        Ok(()) => {
            decider.synced(to, began);
            let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let counters = &core.progress.counters;
            Counters::add(&counters.flushes, 1);
            counters.last_flush_us.store(took_us, Ordering::Relaxed);
            counters.slowest_flush_us.fetch_max(took_us, Ordering::Relaxed);
            core.progress.publish_flushed(to);
            true
        }
        Err(error) => {
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

/// The thread driver; returns when the store stopped and all is durable, or when a sync failed.
pub(crate) fn run_on_thread(core: &Core) {
    let start = Instant::now();
    let mut decider = decider(core);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match decider.next(start.elapsed(), core.tail.watermark(), core.is_stopping()) {
            Next::Sync { from, to } => {
                let began = start.elapsed();
                let result =
                    touched(core, from, to).iter().try_for_each(|segment| core.options.disk.sync_data(segment.file()));
                let took = start.elapsed().saturating_sub(began);
                if !finished(core, &mut decider, to, began, took, result) {
                    return;
                }
            }
            Next::Wait(limit) => {
                let spin_until = start.elapsed().saturating_add(core.options.flush_spin);
                while !core.flush_signal.called.load(Ordering::Acquire) && start.elapsed() < spin_until {
                    std::hint::spin_loop();
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

/// The ring driver: run it as a task of shard 0 when the store was opened with `FlushWay::Ring`. Returns when the
/// store stopped and all is durable, or when a sync failed.
pub async fn run_on_ring(shared: Arc<Shared>) {
    let core = shared.core().clone();
    drop(shared);
    let start = Instant::now();
    let mut decider = decider(&core);
    loop {
        match decider.next(start.elapsed(), core.tail.watermark(), core.is_stopping()) {
            Next::Sync { from, to } => {
                let began = start.elapsed();
                let mut result = Ok(());
                let segments = touched(&core, from, to);
                core.flush_signal.set_witnesses(segments.iter().map(|segment| File::open(segment.path())).collect());
                for segment in segments {
                    result = ring::sync_data(&core.options.disk, segment.file()).await;
                    if result.is_err() {
                        break;
                    }
                }
                let took = start.elapsed().saturating_sub(began);
                let goes_on = finished(&core, &mut decider, to, began, took, result);
                core.flush_signal.set_witnesses(Vec::new());
                if !goes_on {
                    return;
                }
            }
            Next::Wait(limit) => {
                let signal = poll_fn(|context| {
                    if core.flush_signal.take_or_park(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
                });
                ring::until(signal, limit).await;
            }
            Next::End => return,
        }
    }
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
        signal.set_witnesses(vec![File::open(&path)]);
        assert_eq!(signal.settle_ring(&disk).expect_err("told").raw_os_error(), Some(libc::EIO));
        signal.set_witnesses(vec![File::open(&path)]);
        signal.settle_ring(&disk).expect("durable");
        signal.set_witnesses(vec![File::open(dir.path().join("none"))]);
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
