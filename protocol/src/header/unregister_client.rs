//! UNREGISTER_CLIENT (35), clients to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// A client leaves one group of each kind.
    UnregisterClientHeader<'a> {
        client_id: Cow<'a, str> = "clientID",
        producer_group: Option<Cow<'a, str>> = "producerGroup",
        consumer_group: Option<Cow<'a, str>> = "consumerGroup",
    }
}
