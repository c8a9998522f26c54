//! The link between master and slave breaks at any byte, goes silent, or is used by somebody who is no slave: the slave
//! stays a prefix of the master, both are equal soon after, and no SYNC_MASTER ever acks what no slave has.
//!
//! RINGMQ_LINK_STEP: every so many bytes a cut (7 unless said, 1 for all). The seed is printed, RINGMQ_SEED repeats it.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use client::{Broker, Send};
use tests::cluster::{BrokerSpec, Cluster, Node, PATIENCE, Traffic, TrafficSpec, good};
use tests::proxy::{Mode, Proxy, Way};
use tests::suite::{self, env_number};
use tests::{Case, Outcome, Rng, wait};

const NAME: &str = "broker-a";
const TOPIC: &str = "Linked";
const QUEUES: i32 = 4;
/// Some three messages and their heads.
const NEAR: u64 = 2048;
/// From the end of a disturbance to equal logs.
const HEALED_MAX: Duration = Duration::from_secs(5);

fn main() {
    suite::run(&[
        Case { name: "cut_at_any_byte_from_the_master", run: || cut_at_any_byte(Way::Down) },
        Case { name: "cut_at_any_byte_from_the_slave", run: || cut_at_any_byte(Way::Up) },
        Case { name: "a_silent_link_gives_no_ack", run: silent_link },
        Case { name: "hostile_peers_give_no_ack", run: hostile_peers },
    ]);
}

/// A SYNC_MASTER and a slave whose link goes through a proxy; in step.
fn pair(name: &str, keys: &[(&str, &str)]) -> (Cluster, Proxy) {
    let with_keys = |spec| keys.iter().fold(spec, |spec: BrokerSpec, (key, value)| spec.set(key, value));
    let mut cluster = Cluster::new(name, 1);
    let master = cluster.start(with_keys(BrokerSpec::master(NAME).set("brokerRole", "SYNC_MASTER")));
    let proxy = Proxy::start(cluster.brokers[master].ha_address());
    let through = proxy.address().to_string();
    cluster.start(with_keys(BrokerSpec::slave(NAME, 1).set("haMasterAddress", &through)));
    cluster.wait_registered();
    cluster.create_topic(TOPIC, QUEUES);
    cluster.wait_known(TOPIC);
    good(cluster.wait_in_step(0, 1, PATIENCE));
    (cluster, proxy)
}

fn traffic(cluster: &Cluster, seed: u64) -> Traffic {
    let nameservers: Vec<SocketAddr> = cluster.nameservers.iter().map(Node::address).collect();
    let spec = TrafficSpec { queues: QUEUES, producers: 3, body_max: 900, ..TrafficSpec::new(TOPIC, seed) };
    Traffic::start(spec, nameservers, &[NAME])
}

fn cut_at_any_byte(way: Way) -> Outcome {
    let step = env_number("RINGMQ_LINK_STEP", 7).max(1);
    let seed = Rng::seed_of_run();
    println!("  a cut every {step} bytes, RINGMQ_SEED={seed}");
    let mut rng = Rng::new(seed);
    let (mut cluster, proxy) = pair("link-cuts", &[("slaveTimeout", "500")]);
    let traffic = traffic(&cluster, seed);
    // From the slave come reports of eight bytes only.
    let near = if way == Way::Down { NEAR } else { NEAR / 8 };
    let mut counts: Vec<u64> = (1..=near).step_by(step as usize).collect();
    // And some as far as the end of a file.
    counts.extend((0..10).map(|_| rng.between(near, near * 50)));
    let all = counts.len();
    for (number, count) in counts.into_iter().enumerate() {
        // In step again: what is cut is the stream of new messages. Every sixteenth cut comes while the ends of the
        // logs are still compared; after such a one the slave waits longer before it tries again.
        if number % 16 != 15 {
            traffic.wait_acked(1, PATIENCE).unwrap_or_else(|problem| panic!("before cut {number}: {problem}"));
        }
        let cuts = proxy.cuts();
        proxy.cut_after(way, count);
        let came = wait::until(PATIENCE, || (proxy.cuts() > cuts).then_some(()));
        assert!(came.is_some(), "cut {number} after {count} bytes: the link carries nothing any more");
    }
    traffic.pause(true);
    let took = good(cluster.wait_in_step(0, 1, HEALED_MAX));
    println!(
        "  {all} cuts, {} acked, codes 11: {}, 12: {}, in step {} ms after the last",
        traffic.acked(),
        traffic.weak(11),
        traffic.weak(12),
        took.as_millis()
    );
    traffic.wait_drained(PATIENCE);
    let history = traffic.stop();
    cluster.assert_replicas_equal();
    cluster.judge(history);
    cluster.stop();
    Outcome::Passed
}

