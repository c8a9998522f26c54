//! REGISTER_BROKER (103), broker to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// A broker says that it lives and what it serves.
    RegisterBrokerHeader<'a> {
        broker_name: Cow<'a, str> = "brokerName",
        broker_addr: Cow<'a, str> = "brokerAddr",
        cluster_name: Cow<'a, str> = "clusterName",
        ha_server_addr: Cow<'a, str> = "haServerAddr" or Cow::Borrowed(""),
        /// 0 is the master.
        broker_id: i64 = "brokerId",
        /// The body is a zlib stream, see [`crate::body::register`].
        compressed: bool = "compressed",
        /// Checksum of the body as sent; 0 is none.
        body_crc32: i32 = "bodyCrc32" or 0,
    }
}

header! {
    /// What a slave needs to know of its master.
    RegisterBrokerResponse<'a> {
        ha_server_addr: Option<Cow<'a, str>> = "haServerAddr",
        master_addr: Option<Cow<'a, str>> = "masterAddr",
    }
}
