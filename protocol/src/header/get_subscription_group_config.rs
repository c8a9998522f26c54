//! GET_SUBSCRIPTIONGROUP_CONFIG (352), tools of 5.x to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks for one group's configuration.
    GetSubscriptionGroupConfigHeader<'a> {
        group: Cow<'a, str> = "group",
    }
}
