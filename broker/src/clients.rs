//! Who is connected: producer groups, consumer groups and their subscriptions, as heartbeats tell.
//!
//! Owns the registries of both kinds. Lives on the home shard. No I/O and no clock: a heartbeat, a
//! closed connection, a farewell or the ten-second scan go in; the groups whose members or
//! subscriptions changed come out, for the caller to publish and to notify (request 40).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use protocol::body::{ConsumeFromWhere, ConsumeType, HeartbeatData, MessageModel, SubscriptionData};
use remoting::net::ConnId;

/// A client that is silent for this long is gone (Java: `CHANNEL_EXPIRED_TIMEOUT`, 120 s).
pub const CLIENT_EXPIRED_MS: i64 = 120_000;

/// Groups one connection may stand for, over all its heartbeats.
const GROUPS_PER_CONNECTION_MAX: usize = 4096;

/// One member of a group: a client on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `ip@instanceName`, as the client calls itself.
    pub client_id: String,
    /// Language code of its frames.
    pub language: u8,
    /// Version ordinal of its frames.
    pub version: i32,
    /// Last heartbeat, ms.
    pub last_update_ms: i64,
}

/// A consumer group with members.
#[derive(Clone, Debug, Default)]
pub struct ConsumerGroup {
    /// `CONSUME_ACTIVELY` or `CONSUME_PASSIVELY`.
    pub consume_type: ConsumeType,
    /// `CLUSTERING` or `BROADCASTING`.
    pub message_model: MessageModel,
    /// Where a group without progress begins.
    pub consume_from_where: ConsumeFromWhere,
    /// Members by connection.
    pub members: BTreeMap<ConnId, Member>,
    /// Subscriptions by topic. The last writer wins across members, as in Java 4.9.7.
    pub subscriptions: BTreeMap<String, SubscriptionData>,
}

/// What a change did to one consumer group.
#[derive(Debug, PartialEq, Eq)]
pub struct GroupChange {
    /// The group's name.
    pub group: String,
    /// Members or the set of topics changed: the others are told to rebalance.
    pub notify: bool,
    /// Subscriptions differ from what the other shards know.
    pub publish: bool,
    /// Two members subscribe differently: which clients, for one warning line.
    pub conflict: Option<String>,
}

/// Both registries of one broker.
#[derive(Default)]
pub struct ClientRegistry {
    consumers: BTreeMap<String, ConsumerGroup>,
    producers: BTreeMap<String, BTreeMap<ConnId, Member>>,
    groups_of: HashMap<ConnId, GroupsOf>,
}

#[derive(Default)]
struct GroupsOf {
    consumers: BTreeSet<String>,
    producers: BTreeSet<String>,
}

impl GroupsOf {
    fn is_full(&self) -> bool {
        self.consumers.len() + self.producers.len() >= GROUPS_PER_CONNECTION_MAX
    }
}

