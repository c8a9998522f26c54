//! An eventfd: how a shard, or another thread, wakes a thread that waits in `poll`. Any thread.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// See the module's head. Readable while it is signalled.
#[derive(Debug)]
pub(crate) struct EventFd(File);

impl EventFd {
    /// Not signalled; closed in programs this process starts.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: plain integers; the result is checked before it counts as a descriptor.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call just made this descriptor, and nobody else has it.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Makes it readable. Never blocks; a counter that is full is readable already.
    pub(crate) fn signal(&self) {
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Makes it unreadable until the next signal.
    pub(crate) fn clear(&self) {
        let mut count = [0; 8];
        let _ = (&self.0).read(&mut count);
    }

    /// Waits until it is readable, at most so long. `true` if it is.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now().checked_add(limit);
        loop {
            let left = deadline.map_or(limit, |deadline| deadline.saturating_duration_since(Instant::now()));
            // Rounded up, so that a wait does not end before its time.
            let left_ms = i32::try_from(left.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
            let mut poll = libc::pollfd { fd: self.fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one valid pollfd for the call's time; the descriptor is open as long as self lives.
            let ready = unsafe { libc::poll(&raw mut poll, 1, if limit.is_zero() { 0 } else { left_ms }) };
            let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if ready > 0 || is_over {
                return ready > 0;
            }
        }
    }
}
