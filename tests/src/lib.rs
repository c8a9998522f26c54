//! The harness of the suites: starts and ends real processes, makes load, records histories, drains queues.
//!
//! Owns processes, ports, folders and the clock of a run. Must not judge a history (the checker does) and must not
//! reach into a broker by any way but its port, its files and its signals. Each suite is a program of its own
//! (`harness = false`) that runs its cases one after the other through [`suite::run`].

pub mod binaries;
pub mod body;
pub mod cluster;
pub mod drain;
pub mod folder;
pub mod load;
pub mod ports;
pub mod proc_files;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod recorder;
pub mod rng;
pub mod run;
pub mod server;
pub mod suite;
pub mod wait;

pub use recorder::Recorder;
pub use rng::Rng;
pub use server::{Server, ServerSpec};
pub use suite::{Case, Outcome};
