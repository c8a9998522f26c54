//! `mqbench end-to-end`: from the instant a message was to be sent to its receipt by long poll.
//!
//! The main figures are of the receipts. Main thread.

use crate::cli::{EndToEnd, as_given};
use crate::outcome::Outcome;
use crate::run::{Plan, run};
use crate::template::Manner;

/// Measures.
pub fn measure(arguments: &EndToEnd) -> Result<Outcome, String> {
    let mut arguments = arguments.clone();
    arguments.load.rate.get_or_insert(1000);
    let plan = Plan {
        what: "end-to-end",
        load: &arguments.load,
        manner: Manner::Sync,
        reading: Some((&arguments.reading, 1)),
        is_of_receipts: true,
    };
    Outcome::of_load(run(&plan)?, &arguments.load, as_given(&arguments))
}
