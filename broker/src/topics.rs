//! The broker's topics: which exist, with how many queues and which permission.
//!
//! Owns the master table and its DataVersion. Lives on the home shard; the other shards read copies
//! that are sent to them once a change is durable. No I/O: the caller writes topics.json.

use std::sync::Arc;

use imbl::OrdMap;
use protocol::body::{DataVersion, TopicConfig, TopicConfigSerializeWrapper};
use protocol::topic as names;

use crate::mesh::TableChange;

/// Permission bits of a topic.
pub mod perm {
    /// New topics made from this one get its permission (`PERM_INHERIT`).
    pub const INHERIT: i32 = 1;
    /// Messages may be sent.
    pub const WRITE: i32 = 2;
    /// Messages may be read.
    pub const READ: i32 = 4;
}

/// Auto-created topics stop at this many queues, whatever a client asks for.
pub const AUTO_CREATE_QUEUES_MAX: i32 = 64;

/// Queues a topic may have. Java takes any number and fails later.
pub const QUEUES_MAX: i32 = 65_536;

/// Bits of a topic's system flag.
pub mod sys_flag {
    /// Made by a producer in unit mode.
    pub const UNIT: i32 = 1;
    /// Subscribed by a consumer in unit mode.
    pub const UNIT_SUB: i32 = 2;
}

/// What decides which topics exist from the start and how new ones come to be.
#[derive(Clone, Debug)]
pub struct TopicPolicy {
    /// `autoCreateTopicEnable`.
    pub auto_create: bool,
    /// `autoCreateTopicsMax`: auto-creation stops at this many topics, since a client with random
    /// topic names must not fill the broker.
    pub auto_create_max: usize,
    /// `defaultTopicQueueNums`: queues of TBW102.
    pub default_queues: i32,
    /// `brokerClusterName`.
    pub cluster: String,
    /// `brokerName`.
    pub broker: String,
    /// `clusterTopicEnable`.
    pub cluster_topic: bool,
    /// `brokerTopicEnable`.
    pub broker_topic: bool,
    /// The table follows a master's.
    pub is_slave: bool,
    /// `msgTraceTopicName` when `traceTopicEnable`.
    pub trace_topic: Option<String>,
}

/// Why a topic was not created.
#[derive(Debug, PartialEq, Eq)]
pub enum NoTopic {
    /// There is no such topic and the reason is spelt out for the client.
    Refused(String),
}

/// The master table of topics.
#[derive(Debug)]
pub struct TopicTable {
    policy: TopicPolicy,
    topics: Topics,
    version: DataVersion,
}

/// Topics by name. A copy shares all its nodes with the original, and a change makes the few nodes on its way anew: with
/// tens of thousands of topics a copied map would stop the shard for milliseconds at each new one.
pub type Topics = OrdMap<String, Arc<TopicConfig>>;

/// The table at one moment, for the threads that write and register it.
#[derive(Clone, Debug)]
pub struct TopicSnapshot {
    /// Every topic.
    pub topics: Topics,
    /// The version that belongs to them.
    pub version: DataVersion,
}

impl TopicSnapshot {
    /// What topics.json, request 21 and full registrations carry.
    pub fn wrapper(&self) -> TopicConfigSerializeWrapper {
        TopicConfigSerializeWrapper {
            topic_config_table: self.topics.iter().map(|(name, topic)| (name.clone(), (**topic).clone())).collect(),
            data_version: self.version,
        }
    }
}

fn config(name: &str, read: i32, write: i32, perm: i32) -> TopicConfig {
    TopicConfig {
        topic_name: name.to_owned(),
        read_queue_nums: read,
        write_queue_nums: write,
        perm,
        ..TopicConfig::default()
    }
}

