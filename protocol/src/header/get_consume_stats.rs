//! GET_CONSUME_STATS (208), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks how far a group is.
    GetConsumeStatsHeader<'a> {
        consumer_group: Cow<'a, str> = "consumerGroup",
        /// Only this topic.
        topic: Option<Cow<'a, str>> = "topic",
    }
}
