//! Two masters, a slave each, and an ack says that both have it (2m-2s-sync).
//!
//! Nothing fails here: traffic flows, replicas are equal at the end, everything stops in order.

use crate::common::{field, two_masters};
use tests::Outcome;

pub fn run() -> Outcome {
    field("2m-2s-sync", 2, &two_masters(&[("brokerRole", "SYNC_MASTER"), ("flushDiskType", "SYNC_FLUSH")]), 1).steady()
}