impl ClientRegistry {
    /// Takes a heartbeat in; returns the consumer groups it changed.
    pub fn heartbeat(
        &mut self,
        now_ms: i64,
        connection: ConnId,
        language: u8,
        version: i32,
        data: &HeartbeatData,
    ) -> Vec<GroupChange> {
        let member = Member { client_id: data.client_id.clone(), language, version, last_update_ms: now_ms };
        let groups_of = self.groups_of.entry(connection).or_default();
        for producer in &data.producer_data_set {
            if producer.group_name.is_empty()
                || groups_of.is_full() && !groups_of.producers.contains(&producer.group_name)
            {
                continue;
            }
            self.producers.entry(producer.group_name.clone()).or_default().insert(connection, member.clone());
            if !groups_of.producers.contains(&producer.group_name) {
                groups_of.producers.insert(producer.group_name.clone());
            }
        }
        let mut changes = Vec::new();
        for consumer in &data.consumer_data_set {
            if consumer.group_name.is_empty()
                || groups_of.is_full() && !groups_of.consumers.contains(&consumer.group_name)
            {
                continue;
            }
            if !groups_of.consumers.contains(&consumer.group_name) {
                groups_of.consumers.insert(consumer.group_name.clone());
            }
            let group = self.consumers.entry(consumer.group_name.clone()).or_default();
            group.consume_type = consumer.consume_type;
            group.message_model = consumer.message_model;
            group.consume_from_where = consumer.consume_from_where;
            let mut notify = group.members.insert(connection, member.clone()).is_none();
            let mut publish = notify;
            let mut conflict = None;
            let topics: Vec<&str> = consumer.subscription_data_set.iter().map(|s| s.topic.as_str()).collect();
            for subscription in &consumer.subscription_data_set {
                match group.subscriptions.get_mut(&subscription.topic) {
                    None => {
                        if group.members.len() > 1 && !protocol::topic::is_retry(&subscription.topic) {
                            conflict = Some(format!("{} adds topic {}", data.client_id, subscription.topic));
                        }
                        group.subscriptions.insert(subscription.topic.clone(), subscription.clone());
                        (notify, publish) = (true, true);
                    }
                    Some(known) if subscription.sub_version > known.sub_version => {
                        if known.sub_string != subscription.sub_string && group.members.len() > 1 {
                            conflict = Some(format!(
                                "{} subscribes {} with \"{}\", others with \"{}\"",
                                data.client_id, subscription.topic, subscription.sub_string, known.sub_string
                            ));
                        }
                        *known = subscription.clone();
                        publish = true;
                    }
                    Some(_) => {}
                }
            }
            let dropped: Vec<String> =
                group.subscriptions.keys().filter(|topic| !topics.contains(&topic.as_str())).cloned().collect();
            for topic in dropped {
                if group.members.len() > 1 {
                    conflict = Some(format!("{} does not subscribe {topic}, others did", data.client_id));
                }
                group.subscriptions.remove(&topic);
                (notify, publish) = (true, true);
            }
            changes.push(GroupChange { group: consumer.group_name.clone(), notify, publish, conflict });
        }
        changes
    }

    /// A client says good-bye for one group of each kind (request 35).
    pub fn unregister(
        &mut self,
        connection: ConnId,
        producer_group: Option<&str>,
        consumer_group: Option<&str>,
    ) -> Vec<GroupChange> {
        if let Some(group) = producer_group {
            self.leave_producers(connection, group);
            if let Some(groups_of) = self.groups_of.get_mut(&connection) {
                groups_of.producers.remove(group);
            }
        }
        let mut changes = Vec::new();
        if let Some(group) = consumer_group {
            changes.extend(self.leave_consumers(connection, group));
            if let Some(groups_of) = self.groups_of.get_mut(&connection) {
                groups_of.consumers.remove(group);
            }
        }
        changes
    }

    /// A connection is gone with all it stood for.
    pub fn connection_closed(&mut self, connection: ConnId) -> Vec<GroupChange> {
        let Some(groups_of) = self.groups_of.remove(&connection) else { return Vec::new() };
        for group in &groups_of.producers {
            self.leave_producers(connection, group);
        }
        groups_of.consumers.iter().filter_map(|group| self.leave_consumers(connection, group)).collect()
    }

    /// The ten-second scan: clients silent for 120 s are removed. Unlike Java 4.9.7, whose scan
    /// forgets to, the rest of the group is told. Returns the connections to close as well.
    pub fn scan(&mut self, now_ms: i64) -> (Vec<ConnId>, Vec<GroupChange>) {
        let silent = |member: &Member| now_ms - member.last_update_ms > CLIENT_EXPIRED_MS;
        let mut expired: Vec<ConnId> = Vec::new();
        let members = self.consumers.values().map(|group| &group.members).chain(self.producers.values());
        for (connection, member) in members.flatten() {
            if silent(member) {
                expired.push(*connection);
            }
        }
        expired.sort();
        expired.dedup();
        let mut changes = Vec::new();
        for connection in &expired {
            changes.extend(self.connection_closed(*connection));
        }
        (expired, changes)
    }

    /// The group, if it has members.
    pub fn consumer_group(&self, group: &str) -> Option<&ConsumerGroup> {
        self.consumers.get(group)
    }

    /// Members of a producer group, if it has any.
    pub fn producer_group(&self, group: &str) -> Option<&BTreeMap<ConnId, Member>> {
        self.producers.get(group)
    }

