//! Group commit.
use crate::store::Shared;
use std::sync::Arc;
/// Runs the flusher on shard 0's ring until the store stops.
pub async fn run_on_ring(_shared: Arc<Shared>) {
    todo!()
}
