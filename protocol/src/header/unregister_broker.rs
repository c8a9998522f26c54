//! UNREGISTER_BROKER (104), broker to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// A broker leaves.
    UnregisterBrokerHeader<'a> {
        broker_name: Cow<'a, str> = "brokerName",
        broker_addr: Cow<'a, str> = "brokerAddr",
        cluster_name: Cow<'a, str> = "clusterName",
        /// 0 is the master.
        broker_id: i64 = "brokerId",
    }
}
