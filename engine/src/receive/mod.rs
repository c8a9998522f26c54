//! The slave's end of the log: a master's bytes, taken as they are.
//!
//! A [`Receiver`] appends pieces at the end of what was received; the watermark follows to the end of the last whole,
//! sound record, and from there on everything is as on a master: flushed, followed by shards and index, read. Bytes
//! behind the watermark are kept and never shown. Owns the received end. Must not know connections or what a report
//! is. Used by one thread outside the shards, which may wait for the disk.

mod aside;
mod error;
mod reshape;
mod scan;

use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::message::layout::BLANK_LEN;
use protocol::message::{Peek, peek};

pub use error::{ReceiveError, Unsound};
pub(crate) use reshape::{Change, Reshape};

use crate::commitlog::append;
use crate::commitlog::segment::Segment;
use crate::error::PutRefused;
use crate::io::is_out_of_space;
use crate::options::StoreRole;
use crate::progress::Counters;
use crate::store::Shared;
use crate::store::core::Core;
use crate::watch::{LogWatch, Watched};

/// Most bytes of one [`Receiver::read`].
const READ_MAX: usize = 4 << 20;
/// Zeros written at a time over bytes that are cut.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What is received, beside what tail and segments say.
#[derive(Default)]
pub(crate) struct Received {
    /// Somebody has the receiver.
    taken: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The record at the watermark is not sound.
    unsound: Option<Unsound>,
    /// Why the last cut failed.
    unfinished: Option<String>,
    closed: bool,
}

impl Received {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often shards are called to follow: nobody waits for them as a producer waits for a report, and each call costs a
/// sleeping shard more than the messages do that came meanwhile.
const SHOW_INTERVAL: Duration = Duration::from_millis(1);

/// See the module's head. From [`Shared::receiver`].
pub struct Receiver {
    shared: Arc<Shared>,
    /// When the shards were called last.
    shown: Instant,
    /// Records have come since.
    is_behind: bool,
}

impl Receiver {
    pub(crate) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let core = shared.core();
        if core.options.role != StoreRole::Slave || core.received.taken.swap(true, Ordering::SeqCst) {
            return None;
        }
        Some(Self { shared: shared.clone(), shown: Instant::now(), is_behind: false })
    }

    fn core(&self) -> &Core {
        self.shared.core()
    }

    /// First physical offset that is kept; the end where nothing is.
    pub fn start(&self) -> i64 {
        self.core().segments.log_min()
    }

    /// End of what was received, bytes; it may lie inside a record.
    pub fn end(&self) -> i64 {
        self.core().tail.next()
    }

    /// End of the last whole, sound record received, blank included.
    pub fn watermark(&self) -> i64 {
        self.core().tail.watermark()
    }

    /// Up to where this slave's own flush mode has the log safe: flushed under SYNC_FLUSH, written under ASYNC_FLUSH.
    /// Never beyond the watermark, and what a report to the master should say.
    pub fn durable(&self) -> i64 {
        self.core().watched(Watched::Durable)
    }

    /// Bytes of a commitlog file, which are to be those of the master's files.
    pub fn file_size(&self) -> i64 {
        self.core().segments.size()
    }

    /// The record that stopped the watermark, if one did.
    pub fn unsound(&self) -> Option<Unsound> {
        self.core().received.state().unsound.clone()
    }

    fn outside(&self, offset: i64) -> ReceiveError {
        ReceiveError::Outside { offset, start: self.start(), end: self.end() }
    }

    /// The file that holds received bytes before `offset`, or begins there.
    fn segment_before(&self, offset: i64) -> Result<Arc<Segment>, ReceiveError> {
        let segments = &self.core().segments;
        if !(self.start()..=self.end()).contains(&offset) {
            return Err(self.outside(offset));
        }
        // The end of a full file belongs to it as long as the next one does not exist.
        let found = segments.find(offset).or_else(|| segments.find(offset.saturating_sub(1)));
        found.ok_or_else(|| self.outside(offset))
    }

