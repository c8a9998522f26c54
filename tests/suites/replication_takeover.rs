//! The take-over from a running Java 4.9.7 master through a slave, as the cluster recipes tell it: RingMQ attaches as a
//! slave under traffic, catches up, the Java master ends, RingMQ starts on its own copy as master of the same name, and
//! producers and consumers go on. In good order with the way back, with Java's own clients beside (they ask for the route
//! every 30 s), and with the Java master killed.
//!
//! Skipped loudly where Java's jars or a JDK cannot be had.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use checker::{Op, Record};
use client::{Nameserver, Send};
use protocol::code::request;
use tests::cluster::java::Endure;
use tests::cluster::traffic::{GROUP, History};
use tests::cluster::{BrokerSpec, Cluster, Node, PATIENCE, Traffic, TrafficSpec, good, java, logs};
use tests::{Case, Outcome, Rng, suite, wait};

const NAME: &str = "broker-a";
/// Takes the sends while the other is away.
const OTHER: &str = "broker-b";
const TOPIC: &str = "Moved";
/// The topic of Java's clients.
const CLIENTS_TOPIC: &str = "Endured";
const QUEUES: i32 = 4;
/// A group whose consumers are away for the whole case: its offsets can only come from the old master.
const AWAY: &str = "CID_away";
/// The harness's. A copy that is worth comparing goes over the ends of files, before the slave comes and after.
const FILE_BYTES: u64 = 4 << 20;
/// Large enough to fill files soon.
const BODY_MAX: u64 = 128 << 10;
/// The other master takes the sends for as long as the offsets take to follow.
const PACE: Duration = Duration::from_millis(4);
/// Acks that make a stretch worth judging.
const ENOUGH: u64 = 400;
/// Longer than anything that is still on its way.
const REST: Duration = Duration::from_millis(1000);
/// From the order to stop the Java master, or its death, to the first ack of the new one, the compare of the logs in it.
const TAKEN_MAX: Duration = Duration::from_secs(15);

fn main() {
    suite::run(&[
        Case { name: "stopped_in_good_order_and_the_way_back", run: || with_java(|seed| in_good_order(seed, false)) },
        Case { name: "java_clients_go_on", run: || with_java(|seed| in_good_order(seed, true)) },
        Case { name: "sync_master_killed", run: || with_java(killed) },
    ]);
}

fn with_java(case: fn(u64) -> Outcome) -> Outcome {
    if let Err(reason) = java::available() {
        return Outcome::Skipped(format!("no Java master to take over from: {reason}"));
    }
    let seed = Rng::seed_of_run();
    println!("  RINGMQ_SEED={seed}");
    case(seed)
}

