//! `mqbench fan-out`: every message goes to several groups.
//!
//! The main figures are of the receipts, all groups together. Main thread.

use crate::cli::{FanOut, as_given};
use crate::outcome::Outcome;
use crate::run::{Plan, run};
use crate::template::Manner;

/// Measures.
pub fn measure(arguments: &FanOut) -> Result<Outcome, String> {
    let mut arguments = arguments.clone();
    arguments.load.rate.get_or_insert(1000);
    let plan = Plan {
        what: "fan-out",
        load: &arguments.load,
        manner: Manner::Sync,
        reading: Some((&arguments.reading, arguments.groups)),
        is_of_receipts: true,
    };
    Outcome::of_load(run(&plan)?, &arguments.load, as_given(&arguments))
}
