//! Two masters, a slave each, copied as it comes (2m-2s-async).
//!
//! Nothing fails here: traffic flows, replicas are equal at the end, everything stops in order.

use crate::common::{field, two_masters};
use tests::Outcome;

pub fn run() -> Outcome {
    field("2m-2s-async", 2, &two_masters(&[]), 1).steady()
}
