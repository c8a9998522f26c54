//! Three nameservers that know nothing of each other; every broker tells all of them.
//!
//! Nothing fails here: traffic flows, replicas are equal at the end, everything stops in order.

use crate::common::{field, two_masters};
use tests::Outcome;

pub fn run() -> Outcome {
    field("three-nameservers", 3, &two_masters(&[]), 1).steady()
}
