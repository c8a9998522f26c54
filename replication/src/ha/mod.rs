//! Master and slave: the slave says how far its log goes, the master sends what follows.
//!
//! [`wire`] knows the bytes, [`master::Session`] and [`slave::Session`] decide for one link each, [`plan`] decides where
//! a slave begins. These four have no I/O, no clock and no threads. [`MasterServer`] and [`SlaveClient`] drive them on
//! ordinary threads; [`store`] ties them to the store of a broker.

/// What the names of all threads here begin with. A producer of a SYNC_MASTER waits for each of them.
pub const THREADS: &str = "ha-";

mod attempt;
pub mod client;
mod copy;
pub mod ending;
mod link;
pub mod master;
pub mod options;
pub mod plan;
mod rate;
pub mod seam;
pub mod server;
pub mod slave;
mod socket;
pub mod state;
pub mod store;
pub mod wire;

pub use client::SlaveClient;
pub use ending::{CopyEnd, LinkEnd, MasterEnd, SlaveEnd};
pub use options::{InitialSync, MasterOptions, Resync, SlaveOptions};
pub use seam::{LogExtent, LogPiece, LogSink, LogSource, MasterFacts, SinkError, Watch};
pub use server::MasterServer;
pub use state::{EndedLink, LinkState, SlavePhase, SlaveState};
