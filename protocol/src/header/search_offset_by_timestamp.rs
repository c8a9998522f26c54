//! SEARCH_OFFSET_BY_TIMESTAMP (29), consumers and tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks for the offset of a queue at a time.
    SearchOffsetByTimestampHeader<'a> {
        topic: Cow<'a, str> = "topic",
        queue_id: i32 = "queueId",
        /// ms
        timestamp: i64 = "timestamp",
    }
}

header! {
    /// The offset found.
    SearchOffsetByTimestampResponse {
        offset: i64 = "offset",
    }
}
