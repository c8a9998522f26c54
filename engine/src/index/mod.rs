//! The message index: which records of the commitlog carry a key, by Java's hash index files.
//!
//! Owns the directory `index`. Must not read record bodies, compare keys (clients drop hash collisions, as with
//! Java) or know why a query is made. Shared by the process: one follower thread reads the log behind the readable
//! offset and is the only writer; queries come from any thread that may block on the disk.
//!
//! The index is derived data. What a crash, a damaged file or another setting makes doubtful is removed and built
//! again by the follower.

mod active;
mod file;
pub(crate) mod follow;
mod key;
mod load;
mod name;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

pub use follow::{Follower, LogReader};

use active::Active;
use file::{Header, Layout, Walk, read_slot};
use key::Key;

use crate::tables::{failed, sync_dir};

/// Entries one query looks at, over all files.
const QUERY_STEPS_MAX: u32 = 1_000_000;

/// How an [`Index`] is kept.
#[derive(Clone, Debug)]
pub struct IndexOptions {
    /// `messageIndexEnable`; without it nothing is added, existing files are still asked.
    pub enabled: bool,
    /// `maxHashSlotNum`
    pub slots: u32,
    /// `maxIndexNum`; entry 0 is unused.
    pub entries: u32,
    /// Files kept; the oldest goes first. A bound against surprises, retention normally acts long before.
    pub files_max: usize,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self { enabled: true, slots: 5_000_000, entries: 20_000_000, files_max: 500 }
    }
}

/// What a query found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryIndex {
    /// Records whose key has the hash asked for, newest first.
    pub physical_offsets: Vec<i64>,
    /// Store time in milliseconds of the newest indexed record, 0 if there is none.
    pub last_update_timestamp: i64,
    /// Physical offset of the newest indexed record, 0 if there is none.
    pub last_update_physical: i64,
}

/// A file that is full, or was when its successor was made.
#[derive(Debug)]
struct Sealed {
    path: PathBuf,
    header: Header,
}

#[derive(Default)]
struct State {
    /// Oldest first.
    sealed: Vec<Arc<Sealed>>,
    active: Option<Active>,
    /// Records up to this physical offset have all their keys in the files; -1 before the first.
    indexed_through: i64,
}

impl State {
    fn newest(&self) -> Option<&Header> {
        self.active.as_ref().map(Active::header).or(self.sealed.last().map(|sealed| &sealed.header))
    }

    fn newest_path(&self) -> Option<&Path> {
        self.active.as_ref().map(Active::path).or(self.sealed.last().map(|sealed| sealed.path.as_path()))
    }
}

/// The index of one store.
pub struct Index {
    dir: PathBuf,
    options: IndexOptions,
    layout: Layout,
    /// Held by whoever writes files or changes their list; taken before `state`.
    writer: Mutex<()>,
    /// Held briefly.
    state: Mutex<State>,
    followed_to: AtomicI64,
}

