//! GET_EARLIEST_MSG_STORETIME (32), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks when a queue's first message was stored.
    GetEarliestMsgStoretimeHeader<'a> {
        topic: Cow<'a, str> = "topic",
        queue_id: i32 = "queueId",
    }
}

header! {
    /// The answer.
    GetEarliestMsgStoretimeResponse {
        /// ms; -1 when the queue is empty.
        timestamp: i64 = "timestamp",
    }
}
