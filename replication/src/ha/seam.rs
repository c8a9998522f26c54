//! What the drivers need of a log, and of the master beside its link.
//!
//! [`super::store`] has these for a broker's store; tests have logs in memory. Traits and plain values only.

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use engine::LogRange;

/// Where a log begins and ends, physical offsets in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogExtent {
    /// First byte kept.
    pub min: i64,
    /// One past the last byte written.
    pub max: i64,
}

/// Bytes of a master's log.
#[derive(Clone, Debug)]
pub enum LogPiece {
    /// In a file, to be sent from there.
    File(LogRange),
    /// In memory.
    Memory(Vec<u8>),
}

impl LogPiece {
    /// Bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::File(range) => range.len,
            Self::Memory(bytes) => bytes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Wakes a thread when an offset moved.
pub trait Watch: Send {
    /// Readable once the offset is beyond what was armed.
    fn fd(&self) -> RawFd;
    /// Asks to be woken beyond `seen`; answers with the offset now. Beyond already: do not wait.
    fn arm(&self, seen: i64) -> i64;
    /// Takes the signal back.
    fn clear(&self);
}

/// A master's log. Shared by all links.
pub trait LogSource: Send + Sync + 'static {
    /// Where it begins and ends; never blocks.
    fn extent(&self) -> LogExtent;
    /// Bytes of a file.
    fn file_size(&self) -> u64;
    /// Bytes from `from` on: at most `len`, never into the next file; `None` if they are not there (any more).
    fn piece(&self, from: i64, len: usize) -> Option<LogPiece>;
    /// Wakes a link when the end moved.
    fn watch(&self) -> io::Result<Box<dyn Watch>>;
    /// A slave counts from now on, having begun at `start`; `link` is a number no other living link has.
    fn link_up(&self, link: u64, start: i64) -> Result<(), String>;
    /// The slave has everything between its start and `safe`.
    fn report(&self, link: u64, safe: i64) -> Result<(), String>;
    /// The link is gone. Called once for each `link_up` that succeeded.
    fn link_down(&self, link: u64);
}

/// Why a slave's log did not take bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkError {
    /// There is no room now; trying again later makes sense.
    NoSpace(String),
    /// The bytes or the offset cannot be taken; the link has to begin anew.
    Refused(String),
    /// The store takes nothing any more until it is opened again.
    Final(String),
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NoSpace(text) | Self::Refused(text) | Self::Final(text)) = self;
        f.write_str(text)
    }
}

/// A slave's log. Used by one thread, which may wait for the disk.
pub trait LogSink: Send + 'static {
    /// First byte kept; the end where nothing is.
    fn start(&self) -> i64;
    /// One past the last byte received; it may lie inside a record.
    fn end(&self) -> i64;
    /// What this slave's flush mode has made safe ends here.
    fn durable(&self) -> i64;
    /// Bytes of a file.
    fn file_size(&self) -> u64;
    /// Bytes that are there, for comparing; fewer than `len` at most at the end.
    fn read(&self, from: i64, len: usize) -> Result<Vec<u8>, SinkError>;
    /// Where the record begins that has the byte at `at`, or the one before if that byte is of a blank; `at` if the sink
    /// knows of no records.
    fn record_before(&self, at: i64) -> Result<i64, SinkError> {
        Ok(at)
    }
    /// Appends at the end, which `offset` has to be; never across the end of a file.
    fn append(&mut self, offset: i64, bytes: &[u8]) -> Result<(), SinkError>;
    /// Lets readers see what was appended, now or, unless `at_once`, within a short time: after the time it answers with
    /// it wants to be called again.
    fn show(&mut self, at_once: bool) -> Option<Duration>;
    /// Lets an empty log begin at the first byte of a file.
    fn begin_at(&mut self, offset: i64) -> Result<(), SinkError>;
    /// Sets all aside; the log is empty afterwards. Answers where it went, for the operator.
    fn set_aside(&mut self) -> Result<String, SinkError>;
    /// Wakes the thread when [`LogSink::durable`] moved.
    fn watch_durable(&self) -> io::Result<Box<dyn Watch>>;
    /// Why what was received last is no sound log, if so; nothing more is taken then.
    fn unsound(&self) -> Option<String>;
    /// Drops what is not sound: bytes nobody could read and no report has covered.
    fn drop_unsound(&mut self) -> Result<(), SinkError>;
}

/// What a slave asks its master beside the link, by ordinary requests. May block for some seconds.
pub trait MasterFacts: Send + 'static {
    /// Where the master's log begins and ends (`commitLogMinOffset` and `commitLogMaxOffset` of request 28).
    fn extent(&mut self) -> Result<LogExtent, String>;
    /// The bytes of the record at a physical offset (request 33).
    fn record_at(&mut self, offset: i64) -> Result<Vec<u8>, String>;
}
