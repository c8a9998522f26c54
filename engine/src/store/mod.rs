//! The façade: [`open`], the process-wide [`Shared`] and one [`ShardStore`] a shard.
//!
//! Owns the order of things: what is encoded, placed, written, promised, visible. Each file says on which thread it
//! runs. Must not know connections or request codes.

mod acks;
mod commit;
pub(crate) mod core;
pub(crate) mod deleted;
mod follow;
mod get;
mod housekeep;
mod open;
mod promise;
mod put;
pub(crate) mod queue_table;
pub(crate) mod rounds;
mod shard_store;
mod shared;
#[cfg(test)]
pub(crate) mod testing;
mod types;

pub(crate) use get::next_file_start;
pub use open::{Opened, ShardSeed, open, owner};
pub use shard_store::ShardStore;
pub use shared::Shared;
pub use types::{Get, GetResult, GetStatus, PutMessage, PutOutcome, PutStatus, QueryResult, QueueSlot, TagFilter};
