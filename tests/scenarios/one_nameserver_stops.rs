//! One nameserver stops: sending, storing and receiving go on as before.
//!
//! The one that stops is the one clients ask first.

use std::time::Duration;

use tests::Outcome;
use tests::cluster::{PATIENCE, good};

use crate::common::{ENOUGH, field, java_client, pause, two_masters};

/// Clients that ask this nameserver are turned away at once and ask the next.
const PAUSE_MAX: Duration = Duration::from_millis(1500);

pub fn run() -> Outcome {
    let mut field = field("one-nameserver-stops", 2, &two_masters(&[]), 1);
    let traffic = field.traffic();
    let java = java_client(&mut field.cluster);
    let from = traffic.now();
    field.cluster.nameservers[0].kill9();
    good(traffic.wait_acked(2 * ENOUGH, PATIENCE));
    let to = traffic.now();
    // A client that starts now finds its brokers, too.
    field.cluster.create_topic("Later", 1);
    traffic.pause(true);
    if let Some(java) = java {
        java.judge(&mut field.cluster);
    }
    field.judge_with_pauses(traffic, from..=to, PAUSE_MAX);
    good(field.cluster.nameservers[0].start().map(drop));
    let again = field.cluster.wait_registered();
    pause("all brokers are back at the nameserver", again, Duration::from_secs(35));
    field.cluster.stop();
    Outcome::Passed
}