impl TopicTable {
    /// The table with the system topics of Java 4.9.7, over which a loaded topics.json is laid.
    pub fn new(policy: TopicPolicy, loaded: Option<TopicConfigSerializeWrapper>) -> Self {
        let mut topics = Topics::new();
        let mut add = |name: &str, queues: i32, perm: i32| {
            topics.insert(name.to_owned(), Arc::new(config(name, queues, queues, perm)));
        };
        add("SELF_TEST_TOPIC", 1, 6);
        if policy.auto_create {
            add(names::AUTO_CREATE_TOPIC, policy.default_queues, 7);
        }
        add("BenchmarkTest", 1024, 6);
        add(&policy.cluster, 16, if policy.cluster_topic { 7 } else { 1 });
        add(&policy.broker, 1, if policy.broker_topic { 7 } else { 1 });
        add("OFFSET_MOVED_EVENT", 1, 6);
        add(names::SCHEDULE_TOPIC, 18, 6);
        if let Some(trace) = &policy.trace_topic {
            add(trace, 1, 6);
        }
        add(&format!("{}_REPLY_TOPIC", policy.cluster), 1, 6);
        let mut version = DataVersion::default();
        if let Some(loaded) = loaded {
            version = loaded.data_version;
            for (name, mut topic) in loaded.topic_config_table {
                topic.topic_name.clone_from(&name);
                topics.insert(name, Arc::new(topic));
            }
        }
        TopicTable { policy, topics, version }
    }

    /// The topic, if it exists.
    pub fn get(&self, name: &str) -> Option<&Arc<TopicConfig>> {
        self.topics.get(name)
    }

