//! DELETE_SUBSCRIPTIONGROUP (207), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Drops a group's configuration.
    DeleteSubscriptionGroupHeader<'a> {
        group_name: Cow<'a, str> = "groupName",
        /// Its offsets go too.
        remove_offset: bool = "removeOffset",
    }
}