/// A cluster whose `broker-a` is Java's, with its traffic.
fn under_traffic(name: &str, role: &str, others: &[&'static str], seed: u64) -> (Cluster, usize, Traffic) {
    let mut cluster = Cluster::new(name, 1);
    let java = cluster.start(BrokerSpec::master(NAME).java().set("brokerRole", role));
    for other in others {
        cluster.start(BrokerSpec::master(other));
    }
    cluster.wait_registered();
    cluster.create_topic(TOPIC, QUEUES);
    cluster.wait_known(TOPIC);
    let nameservers: Vec<SocketAddr> = cluster.nameservers.iter().map(Node::address).collect();
    let spec = TrafficSpec { queues: QUEUES, body_max: BODY_MAX, pace: PACE, ..TrafficSpec::new(TOPIC, seed) };
    let names: Vec<&str> = [NAME].iter().chain(others).copied().collect();
    let traffic = Traffic::start(spec, nameservers, &names);
    wait::until(PATIENCE, || (traffic.delivered() >= ENOUGH).then_some(()))
        .unwrap_or_else(|| panic!("only {} messages delivered by the Java master", traffic.delivered()));
    grown(&cluster.brokers[java], FILE_BYTES);
    (cluster, java, traffic)
}

/// Where a broker's log ends. Java cannot tell in its first second: its runtime information needs a first sample.
#[track_caller]
fn end_of(node: &Node) -> u64 {
    wait::until(PATIENCE, || node.log_end().ok()).unwrap_or_else(|| good(node.log_end()))
}

/// Waits until a broker's log is that long.
#[track_caller]
fn grown(node: &Node, bytes: u64) {
    let found = wait::until(PATIENCE, || node.log_end().is_ok_and(|end| end > bytes).then_some(()));
    assert!(found.is_some(), "{}: the log ends at {:?}, {bytes} are due", node.name(), node.log_end());
}

/// Attaches RingMQ while the traffic goes on, and waits until it has what the master had a moment ago.
fn attach(cluster: &mut Cluster, java: usize) -> usize {
    let begun = Instant::now();
    let held = end_of(&cluster.brokers[java]);
    let slave = cluster.start(BrokerSpec::slave(NAME, 1));
    cluster.wait_registered();
    cluster.wait_known(TOPIC);
    let caught_up = wait::until(PATIENCE, || {
        let (master, slave) = (cluster.brokers[java].log_end().ok()?, cluster.brokers[slave].log_end().ok()?);
        (slave >= held && master.saturating_sub(slave) < 2 * BODY_MAX).then_some((master, slave))
    });
    let (ours, theirs) = caught_up.unwrap_or_else(|| {
        panic!("the slave never caught up: {:?}", cluster.brokers[slave].runtime_figure("ringmqHaStateText"))
    });
    println!(
        "  attached at {held} bytes of log, caught up after {} ms under traffic: the master at {ours}, the slave at {theirs}",
        begun.elapsed().as_millis()
    );
    slave
}

/// Every queue's max offset and the group's offset there.
fn queues(node: &Node) -> Option<Vec<(i64, i64)>> {
    let mut broker = node.connect().ok()?;
    let queue = |queue| Some((broker.max_offset(TOPIC, queue).ok()?, broker.query_offset(GROUP, TOPIC, queue).ok()??));
    (0..QUEUES).map(queue).collect()
}

/// The offsets of the group whose consumers are away; `None` when the broker does not know them.
fn away(node: &Node) -> Option<Vec<i64>> {
    let mut broker = node.connect().ok()?;
    (0..QUEUES).map(|queue| broker.query_offset(AWAY, TOPIC, queue).ok()?).collect()
}

/// How many messages were ever sent to this broker's queues of a topic; 0 where it has none.
fn sent_to(node: &Node, topic: &str) -> i64 {
    let Ok(mut broker) = node.connect() else { return 0 };
    (0..QUEUES).map(|queue| broker.max_offset(topic, queue).unwrap_or(0)).sum()
}

/// What that group has consumed.
fn away_at() -> Vec<i64> {
    (0..QUEUES).map(|queue| i64::from(queue) + 3).collect()
}

/// The answer of `state`, once it has stayed the same for as long as anything can be on its way.
#[track_caller]
fn at_rest<T: PartialEq>(what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let mut last: Option<(T, Instant)> = None;
    let found = wait::until(PATIENCE, || {
        let now = state()?;
        match &last {
            Some((before, since)) if *before == now => (since.elapsed() > REST).then_some(now),
            _ => {
                last = Some((now, Instant::now()));
                None
            }
        }
    });
    found.unwrap_or_else(|| panic!("{what} never comes to rest"))
}

/// Stops the slave, starts it as master and waits for sends to it; answers when its start began (the run's clock).
fn take_over(cluster: &mut Cluster, slave: usize, traffic: &Traffic) -> u64 {
    let end = end_of(&cluster.brokers[slave]);
    let stopped = good(cluster.brokers[slave].stop(PATIENCE));
    cluster.make_master(slave, "ASYNC_MASTER");
    let started = traffic.now();
    let ready = good(cluster.brokers[slave].start());
    let registered = cluster.wait_registered();
    println!(
        "  the slave stopped in {} ms, was up as master {} ms after its start and registered {} ms later, log end {end}",
        stopped.as_millis(),
        ready.as_millis(),
        registered.as_millis()
    );
    let taken = wait::until(PATIENCE, || cluster.brokers[slave].log_end().is_ok_and(|now| now > end).then_some(()));
    assert!(taken.is_some(), "producers never came back to {NAME}");
    grown(&cluster.brokers[slave], end + FILE_BYTES);
    started
}

/// Operations on the one broker name, by when they were answered.
fn times(history: &History, op: Op) -> Vec<u64> {
    let own = format!("{TOPIC}@{NAME}");
    let good = |record: &&Record| record.op == op && record.status == 0 && record.topic == own;
    let mut times: Vec<u64> = history.records.iter().filter(good).map(|record| record.t_ret).collect();
    times.sort_unstable();
    times
}

/// Prints how long acks and deliveries of the name paused around its change of hands, and holds the time from `since`
/// to the first ack behind `started` against its bound.
fn interruption(history: &History, since: u64, started: u64) {
    let ms = |ns: u64| ns / 1_000_000;
    for (op, what) in [(Op::Send, "ack"), (Op::Pull, "delivery")] {
        let times = times(history, op);
        let gap = times.windows(2).filter(|pair| pair[1] > since).map(|pair| pair[1] - pair[0]).max();
        println!("  longest pause of {NAME} from one {what} to the next: {} ms", ms(gap.unwrap_or_default()));
    }
    let first = times(history, Op::Send).into_iter().find(|time| *time > started);
    let first = first.unwrap_or_else(|| panic!("no ack by the new master"));
    let away = Duration::from_nanos(first - since);
    println!(
        "  no master of the name took sends for {} ms (at most {} ms), of it {} ms from the new master's start",
        away.as_millis(),
        TAKEN_MAX.as_millis(),
        ms(first - started)
    );
    assert!(away <= TAKEN_MAX, "the name had no master for {away:?}");
}

/// Consumers were given every acked message at least once, but for the places the caller excuses.
fn every_ack_was_delivered(history: &History, excused: &HashSet<(u32, i64)>) {
    let place = |record: &Record| (record.topic.clone(), record.queue, record.queue_offset, record.uid);
    let delivered: HashSet<_> = history.records.iter().filter(|record| record.op == Op::Pull).map(place).collect();
    let own = format!("{TOPIC}@{NAME}");
    let is_excused = |ack: &Record| ack.topic == own && excused.contains(&(ack.queue, ack.queue_offset));
    let missing: Vec<&Record> =
        history.acks().filter(|ack| !delivered.contains(&place(ack)) && !is_excused(ack)).collect();
    assert!(missing.is_empty(), "{} acked messages were never delivered, the first {:?}", missing.len(), missing[0]);
}

/// The group stands at the end of every queue of the new master.
fn group_is_done(node: &Node) {
    let found = wait::until(PATIENCE, || queues(node).filter(|queues| queues.iter().all(|(max, at)| max == at)));
    assert!(found.is_some(), "{}: max offsets and the group's: {:?}", node.name(), queues(node));
}

fn in_good_order(seed: u64, with_clients: bool) -> Outcome {
    let (mut cluster, java, traffic) = under_traffic("takeover", "ASYNC_MASTER", &[OTHER], seed);
    let clients = with_clients.then(|| {
        cluster.create_topic(CLIENTS_TOPIC, QUEUES);
        cluster.wait_known(CLIENTS_TOPIC);
        good(Endure::start(CLIENTS_TOPIC, &cluster.namesrv_addr(), cluster.folder().path()))
    });
    let slave = attach(&mut cluster, java);
    let mut broker = cluster.brokers[java].connect().unwrap_or_else(|error| panic!("{error}"));
    for (queue, offset) in (0..).zip(away_at()) {
        broker.update_offset(AWAY, TOPIC, queue, offset).unwrap_or_else(|error| panic!("{error}"));
    }
    good(traffic.wait_acked(ENOUGH, PATIENCE));
    grown(&cluster.brokers[java], 3 * FILE_BYTES);

    // Lead producers away, let the consumers finish and the last offsets follow.
    let wiped = traffic.now();
    let mut nameserver =
        Nameserver::connect(cluster.nameservers[0].address()).unwrap_or_else(|error| panic!("{error}"));
    let answer =
        nameserver.connection().call(request::WIPE_WRITE_PERM_OF_BROKER, |fields| fields.str("brokerName", NAME), &[]);
    answer.unwrap_or_else(|error| panic!("wipeWritePerm: {error}"));
    // Half a minute of the other producers, until Java's follow, would say no more.
    traffic.pause(with_clients);
    let (end, copied) = at_rest("the log of the Java master", || {
        let (master, copy) = (&cluster.brokers[java], &cluster.brokers[slave]);
        let done = queues(master)?;
        let is_done = done.iter().all(|(max, at)| max == at) && queues(copy)? == done && away(copy)? == away_at();
        is_done.then_some((master.log_end().ok()?, copy.log_end().ok()?))
    });
    println!("  at rest and all offsets copied {} ms after wipeWritePerm", (traffic.now() - wiped) / 1_000_000);
    assert_eq!(copied, end, "the slave has less than its master, and nothing moves");

    let (stopping, stopping_at) = (traffic.now(), Instant::now());
    let stopped = good(cluster.brokers[java].stop(PATIENCE));
    println!("  the Java master stopped in {} ms", stopped.as_millis());
    assert_eq!(end_of(&cluster.brokers[slave]), end, "the last compare before the take-over");
    let (old, new) = (cluster.brokers[java].store(), cluster.brokers[slave].store());
    assert_eq!(good(logs::compare(&old, &new, end)), end, "the copy does not begin where the Java master's log does");
    println!("  {end} bytes of log are equal on both, to the last");

    traffic.pause(false);
    let sent_by_clients = sent_to(&cluster.brokers[slave], CLIENTS_TOPIC);
    let started = take_over(&mut cluster, slave, &traffic);
    assert_eq!(away(&cluster.brokers[slave]), Some(away_at()), "the offsets of {AWAY} with the new master");
    good(traffic.wait_acked(ENOUGH, PATIENCE));
    traffic.pause(true);
    traffic.wait_drained(PATIENCE);
    group_is_done(&cluster.brokers[slave]);
    let until = traffic.now();
    let history = traffic.stop();
    if !with_clients {
        let gap = history.longest_gap(Op::Send, wiped, until);
        println!("  longest pause of producers, which have a second master: {} ms", gap.as_millis());
    }
    interruption(&history, stopping, started);
    every_ack_was_delivered(&history, &HashSet::new());
    if let Some(clients) = clients {
        let node = &cluster.brokers[slave];
        let back =
            wait::until(PATIENCE, || (sent_to(node, CLIENTS_TOPIC) > sent_by_clients).then(|| stopping_at.elapsed()));
        let back = back.unwrap_or_else(|| panic!("Java's producer never came back to {NAME}"));
        println!("  Java's producer is back {} ms after the Java master was stopped", back.as_millis());
        cluster.judge(history);
        clients.judge(&mut cluster);
        cluster.stop();
        return Outcome::Passed;
    }
    let again = History { spec: history.spec.clone(), start: history.start, records: history.records.clone() };
    cluster.judge(history);

    way_back(&mut cluster, slave, again);
    assert_eq!(good(logs::compare(&old, &new, end)), end, "what was copied has changed since");
    cluster.stop();
    Outcome::Passed
}

/// Java starts on the store that RingMQ has led, has all of it, and takes sends.
fn way_back(cluster: &mut Cluster, ringmq: usize, history: History) {
    let end = end_of(&cluster.brokers[ringmq]);
    let held = queues(&cluster.brokers[ringmq]);
    good(cluster.brokers[ringmq].stop(PATIENCE).map(drop));
    let store = cluster.brokers[ringmq].store();
    let begun = Instant::now();
    let java = cluster.start(BrokerSpec::master(NAME).java().store_at(store));
    cluster.wait_registered();
    println!("  the way back: Java is up on the new store after {} ms", begun.elapsed().as_millis());
    assert_eq!(end_of(&cluster.brokers[java]), end, "Java's end of the same log");
    let found = wait::until(PATIENCE, || queues(&cluster.brokers[java]).filter(|now| Some(now) == held.as_ref()));
    assert!(found.is_some(), "max offsets and the group's: {held:?} before, {:?} now", queues(&cluster.brokers[java]));
    assert_eq!(away(&cluster.brokers[java]), Some(away_at()), "the offsets of {AWAY} after the way back");
    cluster.judge(history);
    let mut broker = cluster.brokers[java].connect().unwrap_or_else(|error| panic!("{error}"));
    for (queue, (max, _)) in (0..).zip(held.unwrap_or_default()) {
        let sent = broker.send(&Send::to(TOPIC, queue, b"the way back"));
        let sent = sent.unwrap_or_else(|error| panic!("queue {queue}: {error}"));
        assert_eq!((sent.status, sent.queue_offset), (0, max), "the first send to queue {queue} after the way back");
    }
}

/// A SYNC_MASTER's ack (code 0) says that the slave has the message: none may be lost, whatever the master's end. It
/// says nothing of sends without an answer, or answered with 11 or 12: they are there or not.
///
/// Java's SYNC_MASTER shows consumers what its slave does not have yet. What it gave them of that is lost with it, was
/// acked to nobody, and its offset is used again by the new master. Such deliveries are left out of the verdict and
/// counted; everything else that consumers were given must stay what it was.
fn killed(seed: u64) -> Outcome {
    let mut rng = Rng::new(seed);
    let (mut cluster, java, traffic) = under_traffic("takeover-killed", "SYNC_MASTER", &[], seed);
    let alone = (traffic.acked(), traffic.weak(11));
    println!("  without a slave: {} acked, {} answered with code 11", alone.0, alone.1);
    assert_eq!(alone.0, 0, "a SYNC_MASTER acked without a slave");
    let slave = attach(&mut cluster, java);
    good(traffic.wait_acked(ENOUGH, PATIENCE));
    grown(&cluster.brokers[java], 3 * FILE_BYTES);
    std::thread::sleep(Duration::from_millis(rng.between(0, 300)));

    let killed = traffic.now();
    cluster.brokers[java].kill9();
    let acked = traffic.acked();
    let (end, offsets) = at_rest("the slave of the dead master", || {
        let node = &cluster.brokers[slave];
        let is_linked = matches!(node.runtime_figure("ringmqHaState").ok()?.as_str(), "catchingUp" | "inStep");
        (!is_linked).then_some((node.log_end().ok()?, queues(node)?))
    });
    let (old, new) = (cluster.brokers[java].store(), cluster.brokers[slave].store());
    assert_eq!(good(logs::compare(&old, &new, end)), end, "the copy does not begin where the Java master's log does");
    println!("  killed with {acked} acked: the {end} bytes of the slave equal the dead master's");

    let started = take_over(&mut cluster, slave, &traffic);
    good(traffic.wait_acked(ENOUGH, PATIENCE));
    traffic.pause(true);
    traffic.wait_drained(PATIENCE);
    group_is_done(&cluster.brokers[slave]);
    println!("  answered with code 11: {}, with 12: {}", traffic.weak(11), traffic.weak(12));
    let mut history = traffic.stop();
    interruption(&history, killed, started);
    let max_offsets: Vec<i64> = offsets.iter().map(|(max, _)| *max).collect();
    let excused = leave_out(&mut history, &max_offsets, started);
    every_ack_was_delivered(&history, &excused);
    cluster.judge(history);
    cluster.stop();
    Outcome::Passed
}

/// Takes out what the dead master gave consumers beyond what it had passed on; answers those places.
fn leave_out(history: &mut History, max_offsets: &[i64], started: u64) -> HashSet<(u32, i64)> {
    let max = |queue: u32| max_offsets.get(queue as usize).copied().unwrap_or(0);
    let is_lost =
        |record: &Record| record.op == Op::Pull && record.t_ret < started && record.queue_offset >= max(record.queue);
    let lost: Vec<&Record> = history.records.iter().filter(|record| is_lost(record)).collect();
    for delivery in &lost {
        let place = |record: &Record| (record.uid, record.queue, record.queue_offset);
        let ack = history.acks().find(|ack| place(ack) == place(delivery));
        assert!(ack.is_none(), "acked and delivered by the dead master, not on its slave: {ack:?}");
    }
    let places: HashSet<(u32, i64)> = lost.iter().map(|record| (record.queue, record.queue_offset)).collect();
    let queues: HashSet<u32> = places.iter().map(|(queue, _)| *queue).collect();
    println!("  {} messages that nobody had an ack for were shown to consumers and died with the master", lost.len());
    // Offsets committed beyond the lost end stand for deliveries that are left out.
    let is_beyond = |record: &Record| {
        record.op == Op::Commit && queues.contains(&record.queue) && record.queue_offset > max(record.queue)
    };
    history.records.retain(|record| !is_lost(record) && !is_beyond(record));
    places
}
