//! All nameservers stop: running clients go on, new ones cannot start, brokers store as before; once one is back new
//! clients can start within the 30 s in which brokers tell the nameservers anew.

use std::time::Duration;

use client::Nameserver;
use tests::cluster::{PATIENCE, good};
use tests::{Outcome, wait};

use crate::common::{ENOUGH, TOPIC, field, two_masters};

const PAUSE_MAX: Duration = Duration::from_millis(1500);
const BACK_MAX: Duration = Duration::from_secs(35);

pub fn run() -> Outcome {
    let mut field = field("all-nameservers-stop", 2, &two_masters(&[]), 1);
    let traffic = field.traffic();
    let from = traffic.now();
    for nameserver in &mut field.cluster.nameservers {
        nameserver.kill9();
    }
    good(traffic.wait_acked(2 * ENOUGH, PATIENCE));
    good(traffic.wait_delivered(ENOUGH, PATIENCE));
    let to = traffic.now();
    let address = field.cluster.nameservers[0].address();
    assert!(Nameserver::connect(address).is_err(), "a nameserver that was killed still answers");

    good(field.cluster.nameservers[0].start().map(drop));
    let begun = std::time::Instant::now();
    wait::until(BACK_MAX, || {
        let route = Nameserver::connect(address).and_then(|mut nameserver| nameserver.route(TOPIC)).ok()??;
        (route.brokers.len() == field.names.len()).then_some(())
    })
    .unwrap_or_else(|| panic!("the nameserver is back and knows no route after {BACK_MAX:?}"));
    println!("  routes are whole {} ms after the nameserver is back", begun.elapsed().as_millis());
    traffic.pause(true);
    field.judge_with_pauses(traffic, from..=to, PAUSE_MAX);
    field.cluster.stop();
    Outcome::Passed
}
