//! Checkpoint rounds: how the checkpoint moves without stopping anybody.
//!
//! The checkpoint thread takes the watermark, waits until the log is durable up to there, and opens a round. Each shard,
//! in its housekeeping, writes its consume queues back and hands over the paths to sync; since units are pushed before
//! the watermark passes their records, the files then hold every unit below the taken offset. The thread syncs the
//! paths and writes the checkpoint. Closing works the same way, with the shards' final digests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::core::Core;
use crate::checkpoint::{Checkpoint, Extension, Timestamps, boot_hash};
use crate::consume_queue::open_to_sync;
use crate::io::sync_file_system;
use crate::progress::Counters;

/// With more files and directories to sync than this, the file system as a whole is: one after the other, the new files
/// of 200,000 queues would take a minute and a half.
const MANY_PATHS: usize = 2_000;

/// Digest over a set of queues; the order does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Queues that have messages below the checkpoint.
    pub(crate) names: u64,
    /// All queues with their max offsets.
    pub(crate) queues: u64,
}

impl Digest {
    pub(crate) fn join(&mut self, other: Digest) {
        self.names = self.names.wrapping_add(other.names);
        self.queues = self.queues.wrapping_add(other.queues);
    }
}

#[derive(Default)]
struct State {
    reports: usize,
    closed: usize,
    unclean: bool,
    hurry: bool,
    digest: Digest,
    closing_digest: Digest,
    /// Paths not yet synced; kept over failed rounds.
    paths: Vec<PathBuf>,
    /// A sync failed. The kernel may have dropped what it could not write and would say that the next one succeeds, so
    /// this process vouches for no consume queue any more.
    sync_failed: bool,
}

/// See the module's head.
pub struct Rounds {
    shards: usize,
    round: AtomicU64,
    bound: AtomicI64,
    state: Mutex<State>,
    changed: Condvar,
}

impl Rounds {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            shards,
            round: AtomicU64::new(0),
            bound: AtomicI64::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open round and the offset it is for. A shard that has not reported for it yet writes back and reports.
    pub(crate) fn round(&self) -> (u64, i64) {
        let round = self.round.load(Ordering::Acquire);
        (round, self.bound.load(Ordering::Acquire))
    }

    /// A shard's report for a round.
    pub(crate) fn report(&self, round: u64, digest: Digest, paths: Vec<PathBuf>) {
        let mut state = self.state();
        // A round that was given up opens no other's.
        if round == self.round.load(Ordering::Acquire) {
            state.reports += 1;
            state.digest.join(digest);
        }
        state.paths.extend(paths);
        self.changed.notify_all();
    }

    /// A shard's last word: its consume queues are durable (`clean`), or not.
    pub(crate) fn close(&self, digest: Digest, clean: bool) {
        let mut state = self.state();
        state.closed += 1;
        state.unclean |= !clean;
        state.closing_digest.join(digest);
        self.changed.notify_all();
    }

    /// The digest of all shards if every one of them closed cleanly.
    pub(crate) fn closing_digest(&self) -> Option<Digest> {
        let state = self.state();
        (state.closed == self.shards && !state.unclean && !state.sync_failed).then_some(state.closing_digest)
    }

    /// Syncs what shards have handed over. `false` when that is not finished: an error, or `go_on` says so.
    fn sync_paths(&self, core: &Core, go_on: impl Fn() -> bool) -> bool {
        loop {
            let mut state = self.state();
            if state.sync_failed {
                return false;
            }
            if state.paths.len() > MANY_PATHS {
                let mut paths = std::mem::take(&mut state.paths);
                drop(state);
                paths.sort_unstable();
                paths.dedup();
                if paths.len() <= MANY_PATHS {
                    self.state().paths.extend(paths);
                    continue;
                }
                match sync_all_at_once(core) {
                    Ok(()) => continue,
                    Err(error) => {
                        self.sync_has_failed(&core.options.consume_queue_dir, &error);
                        return false;
                    }
                }
            }
            let Some(path) = state.paths.pop() else { return true };
            drop(state);
            let opened = if go_on() { open_to_sync(&path) } else { Err(io::ErrorKind::Interrupted.into()) };
            match opened {
                Ok(None) => {}
                Ok(Some(file)) => {
                    let synced = core.options.disk.before_sync().and_then(|()| file.sync_all());
                    if let Err(error) = synced {
                        self.sync_has_failed(&path, &error);
                        return false;
                    }
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::Interrupted {
                        tracing::warn!(path = %path.display(), %error, "a consume queue could not be opened for its sync; the checkpoint stays where it is for now");
                    }
                    self.state().paths.push(path);
                    return false;
                }
            }
        }
    }

