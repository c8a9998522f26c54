//! How a sleeping shard is woken: by another shard's message, by any thread, or by a task of its own.
//!
//! Owns the sleeping/awake protocol. The waiter sets `sleeping`, then looks once more at everything it could be waiting
//! for, then sleeps; whoever has something for it first puts it where the waiter looks, then takes `sleeping` back and
//! wakes. A sequentially consistent fence stands between the two steps on both sides, so at least one of them sees the
//! other: no wake is lost, and a busy shard costs its senders one load.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    sleeping: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    /// Makes the next wait return even if nothing else happened.
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.rouse();
    }

    /// Wakes the waiter if it sleeps. What it shall find must have been stored before.
    pub(crate) fn rouse(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::AcqRel)
            && let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner)
        {
            waker.wake_by_ref();
        }
    }

    /// One poll of a wait. `something_else` says whether the waiter finds work without having been rung for.
    pub(crate) fn poll(&self, cx: &mut Context<'_>, something_else: impl Fn() -> bool) -> Poll<()> {
        if self.rung.swap(false, Ordering::Acquire) || something_else() {
            self.sleeping.store(false, Ordering::Relaxed);
            return Poll::Ready(());
        }
        {
            let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
            if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        self.sleeping.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.rung.swap(false, Ordering::Acquire) || something_else() {
            self.sleeping.store(false, Ordering::Relaxed);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Forgets the waiter, so that its task can be freed on its own thread.
    pub(crate) fn clear(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(waker);
    }
}

/// Wakes one shard's [`MeshPort::wait`](crate::MeshPort::wait) from any thread, also before the port is attached: the
/// wake is remembered until the next wait.
#[derive(Clone)]
pub struct RemoteWaker {
    pub(crate) bell: Arc<Bell>,
}

impl RemoteWaker {
    /// Makes the next (or present) wait return. Many wakes before it count as one.
    pub fn wake(&self) {
        self.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::thread::{self, Thread};

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Waits on the bell with a plain parked thread, the way an executor would.
    fn wait(bell: &Bell, something_else: impl Fn() -> bool) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        while bell.poll(&mut cx, &something_else).is_pending() {
            thread::park();
        }
    }

    #[test]
    fn a_ring_before_the_wait_is_remembered_once() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        wait(&bell, || false);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        assert!(bell.poll(&mut Context::from_waker(&waker), || false).is_pending());
    }

    #[test]
    fn no_wake_is_lost_between_two_threads() {
        // Ping-pong over two bells: one lost wake would stop both threads for ever.
        const ROUNDS: usize = 100_000;
        let bells = Arc::new((Bell::default(), Bell::default()));
        let counters = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let other = {
            let (bells, counters) = (bells.clone(), counters.clone());
            thread::spawn(move || {
                for round in 1..=ROUNDS {
                    wait(&bells.1, || counters.0.load(Ordering::Acquire) >= round);
                    while counters.0.load(Ordering::Acquire) < round {
                        wait(&bells.1, || counters.0.load(Ordering::Acquire) >= round);
                    }
                    counters.1.store(round, Ordering::Release);
                    bells.0.rouse();
                }
            })
        };
        for round in 1..=ROUNDS {
            counters.0.store(round, Ordering::Release);
            bells.1.rouse();
            while counters.1.load(Ordering::Acquire) < round {
                wait(&bells.0, || counters.1.load(Ordering::Acquire) >= round);
            }
        }
        other.join().unwrap();
    }
}
