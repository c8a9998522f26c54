//! `mqbench mixed`: senders and long-polling consumers on the same topics at once.
//!
//! The main figures are of the sends; those of the receipts stand beside them. Main thread.

use crate::cli::{Mixed, as_given};
use crate::outcome::Outcome;
use crate::run::{Plan, run};
use crate::template::Manner;

/// Measures.
pub fn measure(arguments: &Mixed) -> Result<Outcome, String> {
    let mut arguments = arguments.clone();
    arguments.load.rate.get_or_insert(0);
    let plan = Plan {
        what: "mixed",
        load: &arguments.load,
        manner: Manner::Sync,
        reading: Some((&arguments.reading, arguments.groups)),
        is_of_receipts: false,
    };
    Outcome::of_load(run(&plan)?, &arguments.load, as_given(&arguments))
}
