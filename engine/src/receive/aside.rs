//! Setting files aside: what was readable goes into a directory beside its own, never away.
//!
//! Each step is durable before the next, newest file first, so a crash leaves a log without gaps that is longer than
//! wanted, or as wanted. Files that are open stay readable for who holds them. Runs on the receiver's thread while
//! nobody else appends, flushes or cuts.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::calendar::civil;

use super::{ReceiveError, failed};
use crate::commitlog::prepare::TMP_SUFFIX;
use crate::commitlog::segment::{Segment, file_name};
use crate::recover;
use crate::store::core::{Core, now_ms};
use crate::store::deleted;

/// Makes an I/O error one of these.
pub(super) fn wrap(action: &'static str, path: &Path) -> impl Fn(io::Error) -> ReceiveError {
    let path = path.to_path_buf();
    move |error| ReceiveError::Io { action, path: path.clone(), problem: error.to_string() }
}

/// A directory beside `dir` that does not exist yet: `<name>.aside-<UTC date and time>`.
fn beside(dir: &Path, now_ms: i64) -> PathBuf {
    let name = dir.file_name().map_or_else(|| "store".into(), |name| name.to_string_lossy().into_owned());
    let parent = dir.parent().unwrap_or(Path::new("."));
    let stamp = stamp(now_ms);
    let first = parent.join(format!("{name}.aside-{stamp}"));
    if !first.exists() {
        return first;
    }
    let mut others = (2..u32::MAX).map(|number| parent.join(format!("{name}.aside-{stamp}-{number}")));
    others.find(|path| !path.exists()).unwrap_or(first)
}

/// `yyyymmddThhmmssZ`.
fn stamp(now_ms: i64) -> String {
    let seconds = now_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The directory for the log's files, made when the first one goes there.
struct Aside<'a> {
    core: &'a Core,
    dir: PathBuf,
    made: bool,
}

impl<'a> Aside<'a> {
    fn new(core: &'a Core) -> Self {
        Self { core, dir: beside(&core.options.commitlog_dir, now_ms()), made: false }
    }

    /// Where a file goes.
    fn place(&mut self, segment: &Segment) -> Result<PathBuf, ReceiveError> {
        if !self.made {
            let made = fs::create_dir(&self.dir).and_then(|()| File::open(parent_of(&self.dir))?.sync_all());
            made.map_err(wrap("make the directory", &self.dir))?;
            self.made = true;
            tracing::warn!(dir = %self.dir.display(), "commitlog files are set aside");
        }
        Ok(self.dir.join(file_name(segment.base())))
    }

    fn sync(&self) -> Result<(), ReceiveError> {
        for dir in [&self.dir, &self.core.options.commitlog_dir] {
            if dir.exists() {
                self.core.options.disk.sync_dir(dir).map_err(wrap("make durable the directory", dir))?;
            }
        }
        Ok(())
    }

    /// Takes a whole file out of the log: aside if it holds bytes before `received`, else it is one made ahead and goes.
    fn take(&mut self, segment: &Segment, received: i64) -> Result<(), ReceiveError> {
        if !segment.path().exists() {
            // A try before this one got so far.
            return Ok(());
        }
        if segment.base() < received {
            let place = self.place(segment)?;
            fs::rename(segment.path(), &place).map_err(wrap("set aside", segment.path()))?;
        } else {
            fs::remove_file(segment.path()).map_err(wrap("remove", segment.path()))?;
        }
        self.sync()
    }

