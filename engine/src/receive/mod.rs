//! The slave's end of the log: a master's bytes, taken as they are.
//!
//! A [`Receiver`] appends pieces at the end of what was received; the watermark follows to the end of the last whole,
//! sound record, and from there on everything is as on a master: flushed, followed by shards and index, read. Bytes
//! behind the watermark are kept and never shown. Owns the received end. Must not know connections or what a report
//! is. Used by one thread outside the shards, which may wait for the disk.

mod error;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use error::{ReceiveError, Unsound};

use crate::options::StoreRole;
use crate::store::Shared;
use crate::store::core::Core;
use crate::watch::{LogWatch, Watched};

/// What is received, beside what tail and segments say.
#[derive(Default)]
pub(crate) struct Received {
    /// Somebody has the receiver.
    pub(crate) taken: std::sync::atomic::AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// The record at the watermark is not sound.
    unsound: Option<Unsound>,
}

impl Received {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module's head. From [`Shared::receiver`].
pub struct Receiver {
    shared: Arc<Shared>,
}

impl Receiver {
    pub(crate) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let core = shared.core();
        if core.options.role != StoreRole::Slave || core.received.taken.swap(true, Ordering::SeqCst) {
            return None;
        }
        Some(Self { shared: shared.clone() })
    }

    fn core(&self) -> &Core {
        self.shared.core()
    }

    /// First physical offset that is kept; the end where nothing is.
    pub fn start(&self) -> i64 {
        self.core().segments.log_min()
    }

    /// End of what was received, bytes; it may lie inside a record.
    pub fn end(&self) -> i64 {
        self.core().tail.next()
    }

    /// End of the last whole, sound record received, blank included.
    pub fn watermark(&self) -> i64 {
        self.core().tail.watermark()
    }

    /// Up to where this slave's own flush mode has the log safe: flushed under SYNC_FLUSH, written under ASYNC_FLUSH.
    /// Never beyond the watermark, and what a report to the master should say.
    pub fn durable(&self) -> i64 {
        self.core().watched(Watched::Durable)
    }

    /// Bytes of a commitlog file, which are to be those of the master's files.
    pub fn file_size(&self) -> i64 {
        self.core().segments.size()
    }

    /// The record that stopped the watermark, if one did.
    pub fn unsound(&self) -> Option<Unsound> {
        self.core().received.state().unsound.clone()
    }

    /// Received bytes from `from` on, at most `len` and at most 4 MiB, for comparing; fewer at the end.
    pub fn read(&self, from: i64, len: usize) -> Result<Vec<u8>, ReceiveError> {
        let _ = len;
        Err(ReceiveError::Outside { offset: from, start: self.start(), end: self.end() })
    }

    /// A record boundary at or below `at`, most often the last one: where a comparison may begin. It looks at the bytes
    /// near `at` only.
    pub fn boundary_near(&self, at: i64) -> Result<i64, ReceiveError> {
        Err(ReceiveError::Outside { offset: at, start: self.start(), end: self.end() })
    }

    /// Appends `bytes` as they are at `offset`, which has to be [`Receiver::end`]. A piece may cut records anywhere and
    /// never crosses the end of a file. Makes the next file when the first byte for it comes.
    pub fn append(&mut self, offset: i64, bytes: &[u8]) -> Result<(), ReceiveError> {
        let _ = bytes;
        Err(ReceiveError::NotAtEnd { offset, end: self.end() })
    }

    /// Lets an empty log begin at `offset`, the first byte of a file.
    pub fn begin_at(&mut self, offset: i64) -> Result<(), ReceiveError> {
        Err(ReceiveError::Outside { offset, start: self.start(), end: self.end() })
    }

    /// Cuts the log back to the last record boundary at or below `offset` and answers with it, which is the new end.
    /// When this returns the cut is durable. What was readable behind it is kept in a directory named
    /// `<commitlog>.aside-<date>` beside the commitlog's.
    pub fn cut_to(&mut self, offset: i64) -> Result<i64, ReceiveError> {
        Err(ReceiveError::Outside { offset, start: self.start(), end: self.end() })
    }

    /// Empties the store: commitlog, consume queues and index are set aside in directories named `….aside-<date>`
    /// beside theirs, nothing is deleted. The log is empty afterwards and may begin anywhere.
    pub fn clear(&mut self) -> Result<(), ReceiveError> {
        Err(ReceiveError::NoAnswer)
    }

    /// Wakes the receiver's thread when [`Receiver::durable`] moved.
    pub fn watch_durable(&self) -> std::io::Result<LogWatch> {
        LogWatch::new(self.shared.core().clone(), Watched::Durable)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.core().received.taken.store(false, Ordering::SeqCst);
    }
}
