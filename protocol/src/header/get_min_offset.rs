//! GET_MIN_OFFSET (31), consumers and tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks where a queue begins.
    GetMinOffsetHeader<'a> {
        topic: Cow<'a, str> = "topic",
        queue_id: i32 = "queueId",
    }
}

header! {
    /// The first offset still stored.
    GetMinOffsetResponse {
        offset: i64 = "offset",
    }
}
