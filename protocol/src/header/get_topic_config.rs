//! GET_TOPIC_CONFIG (351), tools of 5.x to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks for one topic's configuration.
    GetTopicConfigHeader<'a> {
        topic: Cow<'a, str> = "topic",
    }
}
