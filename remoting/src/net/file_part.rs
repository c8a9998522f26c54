//! A range of a file as part of a reply.

use std::any::Any;
use std::fmt;
use std::os::fd::RawFd;
use std::sync::Arc;

/// `len` bytes of a file from `position` on, and the same bytes in a shared mapping, both kept valid by a lease.
/// Sent by sendfile from 16 KiB up, by the mapping otherwise.
pub struct FilePart {
    pub(crate) fd: RawFd,
    pub(crate) position: u64,
    pub(crate) len: usize,
    /// Points to `len` bytes inside what the lease keeps alive.
    pub(crate) data: *const u8,
    _lease: Arc<dyn Any + Send + Sync>,
}

// SAFETY: `data` points into a value that `lease` keeps alive and that is Send + Sync itself; it is only read.
unsafe impl Send for FilePart {}

impl FilePart {
    /// The bytes `bytes(&lease)` points at, which must be those at `position` of the open file `fd` for as long as
    /// `lease` lives (a file that is read only, or appended to behind them). Pages not in memory stall the shard.
    pub fn new<L: Send + Sync + 'static>(
        lease: Arc<L>,
        fd: RawFd,
        position: u64,
        bytes: impl for<'a> FnOnce(&'a L) -> &'a [u8],
    ) -> FilePart {
        let slice = bytes(&lease);
        let (data, len) = (slice.as_ptr(), slice.len());
        FilePart { fd, position, len, data, _lease: lease }
    }

    /// Bytes not yet sent.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops the first `n` bytes, at most all of them.
    pub(crate) fn advance(&mut self, n: usize) {
        let n = n.min(self.len);
        self.position = self.position.saturating_add(n as u64);
        self.data = self.data.wrapping_add(n);
        self.len -= n;
    }
}

impl fmt::Debug for FilePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePart")
            .field("fd", &self.fd)
            .field("position", &self.position)
            .field("len", &self.len)
            .finish()
    }
}
