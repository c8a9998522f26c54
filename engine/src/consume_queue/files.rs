//! The files of one consume queue: names, exact sizes, reads and writes at a byte position of the queue.
//!
//! Owns the list of files and at most one open descriptor; nothing is mapped. Must not interpret units except to
//! find where the written part ends. Runs on the shard that owns the queue, with plain `pread` and `pwrite`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::unit::{UNIT_SIZE, Unit};
use crate::tables::failed;

const UNIT: u64 = UNIT_SIZE as u64;

/// Highest byte position a queue may reach; far below overflow of every sum made here.
pub(super) const POSITION_MAX: u64 = (i64::MAX / 4) as u64;

/// A contiguous run of files. The file that holds byte `p` is named after the multiple of `file_size` below it.
pub(super) struct Files {
    dir: PathBuf,
    file_size: u64,
    /// Byte position of each file's first byte, ascending, `file_size` apart.
    bases: Vec<u64>,
    cached: Option<(u64, File)>,
    /// Files written since they were last handed out for syncing.
    unsynced: Vec<u64>,
    /// Whether names were made or removed since then.
    dir_unsynced: bool,
}

/// The nearest multiple of the unit size at or above `size`, at least one unit (Java 4.x rounds likewise).
pub(super) fn round_file_size(size: u64) -> u64 {
    size.clamp(1, POSITION_MAX / 4).div_ceil(UNIT) * UNIT
}

impl Files {
    /// Lists `dir` (a missing one has no files) and settles on the files that form one run.
    ///
    /// A queue whose files all have another size than configured keeps that size. The second value says what did
    /// not fit, if anything.
    pub(super) fn open(dir: &Path, configured_size: u64) -> io::Result<(Files, Option<String>)> {
        let mut found = named_files(dir)?;
        let mut trouble = None;
        let file_size = settle_size(&found, round_file_size(configured_size));
        found.retain(|&(base, size)| {
            let fits = base % file_size == 0 && base <= POSITION_MAX;
            if !fits {
                trouble = Some(format!("file {base:020} of {size} bytes does not fit files of {file_size} bytes"));
            }
            fits
        });
        // Units are found by arithmetic, so only the newest unbroken run of whole files can be served.
        let mut start = 0;
        for i in 1..found.len() {
            let ((previous, previous_size), (base, _)) = (found[i - 1], found[i]);
            if base - previous != file_size || previous_size < file_size {
                trouble = Some(format!("files before {base:020} are missing or cut short"));
                start = i;
            }
        }
        found.drain(..start);
        let mut files = Files {
            dir: dir.to_owned(),
            file_size,
            bases: found.iter().map(|&(base, _)| base).collect(),
            cached: None,
            unsynced: Vec::new(),
            dir_unsynced: false,
        };
        // The last file is short when the process ended between creating it and giving it its size.
        if let Some(&(base, size)) = found.last()
            && size < file_size
        {
            tracing::warn!("{}: {size} of {file_size} bytes, extended with zeros", files.path(base).display());
            files.set_len(base, file_size)?;
        }
        Ok((files, trouble))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Units a file holds.
    pub(super) fn units_per_file(&self) -> i64 {
        (self.file_size / UNIT) as i64
    }

    pub(super) fn count(&self) -> usize {
        self.bases.len()
    }

    /// Queue offset of the first unit of the first file.
    pub(super) fn first_offset(&self) -> Option<i64> {
        self.bases.first().map(|&base| (base / UNIT) as i64)
    }

    /// Queue offset of the first unit of file number `i`.
    pub(super) fn offset_of(&self, i: usize) -> Option<i64> {
        self.bases.get(i).map(|&base| (base / UNIT) as i64)
    }

    /// The offset after the last written unit: the last file that begins with a valid unit is searched for its
    /// first invalid one. Files without any are made ahead of use.
    pub(super) fn end_offset(&mut self) -> io::Result<Option<i64>> {
        let per_file = self.units_per_file();
        for i in (0..self.bases.len()).rev() {
            let Some(first) = self.offset_of(i) else { break };
            if !self.unit(first)?.is_valid() {
                continue;
            }
            let (mut low, mut high) = (first + 1, first + per_file);
            while low < high {
                let mid = low + (high - low) / 2;
                if self.unit(mid)?.is_valid() { low = mid + 1 } else { high = mid }
            }
            return Ok(Some(low));
        }
        Ok(self.first_offset())
    }

    /// The unit at a queue offset that lies within the files.
    pub(super) fn unit(&mut self, offset: i64) -> io::Result<Unit> {
        let mut bytes = [0; UNIT_SIZE];
        self.read(offset, &mut bytes)?;
        Ok(Unit::decode(&bytes))
    }

    /// Fills `out` (whole units) from queue offset `from` on.
    pub(super) fn read(&mut self, from: i64, out: &mut [u8]) -> io::Result<()> {
        let mut position = position_of(from)?;
        let mut rest = out;
        while !rest.is_empty() {
            let (base, within) = (position - position % self.file_size, position % self.file_size);
            let here = (rest.len() as u64).min(self.file_size - within) as usize;
            let (now, later) = rest.split_at_mut(here);
            let read = self.file(base)?.read_exact_at(now, within);
            read.map_err(|e| failed(&self.path(base), &format!("read {here} bytes at {within}"), e))?;
            position += here as u64;
            rest = later;
        }
        Ok(())
    }

    /// Writes whole units from queue offset `from` on, creating files as they are reached.
    ///
    /// A first file that is not written from its start gets Java's pre-blank units before `from`.
    pub(super) fn write(&mut self, from: i64, bytes: &[u8]) -> io::Result<()> {
        let mut position = position_of(from)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (base, within) = (position - position % self.file_size, position % self.file_size);
            self.ensure(base, within)?;
            let here = (rest.len() as u64).min(self.file_size - within) as usize;
            let (now, later) = rest.split_at(here);
            let written = self.file(base)?.write_all_at(now, within);
            // Noted before the outcome: a failed write may have left part of the bytes behind.
            self.mark_unsynced(base);
            written.map_err(|e| failed(&self.path(base), &format!("write {here} bytes at {within}"), e))?;
            position += here as u64;
            rest = later;
        }
        Ok(())
    }

