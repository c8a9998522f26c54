//! The loader: makes load as cheaply as it can, for it shares the machine with the broker it measures.
//!
//! Owns its sockets and its clock. Must not know which broker is at the other end: any that speaks the protocol will
//! do. Each subcommand is a module; all run on the caller's thread with epoll.

pub mod cli;
pub mod drain;
pub mod epoll;
pub mod fill;
pub mod first_ack;
pub mod link;
pub mod machine;
pub mod matrix;
pub mod produce;
pub mod report;
pub mod result;
pub mod template;
