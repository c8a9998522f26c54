//! All slaves are killed: with ASYNC_MASTER nobody notices; a SYNC_MASTER stores what is sent and answers code 11
//! (SLAVE_NOT_AVAILABLE) at once, until a slave is back and has caught up.

use std::time::{Duration, Instant};

use checker::Op;
use tests::cluster::{PATIENCE, good};
use tests::{Outcome, wait};

use crate::common::{ENOUGH, field, pause, two_masters};

const SLAVE_NOT_AVAILABLE: i32 = 11;
const PAUSE_MAX: Duration = Duration::from_millis(1500);
/// What waits for a slave when the last one dies is decided by slaveTimeout (3 s), and what lies behind it is not
/// readable before.
const SYNC_PAUSE_MAX: Duration = Duration::from_millis(3000 + 1500);
/// From the slaves' start to the first ack that counts a slave.
const BACK_MAX: Duration = Duration::from_secs(10);

pub fn run(is_sync: bool) -> Outcome {
    let role = if is_sync { "SYNC_MASTER" } else { "ASYNC_MASTER" };
    let mut field = field("all-slaves-stop", 2, &two_masters(&[("brokerRole", role)]), 1);
    let traffic = field.traffic();
    let slaves = field.numbers(false);
    let mut dead = None;
    let from = traffic.now();
    for slave in &slaves {
        field.cluster.brokers[*slave].kill9();
    }
    if is_sync {
        dead = Some(traffic.now());
        let enough = wait::until(PATIENCE, || (traffic.weak(SLAVE_NOT_AVAILABLE) >= ENOUGH).then_some(()));
        assert!(enough.is_some(), "{} sends were answered with code 11", traffic.weak(SLAVE_NOT_AVAILABLE));
        let weak = traffic.weak(SLAVE_NOT_AVAILABLE);
        wait::until(PATIENCE, || (traffic.weak(SLAVE_NOT_AVAILABLE) > weak + ENOUGH).then_some(()));
        good(traffic.wait_delivered(ENOUGH, PATIENCE));
    } else {
        good(traffic.wait_acked(2 * ENOUGH, PATIENCE));
    }
    let to = traffic.now();
    let begun = Instant::now();
    for slave in &slaves {
        good(field.cluster.brokers[*slave].start().map(drop));
    }
    if is_sync {
        good(traffic.wait_acked(1, PATIENCE));
        pause("from the start of the slaves to the first ack", begun.elapsed(), BACK_MAX);
    }
    good(traffic.wait_acked(ENOUGH, PATIENCE));
    traffic.pause(true);
    traffic.wait_drained(PATIENCE);
    let history = traffic.stop();
    if let Some(dead) = dead {
        // What was begun before may still be answered as copied.
        history.assert_no_acks(dead, to);
    }
    if !is_sync {
        pause("longest pause between acks", history.longest_gap(Op::Send, from, to), PAUSE_MAX);
    }
    pause(
        "longest pause between deliveries",
        history.longest_gap(Op::Pull, from, to),
        if is_sync { SYNC_PAUSE_MAX } else { PAUSE_MAX },
    );
    field.cluster.assert_replicas_equal();
    field.cluster.judge(history);
    field.cluster.stop();
    Outcome::Passed
}