    fn sync_has_failed(&self, path: &Path, error: &io::Error) {
        tracing::error!(path = %path.display(), %error, "a consume queue could not be made durable; this process writes no checkpoint any more, the next start reads the log from the last one on");
        self.state().sync_failed = true;
    }

    /// The last syncs of a stop: what the shards handed over and the thread did not get to. `false` if they failed.
    pub(crate) fn sync_rest(&self, core: &Core) -> bool {
        self.sync_paths(core, || true)
    }

    /// Asks for a round soon, even if the log has not moved.
    pub(crate) fn hurry(&self) {
        self.state().hurry = true;
        self.changed.notify_all();
    }

    /// Ends the thread.
    pub(crate) fn wake(&self) {
        let _state = self.state();
        self.changed.notify_all();
    }

    /// Waits for a change, at most `limit`, unless `done` holds already.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Makes all that is written to the consume queues' file system durable.
fn sync_all_at_once(core: &Core) -> io::Result<()> {
    let Some(dir) = open_to_sync(&core.options.consume_queue_dir)? else { return Ok(()) };
    core.options.disk.before_sync()?;
    sync_file_system(&dir)
}

/// The checkpoint thread; returns when the store stops.
pub(crate) fn run(core: &Core) {
    let rounds = &core.rounds;
    let mut written = -1;
    loop {
        let until = Instant::now().checked_add(core.options.checkpoint_interval);
        let mut state = rounds.state();
        while !core.is_stopping() && !state.hurry {
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            state = rounds.wait(state, left.min(Duration::from_secs(3600)));
        }
        let hurry = std::mem::take(&mut state.hurry);
        drop(state);
        if core.is_stopping() || core.progress.is_failed() || rounds.state().sync_failed {
            return;
        }
        let Some((begun, (bound, timestamp))) = core.reshape.unchanged(|begun| (begun, core.tail.snapshot())) else {
            continue;
        };
        if (bound != written || hurry) && one_round(core, begun, bound, timestamp) {
            written = bound;
        }
    }
}

/// One round up to `bound`, as the log was after `begun` changes; `true` if the checkpoint was written.
fn one_round(core: &Core, begun: u64, bound: i64, timestamp: i64) -> bool {
    let rounds = &core.rounds;
    let is_over = || core.is_stopping() || core.progress.is_failed() || !core.reshape.is(begun);
    // Under ASYNC_FLUSH this is the flusher's interval; it need not be exact.
    let mut state = rounds.state();
    while core.progress.flushed() < bound {
        if is_over() {
            return false;
        }
        state = rounds.wait(state, Duration::from_millis(20));
    }
    (state.reports, state.digest) = (0, Digest::default());
    rounds.bound.store(bound, Ordering::Release);
    rounds.round.fetch_add(1, Ordering::Release);
    while state.reports < rounds.shards {
        if is_over() {
            return false;
        }
        state = rounds.wait(state, Duration::from_millis(500));
    }
    let digest = state.digest;
    drop(state);
    rounds.sync_paths(core, || !core.is_stopping())
        && core.reshape.unchanged(|now| now == begun && write(core, bound, timestamp, digest, false)) == Some(true)
}

/// Writes the checkpoint.
pub(crate) fn write(core: &Core, dispatched: i64, timestamp: i64, digest: Digest, clean: bool) -> bool {
    let index = match core.index.flush() {
        Ok(index) => index,
        Err(error) => {
            tracing::error!(%error, "the index could not be made durable; it is built again from the log");
            0
        }
    };
    let timestamps = Timestamps { physic: timestamp, logics: timestamp, index };
    let extension = Extension {
        dispatched,
        clean,
        log_only: false,
        names: digest.names,
        queues: if clean { digest.queues } else { 0 },
        boot: boot_hash(),
        shards: core.options.shards as u64,
        durable: dispatched,
    };
    let path = &core.options.checkpoint_path;
    match (Checkpoint { timestamps, extension: Some(extension) }).write(path) {
        Ok(()) => {
            Counters::add(&core.progress.counters.checkpoints, 1);
            true
        }
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "the checkpoint could not be written; the next start reads more of the log");
            false
        }
    }
}
