//! Where a topic is served. Plain values, any core.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer to GET_ROUTEINFO_BY_TOPIC. Write it with [`super::Body::to_json`] for requests of version 401 (4.9.4) or
/// later and those that ask for standard JSON, else with [`super::Body::to_fastjson`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicRouteData {
    /// The brokers.
    pub broker_datas: Vec<BrokerData>,
    /// Filter servers by broker address.
    pub filter_server_table: BTreeMap<String, Vec<String>>,
    /// Queues of an order topic: `brokerA:4;brokerB:4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_topic_conf: Option<String>,
    /// The topic's queues on each broker.
    pub queue_datas: Vec<QueueData>,
}

/// The brokers of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerData {
    /// Addresses by broker id; 0 is the master.
    pub broker_addrs: BTreeMap<i64, String>,
    /// Name.
    pub broker_name: String,
    /// Cluster they belong to.
    pub cluster: String,
    /// Read by 5.x alone; a slave that acts as master is none of ours.
    pub enable_acting_master: bool,
}

/// A topic's queues on the brokers of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AnyQueueData", into = "BothQueueData")]
pub struct QueueData {
    /// Name of the brokers.
    pub broker_name: String,
    /// See the `PERM_` constants of the topic.
    pub perm: i32,
    /// Queues consumers read.
    pub read_queue_nums: i32,
    /// 1 unit, 2 has unit subscription.
    pub topic_sys_flag: i32,
    /// Queues producers write.
    pub write_queue_nums: i32,
}

/// As it is read: the flag is spelt topicSynFlag up to 4.8, topicSysFlag from 4.9.0 on.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct AnyQueueData {
    broker_name: String,
    perm: i32,
    read_queue_nums: i32,
    topic_syn_flag: Option<i32>,
    topic_sys_flag: Option<i32>,
    write_queue_nums: i32,
}

/// As it is written: with both spellings, since each reader knows only its own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BothQueueData {
    broker_name: String,
    perm: i32,
    read_queue_nums: i32,
    topic_syn_flag: i32,
    topic_sys_flag: i32,
    write_queue_nums: i32,
}

impl From<AnyQueueData> for QueueData {
    fn from(any: AnyQueueData) -> QueueData {
        QueueData {
            broker_name: any.broker_name,
            perm: any.perm,
            read_queue_nums: any.read_queue_nums,
            topic_sys_flag: any.topic_sys_flag.or(any.topic_syn_flag).unwrap_or_default(),
            write_queue_nums: any.write_queue_nums,
        }
    }
}

impl From<QueueData> for BothQueueData {
    fn from(data: QueueData) -> BothQueueData {
        BothQueueData {
            broker_name: data.broker_name,
            perm: data.perm,
            read_queue_nums: data.read_queue_nums,
            topic_syn_flag: data.topic_sys_flag,
            topic_sys_flag: data.topic_sys_flag,
            write_queue_nums: data.write_queue_nums,
        }
    }
}
