//! The commitlog: one physical offset space in files of equal size, appended by every shard.

pub mod flush;
pub mod segment;
