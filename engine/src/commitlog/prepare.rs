//! The roll: makes the next commitlog file before it is needed, or at once when it is needed and not there.
//!
//! The thread asks for space, writes zeros past the page cache at idle priority in small slices (zeroing through the
//! page cache ruins everyone's tail latency), makes the file durable and gives it its name. [`Roll::room_for`] runs on
//! a shard and only allocates: some milliseconds, counted. Either way a file appears under its name whole, or not at
//! all, and its name is durable before a byte in it is acknowledged.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::segment::{Segment, file_name};
use crate::error::PutRefused;
use crate::io::{AlignedZeros, is_out_of_resources, is_out_of_space};
use crate::options::PreparePolicy;
use crate::progress::{Counters, Refuser};
use crate::store::core::Core;

/// What a file is called while it is being made.
pub const TMP_SUFFIX: &str = ".tmp";

#[derive(Default)]
struct State {
    /// Somebody wants the next file prepared.
    wanted: bool,
    /// A range some shard will write to soon, to be read into the page cache.
    warm: Option<(Arc<Segment>, u64, u64)>,
    /// After a full disk nobody tries before this.
    not_before: Option<Instant>,
}

/// See the module's head.
#[derive(Default)]
pub struct Roll {
    state: Mutex<State>,
    changed: Condvar,
}

/// Why room was not made.
#[derive(Debug)]
pub(crate) enum RoomError {
    /// No space, no descriptor, no memory: refuse, it may pass.
    Refused(PutRefused),
    /// Anything else: the log cannot go on.
    Io(io::Error, PathBuf),
}

