//! ADD_WRITE_PERM_OF_BROKER (327), tools to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Gives the write permission back.
    AddWritePermHeader<'a> {
        broker_name: Cow<'a, str> = "brokerName",
    }
}

header! {
    /// The number of topics.
    AddWritePermResponse {
        add_topic_count: i32 = "addTopicCount",
    }
}
