//! The thread that keeps the index up with the log.
//!
//! Owns the walk over the log's records. Must not touch index files but through [`Index`]. An ordinary thread of
//! its own: it waits for locks, files and page faults, which a shard never may.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use protocol::message::{Peek, Record, layout, peek};

use super::Index;
use super::key::{self, Key};
use crate::io::give_way;

/// Keys and bytes of log taken up at a time, so that a stop is prompt and the locks are free in between.
const KEYS_MAX: usize = 1024;
pub(crate) const BYTES_MAX: usize = 4 << 20;
/// Waits between two looks at the log: just after records came, and when none came for a while.
const BUSY_WAIT: Duration = Duration::from_millis(5);
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// After a failure.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Without records for so long, memory is given back.
const RELAX_AFTER: Duration = Duration::from_secs(60);
/// Farther behind than this, the follower leaves half of its time to the others.
const FAR_BEHIND: i64 = 1 << 30;

/// The log as the follower sees it: only what is decided and readable.
pub trait LogReader: Send + Sync {
    /// End of what may be read: a record boundary that never goes back.
    fn readable(&self) -> i64;
    /// First byte the log still has.
    fn log_min(&self) -> i64;
    /// Calls `f` once with the bytes from `physical` to the end of its segment or to `readable()`, whichever is
    /// first. False without a call: the log does not have that byte.
    fn read_at(&self, physical: i64, f: &mut dyn FnMut(&[u8])) -> bool;
    /// First byte of the segment after the one `physical` lies in.
    fn next_segment_start(&self, physical: i64) -> i64;
}

/// The running thread; stopped by [`Follower::stop`] or by dropping this.
pub struct Follower {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Default)]
struct SignalState {
    stop: bool,
    notified: bool,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, SignalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.lock().stop
    }

    /// Waits until notified, stopped or `timeout` is over.
    fn wait(&self, timeout: Duration) {
        let idle = |state: &mut SignalState| !state.stop && !state.notified;
        let (mut state, _) =
            self.changed.wait_timeout_while(self.lock(), timeout, idle).unwrap_or_else(PoisonError::into_inner);
        state.notified = false;
    }
}

impl Follower {
    pub(super) fn start(index: Arc<Index>, log: Arc<dyn LogReader>) -> io::Result<Follower> {
        let signal = Arc::new(Signal::default());
        if !index.options.enabled {
            return Ok(Follower { signal, thread: None });
        }
        if index.followed_to() > 0 || index.indexed_through() >= 0 {
            index.truncate_after(log.readable())?;
        }
        let its_signal = signal.clone();
        let thread = thread::Builder::new().name("index".to_owned()).spawn(move || {
            Walker { index, log, keys: Vec::new() }.run(&its_signal);
        })?;
        Ok(Follower { signal, thread: Some(thread) })
    }

    /// Makes the thread look at the log now instead of at its next turn.
    pub fn notify(&self) {
        self.signal.lock().notified = true;
        self.signal.changed.notify_one();
    }

    /// Ends the thread after what it is doing and flushes the index.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.signal.lock().stop = true;
        self.signal.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the index follower ended by a panic");
        }
    }
}

pub(super) struct Walker {
    pub(super) index: Arc<Index>,
    pub(super) log: Arc<dyn LogReader>,
    pub(super) keys: Vec<Key>,
}

