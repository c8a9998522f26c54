//! The roll: makes the next commitlog file before it is needed, or at once when it is needed and not there.
//!
//! The thread asks for space, writes zeros past the page cache at idle priority in small slices (zeroing through the
//! page cache ruins everyone's tail latency), makes the file durable and gives it its name. [`Roll::room_for`] runs on
//! a shard and only allocates: some milliseconds, counted. Either way a file appears under its name whole, or not at
//! all, and its name is durable before a byte in it is acknowledged.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::segment::{Segment, file_name};
use crate::error::PutRefused;
use crate::io::{AlignedZeros, IoClass, is_out_of_resources, is_out_of_space, set_io_class};
use crate::options::PreparePolicy;
use crate::progress::{Counters, Refuser};
use crate::store::core::Core;

/// What a file is called while it is being made.
pub const TMP_SUFFIX: &str = ".tmp";

#[derive(Default)]
struct State {
    /// Somebody wants the next file prepared.
    wanted: bool,
    /// The file the thread is filling with zeros: all its space is there already, so whoever needs it may have it as it
    /// is. The thread writes to it under this lock only, and not once it has a name.
    filling: Option<(i64, PathBuf)>,
    /// After a full disk nobody tries before this.
    not_before: Option<Instant>,
}

/// See the module's head.
#[derive(Default)]
pub struct Roll {
    state: Mutex<State>,
    changed: Condvar,
    /// Somebody asked while the lock was held.
    unheard: AtomicBool,
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

    /// Asks for the next file. May be heard late; ask again with the next message.
    pub(crate) fn ask(&self) {
        let Some(mut state) = self.try_state() else {
            // Who holds the lock may have made a file a moment ago, after which this is the first message.
            self.unheard.store(true, Ordering::Release);
            return;
        };
        if !state.wanted {
            state.wanted = true;
            self.changed.notify_all();
        }
    }

