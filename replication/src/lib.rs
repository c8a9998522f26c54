//! The log on other machines: master and slave over Java's byte stream.
//!
//! Owns the replication links and what is known about the other end. Knows no producer, consumer or request handler.
//! Runs on ordinary threads: a slave that catches up reads pages from the disk, which no shard may wait for.

pub mod ha;
