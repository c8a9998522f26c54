//! WIPE_WRITE_PERM_OF_BROKER (205), tools to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Takes the write permission from all topics of a broker.
    WipeWritePermHeader<'a> {
        broker_name: Cow<'a, str> = "brokerName",
    }
}

header! {
    /// The number of topics.
    WipeWritePermResponse {
        wipe_topic_count: i32 = "wipeTopicCount",
    }
}
