//! Lists: topics by cluster, system topics, unit topics, the cluster overview.
//!
//! Only reads the table. Runs on the name server's thread.

use std::collections::BTreeMap;

use super::{BrokerRoute, QueueData, RouteTable};

/// `topicSysFlag` bit: the topic belongs to a unit.
const FLAG_UNIT: i32 = 1;
/// `topicSysFlag` bit: a unit's consumer subscribes to the topic.
const FLAG_UNIT_SUB: i32 = 2;

/// What GET_SYSTEM_TOPIC_LIST_FROM_NS answers: topics called like clusters and brokers, and a broker to ask for more.
#[derive(Debug, PartialEq, Eq)]
pub struct SystemTopics<'a> {
    /// Names of clusters and of brokers.
    pub names: Vec<&'a str>,
    /// Some broker's address; None without brokers.
    pub broker_address: Option<&'a str>,
}

impl RouteTable {
    /// Every topic.
    pub fn topics(&self) -> Vec<&str> {
        self.topics.keys().map(|topic| &**topic).collect()
    }

    /// The topics of one cluster's brokers; empty for an unknown cluster.
    pub fn topics_of_cluster(&self, cluster: &str) -> Vec<&str> {
        let Some(names) = self.clusters.get(cluster) else { return Vec::new() };
        let is_of_cluster = |brokers: &super::TopicBrokers| brokers.iter().any(|(name, _)| names.contains(name));
        self.topics.iter().filter(|(_, brokers)| is_of_cluster(brokers)).map(|(topic, _)| &**topic).collect()
    }

    /// Names of clusters and brokers, because topics with these names exist.
    pub fn system_topics(&self) -> SystemTopics<'_> {
        let mut names = Vec::new();
        for (cluster, brokers) in &self.clusters {
            names.push(&**cluster);
            names.extend(brokers.iter().map(|name| &**name));
        }
        names.sort_unstable();
        names.dedup();
        let broker_address =
            self.brokers.values().find_map(|broker| broker.addresses.values().next()).map(|address| &**address);
        SystemTopics { names, broker_address }
    }

    /// Topics of units (311).
    pub fn unit_topics(&self) -> Vec<&str> {
        self.topics_where(|first| first.topic_sys_flag & FLAG_UNIT != 0)
    }

    /// Topics a unit's consumer subscribes to (312).
    pub fn unit_sub_topics(&self) -> Vec<&str> {
        self.topics_where(|first| first.topic_sys_flag & FLAG_UNIT_SUB != 0)
    }

    /// Topics a unit's consumer subscribes to, that are of no unit themselves (313).
    pub fn unit_sub_ununit_topics(&self) -> Vec<&str> {
        self.topics_where(|first| first.topic_sys_flag & (FLAG_UNIT | FLAG_UNIT_SUB) == FLAG_UNIT_SUB)
    }

    /// As in Java only the first broker's queue data are looked at.
    fn topics_where(&self, is_wanted: impl Fn(&QueueData) -> bool) -> Vec<&str> {
        let is_listed = |brokers: &super::TopicBrokers| brokers.first().is_some_and(|(_, first)| is_wanted(first));
        self.topics.iter().filter(|(_, brokers)| is_listed(brokers)).map(|(topic, _)| &**topic).collect()
    }

    /// Every broker, sorted by name.
    pub fn brokers(&self) -> impl Iterator<Item = BrokerRoute<'_>> {
        self.brokers.iter().map(|(name, broker)| BrokerRoute {
            broker_name: name,
            cluster: &broker.cluster,
            addresses: &broker.addresses,
        })
    }

    /// Clusters with their broker names, both sorted.
    pub fn clusters(&self) -> BTreeMap<&str, Vec<&str>> {
        self.clusters.iter().map(|(cluster, names)| (&**cluster, names.iter().map(|name| &**name).collect())).collect()
    }
}
