//! A thread that looks after all shards of the process: is a tick standing still?
//!
//! Owns one ordinary thread. It tells a shard that is kept off its core (running, runnable, in the kernel: the machine)
//! from one that sleeps although its tick is due (the executor parked with runnable tasks), counts both, and wakes the
//! latter. Touches nothing else.

use std::fs;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::tick::{self, Shared};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Without shards there is nothing to look at.
const LOOK_EVERY_IDLE: Duration = Duration::from_millis(500);
const STANDS_STILL: Duration = Duration::from_millis(30);
/// A thread that sleeps on for reasons of its own (a lock, a blocking call) is woken at most once in this time: each
/// wake waits in the executor's queue, and glommio counts at most 32,767 of them.
const WAKE_AGAIN: Duration = Duration::from_secs(1);
const LOG_EVERY: Duration = Duration::from_secs(10);

static RUNNING: Mutex<Option<Thread>> = Mutex::new(None);

/// Starts the thread at the first call.
pub(crate) fn ensure_running() -> io::Result<()> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if running.is_none() {
        *running = Some(thread::Builder::new().name("shard-watchdog".into()).spawn(run)?.thread().clone());
    }
    Ok(())
}

/// A shard was added: look now, not after an idle interval.
pub(crate) fn look_now() {
    if let Some(thread) = &*RUNNING.lock().unwrap_or_else(PoisonError::into_inner) {
        thread.unpark();
    }
}

/// One shard as the watchdog saw it last.
struct Seen {
    shared: Arc<Shared>,
    ticks: u64,
    since: Instant,
    counted: bool,
    woken: Option<Instant>,
}

fn run() {
    let mut seen: Vec<Seen> = Vec::new();
    let mut said: Option<Instant> = None;
    let mut before = Instant::now();
    loop {
        let shards = tick::running();
        let idle = shards.is_empty();
        let now = Instant::now();
        // When we were late ourselves, the machine stood still, and nothing can be said about the shards.
        let reliable = now - before < LOOK_EVERY * 2;
        before = now;
        seen.retain(|old| shards.iter().any(|s| Arc::ptr_eq(s, &old.shared)));
        for shared in shards {
            match seen.iter_mut().find(|old| Arc::ptr_eq(&shared, &old.shared)) {
                Some(old) => look(old, now, reliable, &mut said),
                None => {
                    let ticks = shared.ticks.load(Ordering::Relaxed);
                    seen.push(Seen { shared, ticks, since: now, counted: false, woken: None });
                }
            }
        }
        thread::park_timeout(if idle { LOOK_EVERY_IDLE } else { LOOK_EVERY });
    }
}

fn look(seen: &mut Seen, now: Instant, reliable: bool, said: &mut Option<Instant>) {
    let ticks = seen.shared.ticks.load(Ordering::Relaxed);
    if ticks != seen.ticks || !reliable {
        *seen = Seen { shared: seen.shared.clone(), ticks, since: now, counted: false, woken: None };
        return;
    }
    if now - seen.since <= STANDS_STILL || seen.shared.stopped.load(Ordering::Relaxed) {
        return;
    }
    let state = thread_state(seen.shared.thread_id);
    // The tick may have come while the state was read.
    if seen.shared.ticks.load(Ordering::Relaxed) != seen.ticks {
        return;
    }
    let sleeps = state == Some('S');
    if !seen.counted {
        seen.counted = true;
        let counter = if sleeps { &seen.shared.watchdog_hits } else { &seen.shared.watchdog_starved };
        counter.fetch_add(1, Ordering::Relaxed);
    }
    if sleeps && seen.woken.is_none_or(|woken| now - woken >= WAKE_AGAIN) {
        seen.woken = Some(now);
        seen.shared.wake();
        if said.is_none_or(|said| now - said >= LOG_EVERY) {
            *said = Some(now);
            tracing::warn!(
                shard = seen.shared.name,
                still_ms = (now - seen.since).as_millis() as u64,
                hits = seen.shared.watchdog_hits.load(Ordering::Relaxed),
                "the shard slept although its tick was due; it was woken"
            );
        }
    }
}

/// The state letter of a thread of this process: R, S, D, T and so on.
fn thread_state(thread_id: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread_id}/stat")).ok()?;
    parse_state(&stat)
}

/// The name stands in parentheses and may itself hold some, so the state follows the last one.
fn parse_state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_found_behind_any_name() {
        let check = |stat: &str, expected: Option<char>| assert_eq!(parse_state(stat), expected, "{stat:?}");
        check("12 (shard 0) S 1 12", Some('S'));
        check("12 (a) b) R) D 1 12", Some('D'));
        check("12 (a", None);
        check("", None);
    }

    #[test]
    fn our_own_thread_runs() {
        // SAFETY: gettid takes nothing and returns a number.
        assert_eq!(thread_state(unsafe { libc::gettid() }), Some('R'));
    }
}
