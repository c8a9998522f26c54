//! Taking back what was received: a cut, an emptied store, a log that begins elsewhere.
//!
//! Offsets go back here, which they do nowhere else, so everybody who goes by them takes part: no checkpoint is written
//! meanwhile and the old one no longer vouches for anything, the index follower stops, the flusher is held off, each
//! shard cuts its own queues and says so. Only then are files touched, see [`super::aside`]. A crash at any point
//! leaves the old log or the new one. Runs on the receiver's thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{ReceiveError, Receiver, State, aside, check, drop_partial, failed, scan};
use crate::checkpoint::Checkpoint;
use crate::store::core::Core;

/// How long shards are waited for.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What becomes of a shard's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Messages that end behind the offset go.
    Cut(i64),
    /// All of them go; the log begins at the offset.
    Empty(i64),
}

impl Change {
    /// Where the log ends then.
    fn end(self) -> i64 {
        match self {
            Self::Cut(end) | Self::Empty(end) => end,
        }
    }
}

/// What threads of the store see of a change.
#[derive(Default)]
pub(crate) struct Reshape {
    /// Changes announced to the shards so far.
    announced: AtomicU64,
    state: Mutex<Progress>,
    answered: Condvar,
}

#[derive(Default)]
struct Progress {
    /// Changes begun so far, and whether one is under way.
    begun: u64,
    under_way: bool,
    change: Option<Change>,
    answers: usize,
    problem: Option<String>,
}

impl Reshape {
    fn state(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes announced to the shards so far; a shard that knows fewer asks [`Reshape::change`] and answers.
    pub(crate) fn announced(&self) -> u64 {
        self.announced.load(Ordering::Acquire)
    }

    /// The newest change, with its number.
    pub(crate) fn change(&self) -> (u64, Option<Change>) {
        let state = self.state();
        (self.announced(), state.change)
    }

    /// A shard has carried out change number `number`, or could not.
    pub(crate) fn answer(&self, number: u64, result: Result<(), String>) {
        let mut state = self.state();
        if number != self.announced() {
            return;
        }
        state.answers += 1;
        if let Err(problem) = result {
            state.problem = Some(problem);
        }
        self.answered.notify_all();
    }

    /// Calls `f` with the number of changes so far, unless one is under way; none begins meanwhile. What was learnt of
    /// the log under another number does not hold any more.
    pub(crate) fn unchanged<T>(&self, f: impl FnOnce(u64) -> T) -> Option<T> {
        let state = self.state();
        (!state.under_way).then(|| f(state.begun))
    }

    /// Whether what was learnt under this number holds.
    pub(crate) fn is(&self, begun: u64) -> bool {
        self.unchanged(|now| now == begun) == Some(true)
    }

    /// Says a change to the shards and waits until each has carried it out.
    fn announce(&self, core: &Core, change: Change) -> Result<(), ReceiveError> {
        let mut state = self.state();
        (state.change, state.answers, state.problem) = (Some(change), 0, None);
        self.announced.fetch_add(1, Ordering::Release);
        core.progress.wake_all();
        let deadline = Instant::now() + ANSWER_MAX;
        while state.answers < core.options.shards {
            if core.is_stopping() {
                return Err(ReceiveError::ShuttingDown);
            }
            // Shards end with the store's failure and answer no more.
            if core.progress.is_failed() {
                return Err(failed(core));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ReceiveError::NoAnswer);
            }
            let wait = left.min(Duration::from_secs(1));
            state = self.answered.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        match state.problem.take() {
            None => Ok(()),
            Some(problem) => {
                let path = core.options.consume_queue_dir.clone();
                Err(ReceiveError::Io { action: "cut consume queues in", path, problem })
            }
        }
    }
}

/// What a change does with the files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    /// What lies behind the end is set aside.
    Cut,
    /// The log, the consume queues and the index are set aside.
    Clear,
    /// There is nothing in them.
    Begin,
}

impl Receiver {
    /// Lets an empty log begin at `offset`, the first byte of a file.
    pub fn begin_at(&mut self, offset: i64) -> Result<(), ReceiveError> {
        let core = self.core();
        let mut state = core.received.state();
        check(core, &state)?;
        let (start, end, file_size) = (self.start(), self.end(), self.file_size());
        if start != end {
            return Err(ReceiveError::NotEmpty { start, end });
        }
        if offset < 0 || offset.checked_rem(file_size) != Some(0) {
            return Err(ReceiveError::NotFileStart { offset, file_size });
        }
        if offset == start {
            return Ok(());
        }
        let result = self.reshape(&mut state, Change::Empty(offset), Files::Begin);
        drop(state);
        result
    }

