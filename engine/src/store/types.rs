//! The façade's values: what goes into a store and what comes back. No behaviour, any thread.

use std::net::SocketAddr;

use crate::commitlog::segment::LogRange;

/// A queue within one [`crate::ShardStore`]: a small number, meaningless elsewhere and after the topic was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueSlot(pub(crate) u32);

impl QueueSlot {
    /// Place in tables a caller keeps beside the store, dense from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A message to store.
#[derive(Clone, Copy, Debug)]
pub struct PutMessage<'a> {
    /// Topic, at most 127 bytes.
    pub topic: &'a str,
    /// Queue of the topic.
    pub queue_id: u32,
    /// The application's flag.
    pub flag: i32,
    /// Sys flag; PREPARED and ROLLBACK transaction types take no queue offset and get no consume queue unit.
    pub sys_flag: i32,
    /// When the producer made it, ms.
    pub born_timestamp: i64,
    /// Where it came from.
    pub born_host: SocketAddr,
    /// The broker's address.
    pub store_host: SocketAddr,
    /// How often it was sent back.
    pub reconsume_times: i32,
    /// Physical offset of the half message of a committed transaction, else 0.
    pub prepared_transaction_offset: i64,
    /// Body as stored.
    pub body: &'a [u8],
    /// Pieces of the properties string, concatenated.
    pub properties: &'a [&'a [u8]],
    /// What the consume queue stores: the tag hash. For `SCHEDULE_TOPIC_XXXX` the store puts the delivery time there
    /// itself (store time + delay of level `queue_id + 1`), whatever stands here.
    pub tags_code: i64,
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutStatus {
    /// The promise of the flush mode, and of replication, is kept.
    Ok,
    /// Not flushed within `sync_flush_timeout`; the message is in the log and may yet become visible.
    FlushTimeout,
    /// The log failed; nothing is promised.
    Failed,
    /// Taken and then not stored, because the file it needed could not be made: there was no room.
    NoRoom,
    /// Stored as the flush mode promises, but no slave was there to have it, or all were too far behind.
    SlaveNotAvailable,
    /// Stored, but no slave had it in time; one may yet.
    SlaveTimeout,
}

/// The answer to a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutOutcome {
    /// What became of it.
    pub status: PutStatus,
    /// Queue offset of the (first) message; 0 for PREPARED and ROLLBACK types.
    pub queue_offset: i64,
    /// Physical offset of the (first) message, bytes.
    pub physical_offset: i64,
    /// Store time, ms.
    pub store_timestamp: i64,
    /// Physical offsets of the second and further messages of a batch.
    pub more: Option<Box<[i64]>>,
}

/// Which messages a pull wants, by tag hash.
#[derive(Clone, Copy, Debug)]
pub enum TagFilter<'a> {
    /// Every message.
    All,
    /// Those whose tags code, as i32, is one of these.
    Codes(&'a [i32]),
}

impl TagFilter<'_> {
    pub(crate) fn takes(&self, tags_code: i64) -> bool {
        match self {
            Self::All => true,
            // Java narrows the stored code to 32 bits before it looks it up.
            Self::Codes(codes) => codes.contains(&(tags_code as i32)),
        }
    }
}

/// A pull.
#[derive(Clone, Copy, Debug)]
pub struct Get<'a> {
    /// Queue.
    pub slot: QueueSlot,
    /// First queue offset wanted.
    pub offset: i64,
    /// Most messages wanted (`maxMsgNums`); the transfer limits hold besides.
    pub max_messages: usize,
    /// Most bytes wanted; `usize::MAX` leaves it to the transfer limits. The first message is always given.
    pub max_bytes: usize,
    /// Tag filter.
    pub filter: TagFilter<'a>,
}

/// Java's statuses of a pull (`GetMessageStatus`, 4.9.7), under its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetStatus {
    /// Messages follow.
    Found,
    /// Messages were looked at, none passed the filter.
    NoMatchedMessage,
    /// What the queue points to is being deleted.
    MessageWasRemoving,
    /// The queue has no readable entry at that offset.
    OffsetFoundNull,
    /// Beyond the end by more than one.
    OffsetOverflowBadly,
    /// Exactly the end: wait for the next message.
    OffsetOverflowOne,
    /// Before the queue's first message.
    OffsetTooSmall,
    /// The queue is unknown here.
    NoMatchedLogicQueue,
    /// The queue has never had a message.
    NoMessageInQueue,
}

impl GetStatus {
    /// The name that goes into a pull answer's remark.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::MessageWasRemoving => "MESSAGE_WAS_REMOVING",
            Self::OffsetFoundNull => "OFFSET_FOUND_NULL",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::NoMatchedLogicQueue => "NO_MATCHED_LOGIC_QUEUE",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
        }
    }
}

/// The answer to a pull; the messages are the ranges beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetResult {
    /// What was found.
    pub status: GetStatus,
    /// Queue offset to ask for next.
    pub next_begin_offset: i64,
    /// First queue offset.
    pub min_offset: i64,
    /// One past the last visible queue offset.
    pub max_offset: i64,
    /// Messages in the ranges.
    pub messages: usize,
    /// Bytes in the ranges.
    pub bytes: usize,
    /// A range is not in the page cache: read it with [`crate::io::ring::read`], not through the mapping.
    pub cold: bool,
    /// Bytes between the last message looked at and the end of the log.
    pub lag_bytes: i64,
    /// The lag is more than `accessMessageInMemoryMaxRatio` of memory: a slave may serve this consumer better.
    pub suggest_slave: bool,
}

/// The answer to a query by key.
#[derive(Debug, Default)]
pub struct QueryResult {
    /// The records, one a range, newest file first. Keys are compared by hash only, as Java's broker does.
    pub ranges: Vec<LogRange>,
    /// Store time of the newest indexed message, ms.
    pub index_last_update_timestamp: i64,
    /// Physical offset of the newest indexed message.
    pub index_last_update_physical_offset: i64,
}
