//! The route of a topic: what GET_ROUTEINFO_BY_TOPIC (105) answers, or why it has no answer.
//!
//! Only reads the table. Runs on the name server's thread.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{AUTO_CREATE_TOPIC, How, PERM_READ, PERM_WRITE, QueueData, RouteTable};
use crate::time::Utc;

/// A topic's queues and the brokers that hold them, both sorted by broker name.
#[derive(Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// What each broker offers.
    pub queues: Vec<(&'a str, QueueData)>,
    /// The brokers of `queues`.
    pub brokers: Vec<BrokerRoute<'a>>,
    /// Filter servers by broker address; empty with today's brokers.
    pub filter_servers: BTreeMap<&'a str, &'a [String]>,
}

/// One broker name of a route.
#[derive(Debug, PartialEq, Eq)]
pub struct BrokerRoute<'a> {
    /// The broker's name.
    pub broker_name: &'a str,
    /// Its cluster.
    pub cluster: &'a str,
    /// Addresses by id; 0 is the master.
    pub addresses: &'a BTreeMap<i64, Arc<str>>,
}

impl Route<'_> {
    /// Is there a queue that can be read or written at all? A route with none is answered as in Java, but clients
    /// report it like an unknown topic, so the answer says why.
    pub fn is_usable(&self) -> bool {
        self.queues.iter().any(|(_, queue_data)| queue_data.perm & (PERM_READ | PERM_WRITE) != 0)
    }
}

/// Why a topic has no route.
#[derive(Debug, PartialEq, Eq)]
pub enum Absent {
    /// No broker is registered at all.
    NoBroker {
        /// Since when the table would know of one, milliseconds since 1970.
        since_ms: i64,
        /// The topic was here until its last broker left so.
        departed: Option<(Arc<str>, How, i64)>,
    },
    /// The topic was here, until its last broker left or an operator deleted it.
    Departed {
        /// The last broker that held it.
        broker_name: Arc<str>,
        /// What happened.
        how: How,
        /// When, milliseconds since 1970.
        at_ms: i64,
    },
    /// No broker named this topic.
    NeverRegistered {
        /// Since when the table would know, milliseconds since 1970.
        since_ms: i64,
        /// Does a broker offer TBW102, so that a producer's first send would create the topic?
        is_auto_create: bool,
    },
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absent::NoBroker { since_ms, departed: None } => write!(
                f,
                "no broker is registered with this name server (nor was since {}); check namesrvAddr of the brokers",
                Utc(*since_ms)
            ),
            Absent::NoBroker { departed: Some((broker_name, how, at_ms)), .. } => write!(
                f,
                "no broker is registered with this name server; its last broker {broker_name} {how} at {}",
                Utc(*at_ms)
            ),
            Absent::Departed { broker_name, how: How::Deleted, at_ms } => {
                write!(f, "it was deleted here at {} (last broker {broker_name})", Utc(*at_ms))
            }
            Absent::Departed { broker_name, how, at_ms } => {
                write!(f, "its last broker {broker_name} {how} at {}", Utc(*at_ms))
            }
            Absent::NeverRegistered { since_ms, is_auto_create } => {
                write!(f, "no broker registered it since {}", Utc(*since_ms))?;
                f.write_str(if *is_auto_create {
                    "; a producer's first send creates it, a consumer waits for that"
                } else {
                    ", and none offers TBW102 (autoCreateTopicEnable is off): create it with mqadmin updateTopic"
                })
            }
        }
    }
}

impl RouteTable {
    /// The route of `topic`.
    pub fn route(&self, topic: &str) -> Result<Route<'_>, Absent> {
        let Some(queues) = self.topics.get(topic) else { return Err(self.absent(topic)) };
        let mut route = Route { queues: Vec::new(), brokers: Vec::new(), filter_servers: BTreeMap::new() };
        for (broker_name, queue_data) in queues {
            route.queues.push((broker_name, *queue_data));
            let Some(broker) = self.brokers.get(broker_name) else { continue };
            for address in broker.addresses.values() {
                if let Some(live) = self.live.get(address).filter(|live| !live.filter_servers.is_empty()) {
                    route.filter_servers.insert(address, &live.filter_servers);
                }
            }
            route.brokers.push(BrokerRoute { broker_name, cluster: &broker.cluster, addresses: &broker.addresses });
        }
        if route.brokers.is_empty() { Err(self.absent(topic)) } else { Ok(route) }
    }

    fn absent(&self, topic: &str) -> Absent {
        let departed = self.departed.get(topic);
        if self.brokers.is_empty() {
            let departed = departed.map(|departed| (departed.broker_name.clone(), departed.how, departed.at_ms));
            return Absent::NoBroker { since_ms: self.memory_since_ms, departed };
        }
        match departed {
            Some(departed) => {
                Absent::Departed { broker_name: departed.broker_name.clone(), how: departed.how, at_ms: departed.at_ms }
            }
            None => Absent::NeverRegistered {
                since_ms: self.memory_since_ms,
                is_auto_create: self.topics.contains_key(AUTO_CREATE_TOPIC),
            },
        }
    }
}
