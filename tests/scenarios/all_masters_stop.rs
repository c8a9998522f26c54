//! All masters are killed: sending fails, everything is still received, from the slaves; with the masters sending is
//! back.

use std::time::Duration;

use client::Pull;
use tests::Outcome;
use tests::cluster::{PATIENCE, good};

use crate::common::{ENOUGH, Field, TOPIC, field, in_step, pause, two_masters};

/// From the start of the masters' processes to the first ack.
const BACK_MAX: Duration = Duration::from_secs(10);

pub fn run() -> Outcome {
    let mut field = field("all-masters-stop", 2, &two_masters(&[]), 1);
    let traffic = field.traffic();
    traffic.pause(true);
    in_step(&mut field.cluster);
    let masters = field.numbers(true);
    let kept: Vec<usize> = masters.iter().map(|master| readable(&field, *master)).collect();
    for master in &masters {
        field.cluster.brokers[*master].kill9();
    }
    let acked = traffic.acked();
    traffic.pause(false);
    // All that the masters had is read from the slaves, by whoever begins now.
    for (master, kept) in masters.iter().zip(kept) {
        let slave = field.cluster.slaves_of(*master)[0];
        let found = readable(&field, slave);
        println!("  {}: {found} of {kept} messages readable", field.cluster.brokers[slave].name());
        assert_eq!(found, kept, "{} has not all of it", field.cluster.brokers[slave].name());
    }
    assert_eq!(traffic.acked(), acked, "sends are acked without any master");
    let begun = std::time::Instant::now();
    for master in &masters {
        good(field.cluster.brokers[*master].start().map(drop));
    }
    good(traffic.wait_acked(1, PATIENCE));
    pause("from the start of the masters to the first ack", begun.elapsed(), BACK_MAX);
    good(traffic.wait_acked(ENOUGH, PATIENCE));
    field.cluster.wait_registered();
    field.finish(traffic)
}

/// Messages of the topic that a new group reads from this broker.
fn readable(field: &Field, number: usize) -> usize {
    let node = &field.cluster.brokers[number];
    let mut broker = node.connect().unwrap_or_else(|error| panic!("{}: {error}", node.name()));
    let mut count = 0;
    for queue in 0..4 {
        let mut next = 0;
        loop {
            let pulled = broker.pull(&Pull::from("CID_late", TOPIC, queue, next));
            let pulled = pulled.unwrap_or_else(|error| panic!("{}: {error}", node.name()));
            if pulled.messages.is_empty() {
                break;
            }
            count += pulled.messages.len();
            next = pulled.next_begin_offset;
        }
    }
    count
}
