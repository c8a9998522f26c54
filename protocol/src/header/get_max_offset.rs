//! GET_MAX_OFFSET (30), consumers and tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks where a queue ends.
    GetMaxOffsetHeader<'a> {
        topic: Cow<'a, str> = "topic",
        queue_id: i32 = "queueId",
    }
}

header! {
    /// The next offset to be written.
    GetMaxOffsetResponse {
        offset: i64 = "offset",
    }
}
