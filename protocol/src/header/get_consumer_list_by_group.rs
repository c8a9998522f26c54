//! GET_CONSUMER_LIST_BY_GROUP (38), consumer to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks who consumes in a group.
    GetConsumerListByGroupHeader<'a> {
        consumer_group: Cow<'a, str> = "consumerGroup",
    }
}
