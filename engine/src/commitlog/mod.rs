//! The commitlog: one physical offset space in files of equal size, appended by every shard.
//!
//! `tail` decides who writes where, `append` writes a shard's batch, `flush` and `flush_inline` make it durable (how long
//! that takes: `sync_times`), `prepare` makes the next file, `ahead` warms its pages, `segments` and `segment` are the
//! files themselves. Must not know queues, offsets in them, or who waits.

pub(crate) mod ahead;
pub mod append;
pub mod flush;
pub(crate) mod flush_inline;
pub mod prepare;
pub mod segment;
pub mod segments;
pub(crate) mod sync_times;
pub mod tail;
