//! The housekeeping tick of a shard: every 10 ms, on the shard's own thread.
//!
//! Owns the coarse clock of the shard, the periodic callbacks of others (sweeps, time-outs), and the account of ticks
//! that came late: how long by the wall, how long this thread ran, how long it waited for a core. It also keeps a shard
//! from parking for good (see the crate's header), and is what the watchdog looks at.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::poll_fn;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Milliseconds between two ticks.
pub const PERIOD_MS: u64 = 10;

/// A tick this many milliseconds after the one before counts as late.
const LATE_MS: u64 = 30;

/// From this long on a late tick is worth a line: shorter ones are a busy machine's daily life, and counted.
const LATE_TOLD_MS: u64 = 200;
/// At most one line about late ticks a shard in this many milliseconds.
const LATE_LOG_INTERVAL_MS: u64 = 10_000;

/// What the ticks of one shard have shown since its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickStats {
    pub shard: String,
    /// Ticks so far.
    pub ticks: u64,
    /// Ticks that came more than 30 ms after the one before.
    pub late: u64,
    /// The longest time between two ticks, milliseconds.
    pub worst_ms: u64,
    /// Times the watchdog found the tick standing still for more than 30 ms while the thread slept, and woke it.
    pub watchdog_hits: u64,
    /// Times the watchdog found it standing still while the thread was running, runnable or in the kernel.
    pub watchdog_starved: u64,
}

/// The part of a shard's tick that other threads see.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) thread_id: i32,
    pub(crate) ticks: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) worst_ms: AtomicU64,
    pub(crate) watchdog_hits: AtomicU64,
    pub(crate) watchdog_starved: AtomicU64,
    pub(crate) stopped: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Shared {
    /// Wakes the tick task from another thread, and with it a parked executor.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
    }

    fn stats(&self) -> TickStats {
        TickStats {
            shard: self.name.clone(),
            ticks: self.ticks.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            worst_ms: self.worst_ms.load(Ordering::Relaxed),
            watchdog_hits: self.watchdog_hits.load(Ordering::Relaxed),
            watchdog_starved: self.watchdog_starved.load(Ordering::Relaxed),
        }
    }
}

static SHARDS: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());

pub(crate) fn running() -> Vec<Arc<Shared>> {
    SHARDS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The figures of all shards that run now. Any thread.
pub fn stats() -> Vec<TickStats> {
    running().iter().map(|shared| shared.stats()).collect()
}

struct Periodic {
    interval_ms: u64,
    due_ms: u64,
    callback: Box<dyn FnMut()>,
}

/// The part of a shard's tick that lives on its thread.
struct Local {
    began: Instant,
    now_ms: Cell<u64>,
    periodic: RefCell<Vec<Periodic>>,
    /// Registered by a callback while the callbacks run.
    added: RefCell<Vec<Periodic>>,
}

thread_local! {
    static LOCAL: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

fn local() -> Option<Rc<Local>> {
    LOCAL.with(|slot| slot.borrow().clone())
}

/// Milliseconds since the shard's start as of the last tick: up to 10 ms behind, never going back, and free of a system
/// call. Zero off a shard.
pub fn coarse_ms() -> u64 {
    LOCAL.with(|slot| slot.borrow().as_ref().map_or(0, |local| local.now_ms.get()))
}

/// Calls `callback` on this shard about every `interval`, in the tick (so never more often than each 10 ms). It must be
/// short; it runs until the shard ends. A shard of this crate is needed: elsewhere nothing happens and `false` returns.
pub fn every(interval: Duration, callback: impl FnMut() + 'static) -> bool {
    let Some(local) = local() else { return false };
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    let due_ms = local.now_ms.get().saturating_add(interval_ms);
    let entry = Periodic { interval_ms, due_ms, callback: Box::new(callback) };
    local.added.borrow_mut().push(entry);
    true
}

/// Stops the tick when the shard's body has ended.
pub(crate) struct Ticking {
    shared: Arc<Shared>,
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // A waker left behind would be dropped by another thread after the executor is gone.
        self.shared.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        SHARDS.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, &self.shared));
        LOCAL.with(|slot| slot.borrow_mut().take());
    }
}