impl Index {
    /// Reads the headers of the files in `dir`, which need not exist.
    ///
    /// After an unclean end, files that end later than `checkpoint_index_ms` (the checkpoint's third time) are
    /// removed, as Java 4.x does. A file of another size than the options give, or with a header that does not fit
    /// its entries, is removed together with all newer ones; the follower fills in what is missing from the log.
    pub fn open(dir: &Path, options: IndexOptions, clean_start: bool, checkpoint_index_ms: i64) -> io::Result<Index> {
        if options.slots == 0 || options.entries < 2 || options.slots.max(options.entries) > i32::MAX as u32 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "maxHashSlotNum={} and maxIndexNum={} make no index file: give at least 1 slot and 2 entries, at \
                     most 2147483647 of each",
                    options.slots, options.entries
                ),
            ));
        }
        let layout = Layout { slots: options.slots, entries: options.entries };
        let unclean_bound_ms = (!clean_start).then_some(checkpoint_index_ms);
        let state = load::load(dir, layout, unclean_bound_ms)?;
        let followed_to = state.newest().map_or(0, |header| header.end_physical);
        Ok(Index {
            dir: dir.to_owned(),
            options,
            layout,
            writer: Mutex::new(()),
            state: Mutex::new(state),
            followed_to: AtomicI64::new(followed_to),
        })
    }

    /// Starts the thread that indexes the log from [`Index::followed_to`] on. With the index disabled, the
    /// follower has no thread.
    ///
    /// `log` must already give the recovered end: entries for records at or behind `readable()` are dropped, for
    /// a log that lost its end would otherwise get other records at their offsets.
    pub fn start_follower(self: Arc<Self>, log: Arc<dyn LogReader>) -> io::Result<Follower> {
        Follower::start(self, log)
    }

    /// Physical offset up to which the log is indexed.
    pub fn followed_to(&self) -> i64 {
        self.followed_to.load(Ordering::Acquire)
    }

    /// Records of `topic` that carry `key` (as UNIQ_KEY or a word of KEYS) and were stored from `begin` to `end`
    /// (milliseconds, both included, to the second), at most `max`, newest first.
    ///
    /// Other keys of the same hash come along. Reads files: not for a shard's thread. A damaged file gives fewer
    /// results, never an error or an offset outside its range.
    pub fn query(&self, topic: &str, key: &str, max: usize, begin: i64, end: i64) -> QueryIndex {
        let mut walk =
            Walk { hash: key::hash(topic, key), begin, end, max, steps_left: QUERY_STEPS_MAX, found: Vec::new() };
        let mut result = QueryIndex::default();
        let (in_file, sealed) = {
            let state = self.state();
            if let Some(header) = state.newest() {
                result.last_update_timestamp = header.end_timestamp;
                result.last_update_physical = header.end_physical;
            }
            let in_file = state.active.as_ref().map(|active| {
                let overlaps = walk.overlaps(active.header()) && !walk.is_done();
                let next = if overlaps { active.walk(&mut walk) } else { Ok(None) };
                (active.file().clone(), active.path().to_owned(), *active.header(), next)
            });
            (in_file, state.sealed.clone())
        };
        let mut older_matter = true;
        if let Some((file, path, header, next)) = in_file {
            let walked = next.and_then(|next| walk.follow(&file, self.layout, &header, next));
            report(&path, walked);
            older_matter = header.is_empty() || header.begin_timestamp >= begin;
        }
        for sealed in sealed.iter().rev() {
            if !older_matter || walk.is_done() {
                break;
            }
            if walk.overlaps(&sealed.header) {
                let walked = self.walk_sealed(sealed, &mut walk);
                report(&sealed.path, walked);
            }
            older_matter = sealed.header.begin_timestamp >= begin;
        }
        result.physical_offsets = walk.found;
        result.physical_offsets.truncate(max);
        result
    }

    fn walk_sealed(&self, sealed: &Sealed, walk: &mut Walk) -> io::Result<()> {
        let file = File::open(&sealed.path)?;
        let value = read_slot(&file, self.layout, self.layout.slot_of(walk.hash))?;
        walk.follow(&file, self.layout, &sealed.header, Walk::head(&sealed.header, value))
    }

    /// Removes the files whose last record lies before `log_min`, never the newest file. Returns how many.
    pub fn delete_expired(&self, log_min: i64) -> io::Result<usize> {
        let _writer = self.writer();
        let mut removed = 0;
        loop {
            let oldest = {
                let state = self.state();
                let has_newer = state.active.is_some() || state.sealed.len() > 1;
                state.sealed.first().filter(|file| has_newer && file.header.end_physical < log_min).cloned()
            };
            let Some(oldest) = oldest else { break };
            remove_file(&oldest.path)?;
            self.state().sealed.retain(|file| !Arc::ptr_eq(file, &oldest));
            removed += 1;
        }
        Ok(removed)
    }

    /// Drops the entries for records at or behind `log_end`, by removing the files that have some; the follower
    /// indexes what is left of their range again. For a log that lost its end.
    pub fn truncate_after(&self, log_end: i64) -> io::Result<()> {
        let _writer = self.writer();
        let reaches = |header: &Header| !header.is_empty() && header.end_physical >= log_end;
        let mut state = self.state();
        if let Some(active) = state.active.take_if(|active| reaches(active.header())) {
            tracing::warn!("index {} reaches behind the log's end {log_end}: built again", active.path().display());
            remove_file(active.path())?;
        }
        while state.active.is_none()
            && let Some(newest) = state.sealed.pop_if(|sealed| reaches(&sealed.header))
        {
            tracing::warn!("index {} reaches behind the log's end {log_end}: built again", newest.path.display());
            remove_file(&newest.path)?;
        }
        let end = state.newest().map(|header| header.end_physical);
        state.indexed_through = state.indexed_through.min(end.unwrap_or(-1));
        self.followed_to.fetch_min(end.unwrap_or(0), Ordering::AcqRel);
        Ok(())
    }

    /// Lets every file go without removing it: what is in the directory may be moved away, and indexing begins anew. No
    /// follower may be running.
    pub(crate) fn forget(&self) -> io::Result<()> {
        let writer = self.writer();
        self.flush_active(&writer)?;
        *self.state() = State { indexed_through: -1, ..State::default() };
        self.followed_to.store(0, Ordering::Release);
        Ok(())
    }

    /// Makes everything indexed so far durable. Returns the store time of its last record (0 if there is none),
    /// which is the index time for the checkpoint. Blocks on the disk.
    pub fn flush(&self) -> io::Result<i64> {
        let writer = self.writer();
        self.flush_active(&writer)
    }

    fn flush_active(&self, writer: &MutexGuard<'_, ()>) -> io::Result<i64> {
        self.write_out(writer)?;
        let (file, path, header, unsynced) = {
            let state = self.state();
            let Some(active) = &state.active else {
                return Ok(state.newest().map_or(0, |header| header.end_timestamp));
            };
            (active.file().clone(), active.path().to_owned(), *active.header(), active.is_unsynced())
        };
        if unsynced {
            if let Err(e) = file.sync_data() {
                // The kernel may have dropped the pages and will not say so twice: the file is given up, the
                // follower makes another one.
                self.give_up_active();
                return Err(failed(&path, "sync it (it is removed and built again)", e));
            }
            // Only now may the header count the new entries.
            file.write_all_at(&header.encode(), 0)
                .and_then(|()| file.sync_data())
                .map_err(|e| failed(&path, "write its header", e))?;
            if let Some(active) = &mut self.state().active {
                active.synced();
            }
        }
        Ok(header.end_timestamp)
    }

    fn give_up_active(&self) {
        let mut state = self.state();
        if let Some(active) = state.active.take()
            && let Err(e) = remove_file(active.path())
        {
            tracing::error!("{e}");
        }
        let end = state.newest().map(|header| header.end_physical);
        state.indexed_through = end.unwrap_or(-1);
        self.followed_to.fetch_min(end.unwrap_or(0), Ordering::AcqRel);
    }

    /// Writes entries and slots to the growing file, without a sync.
    fn write_out(&self, _writer: &MutexGuard<'_, ()>) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let (file, path, position, range) = {
                let mut state = self.state();
                let Some(active) = &mut state.active else { return Ok(()) };
                active.write_entries()?;
                let Some((position, range)) = active.next_dirty_run(&mut bytes) else { return Ok(()) };
                (active.file().clone(), active.path().to_owned(), position, range)
            };
            file.write_all_at(&bytes, position)
                .map_err(|e| failed(&path, &format!("write {} bytes at {position}", bytes.len()), e))?;
            // The writer lock is held, so the slots copied are still the newest.
            if let Some(active) = &mut self.state().active {
                active.slots_written(range);
            }
        }
    }

    /// Writes out what waits in memory and gives the memory back.
    fn relax(&self) -> io::Result<()> {
        let writer = self.writer();
        self.write_out(&writer)?;
        if let Some(active) = &mut self.state().active {
            active.release();
        }
        Ok(())
    }

    /// Adds the keys of consecutive records and moves [`Index::followed_to`] from `from` to `to`.
    ///
    /// Does nothing if it is not at `from` any more, because a file was given up meanwhile. Repeating a call after
    /// an error adds no whole record twice.
    fn add(&self, keys: &[Key], from: i64, to: i64) -> io::Result<()> {
        let writer = self.writer();
        if self.followed_to() != from {
            return Ok(());
        }
        for record in keys.chunk_by(|a, b| a.physical_offset == b.physical_offset) {
            self.add_record(&writer, record)?;
        }
        self.followed_to.store(to, Ordering::Release);
        Ok(())
    }

    fn add_record(&self, writer: &MutexGuard<'_, ()>, record: &[Key]) -> io::Result<()> {
        let Some(physical_offset) = record.first().map(|key| key.physical_offset) else { return Ok(()) };
        let mut rest = record;
        while let Some(key) = rest.first() {
            let mut state = self.state();
            if physical_offset <= state.indexed_through {
                return Ok(());
            }
            let begun = rest.len() < record.len();
            match &mut state.active {
                // All keys of a record go into one file if one can hold them.
                Some(active)
                    if active.room() >= rest.len() || (active.room() > 0 && (begun || active.header().is_empty())) =>
                {
                    active.put(key)?;
                    rest = rest.get(1..).unwrap_or_default();
                    if rest.is_empty() {
                        state.indexed_through = physical_offset;
                    }
                }
                _ => {
                    drop(state);
                    self.roll(writer)?;
                }
            }
        }
        Ok(())
    }

    /// Completes the growing file, if there is one, and starts the next.
    fn roll(&self, writer: &MutexGuard<'_, ()>) -> io::Result<()> {
        self.flush_active(writer)?;
        let mut state = self.state();
        if let Some(active) = state.active.take() {
            let sealed = Sealed { path: active.path().to_owned(), header: *active.header() };
            state.sealed.push(Arc::new(sealed));
        }
        while state.sealed.len() >= self.options.files_max.max(1) {
            let oldest = state.sealed.remove(0);
            tracing::warn!("{}: removed, {} index files are kept", oldest.path.display(), self.options.files_max);
            remove_file(&oldest.path)?;
        }
        fs::create_dir_all(&self.dir).map_err(|e| failed(&self.dir, "create the directory", e))?;
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let newest = state.newest_path().and_then(Path::file_name).and_then(|name| name.to_str());
        let name = name::next(now_ms, crate::io::utc_offset_minutes(now_ms / 1000), newest);
        let active = Active::create(self.dir.join(name), self.layout, state.newest())?;
        state.active = Some(active);
        Ok(())
    }

    fn indexed_through(&self) -> i64 {
        self.state().indexed_through
    }

    /// A panic elsewhere leaves both locks usable: every change under them is made of steps that each leave a
    /// sound state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that cannot be read answers nothing; one removed by retention meanwhile is no news.
fn report(path: &Path, walked: io::Result<()>) {
    if let Err(e) = walked
        && e.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("index {}: a query skipped the rest of it: {e}", path.display());
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(path, "remove it", e)),
        _ => path.parent().map_or(Ok(()), sync_dir),
    }
}
