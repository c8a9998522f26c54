//! What operators see of links. Plain values, any thread.

use std::fmt;
use std::net::SocketAddr;

/// A master's view of one slave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Number of the link, counted from 1 since the process began.
    pub link: u64,
    /// The slave's end of the connection.
    pub peer: SocketAddr,
    /// Whether it has reported, so that it counts.
    pub is_up: bool,
    /// Offset of the first byte it was sent.
    pub start: i64,
    /// Everything before this offset was given to the kernel.
    pub sent: i64,
    /// Everything before this offset is safe there, by its word; its start until it said more.
    pub acked: i64,
    /// Bytes of the log it has not confirmed; 0 before its first report.
    pub lag: i64,
    /// Bytes a second, over the last seconds.
    pub bytes_per_second: u64,
    /// Since when, milliseconds since the epoch.
    pub since_ms: u64,
}

/// A link that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedLink {
    /// Number of the link.
    pub link: u64,
    /// The other end.
    pub peer: SocketAddr,
    /// What it had confirmed.
    pub acked: i64,
    /// Why it ended.
    pub why: String,
}

/// What a slave is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlavePhase {
    /// It is not known where the master is.
    NoMaster,
    /// Asks the master where its log begins.
    Asking,
    /// Connects.
    Connecting,
    /// Compares the last stretch of its log with the master's.
    Comparing,
    /// Copies; so many bytes are missing, as far as known.
    CatchingUp { missing: i64 },
    /// Has all the master had when last asked, and copies what comes.
    InStep,
    /// Its log is longer than the master's.
    Ahead { own: i64, master: i64 },
    /// Its log has other bytes than the master's, from `at` or before.
    Diverged { at: i64, own: i64 },
    /// Its log ends where the master's has been deleted already.
    BehindFirst { own: i64, first: i64 },
    /// The master's files have another size.
    OtherFiles { first: i64, file_size: u64 },
    /// Its own store takes nothing.
    StoreRefuses { why: String },
    /// What was copied is no sound log.
    Unsound { why: String },
    /// The link ended and is tried again.
    Lost { why: String },
    /// Told to stop.
    Stopped,
}

impl SlavePhase {
    /// Whether nothing gets better unless somebody does something.
    pub fn needs_operator(&self) -> bool {
        matches!(
            self,
            Self::Ahead { .. }
                | Self::Diverged { .. }
                | Self::BehindFirst { .. }
                | Self::OtherFiles { .. }
                | Self::Unsound { .. }
        )
    }

    /// One word for tables: `inStep`, `catchingUp`, `diverged`, …
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoMaster => "noMaster",
            Self::Asking => "asking",
            Self::Connecting => "connecting",
            Self::Comparing => "comparing",
            Self::CatchingUp { .. } => "catchingUp",
            Self::InStep => "inStep",
            Self::Ahead { .. } => "ahead",
            Self::Diverged { .. } => "diverged",
            Self::BehindFirst { .. } => "behindFirst",
            Self::OtherFiles { .. } => "otherFiles",
            Self::StoreRefuses { .. } => "storeRefuses",
            Self::Unsound { .. } => "unsound",
            Self::Lost { .. } => "lost",
            Self::Stopped => "stopped",
        }
    }
}

const ANEW: &str =
    "nothing is copied. Save what only this slave has, then empty its store or set haResync=aside, and it copies anew";

impl fmt::Display for SlavePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMaster => {
                f.write_str("no master known: none is registered under this brokerName, or the name in its address (brokerIP2 there, haMasterAddress here) cannot be resolved; the log says which")
            }
            Self::Asking => f.write_str("asks the master where its log begins"),
            Self::Connecting => f.write_str("connects to the master"),
            Self::Comparing => f.write_str("compares the end of its log with the master's"),
            Self::CatchingUp { missing } => write!(f, "catching up, {missing} bytes are missing"),
            Self::InStep => f.write_str("in step with the master"),
            Self::Ahead { own, master } => write!(
                f,
                "this slave's log ends at {own}, the master's at {master} already: the master lost its tail, or this is another master's slave; {ANEW}"
            ),
            Self::Diverged { at, own } => write!(
                f,
                "this slave's log (end {own}) has other bytes than the master's at offset {at}, or before; {ANEW}"
            ),
            Self::BehindFirst { own, first } => write!(
                f,
                "this slave's log ends at {own}, but the master's begins at {first}: what lies between is deleted there; {ANEW}"
            ),
            Self::OtherFiles { first, file_size } => write!(
                f,
                "the master has files that begin or end near offset {first}, which files of {file_size} bytes do not; set mappedFileSizeCommitLog as on the master"
            ),
            Self::StoreRefuses { why } => write!(f, "this slave's store takes nothing: {why}"),
            Self::Unsound { why } => {
                write!(
                    f,
                    "nothing is copied: {why} (it was cut and copied again three times; check the master's log at this offset)"
                )
            }
            Self::Lost { why } => write!(f, "no link, tried again: {why}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// A slave's view of its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlaveState {
    /// What it is doing; its text says what was found and what to do.
    pub phase: SlavePhase,
    /// Where the master is.
    pub master: Option<SocketAddr>,
    /// First byte of its log.
    pub start: i64,
    /// One past the last byte received.
    pub end: i64,
    /// What is safe here, by its own flush mode.
    pub durable: i64,
    /// The end of the master's log when last heard of; 0 if never.
    pub master_end: i64,
    /// Bytes a second, over the last seconds.
    pub bytes_per_second: u64,
    /// Links that stood since the start.
    pub links: u64,
    /// Why the last link ended.
    pub last_end: Option<String>,
}
