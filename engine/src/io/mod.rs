//! The disk seam: every system call on commitlog files, and the faults tests put in their way.
//!
//! Owns no file and no policy: callers say what to write where. `ring` is the only file of the crate that names the
//! io_uring runtime. Runs on whichever thread calls it; all but `ring` block.

mod event;
pub mod fault;
pub mod residency;
pub mod ring;
pub mod space;
mod sys;

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

pub(crate) use event::EventFd;
pub use fault::Faults;
pub use space::{Space, SpaceProbe};
pub use sys::{IoClass, drop_cache, physical_memory_bytes, set_io_class, utc_offset_minutes};
pub(crate) use sys::{
    drop_cache_from, give_way, lock_first_byte, lock_holder, next_data, no_readahead, sync_file_system,
};

/// Bytes of a page: writes are padded and space is counted in these.
pub const PAGE: usize = 4096;
/// One page of zeros, for padding.
pub const ZERO_PAGE: [u8; PAGE] = [0; PAGE];

/// The disk: the system's, or the system's with faults in front of it.
#[derive(Clone, Default)]
pub struct Disk {
    faults: Option<Arc<Faults>>,
}

impl Disk {
    /// The system's disk.
    pub fn system() -> Self {
        Self::default()
    }

    /// The system's disk behind `faults`.
    pub fn with_faults(faults: Arc<Faults>) -> Self {
        Self { faults: Some(faults) }
    }

    /// Opens an existing file for reading and writing.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    /// Makes a file, or empties the one that is there. `direct` asks for O_DIRECT and is dropped silently where the
    /// file system has none (tmpfs).
    pub fn create(&self, path: &Path, direct: bool) -> io::Result<(File, bool)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        if direct {
            match options.clone().custom_flags(libc::O_DIRECT).open(path) {
                Ok(file) => return Ok((file, true)),
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                Err(error) => return Err(error),
            }
        }
        options.open(path).map(|file| (file, false))
    }

    /// Writes all parts, one behind the other, at `position`; goes on after short writes and signals. After an error
    /// any prefix may have been written.
    pub fn write_all_at(&self, file: &File, parts: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut parts = parts;
        let mut position = position;
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let written = match self.faults.as_ref().map_or(Ok(None), |faults| faults.before_write()) {
                Err(error) => Err(error),
                Ok(Some(limit)) => {
                    let head = parts.first().map_or(&[][..], |part| part);
                    let head = head.get(..limit.min(head.len())).unwrap_or(head);
                    sys::pwritev(file, &[IoSlice::new(head)], position)
                }
                Ok(None) => sys::pwritev(file, parts, position),
            };
            match written {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(count) => {
                    position = position.saturating_add(count as u64);
                    IoSlice::advance_slices(&mut parts, count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until the file's data, and the metadata needed to read it back, are durable.
    pub fn sync_data(&self, file: &File) -> io::Result<()> {
        self.before_sync()?;
        file.sync_data()
    }

    /// The fault, if any, that the next sync meets; for the ring, which calls fdatasync itself.
    pub(crate) fn before_sync(&self) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.before_sync())
    }

    /// Makes names in a directory durable.
    pub fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    /// Takes space for the first `size` bytes and sets the file's size to it. Where the file system cannot allocate,
    /// only the size is set and a full disk shows at the write.
    pub fn allocate(&self, file: &File, size: u64) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.before_allocate())?;
        loop {
            match sys::fallocate(file, size) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                    return file.set_len(size);
                }
                other => return other,
            }
        }
    }
}

/// Whether an error says that space, quota or the file size limit ran out: it passes when room is made.
pub fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

/// Whether an error says that descriptors or memory ran out: it passes when others give some back.
pub(crate) fn is_out_of_resources(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// Zeros whose start is aligned for O_DIRECT.
pub struct AlignedZeros {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedZeros {
    /// `len` zeros, aligned to a page.
    pub fn new(len: usize) -> Self {
        let bytes = vec![0; len.saturating_add(PAGE)];
        let start = (PAGE - bytes.as_ptr() as usize % PAGE) % PAGE;
        Self { bytes, start, len }
    }

    /// The first `len` of them.
    pub fn get(&self, len: usize) -> &[u8] {
        let end = self.start.saturating_add(len.min(self.len));
        self.bytes.get(self.start..end).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests;
