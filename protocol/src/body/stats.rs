//! Offsets by queue, for tools. Keyed by queues, so written with [`super::Body::to_fastjson`]. Plain values, any core.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::message_queue::{MessageQueue, as_key};

/// The answer to GET_TOPIC_STATS_INFO.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicStatsTable {
    /// Offsets by queue.
    #[serde(with = "as_key")]
    pub offset_table: BTreeMap<MessageQueue, TopicOffset>,
}

/// Where a queue begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicOffset {
    /// When its last message was stored, ms.
    pub last_update_timestamp: i64,
    /// Next offset to be written.
    pub max_offset: i64,
    /// First offset still stored.
    pub min_offset: i64,
}

/// The answer to GET_CONSUME_STATS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeStats {
    /// Messages a second.
    pub consume_tps: f64,
    /// Progress by queue.
    #[serde(with = "as_key")]
    pub offset_table: BTreeMap<MessageQueue, OffsetWrapper>,
}

/// A group's progress in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OffsetWrapper {
    /// Next offset to be written.
    pub broker_offset: i64,
    /// Next offset to be consumed.
    pub consumer_offset: i64,
    /// When the last consumed message was stored, ms.
    pub last_timestamp: i64,
}