    /// Received bytes from `from` on, at most `len` and at most 4 MiB, for comparing; fewer at the end.
    pub fn read(&self, from: i64, len: usize) -> Result<Vec<u8>, ReceiveError> {
        let end = self.end();
        if !(self.start()..=end).contains(&from) {
            return Err(self.outside(from));
        }
        let len = usize::try_from(end.saturating_sub(from)).unwrap_or(READ_MAX).min(len).min(READ_MAX);
        let mut bytes = vec![0; len];
        let mut at = from;
        let mut rest = &mut bytes[..];
        while !rest.is_empty() {
            let segment = self.core().segments.find(at).ok_or_else(|| self.outside(at))?;
            let position = segment.position(at).unwrap_or(0);
            let left = usize::try_from(segment.end().saturating_sub(at)).unwrap_or(0).min(rest.len());
            let (part, behind) = rest.split_at_mut(left);
            segment.file().read_exact_at(part, position).map_err(|error| io_error("read", &segment, &error))?;
            rest = behind;
            at = segment.end();
        }
        Ok(bytes)
    }

    /// A record boundary at or below `at`, most often the last one: where a comparison may begin. It looks at the bytes
    /// near `at` only, so a message made to look like a record can mislead it by a few bytes.
    pub fn boundary_near(&self, at: i64) -> Result<i64, ReceiveError> {
        if at > self.end() {
            return Err(self.outside(at));
        }
        let at = at.min(self.watermark());
        Ok(scan::boundary_near(&*self.segment_before(at)?, at))
    }

    /// Where the record begins that has the byte at `at`; if that is a byte of a blank, the record before the blank. Found
    /// as [`Receiver::boundary_near`] finds it, whole or not; the log's start where there is no record.
    pub fn record_before(&self, at: i64) -> Result<i64, ReceiveError> {
        let boundary = self.boundary_near(at)?;
        if boundary > self.start() && matches!(peek(&self.read(boundary, BLANK_LEN)?), Peek::Blank { .. }) {
            return self.boundary_near(boundary - 1);
        }
        Ok(boundary)
    }