impl Walker {
    fn run(mut self, signal: &Signal) {
        give_way();
        let mut wait = BUSY_WAIT;
        let mut idle_since: Option<Instant> = None;
        let mut relaxed = false;
        let mut failing = false;
        while !signal.is_stopped() {
            let started = Instant::now();
            match self.step() {
                Ok(true) => {
                    if failing {
                        tracing::info!("the index goes on at {}", self.index.followed_to());
                    }
                    (wait, idle_since, relaxed, failing) = (BUSY_WAIT, None, false, false);
                    if self.log.readable() - self.index.followed_to() > FAR_BEHIND {
                        signal.wait(started.elapsed());
                    }
                }
                Ok(false) => {
                    let idle = idle_since.get_or_insert(started).elapsed();
                    if idle >= RELAX_AFTER && !relaxed {
                        relaxed = true;
                        if let Err(e) = self.index.relax() {
                            tracing::warn!("index: {e}");
                        }
                    }
                    signal.wait(wait);
                    wait = (wait * 2).min(IDLE_WAIT);
                }
                Err(e) => {
                    // Said once; the log keeps what could not be indexed.
                    if !failing {
                        tracing::error!("the index stays at {} until this is over: {e}", self.index.followed_to());
                    }
                    failing = true;
                    signal.wait(RETRY_WAIT);
                }
            }
        }
        // A clean start trusts the files, so their end has to be as whole as the log's.
        if let Err(e) = self.index.flush() {
            tracing::error!("index: {e}");
        }
    }

    /// Indexes some records; false when there are none.
    pub(super) fn step(&mut self) -> io::Result<bool> {
        let readable = self.log.readable();
        let from = self.index.followed_to();
        let at = from.max(self.log.log_min());
        if at >= readable {
            return Ok(false);
        }
        let through = self.index.indexed_through();
        let keys = &mut self.keys;
        keys.clear();
        let mut seen = None;
        let there = self.log.read_at(at, &mut |bytes| seen = Some(scan(bytes, at, through, keys)));
        let next = match seen.filter(|_| there) {
            Some(Scanned::To(next)) => next,
            Some(Scanned::Blank) => self.log.next_segment_start(at),
            // The rest of the segment holds no record; what is appended to it later begins at `readable`.
            Some(Scanned::Damage) => {
                let next = self.log.next_segment_start(at).min(readable);
                tracing::warn!("index: no record from {at} to {next}, not indexed");
                next
            }
            None => self.log.next_segment_start(at).max(self.log.log_min()).min(readable),
        };
        if next <= at {
            return Ok(false);
        }
        self.index.add(&self.keys, from, next)?;
        Ok(true)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Scanned {
    /// Records were taken up to this physical offset.
    To(i64),
    /// The segment ends here.
    Blank,
    /// No record begins in the bytes.
    Damage,
}

/// Takes the keys of the records at the start of `bytes`, which lie at `physical` in the log. Records up to
/// `through` are known already.
fn scan(bytes: &[u8], physical: i64, through: i64, keys: &mut Vec<Key>) -> Scanned {
    let mut at = 0;
    while keys.len() < KEYS_MAX && at < BYTES_MAX {
        let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { break };
        let here = physical.saturating_add(at as i64);
        if let Some(record) = record_at(rest, here) {
            if here > through {
                key::collect(&record, keys);
            }
            at += record.total_size as usize;
        } else if at > 0 {
            // What is wrong here is for the next call, which starts with it.
            break;
        } else if matches!(peek(rest), Peek::Blank { .. }) {
            return Scanned::Blank;
        } else {
            return match next_record(rest, here) {
                Some(skipped) => {
                    let there = here.saturating_add(skipped as i64);
                    tracing::warn!("index: no record from {here} to {there}, not indexed");
                    Scanned::To(there)
                }
                None => Scanned::Damage,
            };
        }
    }
    Scanned::To(physical.saturating_add(at as i64))
}

/// A record that says itself it belongs here: old bytes of a reused file do not.
fn record_at(bytes: &[u8], physical: i64) -> Option<Record<'_>> {
    Record::decode(bytes).ok().filter(|record| record.physical_offset == physical && record.total_size > 0)
}

/// How far the next sound record is from the start of `bytes`.
fn next_record(bytes: &[u8], physical: i64) -> Option<usize> {
    let magic = layout::MESSAGE_MAGIC.to_be_bytes();
    let mut from = 1;
    loop {
        let rest = bytes.get(from + layout::MAGIC..)?;
        from += rest.windows(magic.len()).position(|window| window == magic)?;
        if record_at(bytes.get(from..)?, physical.saturating_add(from as i64)).is_some() {
            return Some(from);
        }
        from += 1;
    }
}