    fn ensure(&mut self, base: u64, within: u64) -> io::Result<()> {
        if self.bases.binary_search(&base).is_ok() {
            return Ok(());
        }
        if let Some(&last) = self.bases.last()
            && base != last + self.file_size
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{}: file {base:020} would not follow file {last:020}", self.dir.display()),
            ));
        }
        if !self.dir.is_dir() {
            fs::create_dir_all(&self.dir).map_err(|e| failed(&self.dir, "create the directory", e))?;
        }
        let path = self.path(base);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            // A leftover of this name was not part of the queue; its bytes must not turn into units.
            .truncate(true)
            .open(&path)
            .map_err(|e| failed(&path, "create it", e))?;
        file.set_len(self.file_size).map_err(|e| failed(&path, "give it its size", e))?;
        if within > 0 {
            let blank = Unit::PRE_BLANK.encode().repeat(4096);
            let mut at = 0;
            while at < within {
                let part = (within - at).min(blank.len() as u64);
                let part_bytes = blank.get(..part as usize).unwrap_or(&blank);
                file.write_all_at(part_bytes, at).map_err(|e| failed(&path, "fill its unused start", e))?;
                at += part;
            }
        }
        self.bases.push(base);
        self.dir_unsynced = true;
        self.cached = Some((base, file));
        Ok(())
    }

    /// Zeroes everything from queue offset `from` on: later files go, newest first, so that a crash in between
    /// leaves an unbroken run.
    pub(super) fn cut(&mut self, from: i64) -> io::Result<()> {
        let position = position_of(from)?;
        while let Some(&last) = self.bases.last() {
            let is_first = self.bases.len() == 1;
            if last >= position && !is_first {
                self.remove(last)?;
                self.bases.pop();
                continue;
            }
            let keep = position.saturating_sub(last);
            if keep < self.file_size {
                // Shrinking drops the bytes, growing again reads as zeros.
                self.set_len(last, keep)?;
                self.set_len(last, self.file_size)?;
            }
            break;
        }
        Ok(())
    }

    /// Removes the oldest file; the caller keeps the last one.
    pub(super) fn remove_first(&mut self) -> io::Result<()> {
        if let Some(&base) = self.bases.first() {
            self.remove(base)?;
            self.bases.remove(0);
        }
        Ok(())
    }

    /// Removes every file of the queue and its directory, and the topic's if it is empty then.
    pub(super) fn destroy(mut self) -> io::Result<()> {
        self.cached = None;
        for (base, _) in named_files(&self.dir)? {
            self.remove(base)?;
        }
        // Something of the operator's in there keeps the directory; that is no failure of ours.
        if fs::remove_dir(&self.dir).is_ok()
            && let Some(topic_dir) = self.dir.parent()
        {
            let _ = fs::remove_dir(topic_dir);
        }
        Ok(())
    }

    fn remove(&mut self, base: u64) -> io::Result<()> {
        if self.cached.as_ref().is_some_and(|(open, _)| *open == base) {
            self.cached = None;
        }
        let path = self.path(base);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&path, "remove it", e)),
            _ => {}
        }
        self.unsynced.retain(|&written| written != base);
        self.dir_unsynced = true;
        Ok(())
    }

    fn set_len(&mut self, base: u64, size: u64) -> io::Result<()> {
        let done = self.file(base)?.set_len(size);
        done.map_err(|e| failed(&self.path(base), "change its size", e))?;
        self.mark_unsynced(base);
        Ok(())
    }

    /// Closes the descriptor.
    pub(super) fn release(&mut self) {
        self.cached = None;
    }

    /// Files and directories that hold changes no sync has covered; forgets them.
    pub(super) fn take_unsynced(&mut self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = self.unsynced.iter().map(|&base| self.path(base)).collect();
        self.unsynced = Vec::new();
        if std::mem::take(&mut self.dir_unsynced) {
            // The queue's and the topic's directory may be as new as the file.
            paths.extend(self.dir.ancestors().take(3).filter(|dir| dir.is_dir()).map(Path::to_owned));
        }
        paths
    }

    fn mark_unsynced(&mut self, base: u64) {
        if !self.unsynced.contains(&base) {
            self.unsynced.push(base);
        }
    }

    fn path(&self, base: u64) -> PathBuf {
        self.dir.join(format!("{base:020}"))
    }

    fn file(&mut self, base: u64) -> io::Result<&File> {
        if self.cached.as_ref().is_none_or(|(open, _)| *open != base) {
            let path = self.path(base);
            let file =
                OpenOptions::new().read(true).write(true).open(&path).map_err(|e| failed(&path, "open it", e))?;
            self.cached = Some((base, file));
        }
        match &self.cached {
            Some((_, file)) => Ok(file),
            None => Err(io::Error::other("no open file")),
        }
    }
}

