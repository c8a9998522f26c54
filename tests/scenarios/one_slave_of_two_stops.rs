//! One of two slaves is killed: even a SYNC_MASTER's clients do not notice, the other slave is enough; the one that
//! comes back catches up.

use std::time::Duration;

use tests::Outcome;
use tests::cluster::{BrokerSpec, PATIENCE, good};

use crate::common::{ENOUGH, field};

const PAUSE_MAX: Duration = Duration::from_millis(1500);

pub fn run() -> Outcome {
    let master = BrokerSpec::master("broker-a").set("brokerRole", "SYNC_MASTER");
    let mut field = field("one-slave-of-two-stops", 1, &[master], 2);
    let traffic = field.traffic();
    let slaves = field.numbers(false);
    let from = traffic.now();
    for slave in slaves {
        field.cluster.brokers[slave].kill9();
        good(traffic.wait_acked(ENOUGH, PATIENCE));
        good(field.cluster.brokers[slave].start().map(drop));
        good(traffic.wait_acked(ENOUGH, PATIENCE));
        // The next one goes only when this one is a copy again.
        let state = || field.cluster.brokers[slave].runtime_figure("ringmqHaState");
        tests::wait::until(PATIENCE, || (state().ok()? == "inStep").then_some(()))
            .unwrap_or_else(|| panic!("{}: {:?}", field.cluster.brokers[slave].name(), state()));
    }
    let to = traffic.now();
    let (none, late) = (traffic.weak(11), traffic.weak(12));
    println!("  {} acked, {none} answered with code 11, {late} with 12", traffic.acked());
    assert_eq!((none, late), (0, 0), "sends found no slave while one of two lived");
    traffic.pause(true);
    field.judge_with_pauses(traffic, from..=to, PAUSE_MAX);
    field.cluster.stop();
    Outcome::Passed
}
