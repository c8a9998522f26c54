//! The façade: `open`, the process-wide [`Shared`] and one [`ShardStore`] a shard.
//!
//! Owns the order of things: what is encoded, placed, written, promised, visible. Each file says on which thread it
//! runs. Must not know connections or request codes.

mod types;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

pub use types::{Get, GetResult, GetStatus, PutMessage, PutOutcome, PutStatus, QueryResult, QueueSlot, TagFilter};

use crate::commitlog::segment::LogRange;
use crate::recover::RecoveryReport;
use crate::{OpenError, PutRefused, StoreFailed, StoreOptions};

/// An opened store.
pub struct Opened {
    /// For any thread.
    pub shared: Arc<Shared>,
    /// One for each shard.
    pub shards: Vec<ShardSeed>,
    /// What recovery did.
    pub report: RecoveryReport,
}
impl Opened {
    /// Writes the abort file: from now on only a clean stop removes it.
    pub fn mark_running(&self) -> Result<(), OpenError> {
        todo!()
    }
}
/// Opens the store.
pub fn open(_options: StoreOptions) -> Result<Opened, OpenError> {
    todo!()
}
/// The shard that owns a queue: stable over restarts, consecutive queues of a topic on consecutive shards.
pub fn owner(topic: &str, queue_id: u32, shards: usize) -> usize {
    let hash = protocol::message::java_hash(topic) as u32;
    (hash.wrapping_add(queue_id) as usize) % shards.max(1)
}
/// A shard's part of a store on its way to the shard's thread.
pub struct ShardSeed {}
impl ShardSeed {
    /// On the shard's own thread.
    pub fn into_store<A>(self) -> ShardStore<A> {
        todo!()
    }
    /// Shard number.
    pub fn shard(&self) -> usize {
        todo!()
    }
}
/// One shard's store.
pub struct ShardStore<A> {
    _a: PhantomData<(*const (), A)>,
}
#[allow(unused_variables, clippy::todo)]
impl<A> ShardStore<A> {
    /// Takes messages of one queue.
    pub fn put(&mut self, messages: &[PutMessage<'_>], wait: bool, ack: A) -> Result<(), (A, PutRefused)> {
        todo!()
    }
    /// Writes what was put.
    pub fn commit(&mut self) -> Result<(), StoreFailed> {
        todo!()
    }
    /// Gives out decided acks.
    pub fn take_acks(&mut self, now: Instant, f: impl FnMut(A, PutOutcome)) {
        todo!()
    }
    /// Gives out newly visible messages: queue, queue offset, tags code.
    pub fn take_arrivals(&mut self, f: impl FnMut(QueueSlot, i64, i64)) {
        todo!()
    }
    /// Finds or makes a queue.
    pub fn queue(&mut self, topic: &str, queue_id: u32) -> QueueSlot {
        todo!()
    }
    /// Finds a queue.
    pub fn queue_if_known(&self, topic: &str, queue_id: u32) -> Option<QueueSlot> {
        todo!()
    }
    /// Topic and queue id.
    pub fn queue_name(&self, slot: QueueSlot) -> (&str, u32) {
        todo!()
    }
    /// Every queue of this shard.
    pub fn queues(&self) -> impl Iterator<Item = QueueSlot> + '_ {
        std::iter::empty()
    }
    /// A pull.
    pub fn get(&mut self, get: Get<'_>, ranges: &mut Vec<LogRange>) -> GetResult {
        todo!()
    }
    /// First queue offset.
    pub fn min_offset(&self, slot: QueueSlot) -> i64 {
        todo!()
    }
    /// One past the last visible queue offset.
    pub fn max_offset(&self, slot: QueueSlot) -> i64 {
        todo!()
    }
    /// One past the last queue offset given out.
    pub fn next_offset(&self, slot: QueueSlot) -> i64 {
        todo!()
    }
    /// Search by time.
    pub fn offset_by_time(&mut self, slot: QueueSlot, timestamp: i64) -> i64 {
        todo!()
    }
    /// Store time of a message, ms.
    pub fn store_time(&mut self, slot: QueueSlot, offset: i64) -> Option<i64> {
        todo!()
    }
    /// Physical offset and size of a visible message.
    pub fn locate(&mut self, slot: QueueSlot, offset: i64) -> Option<(i64, i32)> {
        todo!()
    }
    /// Destroys a topic's queues.
    pub fn delete_topic(&mut self, topic: &str) {
        todo!()
    }
    /// Undecided puts.
    pub fn pending_acks(&self) -> usize {
        todo!()
    }
    /// Would a put be refused?
    pub fn is_writable(&self) -> Result<(), PutRefused> {
        todo!()
    }
    /// Call every 10 ms or so.
    pub fn housekeep(&mut self, now: Instant) {
        todo!()
    }
    /// Last call.
    pub fn shutdown(&mut self) {
        todo!()
    }
    /// The process-wide part.
    pub fn shared(&self) -> &Arc<Shared> {
        todo!()
    }
}
/// The process-wide part of a store.
pub struct Shared {}
#[allow(unused_variables, clippy::todo)]
impl Shared {
    /// The record at a physical offset.
    pub fn record(&self, physical: i64) -> Option<LogRange> {
        todo!()
    }
    /// Query by key.
    pub fn query(&self, topic: &str, key: &str, max: usize, begin: i64, end: i64) -> QueryResult {
        todo!()
    }
    /// First byte of the log that is kept.
    pub fn log_min(&self) -> i64 {
        todo!()
    }
    /// End of the log: all complete bytes.
    pub fn log_max(&self) -> i64 {
        todo!()
    }
    /// Contiguous written end.
    pub fn watermark(&self) -> i64 {
        todo!()
    }
    /// Durable end.
    pub fn flushed(&self) -> i64 {
        todo!()
    }
    /// What readers may see.
    pub fn readable(&self) -> i64 {
        todo!()
    }
    /// Called when another thread moved the watermark or the flushed offset.
    pub fn on_progress(&self, shard: usize, wake: Box<dyn Fn() + Send + Sync>) {
        todo!()
    }
    /// Why the log failed, if it did.
    pub fn failure(&self) -> Option<StoreFailed> {
        todo!()
    }
    /// Why no message is taken, if so.
    pub fn refused(&self) -> Option<PutRefused> {
        todo!()
    }
    /// Delete expired files now (code 329).
    pub fn delete_expired_now(&self) {
        todo!()
    }
    /// Stops.
    pub fn stop(&self) -> Result<(), StoreFailed> {
        todo!()
    }
}
