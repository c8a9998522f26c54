//! One master of two is killed: the other takes what is sent, what the dead one had is read from its slave, unnoticed.
//!
//! The traffic rests for a moment before the kill, so that the slave has everything: what an ASYNC_MASTER had not
//! passed on yet would be there again only with the master itself.

use std::time::Duration;

use tests::Outcome;
use tests::cluster::{PATIENCE, good};

use crate::common::{ENOUGH, field, in_step, java_client, two_masters};

/// The clients here ask for the route often; Java's own would take up to 30 s to leave the dead master out, but offer
/// each message to the other master meanwhile, as these do.
const PAUSE_MAX: Duration = Duration::from_secs(2);

pub fn run() -> Outcome {
    let mut field = field("one-master-stops", 2, &two_masters(&[]), 1);
    let traffic = field.traffic();
    let java = java_client(&mut field.cluster);
    traffic.pause(true);
    in_step(&mut field.cluster);
    let dead = field.numbers(true)[0];
    let (name, slave) = (field.names[0], field.cluster.slaves_of(dead)[0]);
    let before = traffic.delivered();
    field.cluster.brokers[dead].kill9();
    let from = traffic.now();
    traffic.pause(false);
    good(traffic.wait_acked(ENOUGH, PATIENCE));
    let to = traffic.now();
    assert!(traffic.delivered() > before, "nothing is delivered any more");

    // A consumer that starts now is given all of the dead master's messages by its slave.
    let end = good(field.cluster.brokers[slave].log_end());
    println!("  {name} is dead, its slave serves {end} bytes of log");
    field.cluster.brokers[dead].start().map(drop).unwrap_or_else(|problem| panic!("{problem}"));
    let begun = std::time::Instant::now();
    field.cluster.wait_registered();
    in_step(&mut field.cluster);
    println!("  {name} is back and its slave in step after {} ms", begun.elapsed().as_millis());
    good(traffic.wait_acked(ENOUGH, PATIENCE));
    traffic.pause(true);
    if let Some(java) = java {
        java.judge(&mut field.cluster);
    }
    field.judge_with_pauses(traffic, from..=to, PAUSE_MAX);
    field.cluster.stop();
    Outcome::Passed
}
