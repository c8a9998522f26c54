//! Messages between shards: a bounded ring for each ordered pair, and one bell a shard.
//!
//! Owns the rings and the waiting of a shard's one committer task. Does not know what a message means. Each port is used
//! on its own shard's thread only; the order of messages from one shard to another is kept, between pairs there is none.
//! glommio's own channels are not used: a busy peer looks at them once per preempt timer.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use crate::bell::{Bell, RemoteWaker};
use crate::ring::Ring;

struct Shared<M> {
    shards: usize,
    /// Row = sender, column = receiver.
    rings: Vec<Ring<M>>,
    bells: Vec<Arc<Bell>>,
}

impl<M> Shared<M> {
    fn ring(&self, from: usize, to: usize) -> &Ring<M> {
        &self.rings[from * self.shards + to]
    }
}

/// One shard's place in the mesh. Sent to the shard before use, then never leaves it.
pub struct MeshPort<M> {
    id: usize,
    shared: Arc<Shared<M>>,
    thread: Cell<Option<ThreadId>>,
    /// Where the next drain begins, so that no sender is always last.
    next_from: Cell<usize>,
}

/// A mesh of `shards` shards with rings of `capacity` messages (rounded up to a power of two) for each ordered pair,
/// also from a shard to itself. Port `i` belongs to shard `i`.
pub fn mesh<M: Send + 'static>(shards: usize, capacity: usize) -> Vec<MeshPort<M>> {
    let shared = Arc::new(Shared {
        shards,
        rings: (0..shards * shards).map(|_| Ring::new(capacity)).collect(),
        bells: (0..shards).map(|_| Arc::new(Bell::default())).collect(),
    });
    (0..shards)
        .map(|id| MeshPort { id, shared: shared.clone(), thread: Cell::new(None), next_from: Cell::new(0) })
        .collect()
}

impl<M: Send + 'static> MeshPort<M> {
    pub fn id(&self) -> usize {
        self.id
    }

    pub fn shards(&self) -> usize {
        self.shared.shards
    }

    /// Binds the port to the calling thread. Debug builds refuse a later use from another one.
    pub fn attach(&self) {
        self.thread.set(Some(thread::current().id()));
    }

    fn assert_home(&self) {
        debug_assert_eq!(
            self.thread.get(),
            Some(thread::current().id()),
            "a mesh port is attached on its shard's thread and used there only"
        );
    }

    /// Hands `message` to shard `to` and wakes it if it sleeps. `Err` gives the message back: the ring is full, keep it
    /// and stop taking in more until a later try succeeds (the receiver does not tell; try after each drain or tick).
    ///
    /// # Panics
    /// If there is no shard `to`.
    pub fn send(&self, to: usize, message: M) -> Result<(), M> {
        self.assert_home();
        assert!(to < self.shared.shards, "shard {to} of {}", self.shared.shards);
        // SAFETY: ring (id, to) is pushed to through port `id` only. There is one such port: it is made once, cannot be
        // cloned, and is not Sync (it holds cells), so one thread at a time uses it, and moving it orders the uses.
        let pushed = unsafe { self.shared.ring(self.id, to).push(message) };
        if pushed.is_ok() {
            self.shared.bells[to].rouse();
        }
        pushed
    }

    /// Hands up to `max` waiting messages to `f`, with the shard each came from. Returns how many. `f` may send.
    pub fn drain(&self, max: usize, mut f: impl FnMut(usize, M)) -> usize {
        self.assert_home();
        let shards = self.shared.shards;
        let first = self.next_from.get();
        self.next_from.set((first + 1) % shards);
        let mut taken = 0;
        for step in 0..shards {
            let from = (first + step) % shards;
            let ring = self.shared.ring(from, self.id);
            while taken < max {
                // SAFETY: ring (from, id) is popped through port `id` only, on one thread at a time, as for `send`; `f`
                // runs after the pop is complete, so even a drain inside `f` is one pop after the other.
                let Some(message) = (unsafe { ring.pop() }) else { break };
                taken += 1;
                f(from, message);
            }
        }
        taken
    }

    /// Whether a message waits for this shard.
    pub fn has_messages(&self) -> bool {
        (0..self.shared.shards).any(|from| !self.shared.ring(from, self.id).is_empty())
    }

    /// Resolves when a message waits, or when [`MeshPort::poke`] or a [`RemoteWaker`] was used since the last wait ended.
    /// One task a shard waits; of several the last to begin is woken.
    pub async fn wait(&self) {
        self.assert_home();
        let bell = &*self.shared.bells[self.id];
        poll_fn(|cx| bell.poll(cx, || self.has_messages())).await
    }

    /// Lets the waiting task run once the tasks that are ready now have run.
    pub fn poke(&self) {
        self.assert_home();
        self.shared.bells[self.id].ring();
    }

    /// A handle that wakes this shard from any thread.
    pub fn waker(&self) -> RemoteWaker {
        RemoteWaker { bell: self.shared.bells[self.id].clone() }
    }

    /// A handle that wakes shard `shard` from any thread.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn waker_of(&self, shard: usize) -> RemoteWaker {
        RemoteWaker { bell: self.shared.bells[shard].clone() }
    }
}

impl<M> Drop for MeshPort<M> {
    fn drop(&mut self) {
        // The waker of our waiting task must not be the last thing that keeps the task alive.
        self.shared.bells[self.id].clear();
    }
}
