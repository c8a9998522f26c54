//! One file of the commitlog: a descriptor for writes and sendfile, and one shared read mapping.
//!
//! The name is the physical offset of the first byte in 20 digits; the size is exactly the configured one. Owns the
//! descriptor and the mapping; any thread. Must not know what the bytes mean.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::io::{Disk, PAGE, drop_cache_from, no_readahead, residency};

/// Bytes of one read by a thread: a request to the disk that a flush does not wait for long.
const WARM_PIECE: usize = 128 << 10;

/// A commitlog file.
#[derive(Debug)]
pub struct Segment {
    file: File,
    map: MmapRaw,
    base: i64,
    size: u64,
    path: PathBuf,
}

/// The name of the file that begins at a physical offset.
pub fn file_name(base: i64) -> String {
    format!("{base:020}")
}

impl Segment {
    /// Opens a file that has `size` bytes already.
    pub fn open(disk: &Disk, path: &Path, base: i64, size: u64) -> io::Result<Self> {
        let file = disk.open(path)?;
        let found = file.metadata()?.len();
        if found != size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{found} bytes instead of {size}")));
        }
        let len = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let map = MmapOptions::new().len(len).map_raw_read_only(&file)?;
        no_readahead(&file);
        let segment = Self { file, map, base, size, path: path.to_path_buf() };
        segment.advise(Advice::Random);
        Ok(segment)
    }

    /// How the kernel reads ahead of a touched page. It sets a mark in what it read ahead, and whoever comes to the mark
    /// later, a sendfile or a page fault on any thread, makes the next window before it gets its page: as many pages as
    /// the device is set to, 8 MiB here, some 20 ms without the core, and again at the mark in that one. So nothing is
    /// read ahead while a store is used; whoever reads cold pages says how far, see [`LogRange::warm`].
    fn advise(&self, advice: Advice) {
        // Where it is not heeded, reads are larger.
        let _ = self.map.advise(advice);
    }

    /// Recovery goes through the mapping from front to back: the kernel may read ahead until
    /// [`Segment::stop_reading_ahead`].
    pub(crate) fn read_ahead(&self) {
        self.advise(Advice::Normal);
    }

    /// The scan is over; from `from` on the file is forgotten, with the marks of what was read ahead there.
    pub(crate) fn stop_reading_ahead(&self, from: u64) {
        self.advise(Advice::Random);
        let from = from.next_multiple_of(PAGE as u64);
        if from < self.size {
            self.unmap_pages(from, self.size - from);
            drop_cache_from(&self.file, from);
        }
    }

    /// The descriptor, for sendfile; open as long as this value lives.
    pub fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives up the mapping and keeps the descriptor; only the last holder can, so nobody reads what is cut next.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Physical offset of the first byte.
    pub fn base(&self) -> i64 {
        self.base
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Physical offset one past the last byte.
    pub fn end(&self) -> i64 {
        self.base.saturating_add_unsigned(self.size)
    }

    /// Place of a physical offset within the file, if it lies in it.
    pub fn position(&self, physical: i64) -> Option<u64> {
        u64::try_from(physical.checked_sub(self.base)?).ok().filter(|position| *position < self.size)
    }

    /// Bytes through the shared mapping; empty when the range leaves the file. Only complete records may be looked at:
    /// what lies behind the watermark is still being written. A page that is not resident blocks the caller, see
    /// [`Segment::resident`].
    pub fn bytes(&self, position: u64, len: usize) -> &[u8] {
        let Some(end) = position.checked_add(len as u64) else { return &[] };
        if end > self.size {
            return &[];
        }
        // SAFETY: the range lies inside the mapping, which lives as long as self. The file never shrinks while a
        // reference to the segment exists (retention truncates only when it holds the last one), so there is no
        // SIGBUS from our own doing. Bytes below the watermark do not change any more; bytes above it are only looked
        // at during recovery, before any shard writes.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(position as usize), len) }
    }

    /// Takes a range out of the mapping, not out of the page cache: the pages no longer count as this process's memory
    /// and are mapped again by whoever reads them next.
    pub(crate) fn unmap_pages(&self, position: u64, len: u64) {
        let (Ok(position), Ok(len)) = (usize::try_from(position), usize::try_from(len.min(self.size))) else { return };
        // SAFETY: for a shared mapping of a file this only drops page table entries; no byte changes. The range is
        // checked against the mapping by the call. A refusal leaves things as they were.
        let _ = unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, position, len) };
    }

    /// Whether a range can be touched without waiting for the disk.
    pub fn resident(&self, position: u64, len: u64) -> bool {
        residency::resident(&self.file, position, len)
    }
}

/// Bytes of a segment, kept alive.
#[derive(Clone, Debug)]
pub struct LogRange {
    /// The file.
    pub segment: Arc<Segment>,
    /// First byte within the file.
    pub position: u64,
    /// Bytes.
    pub len: usize,
}

impl LogRange {
    /// The bytes, through the mapping.
    pub fn bytes(&self) -> &[u8] {
        self.segment.bytes(self.position, self.len)
    }

    /// Reads the range into the page cache, waiting for the disk: for threads that may wait, never a shard. A page
    /// that cannot be read is left to whoever sends it, who meets the same error.
    pub fn warm(&self) {
        let mut buffer = vec![0; self.len.min(WARM_PIECE)];
        let mut done = 0;
        while done < self.len {
            let part = (self.len - done).min(buffer.len());
            match self.segment.file().read_at(&mut buffer[..part], self.position + done as u64) {
                Ok(0) | Err(_) => return,
                Ok(read) => done += read,
            }
        }
    }

    /// Whether it can be sent without waiting for the disk.
    pub fn is_resident(&self) -> bool {
        self.segment.resident(self.position, self.len as u64)
    }

    /// What follows in the same file, `len` bytes at most.
    pub fn next(&self, len: usize) -> LogRange {
        let position = self.position.saturating_add(self.len as u64).min(self.segment.size());
        let rest = usize::try_from(self.segment.size() - position).unwrap_or(usize::MAX);
        LogRange { segment: self.segment.clone(), position, len: len.min(rest) }
    }

    /// Physical offset of the first byte.
    pub fn physical(&self) -> i64 {
        self.segment.base().saturating_add_unsigned(self.position)
    }
}

/// A range is the lease itself: as long as it lives its file stays.
impl AsRef<[u8]> for LogRange {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}
