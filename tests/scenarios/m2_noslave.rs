//! Two masters that share the topics, no copies (2m-noslave).
//!
//! Nothing fails here: traffic flows, replicas are equal at the end, everything stops in order.

use crate::common::{field, two_masters};
use tests::Outcome;

pub fn run() -> Outcome {
    field("2m-noslave", 2, &two_masters(&[]), 0).steady()
}
