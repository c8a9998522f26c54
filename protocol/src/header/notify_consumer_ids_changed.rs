//! NOTIFY_CONSUMER_IDS_CHANGED (40), broker to consumer, one-way.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// The members of a group changed: rebalance.
    NotifyConsumerIdsChangedHeader<'a> {
        consumer_group: Cow<'a, str> = "consumerGroup",
    }
}
