//! One master and two slaves of one name, brokerId 0, 1 and 2.
//!
//! Nothing fails here: traffic flows, replicas are equal at the end, everything stops in order.

use tests::Outcome;
use tests::cluster::BrokerSpec;

use crate::common::field;

pub fn run() -> Outcome {
    field("1m-2s", 1, &[BrokerSpec::master("broker-a")], 2).steady()
}
