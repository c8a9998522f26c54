//! Telling threads outside the shards that an offset of the log moved.
//!
//! Owns who is armed. A thread arms its [`LogWatch`] with the offset it has seen and waits for its descriptor in
//! `poll`; whoever moves the offset looks at one atomic and writes to a descriptor only if somebody is armed below.
//! Any thread.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::io::EventFd;
use crate::store::core::Core;

/// Not armed.
const NEVER: i64 = i64::MAX;

struct Watch {
    event: EventFd,
    armed: AtomicI64,
}

/// The watches of one offset.
pub(crate) struct Watchers {
    /// At or below the lowest offset somebody is armed with.
    lowest: AtomicI64,
    watches: RwLock<Vec<Arc<Watch>>>,
}

impl Default for Watchers {
    fn default() -> Self {
        Self { lowest: AtomicI64::new(NEVER), watches: RwLock::default() }
    }
}

impl Watchers {
    fn add(&self) -> io::Result<Arc<Watch>> {
        let watch = Arc::new(Watch { event: EventFd::new()?, armed: AtomicI64::new(NEVER) });
        self.watches.write().unwrap_or_else(PoisonError::into_inner).push(watch.clone());
        Ok(watch)
    }

    fn remove(&self, watch: &Arc<Watch>) {
        self.watches.write().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, watch));
    }

    /// The offset moved to `to`, and was stored (`SeqCst`) before this call; `now` reads it.
    pub(crate) fn moved(&self, to: i64, now: impl Fn() -> i64) {
        if to > self.lowest.load(Ordering::SeqCst) {
            self.wake(now);
        }
    }

    /// Wakes whoever is armed below the offset. Another mover that finds nobody armed meanwhile relies on this one, so
    /// the offset is read anew until it is not beyond anybody who is left.
    #[cold]
    fn wake(&self, now: impl Fn() -> i64) {
        loop {
            self.lowest.store(NEVER, Ordering::SeqCst);
            let offset = now();
            let mut left = NEVER;
            for watch in self.watches.read().unwrap_or_else(PoisonError::into_inner).iter() {
                let armed = watch.armed.load(Ordering::SeqCst);
                if offset <= armed {
                    left = left.min(armed);
                } else if watch.armed.compare_exchange(armed, NEVER, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    watch.event.signal();
                } else {
                    // Armed anew at this moment; whoever did that reads the offset itself.
                    left = left.min(watch.armed.load(Ordering::SeqCst));
                }
            }
            self.lowest.fetch_min(left, Ordering::SeqCst);
            if now() <= left {
                return;
            }
        }
    }

    fn arm(&self, watch: &Watch, seen: i64, now: impl Fn() -> i64) -> i64 {
        watch.armed.store(seen, Ordering::SeqCst);
        self.lowest.fetch_min(seen, Ordering::SeqCst);
        // Whoever moves the offset stores it and then looks who is armed; here it is the other way round, so one of
        // the two sees the other.
        now()
    }
}

/// Which offset is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// The written end.
    Written,
    /// What this store's flush mode makes safe.
    Durable,
}

/// Wakes one thread when the log moves; from [`crate::Shared::watch_log`] or [`crate::Receiver::watch_durable`].
pub struct LogWatch {
    core: Arc<Core>,
    what: Watched,
    watch: Arc<Watch>,
}

impl LogWatch {
    pub(crate) fn new(core: Arc<Core>, what: Watched) -> io::Result<Self> {
        let watch = core.watchers(what).add()?;
        Ok(Self { core, what, watch })
    }

    /// The descriptor to poll for reading; open as long as this value lives.
    pub fn fd(&self) -> RawFd {
        self.watch.event.fd()
    }

    /// Asks to be woken once the offset is beyond `seen`, and answers with the offset now: if that is beyond already,
    /// do not wait. A wake disarms. What moves between this call and the wait makes the descriptor readable.
    pub fn arm(&self, seen: i64) -> i64 {
        self.core.watchers(self.what).arm(&self.watch, seen, || self.core.watched(self.what))
    }

    /// Waits for the signal, at most so long; for a thread that waits for nothing else. `true` if it came.
    pub fn wait(&self, limit: Duration) -> bool {
        self.watch.event.wait(limit)
    }

    /// Takes the signal back; call it after a wait and before the next [`LogWatch::arm`].
    pub fn clear(&self) {
        self.watch.event.clear();
    }
}

impl Drop for LogWatch {
    fn drop(&mut self) {
        self.core.watchers(self.what).remove(&self.watch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_signalled(watch: &Watch) -> bool {
        watch.event.wait(Duration::ZERO)
    }

    #[test]
    fn only_who_is_armed_below_is_woken_and_once() {
        let offset = AtomicI64::new(10);
        let now = || offset.load(Ordering::SeqCst);
        let watchers = Watchers::default();
        let (first, second) = (watchers.add().expect("made"), watchers.add().expect("made"));
        let move_to = |to: i64| {
            offset.store(to, Ordering::SeqCst);
            watchers.moved(to, now);
        };
        move_to(20);
        assert!(!is_signalled(&first), "nobody asked");
        assert_eq!(watchers.arm(&first, 20, now), 20);
        assert_eq!(watchers.arm(&second, 35, now), 20);
        move_to(30);
        assert_eq!([is_signalled(&first), is_signalled(&second)], [true, false]);
        first.event.clear();
        move_to(40);
        assert_eq!([is_signalled(&first), is_signalled(&second)], [false, true]);
        assert_eq!(watchers.arm(&first, 30, now), 40, "it moved before: no wait");
        watchers.remove(&second);
        second.event.clear();
        watchers.arm(&second, 0, now);
        move_to(50);
        assert!(!is_signalled(&second), "it is gone");
    }

    /// A mover and a waiter on two threads: however they meet, the waiter sees every end.
    #[test]
    fn no_move_is_lost() {
        const MOVES: i64 = 20_000;
        let offset = AtomicI64::new(0);
        let now = || offset.load(Ordering::SeqCst);
        let watchers = Watchers::default();
        let watch = watchers.add().expect("made");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for to in 1..=MOVES {
                    offset.store(to, Ordering::SeqCst);
                    watchers.moved(to, now);
                }
            });
            let mut seen = 0;
            while seen < MOVES {
                let moved = watchers.arm(&watch, seen, now);
                if moved > seen {
                    seen = moved;
                    continue;
                }
                assert!(watch.event.wait(Duration::from_secs(60)), "woken at {seen}");
                watch.event.clear();
            }
        });
    }
}
