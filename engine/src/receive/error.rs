//! Why a piece of a master's log was not taken. Values with a sentence for the operator; any thread.

use std::fmt;
use std::path::PathBuf;

use crate::error::{PutRefused, StoreFailed};

/// A record that is not sound: nothing behind it is made readable, nothing more is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsound {
    /// Physical offset of its first byte; the readable log ends here.
    pub physical: i64,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the bytes received at offset {} are no sound record: {}; nothing behind them is read or taken. Cut the log there and copy again; if it comes again, the master's log is damaged at this offset",
            self.physical, self.problem
        )
    }
}

/// See the module's head. [`ReceiveError::is_passing`] tells what to try again from what is final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveError {
    /// The piece does not continue the log.
    NotAtEnd { offset: i64, end: i64 },
    /// The piece crosses the end of a commitlog file: the master's files have another size.
    CrossesFile { offset: i64, len: usize, file_end: i64, file_size: i64 },
    /// A record is not sound. The piece that showed it is stored, pieces behind it are not taken.
    Unsound(Unsound),
    /// No room for the next bytes; passes when there is room again. Nothing was taken.
    NoRoom(PutRefused),
    /// The log has messages; it can begin elsewhere only when it is empty.
    NotEmpty { start: i64, end: i64 },
    /// A log begins with the first byte of a file.
    NotFileStart { offset: i64, file_size: i64 },
    /// The offset is outside the log.
    Outside { offset: i64, start: i64, end: i64 },
    /// The shards did not take part in the change within a minute.
    NoAnswer,
    /// A step of a cut failed; the log may be cut again, until then nothing is taken.
    Io { action: &'static str, path: PathBuf, problem: String },
    /// A cut failed before; it has to succeed before anything is taken.
    CutUnfinished { reason: String },
    /// The store failed for good.
    Failed(StoreFailed),
    /// The store is being closed.
    ShuttingDown,
}

impl ReceiveError {
    /// Whether the same call may succeed later without anybody doing anything else.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::NoRoom(_) | Self::NoAnswer)
    }
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAtEnd { offset, end } => {
                write!(f, "bytes for offset {offset} came, but the log ends at {end}; connect again and report {end}")
            }
            Self::CrossesFile { offset, len, file_end, file_size } => write!(
                f,
                "{len} bytes for offset {offset} reach over the end {file_end} of a commitlog file; the master's files have another size than {file_size} bytes: set mappedFileSizeCommitLog as on the master, with an empty store"
            ),
            Self::Unsound(unsound) => unsound.fmt(f),
            Self::NoRoom(refused) => write!(f, "the master's log cannot be received: {refused}"),
            Self::NotEmpty { start, end } => {
                write!(f, "the log has bytes from {start} to {end}, so it cannot begin elsewhere; set it aside first")
            }
            Self::NotFileStart { offset, file_size } => write!(
                f,
                "a log cannot begin at offset {offset}, which is not the first byte of a file of {file_size} bytes (mappedFileSizeCommitLog, which has to be that of the master)"
            ),
            Self::Outside { offset, start, end } => {
                write!(f, "offset {offset} is outside the log, which has bytes from {start} to {end}")
            }
            Self::NoAnswer => f.write_str("the shards did not follow within a minute; it can be tried again"),
            Self::Io { action, path, problem } => {
                write!(f, "cannot {action} {}: {problem}; check its owner and the free space", path.display())
            }
            Self::CutUnfinished { reason } => {
                write!(f, "nothing is received until the log was cut, which failed: {reason}")
            }
            Self::Failed(failed) => failed.fmt(f),
            Self::ShuttingDown => f.write_str("the store is being closed"),
        }
    }
}

impl std::error::Error for ReceiveError {}
