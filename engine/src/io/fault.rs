//! Faults for tests: the k-th write, sync or allocation fails, writes come back short, syncs are held.
//!
//! Owns only counters; sits in [`super::Disk`]. Any thread.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Default)]
struct Plan {
    /// Calls still let through.
    after: u64,
    /// Calls that fail then.
    times: u64,
    errno: i32,
    seen: u64,
}

impl Plan {
    fn meet(&mut self) -> io::Result<()> {
        self.seen += 1;
        if self.times == 0 {
            return Ok(());
        }
        if self.after > 0 {
            self.after -= 1;
            return Ok(());
        }
        self.times = self.times.saturating_sub(1);
        Err(io::Error::from_raw_os_error(self.errno))
    }

    fn set(&mut self, after: u64, times: u64, errno: i32) {
        (self.after, self.times, self.errno) = (after, times, errno);
    }
}

#[derive(Default)]
struct State {
    write: Plan,
    sync: Plan,
    allocate: Plan,
    write_bytes_max: Option<usize>,
    syncs_held: bool,
    syncs_waiting: u64,
}

/// What goes wrong, set while the store runs.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
    changed: Condvar,
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After `after` more writes, `times` writes fail with `errno`.
    pub fn fail_writes(&self, after: u64, times: u64, errno: i32) {
        self.state().write.set(after, times, errno);
    }

    /// After `after` more syncs, `times` syncs fail with `errno`.
    pub fn fail_syncs(&self, after: u64, times: u64, errno: i32) {
        self.state().sync.set(after, times, errno);
    }

    /// After `after` more allocations, `times` allocations fail with `errno`.
    pub fn fail_allocations(&self, after: u64, times: u64, errno: i32) {
        self.state().allocate.set(after, times, errno);
    }

    /// No write takes more than `bytes_max` bytes.
    pub fn short_writes(&self, bytes_max: usize) {
        self.state().write_bytes_max = Some(bytes_max.max(1));
    }

    /// Syncs wait until they are released.
    pub fn hold_syncs(&self) {
        self.state().syncs_held = true;
    }

    /// Lets held syncs go.
    pub fn release_syncs(&self) {
        self.state().syncs_held = false;
        self.changed.notify_all();
    }

    /// Waits until a sync is being held.
    pub fn wait_for_held_sync(&self) {
        let mut state = self.state();
        while state.syncs_waiting == 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes seen so far.
    pub fn writes(&self) -> u64 {
        self.state().write.seen
    }

    /// Syncs seen so far.
    pub fn syncs(&self) -> u64 {
        self.state().sync.seen
    }

    /// The limit of the next write in bytes, or its error.
    pub(super) fn before_write(&self) -> io::Result<Option<usize>> {
        let mut state = self.state();
        state.write.meet()?;
        Ok(state.write_bytes_max)
    }

    pub(super) fn before_sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.syncs_waiting += 1;
        while state.syncs_held {
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.syncs_waiting -= 1;
        state.sync.meet()
    }

    pub(super) fn before_allocate(&self) -> io::Result<()> {
        self.state().allocate.meet()
    }
}
