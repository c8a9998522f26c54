//! PUT_KV_CONFIG (100), tools to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Sets a value.
    PutKvConfigHeader<'a> {
        namespace: Cow<'a, str> = "namespace",
        key: Cow<'a, str> = "key",
        value: Cow<'a, str> = "value",
    }
}