    /// Puts a copy of a file's bytes before `end` in its place; the file itself goes aside.
    fn shorten(&mut self, segment: &Segment, end: i64) -> Result<Arc<Segment>, ReceiveError> {
        let options = &self.core.options;
        let tmp = options.commitlog_dir.join(format!("{}.cut{TMP_SUFFIX}", file_name(segment.base())));
        let kept = segment.position(end).unwrap_or(segment.size());
        let made = options.disk.create(&tmp, false).and_then(|(file, _)| {
            options.disk.allocate(&file, options.segment_size)?;
            let copied = io::copy(&mut File::open(segment.path())?.take(kept), &mut &file)?;
            if copied != kept {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            options.disk.sync_data(&file)
        });
        let clean_up = |error: ReceiveError| {
            let _ = fs::remove_file(&tmp);
            error
        };
        made.map_err(wrap("copy what is kept into", &tmp)).map_err(clean_up)?;
        let place = self.place(segment).map_err(clean_up)?;
        fs::hard_link(segment.path(), &place).map_err(wrap("set aside", segment.path())).map_err(clean_up)?;
        self.sync()?;
        fs::rename(&tmp, segment.path()).map_err(wrap("replace", segment.path())).map_err(clean_up)?;
        self.sync()?;
        let opened = Segment::open(&options.disk, segment.path(), segment.base(), segment.size());
        opened.map(Arc::new).map_err(wrap("open", segment.path()))
    }
}

/// Cuts the log's files at the record boundary `end`; bytes were received up to `received`.
pub(super) fn cut(core: &Core, end: i64, received: i64) -> Result<(), ReceiveError> {
    deleted::limit(&core.options.root, end).map_err(wrap("rewrite", &deleted::path(&core.options.root)))?;
    core.roll.hold(|| {
        let mut aside = Aside::new(core);
        let list = core.segments.snapshot();
        // Files made ahead stay where the end is in the file before them.
        let behind = list.iter().filter(|segment| segment.base() >= end);
        let go = behind.clone().any(|segment| segment.base() < received);
        for segment in behind.rev().filter(|_| go) {
            aside.take(segment, received)?;
        }
        let last = list.iter().find(|segment| segment.base() < end && end < segment.end());
        let shortened = last.map(|segment| aside.shorten(segment, end)).transpose()?;
        let is_empty = go && list.first().is_some_and(|first| first.base() >= end);
        let first = if is_empty { Some(new_first(core, end)?) } else { None };
        core.segments.replace_from(if go { end } else { i64::MAX }, shortened, first);
        Ok(())
    })
}

/// Takes all of the log's files out, those with bytes before `received` aside, and makes the first one of a log that
/// begins at `start`.
pub(super) fn log(core: &Core, start: i64, received: i64) -> Result<(), ReceiveError> {
    core.roll.hold(|| {
        let mut aside = Aside::new(core);
        for segment in core.segments.snapshot().iter().rev() {
            aside.take(segment, received)?;
        }
        let first = new_first(core, start)?;
        core.segments.replace_from(i64::MIN, None, Some(first));
        Ok(())
    })
}

fn new_first(core: &Core, start: i64) -> Result<Arc<Segment>, ReceiveError> {
    recover::first_segment(&core.options, start).map_err(|error| ReceiveError::Io {
        action: "make the first file in",
        path: core.options.commitlog_dir.clone(),
        problem: error.to_string(),
    })
}

/// Sets aside the consume queues, the notes of deleted ones, and the index, and makes empty directories for new ones.
pub(super) fn tables(core: &Core) -> Result<(), ReceiveError> {
    if core.progress.is_failed() {
        return Err(failed(core));
    }
    let options = &core.options;
    core.index.forget().map_err(wrap("let go the index in", &options.index_dir))?;
    let now_ms = now_ms();
    for dir in [&options.consume_queue_dir, &options.index_dir] {
        if is_empty(dir).map_err(wrap("look into", dir))? {
            continue;
        }
        let to = beside(dir, now_ms);
        fs::rename(dir, &to)
            .and_then(|()| fs::create_dir(dir))
            .and_then(|()| File::open(parent_of(dir))?.sync_all())
            .map_err(wrap("set aside", dir))?;
        tracing::warn!(from = %dir.display(), to = %to.display(), "set aside");
    }
    let notes = deleted::path(&options.root);
    let moved = match fs::rename(&notes, beside(&notes, now_ms)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => options.disk.sync_dir(&options.root),
    };
    moved.map_err(wrap("set aside", &notes))
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(dir).map(|()| true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |seconds: i64, want: &str| assert_eq!(stamp(seconds * 1000), want);
        check(0, "19700101T000000Z");
        check(951_782_399, "20000228T235959Z");
        check(951_782_400, "20000229T000000Z");
        check(1_704_067_199, "20231231T235959Z");
        check(1_709_251_200, "20240301T000000Z");
    }

    #[test]
    fn a_second_directory_of_the_same_second_gets_a_number() {
        let dir = crate::store::testing::TempDir::new("aside");
        let log = dir.path().join("commitlog");
        let first = beside(&log, 0);
        assert_eq!(first, dir.path().join("commitlog.aside-19700101T000000Z"));
        fs::create_dir(&first).expect("made");
        assert_eq!(beside(&log, 0), dir.path().join("commitlog.aside-19700101T000000Z-2"));
    }
}
