//! QUERY_TOPIC_CONSUME_BY_WHO (300), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks which groups consume a topic.
    QueryTopicConsumeByWhoHeader<'a> {
        topic: Cow<'a, str> = "topic",
    }
}
