//! GET_TOPIC_STATS_INFO (202), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks for the offsets of a topic's queues.
    GetTopicStatsInfoHeader<'a> {
        topic: Cow<'a, str> = "topic",
    }
}