    /// Cuts the log back to the last record boundary at or below `offset` and answers with it, which is the new end.
    /// When this returns the cut is durable. What was readable behind it is kept in a directory named
    /// `<commitlog>.aside-<date>` beside the commitlog's; bytes behind the watermark were not, and go.
    ///
    /// After an error nothing is taken until a cut succeeded.
    pub fn cut_to(&mut self, offset: i64) -> Result<i64, ReceiveError> {
        let core = self.core();
        let mut state = core.received.state();
        usable(core, &state)?;
        let watermark = core.tail.watermark();
        if !(self.start()..=self.end()).contains(&offset) {
            return Err(self.outside(offset));
        }
        if offset >= watermark && state.unfinished.is_none() {
            let dropped = drop_partial(core);
            match &dropped {
                Ok(()) => state.unsound = None,
                Err(error) => state.unfinished = Some(error.to_string()),
            }
            return dropped.map(|()| watermark);
        }
        let offset = offset.min(watermark);
        let to = scan::boundary(&*self.segment_before(offset)?, offset);
        let result = self.reshape(&mut state, Change::Cut(to), Files::Cut);
        drop(state);
        result.map(|()| to)
    }

    /// Empties the store: commitlog, consume queues and index are set aside in directories named `….aside-<date>`
    /// beside theirs, nothing that could be read is deleted. The log is empty afterwards, begins at 0, and may begin
    /// anywhere, see [`Receiver::begin_at`]. After an error nothing is taken until this succeeded.
    pub fn clear(&mut self) -> Result<(), ReceiveError> {
        let core = self.core();
        let mut state = core.received.state();
        usable(core, &state)?;
        let result = self.reshape(&mut state, Change::Empty(0), Files::Clear);
        drop(state);
        result
    }

    fn reshape(&self, state: &mut State, change: Change, files: Files) -> Result<(), ReceiveError> {
        let core = self.core();
        let received = core.tail.next();
        {
            let mut progress = core.reshape.state();
            progress.begun += 1;
            progress.under_way = true;
        }
        self.shared.stop_follower();
        let result = void_checkpoint(core).and_then(|()| {
            let received = if state.unfinished.is_some() { i64::MAX } else { received };
            carry_out(core, change, files, received)
        });
        core.reshape.state().under_way = false;
        if !core.is_stopping()
            && let Err(problem) = self.shared.start_follower()
        {
            tracing::error!(%problem, "the index does not follow the log until the next start");
        }
        core.rounds.hurry();
        core.progress.wake_all();
        match &result {
            Ok(()) => {
                (state.unfinished, state.unsound) = (None, None);
                tracing::warn!(
                    end = change.end(),
                    received,
                    "the log of this slave was cut back; what was readable is set aside"
                );
            }
            Err(error) => {
                state.unfinished = Some(error.to_string());
                tracing::error!(%error, "the log of this slave could not be cut back; nothing is received until it was");
            }
        }
        result
    }
}

/// As [`check`], but what only a cut mends is no hindrance to one.
fn usable(core: &Core, state: &State) -> Result<(), ReceiveError> {
    match check(core, state) {
        Err(ReceiveError::Unsound(_) | ReceiveError::CutUnfinished { .. }) => Ok(()),
        other => other,
    }
}

/// Makes a start after a crash read everything: neither offsets nor times of the old checkpoint hold.
fn void_checkpoint(core: &Core) -> Result<(), ReceiveError> {
    let path = &core.options.checkpoint_path;
    Checkpoint::default().write(path).map_err(|error| ReceiveError::Io {
        action: "write the checkpoint",
        path: path.clone(),
        problem: error.to_string(),
    })
}

/// The change itself, with everybody held off; `received` is where the bytes in the files end.
fn carry_out(core: &Core, change: Change, files: Files, received: i64) -> Result<(), ReceiveError> {
    let end = change.end();
    core.tail.reset(end);
    {
        // Whoever is syncing tells of his old end first.
        let turns = core.syncs.lock();
        if turns.failed {
            return Err(failed(core));
        }
        let flushed = core.progress.flushed();
        core.progress.reset_flushed(if files == Files::Cut { flushed.min(end) } else { end });
    }
    core.reshape.announce(core, change)?;
    match files {
        Files::Cut => {
            aside::cut(core, end, received)?;
            let cut = core.index.truncate_after(end);
            cut.map_err(|error| aside::wrap("cut the index in", &core.options.index_dir)(error))?;
        }
        Files::Clear => {
            aside::tables(core)?;
            aside::log(core, end, received)?;
        }
        Files::Begin => aside::log(core, end, received)?,
    }
    core.forget_from(end);
    Ok(())
}