/// Nothing is carried and nobody is told: sends end with 12, then with 11 once the link is given up.
fn silent_link() -> Outcome {
    let seed = Rng::seed_of_run();
    println!("  RINGMQ_SEED={seed}");
    let keys = [("slaveTimeout", "300"), ("haSendHeartbeatInterval", "300"), ("haHousekeepingInterval", "1500")];
    let (mut cluster, proxy) = pair("link-silent", &keys);
    let traffic = traffic(&cluster, seed);
    let mut silences = Vec::new();
    for round in 0..3 {
        good(traffic.wait_acked(200, PATIENCE));
        proxy.set(Mode::Stall);
        let silent = traffic.now();
        let (late, timeouts, missing) = (traffic.weak(12), 12, 11);
        wait::until(PATIENCE, || (traffic.weak(timeouts) > late).then_some(()))
            .unwrap_or_else(|| panic!("round {round}: no send ends with code 12"));
        let before = traffic.weak(missing);
        wait::until(PATIENCE, || (traffic.weak(missing) > before + 20).then_some(()))
            .unwrap_or_else(|| panic!("round {round}: the silent link is not given up"));
        silences.push((silent, traffic.now()));
        proxy.set(Mode::Pass);
        let begun = Instant::now();
        good(traffic.wait_acked(1, PATIENCE));
        println!("  round {round}: acked again {} ms after the link is back", begun.elapsed().as_millis());
    }
    traffic.pause(true);
    good(cluster.wait_in_step(0, 1, HEALED_MAX));
    traffic.wait_drained(PATIENCE);
    let history = traffic.stop();
    // The slave could not hear of these. What was under way before a silence may still have been acked in it.
    silences.into_iter().for_each(|(from, to)| history.assert_no_acks(from, to));
    cluster.assert_replicas_equal();
    cluster.judge(history);
    cluster.stop();
    Outcome::Passed
}

/// Peers that report what they cannot have: none of it counts.
fn hostile_peers() -> Outcome {
    let mut cluster = Cluster::new("link-hostile", 1);
    let spec = BrokerSpec::master(NAME).set("brokerRole", "SYNC_MASTER").set("slaveTimeout", "200");
    let master = cluster.start(spec);
    cluster.wait_registered();
    cluster.create_topic(TOPIC, 1);
    let report = |offset: i64| offset.to_be_bytes().to_vec();
    let reports = |offsets: &[i64]| offsets.iter().flat_map(|offset| offset.to_be_bytes()).collect::<Vec<u8>>();
    let peers: Vec<(&str, Vec<u8>)> = vec![
        ("no byte", Vec::new()),
        ("half a report", vec![0; 5]),
        ("far beyond the end", report(0x007f_ffff_ffff_ffff)),
        ("the largest number", report(i64::MAX)),
        ("beyond the end as second report", reports(&[0, 1 << 40])),
        ("negative", report(-1)),
        ("the smallest number", report(i64::MIN)),
        ("backwards", reports(&[400, 200, 0])),
        ("garbage", (0..4096u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
        ("a request of the protocol", b"\x00\x00\x00\x20\x00\x00\x00\x1c{\"code\":28,\"language\":\"JAVA\"}".to_vec()),
    ];
    let mut open = Vec::new();
    for (what, bytes) in &peers {
        let mut peer =
            TcpStream::connect(cluster.brokers[master].ha_address()).unwrap_or_else(|error| panic!("{error}"));
        // Whoever is hung up on at once has been found out.
        let _ = peer.write_all(bytes);
        open.push(peer);
        for _ in 0..3 {
            assert!(matches!(status(&cluster.brokers[master]), 11 | 12), "{what}: a send is acked as copied");
        }
    }
    // All of them together, and after they are gone.
    assert!(matches!(status(&cluster.brokers[master]), 11 | 12), "acked as copied");
    drop(open);
    assert!(matches!(status(&cluster.brokers[master]), 11 | 12), "acked as copied after the peers are gone");
    println!("  {} hostile peers, no ack", peers.len());
    // An honest slave is still welcome.
    cluster.start(BrokerSpec::slave(NAME, 1));
    let acked = wait::until(PATIENCE, || (status(&cluster.brokers[master]) == 0).then_some(()));
    assert!(acked.is_some(), "no send is acked with an honest slave");
    cluster.assert_replicas_equal();
    cluster.stop();
    Outcome::Passed
}

/// How a send is answered.
fn status(node: &Node) -> i32 {
    let sent = node.connect().and_then(|mut broker: Broker| broker.send(&Send::to(TOPIC, 0, b"is there a slave?")));
    sent.unwrap_or_else(|error| panic!("{}: {error}", node.name())).status
}