/// Starts the tick of this shard.
pub(crate) async fn install(name: &str) -> Ticking {
    // SAFETY: gettid takes nothing and returns a number.
    let thread_id = unsafe { libc::gettid() };
    let shared = Arc::new(Shared {
        name: name.to_owned(),
        thread_id,
        ticks: AtomicU64::new(0),
        late: AtomicU64::new(0),
        worst_ms: AtomicU64::new(0),
        watchdog_hits: AtomicU64::new(0),
        watchdog_starved: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        waker: Mutex::new(None),
    });
    let local = Rc::new(Local {
        began: Instant::now(),
        now_ms: Cell::new(0),
        periodic: RefCell::new(Vec::new()),
        added: RefCell::new(Vec::new()),
    });
    LOCAL.with(|slot| *slot.borrow_mut() = Some(local.clone()));
    crate::spawn_local(run(shared.clone(), local));
    SHARDS.lock().unwrap_or_else(PoisonError::into_inner).push(shared.clone());
    crate::watchdog::look_now();
    Ticking { shared }
}

async fn run(shared: Arc<Shared>, local: Rc<Local>) {
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    *shared.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    let mut schedule = Schedule::open(shared.thread_id);
    let mut lateness = Lateness::default();
    let mut before = local.began;
    while !shared.stopped.load(Ordering::Relaxed) {
        crate::sleep(Duration::from_millis(PERIOD_MS)).await;
        let now = Instant::now();
        let wall_ms = millis(now - before);
        before = now;
        local.now_ms.set(millis(now - local.began));
        shared.ticks.fetch_add(1, Ordering::Relaxed);
        let spent = schedule.step();
        if wall_ms > LATE_MS {
            shared.late.fetch_add(1, Ordering::Relaxed);
            shared.worst_ms.fetch_max(wall_ms, Ordering::Relaxed);
            lateness.report(&shared.name, local.now_ms.get(), wall_ms, spent);
        }
        run_periodic(&local);
    }
}

