//! Registration of a broker: REGISTER_BROKER (103) as the route table sees it.
//!
//! Owns the order of the steps (RocketMQ 4.9.7, RouteInfoManager.registerBroker) and the bounds. Must not parse bodies.
//! Runs on the name server's thread.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Broker, DataVersion, Live, MASTER_ID, QueueData, RouteTable, TopicBrokers, is_name};

/// One registration, parsed.
#[derive(Debug)]
pub struct Registration<'a> {
    /// The cluster the broker names as its own.
    pub cluster: &'a str,
    /// The name master and slaves share.
    pub broker_name: &'a str,
    /// `host:port` under which clients reach this broker.
    pub broker_address: &'a str,
    /// 0 = master, else slave.
    pub broker_id: i64,
    /// `host:port` of the replication listener.
    pub ha_server_address: &'a str,
    /// The connection that brought it; its end removes the broker.
    pub connection: u64,
    /// The version of the broker's topic table.
    pub version: DataVersion,
    /// The topics of the body: all of the broker's, or only the changed ones. Missing topics are not removed.
    pub topics: &'a [(String, QueueData)],
    /// None leaves the filter servers as they are.
    pub filter_servers: Option<&'a [String]>,
}

/// What a registration that was taken leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// For a slave: its master's address, when there is one.
    pub master_address: Option<Arc<str>>,
    /// For a slave: its master's replication address, when the master is alive.
    pub ha_server_address: Option<Arc<str>>,
    /// The address was not alive before.
    pub is_new: bool,
    /// Topics written (new or renewed); 0 when the data version had not changed.
    pub topics_written: usize,
    /// Another live address held the same broker name and id until now. The last writer wins, as in Java.
    pub displaced: Option<Arc<str>>,
    /// The broker name is known as part of this other cluster.
    pub other_cluster: Option<Arc<str>>,
    /// Topics this table did not take.
    pub left_out: Option<LeftOut>,
    /// Topics whose name cannot stand in the table, with one of them.
    pub misnamed: Option<(usize, String)>,
}

/// Topics that found no room.
#[derive(Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: String,
    /// The bound that was met.
    pub topics_max: usize,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the name server holds {} topics, which is its bound: {} topics of this registration were left out, the \
             first is {}; delete unused topics or spread the brokers over more clusters",
            self.topics_max, self.count, self.first
        )
    }
}

/// Why nothing of a registration was taken.
#[derive(Debug, PartialEq, Eq)]
pub enum RegistrationRefused {
    /// A name or address is empty, too long, or has blanks or control characters.
    BadName {
        /// The header's field.
        field: &'static str,
        /// What it held.
        value: String,
    },
    /// Ids are 0 (master) or positive.
    BadId(i64),
    /// Too many broker addresses.
    TooManyBrokers {
        /// The bound that was met.
        brokers_max: usize,
    },
}

impl fmt::Display for RegistrationRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistrationRefused::BadName { field, value } => {
                write!(
                    f,
                    "{field} {value:?} is not usable: it must have 1 to 255 bytes, no blanks, no control characters"
                )
            }
            RegistrationRefused::BadId(id) => {
                write!(f, "brokerId {id} is not usable: 0 is the master, 1 and above are slaves")
            }
            RegistrationRefused::TooManyBrokers { brokers_max } => {
                write!(
                    f,
                    "the name server holds {brokers_max} broker addresses, which is its bound; this one was not taken"
                )
            }
        }
    }
}

