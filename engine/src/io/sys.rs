//! The raw system calls std has no word for. Any thread.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;

/// One pwritev; at most 1,024 parts are looked at. Answers with the bytes written.
pub(super) fn pwritev(file: &File, parts: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
    let position = libc::off_t::try_from(position).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let count = parts.len().min(1024) as libc::c_int;
    // SAFETY: IoSlice has the layout of iovec (std guarantees it on Unix); the parts are borrowed for the whole call
    // and the kernel only reads them; the descriptor is open as long as `file` lives.
    let written = unsafe { libc::pwritev(file.as_raw_fd(), parts.as_ptr().cast::<libc::iovec>(), count, position) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// fallocate of the first `size` bytes, which also sets the size.
pub(super) fn fallocate(file: &File, size: u64) -> io::Result<()> {
    let size = libc::off_t::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: plain integers and an open descriptor.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Drops a file's clean pages from the page cache, so that the next read comes from the disk.
pub fn drop_cache(file: &File) {
    drop_cache_from(file, 0);
}

/// The same from a position on.
pub(crate) fn drop_cache_from(file: &File, position: u64) {
    let Ok(position) = libc::off_t::try_from(position) else { return };
    // SAFETY: plain integers and an open descriptor; length 0 means to the end.
    let _ = unsafe { libc::posix_fadvise(file.as_raw_fd(), position, 0, libc::POSIX_FADV_DONTNEED) };
}

/// Where data begins at or after `position`, skipping holes; `None` when only a hole is left.
pub(crate) fn next_data(file: &File, position: u64) -> io::Result<Option<u64>> {
    let from = libc::off_t::try_from(position).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: plain integers and an open descriptor; nobody uses the descriptor's own position.
    let found = unsafe { libc::lseek(file.as_raw_fd(), from, libc::SEEK_DATA) };
    match u64::try_from(found) {
        Ok(found) => Ok(Some(found)),
        Err(_) => {
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::ENXIO) => Ok(None),
                // A file system without SEEK_DATA: everything is data.
                Some(libc::EINVAL) => Ok(Some(position)),
                _ => Err(error),
            }
        }
    }
}

/// Has reads of this open file take from the disk what they ask for and no more. Advice: where it is not heeded, reads
/// are larger.
pub(crate) fn no_readahead(file: &File) {
    // SAFETY: plain integers and an open descriptor.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
}

/// The calling thread is to give way to those that a client waits for: it has a tenth of their share of a core that is
/// full, and does not keep them waiting for its slice.
pub(crate) fn give_way() {
    const NICE: libc::c_int = 10;
    // SAFETY: plain integers; Linux takes 0 as the calling thread, not the process. Refused, nothing changes.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// Makes the whole file system of an open file or directory durable, metadata too. Errors of earlier writes that
/// nobody was told yet are told here (Linux 5.8 and later).
pub(crate) fn sync_file_system(of: &File) -> io::Result<()> {
    // SAFETY: an open descriptor.
    if unsafe { libc::syncfs(of.as_raw_fd()) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whose requests to a disk go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoClass {
    /// Only when nobody else has any.
    Idle,
    /// Like everyone's, and the last of them.
    Last,
}

/// Puts the calling thread into an I/O class. Refused without harm where it is not allowed.
pub fn set_io_class(class: IoClass) {
    const WHO_PROCESS: libc::c_int = 1;
    let class = match class {
        IoClass::Idle => 3 << 13,
        IoClass::Last => (2 << 13) | 7,
    };
    // SAFETY: plain integers; 0 means the calling thread.
    let _ = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, class as libc::c_int) };
}

/// Bytes of physical memory, 4 GiB if the system does not say.
pub fn physical_memory_bytes() -> i64 {
    // SAFETY: sysconf takes a plain integer and returns one.
    let (pages, page) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    if pages > 0 && page > 0 { pages.saturating_mul(page) } else { 4 << 30 }
}

/// Minutes the system's time zone is east of Greenwich at `unix_seconds`.
pub fn utc_offset_minutes(unix_seconds: i64) -> i32 {
    let time: libc::time_t = unix_seconds;
    // SAFETY: tm is plain data for which all-zero is valid (its zone pointer may be null).
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that live through the call; localtime_r writes only into `parts`.
    let filled = unsafe { libc::localtime_r(&raw const time, &raw mut parts) };
    if filled.is_null() { 0 } else { i32::try_from(parts.tm_gmtoff / 60).unwrap_or(0) }
}

/// Who holds a conflicting lock on a file's first byte: 0 when nobody does.
pub(crate) fn lock_holder(file: &File) -> io::Result<i32> {
    let mut lock = first_byte_lock();
    // SAFETY: `lock` is a valid flock for the call's time; F_GETLK writes only into it.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(if lock.l_type == libc::F_UNLCK as libc::c_short { 0 } else { lock.l_pid })
}

/// Takes the exclusive lock Java takes: fcntl, byte 0, length 1, without waiting. Gone when any descriptor of the file
/// is closed by this process.
pub(crate) fn lock_first_byte(file: &File) -> io::Result<()> {
    let lock = first_byte_lock();
    // SAFETY: `lock` is a valid flock for the call's time and only read.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn first_byte_lock() -> libc::flock {
    // SAFETY: flock is plain data for which all-zero is valid.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_len = 1;
    lock
}
