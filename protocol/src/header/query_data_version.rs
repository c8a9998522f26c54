//! QUERY_DATA_VERSION (322), broker to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks whether a registration is still current; the body holds the DataVersion.
    QueryDataVersionHeader<'a> {
        broker_name: Cow<'a, str> = "brokerName",
        broker_addr: Cow<'a, str> = "brokerAddr",
        cluster_name: Cow<'a, str> = "clusterName",
        /// 0 is the master.
        broker_id: i64 = "brokerId",
    }
}

header! {
    /// The answer; the body holds the nameserver's DataVersion when it has one.
    QueryDataVersionResponse {
        changed: bool = "changed",
    }
}
