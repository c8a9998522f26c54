//! A topic's configuration, the table of all of them, and topics.json. Plain values, any core.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DataVersion, TopicFilterType};

/// Bit of `perm`: the topic can be read.
pub const PERM_READ: i32 = 4;
/// Bit of `perm`: the topic can be written.
pub const PERM_WRITE: i32 = 2;
/// Bit of `perm`: new topics may be modelled on it.
pub const PERM_INHERIT: i32 = 1;

/// What a broker knows of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfig {
    /// Messages stay in order over the whole topic; set from the nameserver's ORDER_TOPIC_CONFIG.
    pub order: bool,
    /// See the `PERM_` constants.
    pub perm: i32,
    /// Queues consumers read.
    pub read_queue_nums: i32,
    /// Kind of tags.
    pub topic_filter_type: TopicFilterType,
    /// Name.
    pub topic_name: String,
    /// 1 unit, 2 has unit subscription.
    pub topic_sys_flag: i32,
    /// Queues producers write.
    pub write_queue_nums: i32,
}

impl Default for TopicConfig {
    fn default() -> Self {
        TopicConfig {
            order: false,
            perm: PERM_READ | PERM_WRITE,
            read_queue_nums: 16,
            topic_filter_type: TopicFilterType::SingleTag,
            topic_name: String::new(),
            topic_sys_flag: 0,
            write_queue_nums: 16,
        }
    }
}

impl TopicConfig {
    /// A topic with as many queues to read as to write.
    pub fn new(topic_name: impl Into<String>, queue_nums: i32, perm: i32) -> TopicConfig {
        let topic_name = topic_name.into();
        TopicConfig {
            topic_name,
            perm,
            read_queue_nums: queue_nums,
            write_queue_nums: queue_nums,
            ..TopicConfig::default()
        }
    }

    /// Whether consumers may read.
    pub fn is_readable(&self) -> bool {
        self.perm & PERM_READ != 0
    }

    /// Whether producers may write.
    pub fn is_writable(&self) -> bool {
        self.perm & PERM_WRITE != 0
    }
}

/// All topics of a broker with the version of the table: topics.json, the answer to GET_ALL_TOPIC_CONFIG, and the heart
/// of a registration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfigSerializeWrapper {
    /// Version of the table.
    pub data_version: DataVersion,
    /// Topics by name.
    pub topic_config_table: BTreeMap<String, TopicConfig>,
}
