//! Retention and the watch over free space.
//!
//! Owns the decision what is deleted and when sends are refused for want of space, and the deletion itself: off the
//! write path, a file at a time, its space given back in slices. A file a pull still holds is unlinked at once and
//! given back when the last holder is gone. Consume queue files are expired by their shards, which see the log's first
//! byte rise. Runs on its own thread.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::commitlog::segment::Segment;
use crate::error::PutRefused;
use crate::io::{Space, utc_offset_minutes};
use crate::options::RetentionOptions;
use crate::progress::{Counters, Refuser};
use crate::store::core::Core;

/// Files deleted in one round at most, as in Java 4.9.7.
const FILES_A_ROUND: usize = 10;
/// Pause between two slices of one file.
const SLICE_PAUSE: Duration = Duration::from_millis(10);

/// Wakes the thread.
#[derive(Default)]
pub struct CleanSignal {
    state: Mutex<Signal>,
    changed: Condvar,
}

#[derive(Default)]
struct Signal {
    delete_now: bool,
}

impl CleanSignal {
    fn state(&self) -> MutexGuard<'_, Signal> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a round that deletes expired files whatever the hour.
    pub(crate) fn delete_now(&self) {
        self.state().delete_now = true;
        self.changed.notify_all();
    }

    /// Ends the thread.
    pub(crate) fn wake(&self) {
        let _state = self.state();
        self.changed.notify_all();
    }
}

/// What one look at the disk leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decision {
    /// Delete expired files.
    delete: bool,
    /// Delete files that are not expired, too.
    forcibly: bool,
    /// Refuse sends.
    full: bool,
}

fn decide(options: &RetentionOptions, used_percent: u32, hour: u8, asked: bool) -> Decision {
    let forcibly = options.clean_forcibly && used_percent > options.clean_forcibly_percent;
    let above = used_percent > options.disk_max_used_percent.clamp(10, 95);
    let delete = asked || forcibly || above || options.delete_when_hours.contains(&hour);
    Decision { delete, forcibly, full: used_percent > options.warning_percent }
}

fn hour_of_day(options: &RetentionOptions, now: SystemTime) -> u8 {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(0));
    let minutes = options.utc_offset_minutes.unwrap_or_else(|| utc_offset_minutes(seconds));
    u8::try_from((seconds + i64::from(minutes) * 60).div_euclid(3600).rem_euclid(24)).unwrap_or(0)
}

/// The fuller of the two file systems that messages need, with the key that names it.
fn look(core: &Core) -> Option<(Space, &std::path::Path, &'static str)> {
    let options = &core.options;
    let places = [
        (options.commitlog_dir.as_path(), "storePathCommitLog"),
        (options.consume_queue_dir.as_path(), "storePathRootDir"),
    ];
    let looks = places.into_iter().filter_map(|(path, key)| match options.retention.space.look(path) {
        Ok(space) => Some((space, path, key)),
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "free space cannot be learnt");
            None
        }
    });
    // Of two equal ones the first, which is the commitlog's.
    looks.reduce(|first, second| if second.0.used_percent > first.0.used_percent { second } else { first })
}

