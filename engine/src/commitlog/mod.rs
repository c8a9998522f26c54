//! The commitlog: one physical offset space in files of equal size, appended by every shard.
//!
//! `tail` decides who writes where, `append` writes a shard's batch, `flush` makes it durable, `prepare` makes the
//! next file, `segments` and `segment` are the files themselves. Must not know queues, offsets in them, or who waits.

pub mod append;
pub mod flush;
pub mod prepare;
pub mod segment;
pub mod segments;
pub mod tail;
