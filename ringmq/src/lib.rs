//! What the programs of this crate share besides the broker and the nameserver: planning a cluster's files.
//!
//! Owns no process. Pure but for the writing of files, which the binary asks for. Any thread.

pub mod cluster;
