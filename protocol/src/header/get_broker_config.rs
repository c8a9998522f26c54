//! GET_BROKER_CONFIG (26), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// The version of the configuration in the body.
    GetBrokerConfigResponse<'a> {
        /// DataVersion as JSON.
        version: Cow<'a, str> = "version",
    }
}
