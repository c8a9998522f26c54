//! The JSON bodies of requests and responses and the tables on disk, one noun a file.
//!
//! Members are spelt as Java's beans are, misspelt ones too, and stand in alphabetical order as fastjson writes them.
//! Reading tolerates unknown members, nulls, missing members (Java's defaults) and fastjson's wider syntax. Knows
//! nothing of who sends what when. Any core.

mod check_client;
mod cluster_info;
mod connection;
mod consumer_list;
mod data_version;
mod enums;
mod group_list;
mod ha_status;
mod heartbeat;
mod kv_table;
mod lock_batch;
pub mod message_queue;
mod offset_moved_event;
mod offset_table;
pub mod register;
mod route;
mod stats;
mod subscription;
mod subscription_group;
mod topic_config;
mod topic_list;

pub use check_client::CheckClientRequestBody;
pub use cluster_info::ClusterInfo;
pub use connection::{Connection, ConsumerConnection, ProducerConnection};
pub use consumer_list::ConsumerListByGroup;
pub use data_version::DataVersion;
pub use enums::{ConsumeFromWhere, ConsumeType, MessageModel, TopicFilterType};
pub use group_list::GroupList;
pub use ha_status::{HaClientRuntimeInfo, HaConnectionRuntimeInfo, HaRuntimeInfo};
pub use heartbeat::{ConsumerData, HeartbeatData, ProducerData};
pub use kv_table::KvTable;
pub use lock_batch::{LockBatchRequestBody, LockBatchResponseBody, UnlockBatchRequestBody};
pub use message_queue::MessageQueue;
pub use offset_moved_event::OffsetMovedEvent;
pub use offset_table::{ConsumerOffsetTable, DelayOffsetTable};
pub use register::RegisterBrokerBody;
pub use route::{BrokerData, QueueData, TopicRouteData};
pub use stats::{ConsumeStats, OffsetWrapper, TopicOffset, TopicStatsTable};
pub use subscription::{EXPRESSION_SQL92, EXPRESSION_TAG, SUBSCRIBE_ALL, SubscriptionData, SubscriptionError};
pub use subscription_group::{SubscriptionGroupConfig, SubscriptionGroupWrapper};
pub use topic_config::{PERM_INHERIT, PERM_READ, PERM_WRITE, TopicConfig, TopicConfigSerializeWrapper};
pub use topic_list::TopicList;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json::{self, JsonError};

/// Reading and writing of all bodies.
pub trait Body: Serialize + DeserializeOwned {
    /// Reads standard JSON or what fastjson writes.
    fn from_json(text: &[u8]) -> Result<Self, JsonError> {
        json::read(text)
    }

    /// Writes standard JSON, compact.
    fn to_json(&self) -> Vec<u8> {
        json::write(self)
    }

    /// Writes what fastjson writes: bare integer keys, objects for keys. For readers that expect just that.
    fn to_fastjson(&self) -> Vec<u8> {
        json::fastjson::write(self)
    }
}

impl<T: Serialize + DeserializeOwned> Body for T {}

#[cfg(test)]
mod tests;
