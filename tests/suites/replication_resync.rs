//! Slaves that have little, or too much: an empty one copies everything its master keeps, or the last file only; one
//! that is ahead of its master or has other bytes says so, appends nothing, counts for no ack, and copies anew when it
//! is told to, with its own files set aside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use client::{Broker, Send};
use tests::cluster::{BrokerSpec, Cluster, Node, PATIENCE, good, logs};
use tests::proxy::{Proxy, Way};
use tests::{Case, Outcome, Rng, folder, suite, wait};

const NAME: &str = "broker-a";
const TOPIC: &str = "Copied";
/// The harness's.
const FILE_BYTES: u64 = 4 << 20;
const BODY: usize = 30_000;

fn main() {
    suite::run(&[
        Case { name: "an_empty_slave_copies_all_through_cuts", run: empty_slave_copies_all },
        Case { name: "an_empty_slave_copies_the_last_file", run: empty_slave_copies_the_last_file },
        Case { name: "a_slave_ahead_appends_nothing_and_copies_anew", run: slave_ahead },
    ]);
}

fn send(node: &Node, count: usize) -> Vec<i32> {
    let mut broker: Broker = node.connect().unwrap_or_else(|error| panic!("{}: {error}", node.name()));
    let body = vec![7; BODY];
    (0..count)
        .map(|number| {
            let sent = broker.send(&Send::to(TOPIC, (number % 4) as i32, &body));
            sent.unwrap_or_else(|error| panic!("{}: {error}", node.name())).status
        })
        .collect()
}

fn master(cluster: &mut Cluster, role: &str) -> usize {
    let master = cluster.start(BrokerSpec::master(NAME).set("brokerRole", role));
    cluster.wait_registered();
    cluster.create_topic(TOPIC, 4);
    master
}

fn empty_slave_copies_all() -> Outcome {
    let seed = Rng::seed_of_run();
    println!("  RINGMQ_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut cluster = Cluster::new("resync-all", 1);
    let master = master(&mut cluster, "ASYNC_MASTER");
    send(&cluster.brokers[master], 1200);
    let end = good(cluster.brokers[master].log_end());
    let proxy = Proxy::start(cluster.brokers[master].ha_address());
    proxy.cut_after(Way::Down, rng.between(1, 2 * FILE_BYTES));
    let slave = cluster.start(BrokerSpec::slave(NAME, 1).set("haMasterAddress", &proxy.address().to_string()));
    // Cut again and again while it catches up, near the ends of files too.
    for _ in 0..4 {
        let cuts = proxy.cuts();
        if wait::until(Duration::from_secs(10), || (proxy.cuts() > cuts).then_some(())).is_none() {
            break;
        }
        proxy.cut_after(Way::Down, FILE_BYTES - 100 + rng.below(200));
    }
    let took = good(cluster.wait_in_step(master, slave, PATIENCE));
    println!("  {end} bytes copied, {} cuts, in step {} ms after the last", proxy.cuts(), took.as_millis());
    assert!(proxy.cuts() > 0, "the link was never cut");
    let compared = good(logs::compare(&cluster.brokers[master].store(), &cluster.brokers[slave].store(), end));
    assert_eq!(compared, end, "the slave does not begin where its master does");
    cluster.wait_known(TOPIC);
    cluster.stop();
    Outcome::Passed
}

fn empty_slave_copies_the_last_file() -> Outcome {
    let mut cluster = Cluster::new("resync-last", 1);
    let master = master(&mut cluster, "ASYNC_MASTER");
    send(&cluster.brokers[master], 700);
    let slave = cluster.start(BrokerSpec::slave(NAME, 1).set("haInitialSync", "lastFile"));
    good(cluster.wait_in_step(master, slave, PATIENCE));
    send(&cluster.brokers[master], 50);
    good(cluster.wait_in_step(master, slave, PATIENCE));
    let end = good(cluster.brokers[master].log_end());
    let compared = good(logs::compare(&cluster.brokers[master].store(), &cluster.brokers[slave].store(), end));
    println!("  {compared} of {end} bytes are on the slave");
    assert!(compared < end && compared < 3 * FILE_BYTES, "more than the last file was copied");
    cluster.stop();
    Outcome::Passed
}

/// Bytes of every file of the slave's log up to its end.
fn kept(store: &Path, end: u64) -> BTreeMap<PathBuf, Vec<u8>> {
    let files =
        folder::find_all(&store.join("commitlog"), |path| path.file_name().is_some_and(|name| name.len() == 20));
    let base = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok()).unwrap_or(u64::MAX);
    let read = |path: PathBuf| {
        let mut bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        bytes.truncate(usize::try_from(end - base(&path)).unwrap_or(usize::MAX));
        (path, bytes)
    };
    files.into_iter().filter(|path| base(path) < end).map(read).collect()
}

