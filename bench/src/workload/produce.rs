//! `mqbench produce`: what a broker gives to senders; acked, one-way or in batches.
//!
//! Owns the choice of the manner. One-way sends have no latency; their rate is the broker's own count. Main thread.

use crate::cli::{Produce, as_given};
use crate::outcome::Outcome;
use crate::run::{Plan, run};
use crate::template::Manner;

/// Measures.
pub fn measure(arguments: &Produce) -> Result<Outcome, String> {
    let mut arguments = arguments.clone();
    arguments.load.rate.get_or_insert(0);
    let (what, manner) = match (arguments.one_way, arguments.batch) {
        (true, _) => ("one-way", Manner::OneWay),
        (false, Some(batch)) => ("batch", Manner::Batch(batch)),
        (false, None) => ("produce", Manner::Sync),
    };
    let plan = Plan { what, load: &arguments.load, manner, reading: None, is_of_receipts: false };
    Outcome::of_load(run(&plan)?, &arguments.load, as_given(&arguments))
}