    /// Connections of a consumer group's members.
    pub fn connections_of(&self, group: &str) -> Vec<ConnId> {
        self.consumers.get(group).map(|group| group.members.keys().copied().collect()).unwrap_or_default()
    }

    fn leave_producers(&mut self, connection: ConnId, group: &str) {
        if let Some(members) = self.producers.get_mut(group) {
            members.remove(&connection);
            if members.is_empty() {
                self.producers.remove(group);
            }
        }
    }

    fn leave_consumers(&mut self, connection: ConnId, name: &str) -> Option<GroupChange> {
        let group = self.consumers.get_mut(name)?;
        group.members.remove(&connection)?;
        if group.members.is_empty() {
            self.consumers.remove(name);
        }
        Some(GroupChange { group: name.to_owned(), notify: true, publish: true, conflict: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::body::{ConsumerData, ProducerData};

    fn heartbeat(client: &str, group: &str, topics: &[(&str, &str, i64)]) -> HeartbeatData {
        let mut data = HeartbeatData { client_id: client.into(), ..Default::default() };
        data.producer_data_set.push(ProducerData { group_name: format!("{group}-p") });
        data.consumer_data_set.push(ConsumerData {
            group_name: group.into(),
            subscription_data_set: topics
                .iter()
                .map(|(topic, expression, version)| SubscriptionData {
                    topic: (*topic).into(),
                    sub_string: (*expression).into(),
                    sub_version: *version,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        data
    }

    fn flags(changes: &[GroupChange]) -> Vec<(bool, bool)> {
        changes.iter().map(|change| (change.notify, change.publish)).collect()
    }

    #[test]
    fn only_real_changes_notify() {
        let mut registry = ClientRegistry::default();
        let one = heartbeat("one", "g", &[("T", "*", 1)]);
        assert_eq!(flags(&registry.heartbeat(0, ConnId(1), 0, 407, &one)), [(true, true)]);
        assert_eq!(flags(&registry.heartbeat(1, ConnId(1), 0, 407, &one)), [(false, false)]);
        let newer = heartbeat("one", "g", &[("T", "a", 2)]);
        assert_eq!(flags(&registry.heartbeat(2, ConnId(1), 0, 407, &newer)), [(false, true)]);
        let more = heartbeat("one", "g", &[("T", "a", 2), ("U", "*", 3)]);
        assert_eq!(flags(&registry.heartbeat(3, ConnId(1), 0, 407, &more)), [(true, true)]);
        assert_eq!(flags(&registry.heartbeat(4, ConnId(1), 0, 407, &newer)), [(true, true)], "U is dropped");
        assert_eq!(registry.consumer_group("g").unwrap().subscriptions.len(), 1);
    }

    #[test]
    fn members_that_disagree_are_named() {
        let mut registry = ClientRegistry::default();
        registry.heartbeat(0, ConnId(1), 0, 407, &heartbeat("one", "g", &[("T", "a", 1)]));
        let changes = registry.heartbeat(0, ConnId(2), 0, 407, &heartbeat("two", "g", &[("T", "b", 2)]));
        let text = changes[0].conflict.as_deref().unwrap();
        assert!(text.contains("two") && text.contains("\"a\"") && text.contains("\"b\""), "{text}");
    }

    #[test]
    fn leaving_in_every_way() {
        let mut registry = ClientRegistry::default();
        for id in 1..=3 {
            registry.heartbeat(id, ConnId(id as u64), 0, 407, &heartbeat(&id.to_string(), "g", &[("T", "*", 1)]));
        }
        assert_eq!(registry.unregister(ConnId(1), None, Some("g")).len(), 1);
        assert!(registry.unregister(ConnId(1), None, Some("g")).is_empty(), "only once");
        assert_eq!(registry.connection_closed(ConnId(2)).len(), 1);
        let (expired, changes) = registry.scan(3 + CLIENT_EXPIRED_MS);
        assert_eq!((expired.as_slice(), changes.len()), ([ConnId(1)].as_slice(), 0), "1 still was a producer");
        let (expired, changes) = registry.scan(4 + CLIENT_EXPIRED_MS);
        assert_eq!((expired.as_slice(), changes.len()), ([ConnId(3)].as_slice(), 1));
        assert!(registry.consumer_group("g").is_none() && registry.producer_group("g-p").is_none());
    }
}
