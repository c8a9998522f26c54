//! UPDATE_CONSUMER_OFFSET (15), consumer to broker, mostly one-way.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Stores a group's offset in a queue; it may go backwards.
    UpdateConsumerOffsetHeader<'a> {
        consumer_group: Cow<'a, str> = "consumerGroup",
        topic: Cow<'a, str> = "topic",
        queue_id: i32 = "queueId",
        commit_offset: i64 = "commitOffset",
    }
}
