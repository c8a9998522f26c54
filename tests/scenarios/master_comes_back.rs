//! A master is killed under full load and comes back: it is taken up again, nothing acked is lost, nothing is delivered
//! twice beyond what was not committed, its slave ends equal to it.

use std::time::{Duration, Instant};

use tests::Outcome;
use tests::cluster::{PATIENCE, good};

use crate::common::{ENOUGH, field, java_client, pause, two_masters};

/// From the start of its process to the first message it takes.
const BACK_MAX: Duration = Duration::from_secs(10);

pub fn run() -> Outcome {
    let mut field = field("a-master-comes-back", 2, &two_masters(&[]), 1);
    let traffic = field.traffic();
    let java = java_client(&mut field.cluster);
    let dead = field.numbers(true)[0];
    let end = good(field.cluster.brokers[dead].log_end());
    field.cluster.brokers[dead].kill9();
    good(traffic.wait_acked(ENOUGH, PATIENCE));
    let begun = Instant::now();
    good(field.cluster.brokers[dead].start().map(drop));
    let taken = tests::wait::until(PATIENCE, || {
        let grown = field.cluster.brokers[dead].log_end().is_ok_and(|now| now > end + (64 << 10));
        grown.then(|| begun.elapsed())
    });
    let taken = taken.unwrap_or_else(|| panic!("nothing is sent to the master that is back"));
    pause("taken up again after", taken, BACK_MAX);
    field.cluster.wait_registered();
    good(traffic.wait_acked(ENOUGH, PATIENCE));
    traffic.pause(true);
    if let Some(java) = java {
        java.judge(&mut field.cluster);
    }
    field.finish(traffic)
}
