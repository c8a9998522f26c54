//! The route table: which broker serves which topic, and which broker is alive.
//!
//! Owns the topics' queue data, the brokers' addresses, the clusters and the live entries. A pure state machine: it does
//! no I/O, reads no clock (`now_ms` comes from the caller) and writes no log line (what is worth one is returned).
//! Runs on the name server's one thread; nothing in it is shared.
//!
//! All of it is soft state (RocketMQ 4.9.7, RouteInfoManager): brokers fill it again within one registration period.

mod admin;
mod departure;
mod lists;
mod register;
mod route;

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub use departure::{Gone, How};
pub use lists::SystemTopics;
pub use register::{LeftOut, Registered, Registration, RegistrationRefused};
pub use route::{Absent, BrokerRoute, Route};

/// Topics one name server holds at most.
pub const TOPICS_MAX: usize = 100_000;
/// Broker addresses one name server holds at most.
pub const BROKERS_MAX: usize = 1_000;
/// A live entry that was not refreshed for this long is removed (4.9.7: BROKER_CHANNEL_EXPIRED_TIME).
pub const BROKER_EXPIRY_MS: i64 = 120_000;
/// The id of a master.
pub const MASTER_ID: i64 = 0;
/// Names (topic, broker, cluster, address) longer than this are not taken (4.9.7: CHARACTER_MAX_LENGTH).
pub const NAME_BYTES_MAX: usize = 255;
/// The topic whose presence in a route lets producers create topics by sending.
pub const AUTO_CREATE_TOPIC: &str = "TBW102";

/// `perm` bit: may be read.
pub const PERM_READ: i32 = 4;
/// `perm` bit: may be written.
pub const PERM_WRITE: i32 = 2;

/// Which state of a broker's topic table a registration describes. Equality is all that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataVersion {
    /// Milliseconds since 1970 of the last change.
    pub timestamp: i64,
    /// Changes so far.
    pub counter: i64,
    /// Sent by 5.x brokers only; 0 otherwise.
    pub state_version: i64,
}

/// What one broker offers of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueData {
    /// Queues consumers read, numbered from 0.
    pub read_queue_nums: i32,
    /// Queues producers write, numbered from 0.
    pub write_queue_nums: i32,
    /// 4 read, 2 write, 1 inherit.
    pub perm: i32,
    /// 1 unit, 2 has a unit subscription.
    pub topic_sys_flag: i32,
}

/// One broker name: its cluster and the addresses of master (id 0) and slaves.
#[derive(Debug)]
struct Broker {
    cluster: Arc<str>,
    addresses: BTreeMap<i64, Arc<str>>,
}

/// One broker address that registered and did not leave since.
#[derive(Debug)]
struct Live {
    last_update_ms: i64,
    /// None: the last registration was not taken whole, so the next one must be read whatever its version is.
    version: Option<DataVersion>,
    connection: u64,
    ha_server_address: Arc<str>,
    filter_servers: Vec<String>,
}

/// The brokers of one topic, sorted by broker name. A topic has few of them, and there are many topics.
type TopicBrokers = Vec<(Arc<str>, QueueData)>;

/// Why a topic that was here is here no longer.
#[derive(Debug)]
struct Departed {
    broker_name: Arc<str>,
    at_ms: i64,
    how: How,
}

/// See the module's header.
pub struct RouteTable {
    topics: BTreeMap<Arc<str>, TopicBrokers>,
    brokers: BTreeMap<Arc<str>, Broker>,
    clusters: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    live: HashMap<Arc<str>, Live>,
    departed: HashMap<Arc<str>, Departed>,
    /// What went before this moment is not remembered in `departed`.
    memory_since_ms: i64,
    topics_max: usize,
    brokers_max: usize,
    expiry_ms: i64,
}

impl RouteTable {
    /// An empty table with the usual bounds. `now_ms`: milliseconds since 1970.
    pub fn new(now_ms: i64) -> RouteTable {
        RouteTable::with_bounds(now_ms, TOPICS_MAX, BROKERS_MAX, BROKER_EXPIRY_MS)
    }

    /// An empty table with bounds of the caller's choice.
    pub fn with_bounds(now_ms: i64, topics_max: usize, brokers_max: usize, expiry_ms: i64) -> RouteTable {
        RouteTable {
            topics: BTreeMap::new(),
            brokers: BTreeMap::new(),
            clusters: BTreeMap::new(),
            live: HashMap::new(),
            departed: HashMap::new(),
            memory_since_ms: now_ms,
            topics_max,
            brokers_max,
            expiry_ms,
        }
    }

    /// Topics that at least one broker serves.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// Broker addresses that are alive.
    pub fn broker_count(&self) -> usize {
        self.live.len()
    }

    /// Did a broker that is alive register on this connection?
    pub fn is_broker_connection(&self, connection: u64) -> bool {
        self.live.values().any(|live| live.connection == connection)
    }

    /// The data version of a live broker address; None when it is unknown or its registration was not taken whole.
    pub fn data_version(&self, broker_address: &str) -> Option<DataVersion> {
        self.live.get(broker_address).and_then(|live| live.version)
    }

    /// Answers QUERY_DATA_VERSION: does the broker have to register? If it need not, its live entry counts as refreshed.
    /// One whose name and id another address took has to, whatever its version: no route leads to it.
    pub fn is_changed(&mut self, broker_address: &str, version: DataVersion, now_ms: i64) -> bool {
        let brokers = &self.brokers;
        let is_routed = || brokers.values().any(|broker| broker.addresses.values().any(|it| **it == *broker_address));
        match self.live.get_mut(broker_address) {
            Some(live) if live.version == Some(version) && is_routed() => {
                live.last_update_ms = now_ms;
                false
            }
            _ => true,
        }
    }

    /// Moves every live entry forward by `stall_ms`: while this process itself stood still it could not have heard
    /// anyone, and must not take that silence for theirs.
    pub fn forgive(&mut self, stall_ms: i64) {
        for live in self.live.values_mut() {
            live.last_update_ms = live.last_update_ms.saturating_add(stall_ms);
        }
    }
}

/// May `name` stand in the table? Looser than a broker's check of topic names, because brokers also register topics that
/// are called like their cluster or host; strict enough that no name can break a line of a log or a list.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}
