//! A bell between tasks of one shard: one side waits, the other rings. Never leaves its thread.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Remembers one ring until it is waited for, so a ring before the wait is not lost. Several waiters are all woken.
#[derive(Default)]
pub struct Notify {
    rung: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Notify {
    pub fn new() -> Notify {
        Notify::default()
    }

    /// Lets the tasks that wait go on; without one, the next wait returns at once.
    pub fn notify(&self) {
        let waiting = self.waiting.take();
        if waiting.is_empty() {
            self.rung.set(true);
        }
        for waker in waiting {
            waker.wake();
        }
    }

    /// Resolves at the next [`Notify::notify`], or at once if one came since the last wait ended.
    pub async fn wait(&self) {
        let mut waited = false;
        poll_fn(|cx| {
            if waited || self.rung.replace(false) {
                return Poll::Ready(());
            }
            waited = true;
            self.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}
