//! GET_KVLIST_BY_NAMESPACE (219), tools to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks for all values of a namespace.
    GetKvlistHeader<'a> {
        namespace: Cow<'a, str> = "namespace",
    }
}
