//! QUERY_CONSUMER_OFFSET (14), consumer to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks for a group's offset in a queue.
    QueryConsumerOffsetHeader<'a> {
        consumer_group: Cow<'a, str> = "consumerGroup",
        topic: Cow<'a, str> = "topic",
        queue_id: i32 = "queueId",
    }
}

header! {
    /// The stored offset.
    QueryConsumerOffsetResponse {
        offset: i64 = "offset",
    }
}
