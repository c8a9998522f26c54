//! GET_ROUTEINFO_BY_TOPIC (105), everyone to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks where a topic is served.
    GetRouteInfoHeader<'a> {
        topic: Cow<'a, str> = "topic",
        /// The asker cannot read bare integer keys.
        accept_standard_json_only: bool = "acceptStandardJsonOnly",
    }
}
