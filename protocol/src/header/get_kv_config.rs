//! GET_KV_CONFIG (101), tools to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks for a value.
    GetKvConfigHeader<'a> {
        namespace: Cow<'a, str> = "namespace",
        key: Cow<'a, str> = "key",
    }
}

header! {
    /// The value.
    GetKvConfigResponse<'a> {
        value: Option<Cow<'a, str>> = "value",
    }
}
