//! A cluster of real processes: nameservers, masters and slaves, RingMQ's and Java's mixed as a case wants them.
//!
//! Owns the nodes and the folder they live in, and the waiting for states of the whole. Must not make load ([`traffic`]
//! does) and must not judge. The folder is kept when the case fails.

pub mod java;
pub mod logs;
pub mod node;
pub mod traffic;
mod verdict;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use client::{Nameserver, Pull, TopicSpec};

use crate::folder::Folder;
use crate::wait;

pub use node::{BrokerSpec, Kind, Node};
pub use traffic::{Traffic, TrafficSpec};

/// For states that must come by themselves.
pub const PATIENCE: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(20);

/// The cluster. Brokers are named by the number in which they were added.
pub struct Cluster {
    // Dropped before the folder, so that the processes end first.
    pub brokers: Vec<Node>,
    pub nameservers: Vec<Node>,
    specs: Vec<BrokerSpec>,
    folder: Folder,
}

impl Cluster {
    /// A cluster with this many nameservers of RingMQ, started.
    pub fn new(name: &str, nameservers: usize) -> Cluster {
        Cluster::with_nameservers(name, &vec![Kind::RingMq; nameservers])
    }

    /// A cluster with these nameservers, started.
    pub fn with_nameservers(name: &str, kinds: &[Kind]) -> Cluster {
        let folder = Folder::new(name);
        let mut nameservers = Vec::new();
        for (number, kind) in kinds.iter().enumerate() {
            let mut node = good(Node::nameserver(*kind, folder.path(), number));
            good(node.start());
            nameservers.push(node);
        }
        Cluster { brokers: Vec::new(), nameservers, specs: Vec::new(), folder }
    }

    /// Adds a broker and starts it; answers its number.
    pub fn start(&mut self, spec: BrokerSpec) -> usize {
        let number = self.add(spec);
        good(self.brokers[number].start());
        number
    }

    /// Adds a broker; answers its number.
    pub fn add(&mut self, spec: BrokerSpec) -> usize {
        let addresses: Vec<SocketAddr> = self.nameservers.iter().map(Node::address).collect();
        self.brokers.push(good(Node::broker(&spec, self.folder.path(), &addresses)));
        self.specs.push(spec);
        self.brokers.len() - 1
    }

    /// Makes a slave that is stopped the master of its name at its next start, as an operator does: in its own file.
    pub fn make_master(&mut self, number: usize, role: &str) {
        assert!(!self.brokers[number].is_running(), "{} runs", self.brokers[number].name());
        good(self.brokers[number].set("brokerId", "0"));
        good(self.brokers[number].set("brokerRole", role));
        self.specs[number].id = 0;
    }

    /// What that broker is.
    pub fn spec(&self, number: usize) -> &BrokerSpec {
        &self.specs[number]
    }

    /// The folder of the case.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The addresses of the nameservers, `;` between.
    pub fn namesrv_addr(&self) -> String {
        let addresses: Vec<String> = self.nameservers.iter().map(|node| node.address().to_string()).collect();
        addresses.join(";")
    }

    /// Whether that nameserver routes a topic of the broker's own name to it under its id.
    fn is_registered(&self, nameserver: SocketAddr, broker: usize) -> bool {
        let spec = &self.specs[broker];
        let route = Nameserver::connect(nameserver).and_then(|mut nameserver| nameserver.route(spec.name));
        let Ok(Some(route)) = route else { return false };
        let address = self.brokers[broker].address().to_string();
        route
            .brokers
            .iter()
            .any(|known| known.broker_name == spec.name && known.addresses.get(&i64::from(spec.id)) == Some(&address))
    }

