//! What the tests of replication share: a whole cluster on virtual time, and logs in memory for the real threads.
#![allow(dead_code, reason = "each test program uses its part")]

pub mod memory;
pub mod quick;
pub mod random;
pub mod records;
pub mod world;