impl RouteTable {
    /// Takes a registration. `now_ms`: milliseconds since 1970.
    pub fn register(
        &mut self,
        registration: &Registration<'_>,
        now_ms: i64,
    ) -> Result<Registered, RegistrationRefused> {
        self.check(registration)?;
        let mut registered = Registered::default();

        let broker_name = self.broker_name(registration.broker_name);
        self.clusters.entry(Arc::from(registration.cluster)).or_default().insert(broker_name.clone());

        let address: Arc<str> = Arc::from(registration.broker_address);
        let broker = self
            .brokers
            .entry(broker_name.clone())
            .or_insert_with(|| Broker { cluster: Arc::from(registration.cluster), addresses: BTreeMap::new() });
        if &*broker.cluster != registration.cluster {
            registered.other_cluster = Some(broker.cluster.clone());
        }
        // A slave that became master keeps its address: one address has one id.
        broker.addresses.retain(|id, known| *id == registration.broker_id || **known != *address);
        let previous = broker.addresses.insert(registration.broker_id, address.clone());
        let is_first = previous.is_none();
        registered.displaced = previous.filter(|known| **known != *address && self.live.contains_key(known));

        let known = self.live.get(&address);
        registered.is_new = known.is_none();
        let is_changed = known.and_then(|live| live.version) != Some(registration.version);
        if registration.broker_id == MASTER_ID && (is_changed || is_first) {
            self.write_topics(&broker_name, registration.topics, &mut registered);
        }

        self.put_live(address, registration, registered.left_out.is_some(), now_ms);
        if registration.broker_id != MASTER_ID {
            let master = self.brokers.get(&broker_name).and_then(|broker| broker.addresses.get(&MASTER_ID));
            registered.ha_server_address =
                master.and_then(|master| self.live.get(master)).map(|live| live.ha_server_address.clone());
            registered.master_address = registered.ha_server_address.is_some().then(|| master.cloned()).flatten();
        }
        Ok(registered)
    }

    fn check(&self, registration: &Registration<'_>) -> Result<(), RegistrationRefused> {
        let names = [
            ("clusterName", registration.cluster),
            ("brokerName", registration.broker_name),
            ("brokerAddr", registration.broker_address),
        ];
        if let Some((field, value)) = names.into_iter().find(|(_, value)| !is_name(value)) {
            let value = value.chars().take(80).collect();
            return Err(RegistrationRefused::BadName { field, value });
        }
        if registration.broker_id < MASTER_ID {
            return Err(RegistrationRefused::BadId(registration.broker_id));
        }
        if self.live.len() >= self.brokers_max && !self.live.contains_key(registration.broker_address) {
            return Err(RegistrationRefused::TooManyBrokers { brokers_max: self.brokers_max });
        }
        Ok(())
    }

    /// The one shared copy of a broker name: every topic holds it.
    fn broker_name(&self, name: &str) -> Arc<str> {
        self.brokers.get_key_value(name).map_or_else(|| Arc::from(name), |(known, _)| known.clone())
    }

    /// Upserts; never removes. What finds no room is counted, so that the caller can say so.
    fn write_topics(&mut self, broker_name: &Arc<str>, topics: &[(String, QueueData)], registered: &mut Registered) {
        for (topic, queue_data) in topics {
            if let Some(brokers) = self.topics.get_mut(topic.as_str()) {
                write_queue_data(brokers, broker_name, *queue_data);
            } else if !is_name(topic) {
                let shown = topic.chars().take(80).collect();
                registered.misnamed.get_or_insert((0, shown)).0 += 1;
                continue;
            } else if self.topics.len() >= self.topics_max {
                let left_out = registered.left_out.get_or_insert_with(|| LeftOut {
                    count: 0,
                    first: topic.clone(),
                    topics_max: self.topics_max,
                });
                left_out.count += 1;
                continue;
            } else {
                let topic: Arc<str> = Arc::from(topic.as_str());
                self.departed.remove(&topic);
                self.topics.insert(topic, vec![(broker_name.clone(), *queue_data)]);
            }
            registered.topics_written += 1;
        }
    }

    fn put_live(&mut self, address: Arc<str>, registration: &Registration<'_>, is_partial: bool, now_ms: i64) {
        let live = self.live.entry(address).or_insert_with(|| Live {
            last_update_ms: now_ms,
            version: None,
            connection: registration.connection,
            ha_server_address: Arc::from(registration.ha_server_address),
            filter_servers: Vec::new(),
        });
        live.last_update_ms = now_ms;
        live.connection = registration.connection;
        live.version = (!is_partial).then_some(registration.version);
        if &*live.ha_server_address != registration.ha_server_address {
            live.ha_server_address = Arc::from(registration.ha_server_address);
        }
        if let Some(filter_servers) = registration.filter_servers {
            live.filter_servers = filter_servers.to_vec();
        }
    }
}

fn write_queue_data(brokers: &mut TopicBrokers, broker_name: &Arc<str>, queue_data: QueueData) {
    match brokers.binary_search_by(|(name, _)| name.cmp(broker_name)) {
        Ok(at) => {
            if let Some(entry) = brokers.get_mut(at) {
                entry.1 = queue_data;
            }
        }
        Err(at) => brokers.insert(at, (broker_name.clone(), queue_data)),
    }
}
