//! GET_CONSUMER_CONNECTION_LIST (203), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks for the members of a group.
    GetConsumerConnectionListHeader<'a> {
        consumer_group: Cow<'a, str> = "consumerGroup",
    }
}
