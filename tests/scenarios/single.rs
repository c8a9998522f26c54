//! One master, one nameserver: what most begin with.
//!
//! Nothing fails here: traffic flows, replicas are equal at the end, everything stops in order.

use tests::Outcome;
use tests::cluster::BrokerSpec;

use crate::common::field;

pub fn run() -> Outcome {
    field("single", 1, &[BrokerSpec::master("broker-a")], 0).steady()
}
