//! Master and slave are killed under load, again and again, in each pair of flush mode and role: nothing acked is lost,
//! a SYNC_MASTER's acks are on the slave, and in the end both logs are equal byte by byte.
//!
//! RINGMQ_KILL_CYCLES kills of each (3 unless said). The moments are random; RINGMQ_SEED repeats them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tests::cluster::{BrokerSpec, Cluster, Node, PATIENCE, Traffic, TrafficSpec, good};
use tests::suite::{self, env_number};
use tests::{Case, Outcome, Rng};

const NAME: &str = "broker-a";
const TOPIC: &str = "Kept";
const QUEUES: i32 = 4;
const ACKS_A_CYCLE: u64 = 150;

fn main() {
    suite::run(&[
        Case { name: "async_flush_async_master", run: || cycles("ASYNC_FLUSH", "ASYNC_MASTER") },
        Case { name: "sync_flush_async_master", run: || cycles("SYNC_FLUSH", "ASYNC_MASTER") },
        Case { name: "async_flush_sync_master", run: || cycles("ASYNC_FLUSH", "SYNC_MASTER") },
        Case { name: "sync_flush_sync_master", run: || cycles("SYNC_FLUSH", "SYNC_MASTER") },
    ]);
}

fn cycles(flush: &str, role: &str) -> Outcome {
    let cycles = env_number("RINGMQ_KILL_CYCLES", 3);
    let seed = Rng::seed_of_run();
    println!("  {flush}, {role}: {cycles} kills of the master and of the slave, RINGMQ_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut cluster = Cluster::new("replication-kill9", 1);
    let with_flush = |spec: BrokerSpec| spec.set("flushDiskType", flush);
    let master = cluster.start(with_flush(BrokerSpec::master(NAME).set("brokerRole", role)));
    let slave = cluster.start(with_flush(BrokerSpec::slave(NAME, 1)));
    cluster.wait_registered();
    cluster.create_topic(TOPIC, QUEUES);
    cluster.wait_known(TOPIC);
    good(cluster.wait_in_step(master, slave, PATIENCE));
    let nameservers: Vec<SocketAddr> = cluster.nameservers.iter().map(Node::address).collect();
    let spec = TrafficSpec { queues: QUEUES, ..TrafficSpec::new(TOPIC, seed) };
    let traffic = Traffic::start(spec, nameservers, &[NAME]);
    let mut longest = [Duration::ZERO; 2];
    // In an order that is drawn, so that one is killed while the other has just come back.
    let mut left = [cycles, cycles];
    for cycle in 1..=2 * cycles {
        let is_master = rng.below(left[0] + left[1]) < left[0];
        left[usize::from(!is_master)] -= 1;
        let victim = if is_master { master } else { slave };
        traffic.wait_acked(ACKS_A_CYCLE, PATIENCE).unwrap_or_else(|problem| panic!("cycle {cycle}: {problem}"));
        std::thread::sleep(Duration::from_millis(rng.between(0, 300)));
        let acked = traffic.acked();
        cluster.brokers[victim].kill9();
        let begun = Instant::now();
        let ready = cluster.brokers[victim].start().unwrap_or_else(|problem| panic!("cycle {cycle}: {problem}"));
        traffic.wait_acked(1, PATIENCE).unwrap_or_else(|problem| panic!("cycle {cycle}: {problem}"));
        let first = begun.elapsed();
        longest[usize::from(!is_master)] = longest[usize::from(!is_master)].max(first);
        println!(
            "  kill {cycle} ({}): {acked} acked, {} delivered, ready after {} ms, first ack after {} ms",
            cluster.brokers[victim].name(),
            traffic.delivered(),
            ready.as_millis(),
            first.as_millis()
        );
    }
    println!(
        "  longest time to the first ack: {} ms after the master's start, {} ms after the slave's",
        longest[0].as_millis(),
        longest[1].as_millis()
    );
    if role == "SYNC_MASTER" {
        // The promise holds at any moment: the master is gone, what it acked is on the slave.
        good(traffic.wait_acked(ACKS_A_CYCLE, PATIENCE));
        cluster.brokers[master].kill9();
        traffic.pause(true);
        let history = traffic.stop();
        let acked = history.assert_acks_are_on(&cluster.brokers[slave]);
        println!("  all {acked} acked messages are on the slave while the master is dead");
        good(cluster.brokers[master].start().map(drop));
        good(cluster.wait_in_step(master, slave, PATIENCE));
        cluster.assert_replicas_equal();
        cluster.judge(history);
    } else {
        traffic.pause(true);
        traffic.wait_drained(PATIENCE);
        let history = traffic.stop();
        cluster.assert_replicas_equal();
        cluster.judge(history);
    }
    cluster.stop();
    Outcome::Passed
}
