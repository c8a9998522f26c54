//! What can go wrong, as values with a sentence for the operator. No I/O, any thread.
//!
//! Every text says what was found, where, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a store cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// An option has a value the store cannot work with.
    Option { key: &'static str, value: String, problem: String },
    /// Two storePath keys name the same directory, or one lies where the other's files are.
    Paths { first_key: &'static str, second_key: &'static str, path: PathBuf, problem: &'static str },
    /// Another process (or this one) has the store open.
    Locked { path: PathBuf, holder: String },
    /// A segment file of another size than configured.
    SegmentSize { path: PathBuf, found_bytes: u64, configured_bytes: u64 },
    /// A file whose name is not 20 digits of a multiple of the file size, or a gap between files.
    SegmentName { path: PathBuf, problem: String },
    /// The checkpoint knows a log, but there is no file of it.
    LogMissing { dir: PathBuf, checkpoint: PathBuf, dispatched: i64 },
    /// A record of format version 2 was met.
    SecondVersion { path: PathBuf, position: u64 },
    /// An I/O operation failed.
    Io { action: &'static str, path: PathBuf, error: io::Error },
}

impl OpenError {
    /// Wraps an I/O error with what was done to which path.
    pub fn io(action: &'static str, path: impl AsRef<Path>, error: io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_path_buf(), error }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option { key, value, problem } => {
                write!(f, "{key}={value}: {problem}; change this key in the broker's configuration")
            }
            Self::Paths { first_key, second_key, path, problem } => write!(
                f,
                "{first_key} and {second_key} both lead to {}: {problem}; give each its own directory",
                path.display()
            ),
            Self::Locked { path, holder } => write!(
                f,
                "the store is in use: {} is locked by {holder}; stop that process, or give this broker its own storePathRootDir",
                path.display()
            ),
            Self::SegmentSize { path, found_bytes, configured_bytes } => write!(
                f,
                "{} has {found_bytes} bytes, but mappedFileSizeCommitLog={configured_bytes}; set mappedFileSizeCommitLog to the size the store was written with (move the file away if it was copied incompletely)",
                path.display()
            ),
            Self::SegmentName { path, problem } => {
                write!(
                    f,
                    "{}: {problem}; move the file out of the commitlog directory or bring the missing one back",
                    path.display()
                )
            }
            Self::LogMissing { dir, checkpoint, dispatched } => write!(
                f,
                "no commitlog file in {} (storePathCommitLog), but {} knows a log up to byte {dispatched}; check that the disk is mounted and the key names the right directory, or remove the checkpoint to start with an empty log",
                dir.display(),
                checkpoint.display()
            ),
            Self::SecondVersion { path, position } => write!(
                f,
                "{} holds a record of format version 2 at byte {position} (written by a 5.x broker for a topic over 127 bytes), which 4.x cannot read; open this store with the broker that wrote it",
                path.display()
            ),
            Self::Io { action, path, error } => {
                write!(
                    f,
                    "cannot {action} {}: {error}; check that the path exists, its owner and the free space",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutRefused {
    /// The store does not take writes for the reason given (for example consume queues that cannot be written).
    NotWritable(String),
    /// No room on the disk.
    DiskFull { path: PathBuf, free_bytes: u64, used_percent: u32, key: &'static str },
    /// Body, or the whole of a batch, over the limit.
    BodyTooLarge { size: usize, max: usize },
    /// Topic over 127 bytes.
    TopicTooLong { size: usize, max: usize },
    /// Properties over 32,767 bytes.
    PropertiesTooLong { size: usize, max: usize },
    /// No message was given.
    Empty,
    /// A flush or write failed; this process takes no more writes.
    Failed,
    /// The store is being closed.
    ShuttingDown,
    /// The store is a slave's: its messages come from the master.
    Slave,
}

impl fmt::Display for PutRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWritable(reason) => write!(f, "the store takes no writes: {reason}"),
            Self::DiskFull { path, free_bytes, used_percent, key } => write!(
                f,
                "no room for messages: {} ({key}) is {used_percent} % full, {free_bytes} bytes free; free space or lower fileReservedTime, writes are taken again by themselves",
                path.display()
            ),
            Self::BodyTooLarge { size, max } => {
                write!(f, "message of {size} bytes, at most {max} are taken (maxMessageSize)")
            }
            Self::TopicTooLong { size, max } => write!(f, "topic of {size} bytes, at most {max} can be stored"),
            Self::PropertiesTooLong { size, max } => {
                write!(f, "properties of {size} bytes, at most {max} can be stored")
            }
            Self::Empty => f.write_str("no message given"),
            Self::Failed => {
                f.write_str("a write or flush of the commitlog failed; the broker stops and recovers at its next start")
            }
            Self::ShuttingDown => f.write_str("the store is being closed"),
            Self::Slave => f.write_str("this broker is a slave and takes no messages; send to its master"),
        }
    }
}

impl std::error::Error for PutRefused {}

/// The commitlog failed for good: nothing is acknowledged any more and the process has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFailed {
    /// What failed, where, and the system's error.
    pub reason: String,
}

impl fmt::Display for StoreFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; no message is acknowledged any more, the broker must be restarted and will recover its log",
            self.reason
        )
    }
}

impl std::error::Error for StoreFailed {}