fn position_of(offset: i64) -> io::Result<u64> {
    u64::try_from(offset)
        .ok()
        .and_then(|offset| offset.checked_mul(UNIT))
        .filter(|&p| p <= POSITION_MAX)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("queue offset {offset} is out of range")))
}

/// Files named by 20 digits with their sizes, ascending; other names are not ours and stay.
fn named_files(dir: &Path) -> io::Result<Vec<(u64, u64)>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(dir, "list it", e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| failed(dir, "list it", e))?;
        let name = entry.file_name();
        let base = name
            .to_str()
            .filter(|name| name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|name| name.parse::<u64>().ok())
            .filter(|&base| base <= POSITION_MAX);
        let Some(base) = base else {
            tracing::warn!("{} is not a consume queue file: left alone", entry.path().display());
            continue;
        };
        let size = fs::metadata(entry.path()).map_err(|e| failed(&entry.path(), "look at it", e))?.len();
        found.push((base, size));
    }
    found.sort_unstable();
    Ok(found)
}

/// The file size all files agree with: the configured one if they do, else the one they were made with.
///
/// A queue written under another `mapedFileSizeConsumeQueue` (Java refuses to start then) is read as it lies.
fn settle_size(found: &[(u64, u64)], configured: u64) -> u64 {
    let fits = |size: u64| {
        size > 0 && size.is_multiple_of(UNIT) && found.iter().all(|&(base, len)| base % size == 0 && len <= size)
    };
    if fits(configured) {
        return configured;
    }
    let made_with = match found {
        [(_, size)] => *size,
        _ => found.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap_or(0),
    };
    if fits(made_with) { made_with } else { configured }
}
