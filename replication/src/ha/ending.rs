//! Why a link ended, as values with a sentence for the operator. No I/O, any thread.

use std::fmt;
use std::time::Duration;

use super::seam::SinkError;
use super::wire::BadFrame;

/// Why the decider of a master ends a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterEnd {
    /// A report below zero.
    NegativeReport { report: i64 },
    /// A report beyond the end of the log.
    BeyondEnd { report: i64, max: i64 },
    /// A report of bytes this link has not sent.
    BeyondSent { report: i64, sent: i64 },
    /// A report below the one before.
    Backwards { report: i64, before: i64 },
    /// The slave wants bytes that are deleted.
    BelowMin { report: i64, min: i64 },
    /// No report for too long.
    Silent { had_reported: bool, limit: Duration },
}

impl MasterEnd {
    /// Whether somebody should look at it: the peer is no sound copy of this log, or no slave at all.
    pub fn is_alarming(&self) -> bool {
        !matches!(self, Self::Silent { had_reported: true, .. })
    }
}

impl fmt::Display for MasterEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NegativeReport { report } => {
                write!(f, "it reports offset {report}; this is no slave: see who connects to haListenPort")
            }
            Self::BeyondEnd { report, max } => write!(
                f,
                "it reports offset {report}, but the log ends at {max}; it counts for nothing: either this master lost its tail, then compare both logs before sending on, or the peer is no slave of this master"
            ),
            Self::BeyondSent { report, sent } => {
                write!(f, "it reports offset {report}, but was sent bytes up to {sent} only; it counts for nothing")
            }
            Self::Backwards { report, before } => {
                write!(f, "it reports offset {report} after {before}; a slave's log never becomes shorter")
            }
            Self::BelowMin { report, min } => write!(
                f,
                "it asks for offset {report}, but the log begins at {min}: older files are deleted here; the slave has to copy anew (empty its store, or haResync=aside there)"
            ),
            Self::Silent { had_reported: true, limit } => {
                write!(f, "no report for {} ms (haHousekeepingInterval)", limit.as_millis())
            }
            Self::Silent { had_reported: false, limit } => {
                write!(f, "no report at all within {} ms (haHousekeepingInterval)", limit.as_millis())
            }
        }
    }
}

/// Why the decider of a slave ends a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlaveEnd {
    /// What comes is no frame.
    BadFrame(BadFrame),
    /// A frame for another place than the end of what came before.
    WrongOffset { found: i64, expected: i64 },
    /// A frame that no file of ours could hold.
    FileSize { offset: i64, len: u32, file_size: u64 },
    /// Nothing from the master for too long.
    Silent { limit: Duration },
}

impl fmt::Display for SlaveEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadFrame(bad) => write!(f, "the master sends {bad}; see that haMasterAddress is a replication port"),
            Self::WrongOffset { found, expected } => {
                write!(f, "the master sends offset {found}, this slave is at {expected}; the link begins anew")
            }
            Self::FileSize { offset, len, file_size } => write!(
                f,
                "the master sends {len} bytes at offset {offset}, which do not fit into files of {file_size} bytes; mappedFileSizeCommitLog has to be the master's"
            ),
            Self::Silent { limit } => {
                write!(f, "nothing from the master for {} ms (haHousekeepingInterval)", limit.as_millis())
            }
        }
    }
}

/// Why a driver of a master's link ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// The decider did.
    Decided(MasterEnd),
    /// The slave closed the connection.
    Closed,
    /// The connection failed.
    Failed(String),
    /// Bytes that are to be sent are not in the log any more.
    Deleted { offset: i64 },
    /// The store does not count this slave.
    Refused(String),
    /// The broker stops.
    Stopped,
}

impl LinkEnd {
    /// Whether somebody should look at it.
    pub fn is_alarming(&self) -> bool {
        match self {
            Self::Decided(end) => end.is_alarming(),
            Self::Deleted { .. } | Self::Refused(_) => true,
            Self::Closed | Self::Failed(_) | Self::Stopped => false,
        }
    }
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decided(end) => end.fmt(f),
            Self::Closed => f.write_str("the slave closed the connection"),
            Self::Failed(text) => write!(f, "the connection failed: {text}"),
            Self::Deleted { offset } => write!(
                f,
                "the bytes at offset {offset} are deleted here before the slave got them; it has to copy anew (raise fileReservedTime if this comes again)"
            ),
            Self::Refused(text) => f.write_str(text),
            Self::Stopped => f.write_str("the broker stops"),
        }
    }
}

/// Why a driver of a slave's link ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyEnd {
    /// The decider did.
    Decided(SlaveEnd),
    /// The master cannot be reached, closed the connection, or it failed.
    Failed(String),
    /// The master has other bytes at this offset.
    Diverged { at: i64 },
    /// The master's log ends here, short of ours, and did so for longer than our patience.
    Ahead { master: i64 },
    /// The slave's own store did not take the bytes.
    Sink(SinkError),
    /// Another master, or the end of it all.
    Called,
}
