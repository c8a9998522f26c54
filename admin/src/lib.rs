//! mqadmin's commands, one a file, with Java's names, options and columns.
//!
//! Owns what a command asks and how the answer is printed. Sees the wire only, and that through [`wire::Wire`], so that
//! tests can play the brokers. Ordinary threads.

pub mod arguments;
mod cluster;
pub mod command;
mod context;
mod failure;
mod help;
mod java_text;
mod run;
pub mod wire;

pub use context::{Clock, Context};
pub use failure::{Failure, Unanswered};
pub use run::{Ended, run};
