//! RingMQ beside Java 4.9.7 in one broker set, under load: a Java master with our slave, our master with a Java slave.
//! The logs are equal byte by byte, links that break heal, and consumers are served by either.
//!
//! Skipped loudly where Java's jars or a JDK cannot be had.

use std::net::SocketAddr;
use std::time::Duration;

use client::Pull;
use tests::cluster::{BrokerSpec, Cluster, Node, PATIENCE, Traffic, TrafficSpec, good, java};
use tests::proxy::{Proxy, Way};
use tests::{Case, Outcome, Rng, suite, wait};

const NAME: &str = "broker-a";
const TOPIC: &str = "Mixed";
const QUEUES: i32 = 4;
/// Cuts of the link under load.
const CUTS: u64 = 5;

fn main() {
    suite::run(&[
        Case { name: "java_master_our_slave", run: || mixed(true, "ASYNC_MASTER") },
        Case { name: "java_sync_master_our_slave", run: || mixed(true, "SYNC_MASTER") },
        Case { name: "our_master_java_slave", run: || mixed(false, "ASYNC_MASTER") },
        Case { name: "our_sync_master_java_slave", run: || mixed(false, "SYNC_MASTER") },
    ]);
}

fn mixed(is_java_master: bool, role: &str) -> Outcome {
    if let Err(reason) = java::available() {
        return Outcome::Skipped(format!("no Java beside RingMQ: {reason}"));
    }
    let seed = Rng::seed_of_run();
    println!("  RINGMQ_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut cluster = Cluster::new("replication-java", 1);
    let master = BrokerSpec::master(NAME).set("brokerRole", role);
    let master = cluster.start(if is_java_master { master.java() } else { master });
    let proxy = Proxy::start(cluster.brokers[master].ha_address());
    let slave = BrokerSpec::slave(NAME, 1).set("haMasterAddress", &proxy.address().to_string());
    let slave = cluster.start(if is_java_master { slave } else { slave.java() });
    cluster.wait_registered();
    cluster.create_topic(TOPIC, QUEUES);
    cluster.wait_known(TOPIC);
    let nameservers: Vec<SocketAddr> = cluster.nameservers.iter().map(Node::address).collect();
    let traffic = Traffic::start(TrafficSpec::new(TOPIC, seed), nameservers, &[NAME]);
    wait::until(PATIENCE, || (traffic.acked() > 500).then_some(())).unwrap_or_else(|| {
        panic!("only {} acked, {} answered with code 11", traffic.acked(), traffic.weak(11));
    });
    for cut in 1..=CUTS {
        let (way, count) = match rng.below(2) {
            0 => (Way::Down, rng.between(1, 200_000)),
            _ => (Way::Up, rng.between(1, 800)),
        };
        proxy.cut_after(way, count);
        let cuts = proxy.cuts();
        let came = wait::until(PATIENCE, || (proxy.cuts() > cuts).then_some(()));
        assert!(came.is_some(), "cut {cut}: the link carries nothing any more");
        good(traffic.wait_acked(100, PATIENCE));
    }
    println!(
        "  {CUTS} cuts of the link, {} bytes to the slave, {} to the master; {} acked, codes 11: {}, 12: {}",
        proxy.carried(Way::Down),
        proxy.carried(Way::Up),
        traffic.acked(),
        traffic.weak(11),
        traffic.weak(12)
    );
    traffic.pause(true);
    traffic.wait_drained(PATIENCE);
    let history = traffic.stop();
    cluster.assert_replicas_equal();
    serves(&cluster.brokers[master]);
    serves(&cluster.brokers[slave]);
    cluster.judge(history);

    // The master is gone: consumers are served by the slave.
    cluster.brokers[master].kill9();
    serves(&cluster.brokers[slave]);
    good(cluster.brokers[master].start().map(drop));
    cluster.assert_replicas_equal();
    cluster.stop();
    Outcome::Passed
}

/// A new group is given the topic's messages by this broker, from the first it has: a Java slave begins with the file
/// its master writes to when the slave first reports, which is five seconds after its start.
fn serves(node: &Node) {
    let mut found = 0;
    for queue in 0..QUEUES {
        let pulled = wait::until(Duration::from_secs(15), || {
            let mut broker = node.connect().ok()?;
            let first = broker.min_offset(TOPIC, queue).ok()?;
            let pulled = broker.pull(&Pull::from("CID_either", TOPIC, queue, first)).ok()?;
            (!pulled.messages.is_empty()).then_some(pulled)
        });
        let pulled = pulled.unwrap_or_else(|| panic!("{} serves nothing of {TOPIC}/{queue}", node.name()));
        found += pulled.messages.len();
    }
    println!("  {} serves {found} messages in the first answers", node.name());
}