    /// Appends `bytes` as they are at `offset`, which has to be [`Receiver::end`]. A piece may cut records anywhere and
    /// never crosses the end of a file. Makes the next file when the first byte for it comes.
    ///
    /// The piece that shows a record to be unsound is stored and answered with [`ReceiveError::Unsound`]; after every
    /// other error nothing was taken.
    pub fn append(&mut self, offset: i64, bytes: &[u8]) -> Result<(), ReceiveError> {
        let core = self.shared.core();
        let mut state = core.received.state();
        check(core, &state)?;
        let end = core.tail.next();
        if offset != end {
            return Err(ReceiveError::NotAtEnd { offset, end });
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let file_size = core.segments.size();
        let file_end = crate::store::next_file_start(end, file_size);
        let to = i64::try_from(bytes.len()).ok().and_then(|len| end.checked_add(len)).filter(|to| *to <= file_end);
        let Some(to) = to else {
            return Err(ReceiveError::CrossesFile { offset, len: bytes.len(), file_end, file_size });
        };
        if to > core.segments.room_end() {
            core.room_for(to).map_err(|refused| no_room(core, refused))?;
        }
        let Some((segment, position)) =
            core.segments.find(end).and_then(|segment| segment.position(end).map(|position| (segment, position)))
        else {
            return Err(ReceiveError::Outside { offset, start: core.segments.log_min(), end });
        };
        // Nobody else writes here, so the page may be padded as a single shard does.
        let pad = append::padding(position + bytes.len() as u64, segment.size());
        let mut parts = [IoSlice::new(bytes), IoSlice::new(pad)];
        if let Err(error) = core.options.disk.write_all_at(segment.file(), &mut parts, position) {
            if is_out_of_space(&error) {
                return Err(ReceiveError::NoRoom(core.disk_full("storePathCommitLog")));
            }
            core.fail(format!("writing {} at byte {position} failed: {error}", segment.path().display()));
            return Err(failed(core));
        }
        Counters::add(&core.progress.counters.batches, 1);
        Counters::add(&core.progress.counters.bytes, bytes.len() as u64);
        core.ahead.moved(to);
        let from = core.tail.watermark();
        let received = segment.position(from).zip(usize::try_from(to.saturating_sub(from)).ok());
        let (position, len) = received.unwrap_or((position, bytes.len()));
        let found = scan::advance(segment.bytes(position, len), from, file_end);
        let news = core.received_to(to, found.watermark, found.store_timestamp);
        let result = match found.unsound {
            None => Ok(()),
            Some(unsound) => {
                tracing::error!("{unsound}");
                state.unsound = Some(unsound.clone());
                Err(ReceiveError::Unsound(unsound))
            }
        };
        drop(state);
        self.is_behind |= news;
        self.show(false);
        result
    }

    /// Has the shards follow what was appended, unless they were called within the last millisecond; with `at_once` even
    /// then. The time after which it is to be called again, if it put that off.
    pub fn show(&mut self, at_once: bool) -> Option<Duration> {
        if !self.is_behind {
            return None;
        }
        let since = self.shown.elapsed();
        if !at_once && since < SHOW_INTERVAL {
            return Some(SHOW_INTERVAL - since);
        }
        (self.shown, self.is_behind) = (Instant::now(), false);
        self.core().progress.watermark_moved(None);
        None
    }

    /// Wakes the receiver's thread when [`Receiver::durable`] moved.
    pub fn watch_durable(&self) -> io::Result<LogWatch> {
        LogWatch::new(self.shared.core().clone(), Watched::Durable)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.show(true);
        self.core().received.taken.store(false, Ordering::SeqCst);
    }
}

/// Whether anything may be taken.
fn check(core: &Core, state: &State) -> Result<(), ReceiveError> {
    if core.progress.is_failed() {
        return Err(failed(core));
    }
    if state.closed || core.is_stopping() {
        return Err(ReceiveError::ShuttingDown);
    }
    if let Some(reason) = &state.unfinished {
        return Err(ReceiveError::CutUnfinished { reason: reason.clone() });
    }
    state.unsound.clone().map_or(Ok(()), |unsound| Err(ReceiveError::Unsound(unsound)))
}

fn failed(core: &Core) -> ReceiveError {
    core.progress.failure().map_or(ReceiveError::ShuttingDown, |failure| ReceiveError::Failed(failure.clone()))
}

fn no_room(core: &Core, refused: PutRefused) -> ReceiveError {
    if core.progress.is_failed() { failed(core) } else { ReceiveError::NoRoom(refused) }
}

fn io_error(action: &'static str, segment: &Segment, error: &io::Error) -> ReceiveError {
    ReceiveError::Io { action, path: segment.path().to_path_buf(), problem: error.to_string() }
}

/// Makes the received end the watermark again: zeros, durably, over the bytes of what is not a whole record. Nobody has
/// seen them, so they are not kept.
fn drop_partial(core: &Core) -> Result<(), ReceiveError> {
    let (watermark, end) = (core.tail.watermark(), core.tail.next());
    let mut at = watermark;
    while at < end {
        let Some(segment) = core.segments.find(at) else { break };
        let until = segment.end().min(end);
        // Who syncs a file alone would take the word of a failed flush from those who have to hear it.
        let mut turns = core.syncs.lock();
        if turns.failed {
            return Err(failed(core));
        }
        let mut position = segment.position(at).unwrap_or(0);
        while at < until {
            let len = usize::try_from(until - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
            let zeros = ZEROS.get(..len).unwrap_or(&[]);
            let written = core.options.disk.write_all_at(segment.file(), &mut [IoSlice::new(zeros)], position);
            written.map_err(|error| io_error("cut", &segment, &error))?;
            position += len as u64;
            at += len as i64;
        }
        if let Err(error) = core.options.disk.sync_data(segment.file()) {
            turns.failed = true;
            core.fail(format!("fdatasync of {} failed: {error}", segment.path().display()));
            return Err(failed(core));
        }
    }
    core.tail.follow(watermark, watermark, 0);
    Ok(())
}

/// The store is being closed: nothing more is taken, and the log ends with a whole record.
pub(crate) fn close(core: &Core) {
    let mut state = core.received.state();
    state.closed = true;
    if let Err(error) = drop_partial(core) {
        tracing::warn!(%error, "the last piece received stays behind the log's end; the next start cuts it");
    }
}
