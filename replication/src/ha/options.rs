//! What an operator may choose about replication links. Plain values, any thread.

use std::time::Duration;

/// For a master's links.
#[derive(Clone, Debug)]
pub struct MasterOptions {
    /// A frame without a body is sent after this long without another (`haSendHeartbeatInterval`).
    pub heartbeat: Duration,
    /// A link ends after this long without a report (`haHousekeepingInterval`).
    pub housekeeping: Duration,
    /// Bytes of the log in one frame (`haTransferBatchSize`), at least 1.
    pub batch: u32,
    /// Links at once; more are closed when they come.
    pub links_max: usize,
    #[doc(hidden)]
    #[cfg(feature = "planted-bug")]
    pub bug: Option<super::master::Bug>,
}

impl Default for MasterOptions {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            housekeeping: Duration::from_secs(20),
            batch: 32 * 1024,
            links_max: 32,
            #[cfg(feature = "planted-bug")]
            bug: None,
        }
    }
}

/// What a slave without a log copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialSync {
    /// All the master has.
    #[default]
    All,
    /// From the beginning of the master's last file, as slaves of Java do.
    LastFile,
}

/// What a slave does with a log that is no beginning of the master's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resync {
    /// Keeps it, copies nothing and says so.
    #[default]
    Never,
    /// Sets it aside and copies anew.
    Aside,
}

/// For a slave's link.
#[derive(Clone, Debug)]
pub struct SlaveOptions {
    /// A report is repeated after this long without another (`haSendHeartbeatInterval`).
    pub heartbeat: Duration,
    /// The link ends after this long without a byte of the master (`haHousekeepingInterval`).
    pub housekeeping: Duration,
    /// Bytes of the log in one frame at most; more ends the link. They pass through in pieces, so this is no memory.
    pub body_max: u32,
    /// Bytes before the end of the log that are compared when a link begins.
    pub overlap: u64,
    /// What a slave without a log copies.
    pub initial: InitialSync,
    /// What a slave does with a log that is no beginning of the master's.
    pub resync: Resync,
    /// How long the master's log has to be shorter than ours before [`Resync::Aside`] gives ours up.
    pub ahead_patience: Duration,
    /// Pause after a link that ended; doubles up to `retry_max` as long as links bring nothing.
    pub retry_min: Duration,
    /// Longest pause between links.
    pub retry_max: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    #[doc(hidden)]
    #[cfg(feature = "planted-bug")]
    pub bug: Option<super::slave::Bug>,
}

impl Default for SlaveOptions {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            housekeeping: Duration::from_secs(20),
            body_max: 16 * 1024 * 1024,
            overlap: 64 * 1024,
            initial: InitialSync::All,
            resync: Resync::Never,
            ahead_patience: Duration::from_secs(15),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(3),
            #[cfg(feature = "planted-bug")]
            bug: None,
        }
    }
}