    /// Every topic, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TopicConfig>> {
        self.topics.values()
    }

    /// How many topics there are.
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether there are none; system topics are always there.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Version of the whole table: what nameservers and slaves compare.
    pub fn version(&self) -> &DataVersion {
        &self.version
    }

    /// Creates or replaces (request 17, or a loaded change).
    pub fn put(&mut self, now_ms: i64, topic: TopicConfig) -> Arc<TopicConfig> {
        let topic = Arc::new(topic);
        self.topics.insert(topic.topic_name.clone(), topic.clone());
        self.changed(now_ms);
        topic
    }

    /// Removes a topic; whether it was there.
    pub fn remove(&mut self, now_ms: i64, name: &str) -> bool {
        let was = self.topics.contains_key(name);
        if was {
            self.topics.remove(name);
            self.changed(now_ms);
        }
        was
    }

    /// The topic a send names, made from `default_topic` if it may be (Java 4.9.7:
    /// `createTopicInSendMessageMethod`): min(client's number, default topic's) queues, its
    /// permission without the inherit bit.
    pub fn create_on_send(
        &mut self,
        now_ms: i64,
        name: &str,
        default_topic: &str,
        client_queues: i32,
        topic_sys_flag: i32,
    ) -> Result<Arc<TopicConfig>, NoTopic> {
        if let Some(topic) = self.topics.get(name) {
            return Ok(topic.clone());
        }
        let refused = |why: String| Err(NoTopic::Refused(why));
        let Some(default) = self.topics.get(default_topic).cloned() else {
            return refused(if self.policy.auto_create {
                format!("the default topic {default_topic:?} does not exist on this broker")
            } else {
                "autoCreateTopicEnable=false: create it first".to_owned()
            });
        };
        let auto = default_topic == names::AUTO_CREATE_TOPIC;
        if auto && !self.policy.auto_create {
            return refused("autoCreateTopicEnable=false: create it first".to_owned());
        }
        if default.perm & perm::INHERIT == 0 {
            return refused(format!(
                "the default topic {default_topic:?} has no inherit permission (perm {})",
                default.perm
            ));
        }
        if self.topics.len() >= self.policy.auto_create_max {
            return refused(format!(
                "this broker has {} topics, autoCreateTopicsMax={}",
                self.topics.len(),
                self.policy.auto_create_max
            ));
        }
        let queues = client_queues.min(default.write_queue_nums).clamp(0, AUTO_CREATE_QUEUES_MAX);
        let mut topic = config(name, queues, queues, default.perm & !perm::INHERIT);
        topic.topic_filter_type = default.topic_filter_type;
        topic.topic_sys_flag = topic_sys_flag;
        Ok(self.put(now_ms, topic))
    }

    /// A topic the broker itself needs: %RETRY%, %DLQ%; made whatever auto-creation says.
    pub fn create_own(
        &mut self,
        now_ms: i64,
        name: &str,
        queues: i32,
        perm: i32,
        topic_sys_flag: i32,
    ) -> Arc<TopicConfig> {
        if let Some(topic) = self.topics.get(name) {
            return topic.clone();
        }
        let mut topic = config(name, queues, queues, perm);
        topic.topic_sys_flag = topic_sys_flag;
        self.put(now_ms, topic)
    }

    /// Takes another broker's table with its version; what differs, or `None` when it is this one already.
    pub fn replace(&mut self, other: TopicSnapshot) -> Option<Vec<TableChange>> {
        if self.version == other.version {
            return None;
        }
        let gone = self.topics.keys().filter(|name| !other.topics.contains_key(*name));
        let mut changes: Vec<_> = gone.map(|name| TableChange::TopicForgotten(name.clone())).collect();
        let differs = |topic: &Arc<TopicConfig>| self.topics.get(&topic.topic_name) != Some(topic);
        changes.extend(other.topics.values().filter(|topic| differs(topic)).cloned().map(TableChange::Topic));
        self.topics = other.topics;
        self.version = other.version;
        Some(changes)
    }

    /// The table as it is now; cheap.
    pub fn snapshot(&self) -> TopicSnapshot {
        TopicSnapshot { topics: self.topics.clone(), version: self.version }
    }

    /// A slave's version is its master's: what the slave adds for its readers has none, or each copy would undo it.
    fn changed(&mut self, now_ms: i64) {
        if self.policy.is_slave {
            return;
        }
        self.version.counter += 1;
        self.version.timestamp = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(auto_create: bool) -> TopicPolicy {
        TopicPolicy {
            auto_create,
            auto_create_max: 1000,
            default_queues: 8,
            cluster: "DefaultCluster".into(),
            broker: "broker-a".into(),
            cluster_topic: true,
            broker_topic: true,
            is_slave: false,
            trace_topic: None,
        }
    }

    #[test]
    fn sends_make_topics_from_the_default_topic() {
        let mut table = TopicTable::new(policy(true), None);
        for (asked, made) in [(4, 4), (16, 8), (-1, 0)] {
            let name = format!("T{made}");
            let topic = table.create_on_send(1, &name, "TBW102", asked, 0).unwrap();
            assert_eq!((topic.read_queue_nums, topic.write_queue_nums, topic.perm), (made, made, 6), "{asked}");
        }
        assert_eq!(table.version().counter, 3);
        table.create_on_send(2, "T4", "TBW102", 8, 0).unwrap();
        assert_eq!(table.version().counter, 3, "it was there");
        let NoTopic::Refused(why) = table.create_on_send(1, "X", "SELF_TEST_TOPIC", 4, 0).unwrap_err();
        assert!(why.contains("inherit"), "{why}");
    }

    #[test]
    fn without_auto_creation_the_remark_names_the_key() {
        let mut table = TopicTable::new(policy(false), None);
        let NoTopic::Refused(why) = table.create_on_send(1, "T", "TBW102", 4, 0).unwrap_err();
        assert!(why.contains("autoCreateTopicEnable=false"), "{why}");
        assert_eq!(table.create_own(1, "%RETRY%g", 1, 6, 0).perm, 6, "retry topics come all the same");
    }

    #[test]
    fn a_slave_takes_its_masters_table() {
        let mut master = TopicTable::new(policy(true), None);
        master.put(5, config("T", 4, 4, 6));
        let mut slave = TopicTable::new(TopicPolicy { is_slave: true, ..policy(true) }, None);
        slave.put(4, config("T", 1, 1, 6));
        slave.create_own(3, "own", 1, 6, 0);
        let changes = slave.replace(master.snapshot()).expect("another version");
        let text = format!("{changes:?}");
        assert!(changes.len() == 2 && text.contains("TopicForgotten(\"own\")") && text.contains("\"T\""), "{text}");
        assert_eq!((slave.version(), slave.get("T")), (master.version(), master.get("T")));
        assert!(slave.get("own").is_none());
        slave.create_own(6, "%RETRY%g", 1, 6, 0);
        assert!(slave.replace(master.snapshot()).is_none(), "the same version: what the slave added stays");
        assert!(slave.get("%RETRY%g").is_some());
    }

    #[test]
    fn a_loaded_file_overrides_system_topics() {
        let mut loaded = TopicConfigSerializeWrapper::default();
        loaded.topic_config_table.insert("BenchmarkTest".into(), config("BenchmarkTest", 3, 3, 6));
        loaded.data_version.counter = 9;
        let table = TopicTable::new(policy(true), Some(loaded));
        assert_eq!(table.get("BenchmarkTest").unwrap().read_queue_nums, 3);
        assert_eq!(table.version().counter, 9);
        assert!(table.get("SCHEDULE_TOPIC_XXXX").is_some());
    }
}