    /// Waits until every running nameserver knows every running broker; answers how long it took.
    pub fn wait_registered(&mut self) -> Duration {
        let begun = Instant::now();
        let running: Vec<usize> = (0..self.brokers.len()).filter(|number| self.brokers[*number].is_running()).collect();
        let nameservers: Vec<SocketAddr> =
            self.nameservers.iter_mut().filter(|node| node.process().is_some()).map(|node| node.address()).collect();
        for nameserver in nameservers {
            for broker in &running {
                wait::until(PATIENCE, || self.is_registered(nameserver, *broker).then_some(())).unwrap_or_else(|| {
                    panic!("{nameserver} never learnt of {}", self.brokers[*broker].name());
                });
            }
        }
        begun.elapsed()
    }

    /// Creates a topic with so many queues on every master that runs.
    pub fn create_topic(&mut self, topic: &str, queues: i32) {
        for number in 0..self.brokers.len() {
            if self.specs[number].id == 0 && self.brokers[number].is_running() {
                let created =
                    self.brokers[number].connect().and_then(|mut to| to.create_topic(&TopicSpec::new(topic, queues)));
                created.unwrap_or_else(|error| panic!("topic {topic} on {}: {error}", self.brokers[number].name()));
            }
        }
    }

    /// Waits until every broker that runs knows the topic: slaves learn of it when they copy their master's tables.
    pub fn wait_known(&mut self, topic: &str) -> Duration {
        let begun = Instant::now();
        for node in &mut self.brokers {
            let is_known =
                |node: &Node| node.connect().and_then(|mut broker| broker.pull(&Pull::from("CID_known", topic, 0, 0)));
            if node.is_running() && wait::until(PATIENCE, || is_known(node).ok()).is_none() {
                panic!("{} never learnt of topic {topic}: {:?}", node.name(), is_known(node));
            }
        }
        begun.elapsed()
    }

    /// The slaves of a broker that run.
    pub fn slaves_of(&mut self, master: usize) -> Vec<usize> {
        let name = self.specs[master].name;
        let of_it = |number: &usize| self.specs[*number].name == name && self.specs[*number].id > 0;
        let all: Vec<usize> = (0..self.brokers.len()).filter(of_it).collect();
        all.into_iter().filter(|number| self.brokers[*number].is_running()).collect()
    }

    /// Waits until a slave's log ends where its master's does, with no more load on the master; answers how long it
    /// took.
    pub fn wait_in_step(&self, master: usize, slave: usize, limit: Duration) -> Result<Duration, String> {
        let begun = Instant::now();
        let mut last = String::new();
        let found = wait::until(limit, || {
            let ends = (self.brokers[master].log_end(), self.brokers[slave].log_end());
            last = format!("{ends:?}");
            matches!(ends, (Ok(ours), Ok(theirs)) if ours == theirs).then(|| begun.elapsed())
        });
        found.ok_or_else(|| {
            format!(
                "{} and {} are not in step after {limit:?}: ends {last}",
                self.brokers[master].name(),
                self.brokers[slave].name()
            )
        })
    }

    /// Waits until all slaves that run are in step with their masters, and compares their logs byte by byte. Prints how
    /// much was compared.
    pub fn assert_replicas_equal(&mut self) {
        for master in 0..self.brokers.len() {
            if self.specs[master].id != 0 || !self.brokers[master].is_running() {
                continue;
            }
            for slave in self.slaves_of(master) {
                let took = good(self.wait_in_step(master, slave, PATIENCE));
                let end = good(self.brokers[master].log_end());
                let compared = logs::compare(&self.brokers[master].store(), &self.brokers[slave].store(), end);
                let compared = good(compared);
                println!(
                    "  {} equals {}: {compared} bytes compared, in step after {} ms",
                    self.brokers[slave].name(),
                    self.brokers[master].name(),
                    took.as_millis()
                );
            }
        }
    }

    /// Stops everything in order; each process must end well.
    pub fn stop(mut self) {
        for node in self.brokers.iter_mut().rev().chain(&mut self.nameservers) {
            good(node.stop(STOP_MAX));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            for node in &self.brokers {
                eprintln!("--- end of {}:\n{}", node.name(), node.log_tail(15));
            }
        }
    }
}

/// The value, or the end of the case.
#[track_caller]
pub fn good<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|problem| panic!("{problem}"))
}
