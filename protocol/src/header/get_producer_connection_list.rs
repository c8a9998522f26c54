//! GET_PRODUCER_CONNECTION_LIST (204), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks for the producers of a group.
    GetProducerConnectionListHeader<'a> {
        producer_group: Cow<'a, str> = "producerGroup",
    }
}
