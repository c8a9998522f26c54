//! DELETE_KV_CONFIG (102), tools to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Drops a value.
    DeleteKvConfigHeader<'a> {
        namespace: Cow<'a, str> = "namespace",
        key: Cow<'a, str> = "key",
    }
}
