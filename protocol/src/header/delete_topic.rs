//! DELETE_TOPIC_IN_BROKER (215), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Drops a topic with its queues.
    DeleteTopicHeader<'a> {
        topic: Cow<'a, str> = "topic",
    }
}
