//! How brokers leave: UNREGISTER_BROKER (104), the end of their connection, and expiry.
//!
//! Owns the one removal all three share, and the memory of why a topic is gone. Runs on the name server's thread.

use std::fmt;
use std::sync::Arc;

use super::{Departed, RouteTable};

/// Why a broker, or a topic, left the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The broker said good-bye.
    Unregistered,
    /// The connection it registered on ended.
    ConnectionLost,
    /// It was not heard of for the expiry time.
    Expired,
    /// An operator deleted the topic here (DELETE_TOPIC_IN_NAMESRV).
    Deleted,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Unregistered => "unregistered",
            How::ConnectionLost => "lost its connection",
            How::Expired => "expired",
            How::Deleted => "deleted",
        })
    }
}

/// A broker address that left.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone {
    /// `host:port`.
    pub address: Arc<str>,
    /// Name and id it had; None when another address had taken its place.
    pub broker: Option<(Arc<str>, i64)>,
    /// The connection it registered on.
    pub connection: u64,
    /// Milliseconds since its last registration.
    pub silent_ms: i64,
    /// Topics that have no broker any more.
    pub topics_lost: usize,
}

impl RouteTable {
    /// UNREGISTER_BROKER (104). Unlike Java the id is freed only when it still belongs to this address, so that a
    /// late good-bye does not remove the broker that took over. None when the address was not known.
    pub fn unregister(&mut self, broker_name: &str, broker_address: &str, broker_id: i64, now_ms: i64) -> Option<Gone> {
        let held = |table: &RouteTable| {
            table.brokers.get(broker_name)?.addresses.get(&broker_id).map(|address| **address == *broker_address)
        };
        if !self.live.contains_key(broker_address) && held(self) != Some(true) {
            return None;
        }
        Some(self.remove(Arc::from(broker_address), How::Unregistered, now_ms))
    }

    /// A connection ended: every broker that registered on it is gone at once.
    pub fn connection_lost(&mut self, connection: u64, now_ms: i64) -> Vec<Gone> {
        self.remove_all(How::ConnectionLost, now_ms, |live| live.connection == connection)
    }

    /// Removes the brokers whose last registration is older than the expiry time. The caller closes their connections.
    pub fn scan(&mut self, now_ms: i64) -> Vec<Gone> {
        let expiry_ms = self.expiry_ms;
        self.remove_all(How::Expired, now_ms, |live| live.last_update_ms.saturating_add(expiry_ms) < now_ms)
    }

    fn remove_all(&mut self, how: How, now_ms: i64, is_gone: impl Fn(&super::Live) -> bool) -> Vec<Gone> {
        let mut addresses: Vec<Arc<str>> =
            self.live.iter().filter(|(_, live)| is_gone(live)).map(|(address, _)| address.clone()).collect();
        addresses.sort();
        addresses.into_iter().map(|address| self.remove(address, how, now_ms)).collect()
    }

    fn remove(&mut self, address: Arc<str>, how: How, now_ms: i64) -> Gone {
        let live = self.live.remove(&address);
        let mut gone = Gone {
            broker: None,
            connection: live.as_ref().map_or(0, |live| live.connection),
            silent_ms: live.map_or(0, |live| now_ms.saturating_sub(live.last_update_ms)),
            topics_lost: 0,
            address,
        };
        let held = self.brokers.iter().find_map(|(name, broker)| {
            let (id, _) = broker.addresses.iter().find(|(_, known)| **known == gone.address)?;
            Some((name.clone(), *id))
        });
        let Some((broker_name, id)) = held else { return gone };
        if let Some(broker) = self.brokers.get_mut(&broker_name) {
            broker.addresses.remove(&id);
            // While a slave is left, the queue data stay: its messages can still be read.
            if broker.addresses.is_empty() {
                self.brokers.remove(&broker_name);
                self.clusters.retain(|_, names| {
                    names.remove(&broker_name);
                    !names.is_empty()
                });
                gone.topics_lost = self.remove_queue_data(&broker_name, how, now_ms);
            }
        }
        gone.broker = Some((broker_name, id));
        gone
    }

    /// Takes a broker name out of every topic; answers how many topics were left without any broker.
    fn remove_queue_data(&mut self, broker_name: &Arc<str>, how: How, now_ms: i64) -> usize {
        let mut lost = Vec::new();
        self.topics.retain(|topic, brokers| {
            brokers.retain(|(name, _)| name != broker_name);
            if brokers.is_empty() {
                lost.push(topic.clone());
            }
            !brokers.is_empty()
        });
        let count = lost.len();
        for topic in lost {
            self.remember(topic, broker_name.clone(), how, now_ms);
        }
        count
    }

    /// Keeps the reason for the remark of a later GET_ROUTEINFO. When the memory is full it is emptied, and the remark
    /// then says since when the table remembers.
    pub(super) fn remember(&mut self, topic: Arc<str>, broker_name: Arc<str>, how: How, at_ms: i64) {
        if self.departed.len() >= self.topics_max && !self.departed.contains_key(&topic) {
            self.departed.clear();
            self.memory_since_ms = at_ms;
        }
        self.departed.insert(topic, Departed { broker_name, at_ms, how });
    }
}