impl Roll {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For shards: the lock is held over waits for the disk.
    fn try_state(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Asks for the next file. May go unheard; ask again with the next message.
    pub(crate) fn ask(&self) {
        // Who holds the lock is about to wait for the disk, and makes the file that is asked for.
        let Some(mut state) = self.try_state() else { return };
        if !state.wanted {
            state.wanted = true;
            self.changed.notify_all();
        }
    }

    /// Asks for a range to be read ahead: with several shards no one may pad a write to the page's end, so the pages
    /// must be in the cache before they are written to.
    pub(crate) fn warm(&self, segment: Arc<Segment>, position: u64, len: u64) {
        if let Some(mut state) = self.try_state() {
            state.warm = Some((segment, position, len));
            self.changed.notify_all();
        }
    }

    /// Ends the thread.
    pub(crate) fn wake(&self) {
        let _state = self.state();
        self.changed.notify_all();
    }

    /// While puts are refused for want of room: whether there is some, or whether it can be made now.
    pub(crate) fn look_again(&self, core: &Core) {
        let mut state = self.state();
        if core.segments.room_end().saturating_sub(core.tail.next()) >= core.segments.size() {
            // A whole file is free: whatever a put may be, it fits.
            there_is_room(core, &mut state);
            return;
        }
        drop(state);
        let _ = core.room_for(core.segments.room_end().saturating_add(1));
    }

    /// Makes files until there is room up to `end`.
    pub(crate) fn room_for(&self, core: &Core, end: i64) -> Result<(), RoomError> {
        let mut state = self.state();
        while core.segments.room_end() < end {
            if let Some(refused) = state.not_before.filter(|at| Instant::now() < *at).and(core.progress.refused()) {
                return Err(RoomError::Refused(refused));
            }
            let base = core.segments.room_end();
            let tmp = core.options.commitlog_dir.join(format!("{}.roll{TMP_SUFFIX}", file_name(base)));
            let made =
                make(core, &tmp, PreparePolicy::Allocated, &mut || true).and_then(|()| publish(core, &tmp, base));
            match made {
                Ok(segment) => {
                    core.segments.push(segment);
                    Counters::add(&core.progress.counters.inline_segments, 1);
                    there_is_room(core, &mut state);
                }
                Err(error) => {
                    let _ = fs::remove_file(&tmp);
                    let refused = if is_out_of_space(&error) {
                        core.disk_full("mappedFileSizeCommitLog")
                    } else if is_out_of_resources(&error) {
                        PutRefused::NotWritable(format!(
                            "the next commitlog file {} cannot be made: {error}; raise the limit of open files or free memory, writes are taken again by themselves",
                            tmp.display()
                        ))
                    } else {
                        return Err(RoomError::Io(error, tmp));
                    };
                    state.not_before = Instant::now().checked_add(core.options.retention.interval_when_full);
                    if core.progress.refuse(Refuser::Room, Some(refused.clone())) {
                        core.clean_signal.wake();
                        tracing::error!(path = %tmp.display(), %error, "the next commitlog file cannot be made for now");
                    }
                    return Err(RoomError::Refused(refused));
                }
            }
        }
        Ok(())
    }
}

/// Puts need not be refused any more.
fn there_is_room(core: &Core, state: &mut State) {
    state.not_before = None;
    if core.progress.refuse(Refuser::Room, None) {
        tracing::info!("there is room in the commitlog again");
    }
}

/// Makes a durable file of the segment size under a temporary name. `go_on` is asked between slices.
fn make(core: &Core, tmp: &Path, policy: PreparePolicy, go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
    let disk = &core.options.disk;
    let size = core.options.segment_size;
    let direct = matches!(policy, PreparePolicy::Zeroed { .. });
    let (file, _) = disk.create(tmp, direct && size.is_multiple_of(crate::io::PAGE as u64))?;
    disk.allocate(&file, size)?;
    if let PreparePolicy::Zeroed { slice_bytes, pause } = policy {
        let slice = slice_bytes.clamp(crate::io::PAGE, 64 << 20).next_multiple_of(crate::io::PAGE);
        let zeros = AlignedZeros::new(slice);
        let mut position = 0u64;
        while position < size {
            if !go_on() {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
            let len = usize::try_from(size - position).unwrap_or(slice).min(slice);
            disk.write_all_at(&file, &mut [IoSlice::new(zeros.get(len))], position)?;
            position += len as u64;
            std::thread::sleep(pause);
        }
    }
    // The size is metadata that fdatasync covers, because without it the data could not be read back.
    file.sync_data()
}

/// Gives a finished file its name, durably.
fn publish(core: &Core, tmp: &Path, base: i64) -> io::Result<Arc<Segment>> {
    let path = core.options.commitlog_dir.join(file_name(base));
    // Opened first: that may fail for want of a descriptor and be tried again, the sync may not.
    let dir = File::open(&core.options.commitlog_dir)?;
    fs::rename(tmp, &path)?;
    if let Err(error) = dir.sync_all() {
        core.fail(format!("making the name of {} durable failed: {error}", path.display()));
        return Err(error);
    }
    Segment::open(&core.options.disk, &path, base, core.options.segment_size).map(Arc::new)
}

/// The preparing thread; returns when the store stops.
pub(crate) fn run(core: &Core) {
    crate::io::idle_io_class();
    let mut failing = false;
    loop {
        let mut state = core.roll.state();
        while !state.wanted && state.warm.is_none() && !core.is_stopping() {
            state = core.roll.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if core.is_stopping() {
            return;
        }
        if let Some((segment, position, len)) = state.warm.take() {
            drop(state);
            crate::io::readahead(segment.file(), position, len);
            continue;
        }
        // Taken back before the work, so that who asks meanwhile is heard.
        state.wanted = false;
        drop(state);
        let mut pause = Duration::ZERO;
        match prepare_next(core) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(dir = %core.options.commitlog_dir.display(), %error, "the next commitlog file could not be prepared; it is made when it is needed, and preparing is tried again");
                }
                pause = Duration::from_secs(1);
            }
            _ => failing = false,
        }
        let state = core.roll.state();
        if !pause.is_zero() && !core.is_stopping() {
            drop(core.roll.changed.wait_timeout(state, pause));
        }
    }
}

fn prepare_next(core: &Core) -> io::Result<()> {
    let base = core.segments.room_end();
    if !core.wants_next_segment() {
        return Ok(());
    }
    let tmp = core.options.commitlog_dir.join(format!("{}{TMP_SUFFIX}", file_name(base)));
    let made = make(core, &tmp, core.options.prepare, &mut || !core.is_stopping() && core.segments.room_end() == base);
    let result = made.and_then(|()| {
        // Under the lock, so that no shard makes the same file meanwhile.
        let mut state = core.roll.state();
        if core.segments.room_end() != base {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        core.segments.push(publish(core, &tmp, base)?);
        there_is_room(core, &mut state);
        Counters::add(&core.progress.counters.prepared_segments, 1);
        Ok(())
    });
    if result.is_err() {
        let _ = fs::remove_file(&tmp);
    }
    result
}
