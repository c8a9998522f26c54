//! QUERY_MESSAGE (12), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Messages of a topic by key and store time.
    QueryMessageHeader<'a> {
        topic: Cow<'a, str> = "topic",
        key: Cow<'a, str> = "key",
        max_num: i32 = "maxNum",
        /// ms
        begin_timestamp: i64 = "beginTimestamp",
        /// ms
        end_timestamp: i64 = "endTimestamp",
        /// The key is a client-side unique id; extra field of Java's tools.
        unique_key_query: bool = "_UNIQUE_KEY_QUERY",
    }
}

header! {
    /// How far the index has come.
    QueryMessageResponse {
        /// ms
        index_last_update_timestamp: i64 = "indexLastUpdateTimestamp" or 0,
        /// Bytes in the log.
        index_last_update_phyoffset: i64 = "indexLastUpdatePhyoffset" or 0,
    }
}
