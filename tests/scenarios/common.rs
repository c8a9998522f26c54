//! What the scenarios share: the clusters they begin with, steady traffic, and the end of a case.
//!
//! Owns nothing that runs. Must not decide what a failure does: each scenario says so itself.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use checker::Op;
use tests::cluster::{BrokerSpec, Cluster, Node, PATIENCE, Traffic, TrafficSpec, good, java, traffic::History};
use tests::{Outcome, Rng};

/// The topic of the traffic.
pub const TOPIC: &str = "Orders";
/// Acks that make a case worth judging.
pub const ENOUGH: u64 = 400;

/// Brokers and what they are for.
pub struct Field {
    pub cluster: Cluster,
    /// Broker names, one a master.
    pub names: Vec<&'static str>,
}

/// `masters` masters, each with `slaves` slaves, two nameservers at least; all registered, all links in step.
pub fn field(name: &str, nameservers: usize, masters: &[BrokerSpec], slaves: u32) -> Field {
    let mut cluster = Cluster::new(name, nameservers);
    let names: Vec<&'static str> = masters.iter().map(|master| master.name).collect();
    for master in masters {
        cluster.start(master.clone());
    }
    // Before the slaves: they copy their master's tables when they start, and every ten seconds only from then on.
    cluster.create_topic(TOPIC, 4);
    for name in &names {
        for id in 1..=slaves {
            cluster.start(BrokerSpec::slave(name, id));
        }
    }
    let took = cluster.wait_registered();
    println!(
        "  {} brokers registered with {nameservers} nameservers after {} ms",
        cluster.brokers.len(),
        took.as_millis()
    );
    cluster.wait_known(TOPIC);
    in_step(&mut cluster);
    Field { cluster, names }
}

/// `broker-a` and `broker-b` with these further keys.
pub fn two_masters(keys: &[(&str, &str)]) -> Vec<BrokerSpec> {
    let with_keys = |name| keys.iter().fold(BrokerSpec::master(name), |spec, (key, value)| spec.set(key, value));
    ["broker-a", "broker-b"].map(with_keys).into()
}

/// Waits until every slave has what its master has and knows its topics.
pub fn in_step(cluster: &mut Cluster) {
    for master in 0..cluster.brokers.len() {
        if cluster.spec(master).id != 0 || !cluster.brokers[master].is_running() {
            continue;
        }
        for slave in cluster.slaves_of(master) {
            let took = good(cluster.wait_in_step(master, slave, PATIENCE));
            println!("  {} in step after {} ms", cluster.brokers[slave].name(), took.as_millis());
        }
    }
}

impl Field {
    /// Starts the traffic and waits until it flows.
    pub fn traffic(&mut self) -> Traffic {
        let seed = Rng::seed_of_run();
        println!("  RINGMQ_SEED={seed}");
        let nameservers: Vec<SocketAddr> = self.cluster.nameservers.iter().map(Node::address).collect();
        let traffic = Traffic::start(TrafficSpec::new(TOPIC, seed), nameservers, &self.names);
        good(traffic.wait_acked(ENOUGH, PATIENCE));
        good(traffic.wait_delivered(ENOUGH / 2, PATIENCE));
        traffic
    }

    /// The brokers of a role that run, by their numbers.
    pub fn numbers(&self, is_master: bool) -> Vec<usize> {
        (0..self.cluster.brokers.len()).filter(|number| (self.cluster.spec(*number).id == 0) == is_master).collect()
    }

    /// Ends the traffic once consumers have all of it, compares the replicas, judges and stops everything.
    pub fn finish(mut self, traffic: Traffic) -> Outcome {
        traffic.pause(true);
        traffic.wait_drained(PATIENCE);
        let history = traffic.stop();
        self.cluster.assert_replicas_equal();
        every_ack_was_delivered(&history);
        self.cluster.judge(history);
        self.cluster.stop();
        Outcome::Passed
    }

    /// Ends paused traffic once consumers have all of it, holds the longest pauses within `span` (of the run's clock)
    /// against their bound, compares the replicas and judges.
    #[track_caller]
    pub fn judge_with_pauses(&mut self, traffic: Traffic, span: RangeInclusive<u64>, most: Duration) {
        traffic.wait_drained(PATIENCE);
        let history = traffic.stop();
        let longest = |op| history.longest_gap(op, *span.start(), *span.end());
        pause("longest pause between acks", longest(Op::Send), most);
        pause("longest pause between deliveries", longest(Op::Pull), most);
        self.cluster.assert_replicas_equal();
        self.cluster.judge(history);
    }

    /// The whole of a topology that nothing happens to: traffic, Java's clients where Java is, the end.
    pub fn steady(mut self) -> Outcome {
        let traffic = self.traffic();
        good(traffic.wait_acked(ENOUGH, PATIENCE));
        match java::available() {
            Ok(()) => {
                let log = self.cluster.folder().join("java-client.log");
                // The others count the queues of one broker.
                let names = if self.names.len() == 1 { "produce-consume,orderly,retry" } else { "produce-consume" };
                good(java::scenarios(names, &self.cluster.namesrv_addr(), &["parallel=3"], &log));
            }
            Err(reason) => println!("  SKIPPED the Java clients: {reason}"),
        }
        self.finish(traffic)
    }
}

/// Consumers were given everything that was acked, each at least once.
fn every_ack_was_delivered(history: &History) {
    let place = |record: &checker::Record| (record.topic.clone(), record.queue, record.queue_offset);
    let delivered: std::collections::HashSet<_> =
        history.records.iter().filter(|record| record.op == Op::Pull).map(place).collect();
    let missing: Vec<_> = history
        .records
        .iter()
        .filter(|record| record.op == Op::Send && record.status == 0)
        .filter(|record| !delivered.contains(&place(record)))
        .collect();
    assert!(missing.is_empty(), "{} acked messages were never delivered, the first {:?}", missing.len(), missing[0]);
}

/// A Java client on a topic of its own beside the traffic, where Java is.
pub fn java_client(cluster: &mut Cluster) -> Option<java::Endure> {
    if let Err(reason) = java::available() {
        println!("  SKIPPED the Java client: {reason}");
        return None;
    }
    cluster.create_topic("Endured", 4);
    cluster.wait_known("Endured");
    Some(good(java::Endure::start("Endured", &cluster.namesrv_addr(), cluster.folder().path())))
}

/// Prints a pause as clients saw it, and holds it against its bound.
#[track_caller]
pub fn pause(what: &str, found: Duration, most: Duration) {
    println!("  {what}: {} ms (at most {} ms)", found.as_millis(), most.as_millis());
    assert!(found <= most, "{what}: {found:?}, at most {most:?}");
}