    /// Runs `change` on the list of files while no file is made or given a name. The file being filled is given up.
    pub(crate) fn hold<T>(&self, change: impl FnOnce() -> T) -> T {
        let mut state = self.state();
        state.filling = None;
        change()
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
            let (tmp, made) = match state.filling.take_if(|(filling, _)| *filling == base) {
                Some((_, tmp)) => (tmp, Ok(())),
                None => {
                    let tmp = core.options.commitlog_dir.join(format!("{}.roll{TMP_SUFFIX}", file_name(base)));
                    let made = allocate(core, &tmp, false).map(drop);
                    (tmp, made)
                }
            };
            let made = made.and_then(|()| publish(core, &tmp, base));
            match made {
                Ok(segment) => {
                    core.segments.push(segment);
                    Counters::add(&core.progress.counters.inline_segments, 1);
                    tracing::debug!(base, "a commitlog file was needed before it was prepared");
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

/// Makes a file of the segment size under a temporary name; the size is durable, the content is zeros.
fn allocate(core: &Core, tmp: &Path, direct: bool) -> io::Result<File> {
    let disk = &core.options.disk;
    let size = core.options.segment_size;
    let (file, _) = disk.create(tmp, direct && size.is_multiple_of(crate::io::PAGE as u64))?;
    disk.allocate(&file, size)?;
    // The size is metadata that fdatasync covers, because without it the data could not be read back.
    file.sync_data()?;
    Ok(file)
}

/// Gives a file its name, durably.
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
    let mut failing = false;
    loop {
        let mut state = core.roll.state();
        while !state.wanted && !core.roll.unheard.swap(false, Ordering::AcqRel) && !core.is_stopping() {
            state = core.roll.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if core.is_stopping() {
            return;
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
    let began = Instant::now();
    let result = fill(core, &tmp, base).and_then(|()| {
        let mut state = core.roll.state();
        still_filling(&state, base)?;
        core.segments.push(publish(core, &tmp, base)?);
        state.filling = None;
        there_is_room(core, &mut state);
        Counters::add(&core.progress.counters.prepared_segments, 1);
        tracing::debug!(base, ms = began.elapsed().as_millis() as u64, "a commitlog file is prepared");
        Ok(())
    });
    if result.is_err() {
        // Under the lock: who takes the file gives it its name under it, and then there is nothing here to remove.
        let mut state = core.roll.state();
        state.filling.take_if(|(filling, _)| *filling == base);
        let _ = fs::remove_file(&tmp);
    }
    result
}

/// An error when somebody took the file, or made it himself.
fn still_filling(state: &State, base: i64) -> io::Result<()> {
    match &state.filling {
        Some((filling, _)) if *filling == base => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::Interrupted)),
    }
}

/// Makes the next file and fills it with zeros, in slices.
fn fill(core: &Core, tmp: &Path, base: i64) -> io::Result<()> {
    let size = core.options.segment_size;
    let PreparePolicy::Zeroed { slice_bytes, pause } = core.options.prepare else {
        allocate(core, tmp, false)?;
        return offer(core, tmp, base);
    };
    set_io_class(IoClass::Idle);
    let file = allocate(core, tmp, true)?;
    offer(core, tmp, base)?;
    let slice = slice_bytes.clamp(crate::io::PAGE, 64 << 20).next_multiple_of(crate::io::PAGE);
    let zeros = AlignedZeros::new(slice);
    let pace = Pace::new(Instant::now(), core.tail.next());
    let mut class = IoClass::Idle;
    let mut position = 0u64;
    while position < size {
        if core.is_stopping() {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        let end = core.tail.next();
        let room = u64::try_from(base.saturating_sub(end)).unwrap_or(0);
        let pause_now = pace.pause(Instant::now(), end, room, (size - position).div_ceil(slice as u64), pause);
        // In the idle class writing back what producers send keeps the zeros waiting, for seconds if need be, and a
        // shard that needs the file waits for the slice under way.
        let is_near = room < size / 4;
        let class_now = if pause_now < pause || is_near { IoClass::Last } else { IoClass::Idle };
        if std::mem::replace(&mut class, class_now) != class_now {
            set_io_class(class_now);
        }
        {
            let state = core.roll.state();
            still_filling(&state, base)?;
            let len = usize::try_from(size - position).unwrap_or(slice).min(slice);
            core.options.disk.write_all_at(&file, &mut [IoSlice::new(zeros.get(len))], position)?;
            position += len as u64;
        }
        if !pause_now.is_zero() {
            std::thread::sleep(pause_now);
        }
    }
    set_io_class(IoClass::Last);
    // So that the first flush of the log in this file finds its metadata on disk.
    file.sync_data()
}

/// Lets others have the file from here on, as far as it is.
fn offer(core: &Core, tmp: &Path, base: i64) -> io::Result<()> {
    let mut state = core.roll.state();
    if core.segments.room_end() != base {
        drop(state);
        let _ = fs::remove_file(tmp);
        return Err(io::Error::from(io::ErrorKind::Interrupted));
    }
    state.filling = Some((base, tmp.to_path_buf()));
    Ok(())
}

/// How fast slices must follow each other, so that the file is ready when the log arrives there.
struct Pace {
    began: Instant,
    from: i64,
}

impl Pace {
    fn new(now: Instant, end: i64) -> Self {
        Self { began: now, from: end }
    }

    /// The pause before the next slice: `longest`, or less when the log, which ends at `end` with `room` bytes before
    /// the new file, comes nearer faster than `slices` pauses last. A third of the time left is for pauses: the slices take
    /// time as well, and the log may become faster.
    fn pause(&self, now: Instant, end: i64, room: u64, slices: u64, longest: Duration) -> Duration {
        let moved = u64::try_from(end.saturating_sub(self.from)).unwrap_or(0);
        let elapsed = now.duration_since(self.began);
        if moved == 0 || slices == 0 {
            return longest;
        }
        let left = elapsed.as_secs_f64() * room as f64 / moved as f64;
        longest.min(Duration::try_from_secs_f64(left / 3.0 / slices as f64).unwrap_or(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_faster_when_the_log_is_fast() {
        let began = Instant::now();
        let check = |moved: i64, ms: u64, room: u64, slices: u64, expected_us: u128| {
            let pace = Pace::new(began, 1000);
            let now = began + Duration::from_millis(ms);
            let pause = pace.pause(now, 1000 + moved, room, slices, Duration::from_millis(5));
            assert_eq!(pause.as_micros(), expected_us, "{moved} bytes in {ms} ms");
        };
        check(0, 100, 1 << 30, 1000, 5000);
        // 1 MiB in 100 ms: the GiB left lasts 102 s.
        check(1 << 20, 100, 1 << 30, 1000, 5000);
        // 100 MiB in 100 ms: a second is left for 1000 slices.
        check(100 << 20, 100, 1000 << 20, 1000, 333);
        check(100 << 20, 100, 0, 1000, 0);
        check(100 << 20, 100, 1 << 30, 0, 5000);
    }
}