/// The retention thread; returns when the store stops.
pub(crate) fn run(core: &Core) {
    let mut leased = Vec::new();
    let mut asked = false;
    while !core.is_stopping() {
        round(core, asked, &mut leased);
        let full = core.progress.refuses(Refuser::Watch) || core.progress.refuses(Refuser::Room);
        let options = &core.options.retention;
        let waits_for_holders = !leased.is_empty();
        let mut pause = if full { options.interval_when_full } else { options.interval };
        if waits_for_holders {
            pause = pause.min(Duration::from_secs(1));
        }
        let mut signal = core.clean_signal.state();
        if !signal.delete_now && !core.is_stopping() {
            signal = core.clean_signal.changed.wait_timeout(signal, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
        asked = std::mem::take(&mut signal.delete_now);
    }
}

/// One look at the disk and what follows from it.
fn round(core: &Core, asked: bool, leased: &mut Vec<Arc<Segment>>) {
    let options = &core.options.retention;
    let hour = hour_of_day(options, SystemTime::now());
    if let Some((space, _, _)) = look(core) {
        let decision = decide(options, space.used_percent, hour, asked);
        if decision.delete {
            delete(core, decision.forcibly, leased);
        }
    }
    give_back(core, leased);
    watch(core);
    if core.progress.refuses(Refuser::Room) {
        // Puts are refused and cannot find out themselves that there is space again.
        core.roll.look_again(core);
    }
}

/// Refuses sends while the disk is too full, and takes that back.
fn watch(core: &Core) {
    let options = &core.options.retention;
    let Some((space, path, key)) = look(core) else { return };
    let full = space.used_percent > options.warning_percent;
    let refusal = full.then(|| PutRefused::DiskFull {
        path: path.to_path_buf(),
        free_bytes: space.free_bytes,
        used_percent: space.used_percent,
        key,
    });
    let words = refusal.as_ref().map(ToString::to_string);
    if core.progress.refuse(Refuser::Watch, refusal) {
        match words {
            Some(words) => tracing::error!("{words}"),
            None => {
                tracing::info!(path = %path.display(), used_percent = space.used_percent, "there is room again, messages are taken")
            }
        }
    }
}

/// Deletes the oldest files: expired ones, or with `forcibly` any, until the disk is below that mark. The last file and
/// what is not durable yet stay.
fn delete(core: &Core, forcibly: bool, leased: &mut Vec<Arc<Segment>>) {
    let options = &core.options.retention;
    let mut deleted = 0;
    while deleted < FILES_A_ROUND && !core.is_stopping() {
        let Some(first) = core.segments.snapshot().first().cloned() else { break };
        if !(is_expired(&first, options.file_reserved) || forcibly && (deleted == 0 || is_still_full(core))) {
            break;
        }
        drop(first);
        let Some(segment) = core.segments.take_first(core.progress.flushed()) else { break };
        match std::fs::remove_file(segment.path()) {
            Ok(()) => tracing::info!(path = %segment.path().display(), forcibly, "commitlog file deleted"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(path = %segment.path().display(), %error, "an expired commitlog file could not be removed; remove it by hand");
            }
        }
        Counters::add(&core.progress.counters.deleted_segments, 1);
        leased.push(segment);
        give_back(core, leased);
        deleted += 1;
        pause(core, options.delete_pause);
    }
    if deleted > 0 {
        let _ = core.options.disk.sync_dir(&core.options.commitlog_dir);
        if let Err(error) = core.index.delete_expired(core.segments.log_min()) {
            tracing::warn!(%error, "expired index files stay for now");
        }
    }
}

fn is_still_full(core: &Core) -> bool {
    let mark = core.options.retention.clean_forcibly_percent;
    look(core).is_some_and(|(space, _, _)| space.used_percent > mark)
}

fn is_expired(segment: &Segment, reserved: Duration) -> bool {
    let modified = segment.file().metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age >= reserved))
}

/// Gives back the space of deleted files nobody holds any more, in slices: one large truncation can stall the disk.
fn give_back(core: &Core, leased: &mut Vec<Arc<Segment>>) {
    for segment in std::mem::take(leased) {
        match Arc::try_unwrap(segment) {
            Ok(segment) => shrink(core, &segment.into_file()),
            Err(segment) => leased.push(segment),
        }
    }
}

fn shrink(core: &Core, file: &File) {
    let slice = core.options.retention.delete_slice_bytes.max(1 << 20);
    let mut len = file.metadata().map_or(0, |metadata| metadata.len());
    while len > slice && !core.is_stopping() {
        len -= slice;
        if file.set_len(len).is_err() {
            return;
        }
        pause(core, SLICE_PAUSE);
    }
}

/// Waits, but not for a store that stops.
fn pause(core: &Core, time: Duration) {
    let signal = core.clean_signal.state();
    if !core.is_stopping() && !time.is_zero() {
        drop(core.clean_signal.changed.wait_timeout(signal, time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_at_the_hour_or_when_space_is_short() {
        let options = RetentionOptions::default();
        let check = |used, hour, asked, want: (bool, bool, bool)| {
            let Decision { delete, forcibly, full } = decide(&options, used, hour, asked);
            assert_eq!((delete, forcibly, full), want, "{used} % at {hour}");
        };
        check(10, 3, false, (false, false, false));
        check(10, 4, false, (true, false, false));
        check(10, 3, true, (true, false, false));
        check(75, 3, false, (false, false, false));
        check(76, 3, false, (true, false, false));
        check(85, 3, false, (true, false, false));
        check(86, 3, false, (true, true, false));
        check(90, 3, false, (true, true, false));
        check(91, 3, false, (true, true, true));
    }

    #[test]
    fn unexpired_files_stay_when_that_is_asked_for() {
        let options = RetentionOptions { clean_forcibly: false, disk_max_used_percent: 100, ..Default::default() };
        let got = decide(&options, 95, 3, false);
        assert_eq!(
            got,
            Decision { delete: false, forcibly: false, full: true },
            "95 is the most the ratio is taken as"
        );
        assert!(decide(&options, 96, 3, false).delete);
    }

    #[test]
    fn the_hour_is_the_local_one() {
        let at = |seconds, minutes| {
            let options = RetentionOptions { utc_offset_minutes: Some(minutes), ..Default::default() };
            hour_of_day(&options, UNIX_EPOCH + Duration::from_secs(seconds))
        };
        assert_eq!([at(0, 0), at(3599, 0), at(3600, 0), at(0, -60), at(0, 330)], [0, 0, 1, 23, 5]);
    }
}
