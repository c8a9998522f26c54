//! The power of a master, or of master and slave together, is cut under load: what a SYNC_MASTER acked is on the slave,
//! with SYNC_FLUSH on both it outlives even both; a slave that has more than its master then says so and appends nothing.
//!
//! RINGMQ_POWER_CUTS cuts a case (5 unless said); RINGMQ_SEED repeats them. Needs what the suite power_loss needs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rig::Rig;
use tests::cluster::traffic::History;
use tests::cluster::{BrokerSpec, Cluster, Node, PATIENCE, Traffic, TrafficSpec, good};
use tests::folder::Folder;
use tests::suite::{self, env_number};
use tests::{Case, Outcome, Rng, wait};

const NAME: &str = "broker-a";
const TOPIC: &str = "Powered";

fn main() {
    suite::run(&[
        Case { name: "sync_master_loses_power_and_its_slave_has_all", run: || cuts("ASYNC_FLUSH", false) },
        Case { name: "both_lose_power_and_both_have_all", run: || cuts("SYNC_FLUSH", true) },
    ]);
}

fn rigs(folders: &[Folder]) -> Result<Vec<Rig>, String> {
    folders
        .iter()
        .map(|folder| {
            let mut rig = Rig::new(folder.path())?;
            rig.format()?;
            rig.mount()?;
            rig.unmount()?;
            Ok(rig)
        })
        .collect()
}

fn cuts(flush: &str, is_both: bool) -> Outcome {
    let folders: Vec<Folder> = (0..=usize::from(is_both)).map(|_| Folder::new("replication-power")).collect();
    let mut rigs = match rigs(&folders) {
        Ok(rigs) => rigs,
        Err(reason) => return Outcome::Skipped(format!("no disk whose power can be cut: {reason}")),
    };
    let first = Rng::seed_of_run();
    let cuts = env_number("RINGMQ_POWER_CUTS", 5).min(5);
    println!("  SYNC_MASTER, {flush}: {cuts} power cuts of {} disks, RINGMQ_SEED={first}", rigs.len());
    for seed in (0..cuts).map(|number| first.wrapping_add(number)) {
        cycle(&mut rigs, flush, seed);
    }
    Outcome::Passed
}

fn cycle(rigs: &mut [Rig], flush: &str, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut stores: Vec<PathBuf> = Vec::new();
    for rig in &mut *rigs {
        good(rig.format());
        stores.push(good(rig.mount().map(|point| point.join("store"))));
    }
    let is_both = rigs.len() > 1;
    let mut cluster = Cluster::new("replication-power-nodes", 1);
    let on_disk = |spec: BrokerSpec, number: usize| match stores.get(number) {
        Some(store) => spec.store_at(store.clone()).set("flushDiskType", flush),
        None => spec.set("flushDiskType", flush),
    };
    let master = cluster.start(on_disk(BrokerSpec::master(NAME).set("brokerRole", "SYNC_MASTER"), 0));
    cluster.wait_registered();
    cluster.create_topic(TOPIC, 4);
    let slave = cluster.start(on_disk(BrokerSpec::slave(NAME, 1), 1));
    cluster.wait_known(TOPIC);
    good(cluster.wait_in_step(master, slave, PATIENCE));
    let nameservers: Vec<SocketAddr> = cluster.nameservers.iter().map(Node::address).collect();
    let traffic = Traffic::start(TrafficSpec::new(TOPIC, seed), nameservers, &[NAME]);
    good(traffic.wait_acked(rng.between(50, 400), PATIENCE));
    std::thread::sleep(Duration::from_millis(rng.below(500)));
    let kept_of_8 = [4, 1, 7][rng.below(3) as usize];
    for rig in &*rigs {
        rig.cut(rng.word(), kept_of_8);
    }
    cluster.brokers[master].kill9();
    if is_both {
        cluster.brokers[slave].kill9();
    }
    let history = traffic.stop();
    for rig in &mut *rigs {
        good(rig.unmount());
        good(rig.mount().map(drop));
    }
    if is_both {
        good(cluster.brokers[slave].start().map(drop));
    }
    let acked = history.assert_acks_are_on(&cluster.brokers[slave]);
    let end = good(cluster.brokers[slave].log_end());
    good(cluster.brokers[master].start().map(drop));
    let ours = good(cluster.brokers[master].log_end());
    let state = settled(&cluster.brokers[slave]);
    println!("  seed {seed}: {acked} acked, all on the slave; the master ends at {ours}, the slave at {end}: {state}");
    if is_both {
        history.assert_acks_are_on(&cluster.brokers[master]);
    }
    if ours >= end {
        good(cluster.wait_in_step(master, slave, PATIENCE));
        cluster.assert_replicas_equal();
    } else {
        assert!(state != "inStep", "the slave has more than its master and counts as in step");
        assert_eq!(good(cluster.brokers[slave].log_end()), end, "a slave that is ahead changed its log");
    }
    end_of(cluster, history, rigs);
}

/// What the slave says once it knows how it stands to its master.
fn settled(slave: &Node) -> String {
    let mut last = String::new();
    let found = wait::until(PATIENCE, || {
        last = slave.runtime_figure("ringmqHaState").unwrap_or_default();
        ["inStep", "ahead", "diverged"].contains(&last.as_str()).then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("{}: state {last:?}", slave.name()))
}

/// Nothing may use the disks any more when they are unmounted.
fn end_of(mut cluster: Cluster, history: History, rigs: &mut [Rig]) {
    for node in &mut cluster.brokers {
        node.kill9();
    }
    drop((cluster, history));
    for rig in rigs {
        good(rig.unmount());
    }
}