fn run_periodic(local: &Local) {
    let now_ms = local.now_ms.get();
    let mut periodic = local.periodic.borrow_mut();
    periodic.append(&mut local.added.borrow_mut());
    for entry in periodic.iter_mut().filter(|entry| entry.due_ms <= now_ms) {
        entry.due_ms = now_ms.saturating_add(entry.interval_ms);
        (entry.callback)();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where the time of a late tick went: nanoseconds on a core, and waiting for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
    on_cpu_ns: u64,
    run_queue_ns: u64,
}

/// Reads this thread's schedstat once a tick; the difference of two reads says where the time between them went.
struct Schedule {
    file: Option<File>,
    before: Spent,
}

impl Schedule {
    fn open(thread_id: i32) -> Schedule {
        // Missing without CONFIG_SCHED_INFO, or where /proc is not mounted: late ticks are then reported without it.
        let file = File::open(format!("/proc/self/task/{thread_id}/schedstat")).ok();
        let mut schedule = Schedule { file, before: Spent::default() };
        schedule.step();
        schedule
    }

    fn step(&mut self) -> Option<Spent> {
        let mut text = [0u8; 96];
        let len = self.file.as_ref()?.read_at(&mut text, 0).ok()?;
        let now = parse_schedstat(text.get(..len)?)?;
        let spent = Spent {
            on_cpu_ns: now.on_cpu_ns.saturating_sub(self.before.on_cpu_ns),
            run_queue_ns: now.run_queue_ns.saturating_sub(self.before.run_queue_ns),
        };
        self.before = now;
        Some(spent)
    }
}

/// "on-cpu-ns run-queue-ns slices".
fn parse_schedstat(text: &[u8]) -> Option<Spent> {
    let mut numbers = std::str::from_utf8(text).ok()?.split_ascii_whitespace().map(str::parse::<u64>);
    let on_cpu_ns = numbers.next()?.ok()?;
    let run_queue_ns = numbers.next()?.ok()?;
    Some(Spent { on_cpu_ns, run_queue_ns })
}

/// Says late ticks, at most one line in ten seconds, with the number of those passed over.
#[derive(Default)]
struct Lateness {
    next_ms: u64,
    unsaid: u64,
}

impl Lateness {
    fn report(&mut self, shard: &str, now_ms: u64, wall_ms: u64, spent: Option<Spent>) {
        if wall_ms < LATE_TOLD_MS || now_ms < self.next_ms {
            self.unsaid += 1;
            return;
        }
        self.next_ms = now_ms.saturating_add(LATE_LOG_INTERVAL_MS);
        let unsaid = std::mem::take(&mut self.unsaid);
        let to_ms = |ns: u64| ns / 1_000_000;
        tracing::info!(
            shard,
            wall_ms,
            on_cpu_ms = spent.map(|s| to_ms(s.on_cpu_ns)),
            run_queue_ms = spent.map(|s| to_ms(s.run_queue_ns)),
            unsaid,
            "a tick of the shard came late; run_queue_ms is time another process had its core"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ShardSpec, start};

    #[test]
    fn schedstat_is_read_and_garbage_is_not() {
        let check = |text: &str, expected: Option<(u64, u64)>| {
            let expected = expected.map(|(on_cpu_ns, run_queue_ns)| Spent { on_cpu_ns, run_queue_ns });
            assert_eq!(parse_schedstat(text.as_bytes()), expected, "{text:?}");
        };
        check("123 456 7\n", Some((123, 456)));
        check("123\n", None);
        check("", None);
        check("x y z", None);
        // SAFETY: gettid takes nothing and returns a number.
        assert!(Schedule::open(unsafe { libc::gettid() }).step().is_some());
    }

    #[test]
    fn callbacks_run_again_and_again_and_the_clock_moves() {
        let shard = start(ShardSpec { name: "ticks".into(), cpu: None }, || async {
            let calls = Rc::new(Cell::new(0u32));
            let counting = calls.clone();
            assert!(every(Duration::from_millis(20), move || {
                counting.set(counting.get() + 1);
                // A callback may register another one.
                if counting.get() == 1 {
                    every(Duration::from_secs(3600), || ());
                }
            }));
            let began = Instant::now();
            while calls.get() < 5 {
                assert!(began.elapsed() < Duration::from_secs(20), "{} calls", calls.get());
                crate::sleep(Duration::from_millis(5)).await;
            }
            assert!(coarse_ms() >= 90, "{}", coarse_ms());
            stats()
        })
        .unwrap();
        let stats = shard.join().unwrap();
        let own = stats.iter().find(|s| s.shard == "ticks").unwrap();
        assert!(own.ticks >= 5, "{own:?}");
        assert!(running().iter().all(|s| s.name != "ticks"));
    }

    #[test]
    fn a_blocked_shard_shows_as_late() {
        let shard = start(ShardSpec { name: "blocked".into(), cpu: None }, || async {
            crate::sleep(Duration::from_millis(30)).await;
            let mut own = None;
            // Who watches may sleep through one of these on a busy machine, not through all.
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(300));
                crate::sleep(Duration::from_millis(30)).await;
                own = stats().into_iter().find(|s| s.shard == "blocked");
                if own.as_ref().is_some_and(|s| s.late >= 1 && s.watchdog_hits + s.watchdog_starved >= 1) {
                    break;
                }
            }
            own.unwrap()
        })
        .unwrap();
        let stats = shard.join().unwrap();
        assert!(stats.late >= 1 && stats.worst_ms >= 100, "{stats:?}");
        // The thread slept with its tick due, which is what a parked executor looks like from outside.
        assert!(stats.watchdog_hits + stats.watchdog_starved >= 1, "{stats:?}");
    }
}