fn wait_state(node: &Node, wanted: &[&str]) -> String {
    let mut last = String::new();
    let found = wait::until(PATIENCE, || {
        last = node.runtime_figure("ringmqHaState").unwrap_or_default();
        wanted.contains(&last.as_str()).then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("{}: state {last:?}, {wanted:?} is due", node.name()))
}

fn slave_ahead() -> Outcome {
    let mut cluster = Cluster::new("resync-ahead", 1);
    let master = master(&mut cluster, "SYNC_MASTER");
    let slave = cluster.start(BrokerSpec::slave(NAME, 1));
    good(cluster.wait_in_step(master, slave, PATIENCE));
    cluster.wait_known(TOPIC);
    wait_state(&cluster.brokers[slave], &["inStep"]);
    let statuses = send(&cluster.brokers[master], 300);
    assert!(statuses.iter().all(|status| *status == 0), "with a slave in step: {statuses:?}");
    good(cluster.wait_in_step(master, slave, PATIENCE));
    let end = good(cluster.brokers[slave].log_end());

    // The master loses its tail, as a power cut takes it from ASYNC_FLUSH.
    cluster.brokers[master].kill9();
    let wiped = logs::wipe_tail(&cluster.brokers[master].store(), 256 << 10).unwrap_or_else(|error| panic!("{error}"));
    let before = kept(&cluster.brokers[slave].store(), end);
    // From here on no send is to be confirmed; before, a busy machine may take its time for it.
    good(cluster.brokers[master].set("slaveTimeout", "300"));
    good(cluster.brokers[master].start().map(drop));
    let ours = good(cluster.brokers[master].log_end());
    println!("  the master lost {wiped} bytes and ends at {ours}, its slave at {end}");
    assert!(ours < end, "the master lost nothing");
    wait_state(&cluster.brokers[slave], &["ahead", "diverged"]);
    let text = good(cluster.brokers[slave].runtime_figure("ringmqHaStateText"));
    println!("  the slave says: {text}");
    for part in [end.to_string().as_str(), "haResync"] {
        assert!(text.contains(part), "the state does not name {part}: {text}");
    }
    // The master goes on, past the slave's end, with other bytes.
    let statuses = send(&cluster.brokers[master], 30);
    assert!(good(cluster.brokers[master].log_end()) > end, "the master did not pass its slave");
    assert!(statuses.iter().all(|status| matches!(status, 11 | 12)), "acked as copied: {statuses:?}");
    wait_state(&cluster.brokers[slave], &["diverged"]);
    let statuses = send(&cluster.brokers[master], 5);
    assert!(statuses.iter().all(|status| matches!(status, 11 | 12)), "acked as copied: {statuses:?}");
    assert_eq!(good(cluster.brokers[slave].log_end()), end, "the slave appended");
    assert!(kept(&cluster.brokers[slave].store(), end) == before, "bytes of the slave's log changed");

    // Told to, it copies anew and keeps its own beside.
    good(cluster.brokers[slave].stop(PATIENCE).map(drop));
    good(cluster.brokers[slave].set("haResync", "aside"));
    good(cluster.brokers[slave].start().map(drop));
    cluster.assert_replicas_equal();
    let aside = folder::find_all(&cluster.brokers[slave].store(), |path| {
        path.parent().and_then(Path::file_name).is_some_and(|name| name.to_string_lossy().contains(".aside-"))
    });
    println!("  {} files are set aside", aside.len());
    assert!(!aside.is_empty(), "the slave's own files are gone");
    let again = wait::until(PATIENCE, || send(&cluster.brokers[master], 1).contains(&0).then_some(()));
    assert!(again.is_some(), "no send is acked after the slave has copied anew");
    cluster.assert_replicas_equal();
    cluster.stop();
    Outcome::Passed
}
