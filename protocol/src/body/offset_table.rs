//! consumerOffset.json and delayOffset.json. Plain values, any core.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Offsets of all groups: `topic@group` → queue → offset. Java writes it with bare queue ids, see
/// [`super::Body::to_fastjson`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerOffsetTable {
    /// The table.
    pub offset_table: BTreeMap<String, BTreeMap<i32, i64>>,
}

impl ConsumerOffsetTable {
    /// The key of a topic and group. Neither can contain an `@`.
    pub fn key(topic: &str, group: &str) -> String {
        format!("{topic}@{group}")
    }

    /// Topic and group of a key; `None` unless it has exactly two parts.
    pub fn split_key(key: &str) -> Option<(&str, &str)> {
        key.split_once('@').filter(|(topic, group)| !topic.is_empty() && !group.is_empty() && !group.contains('@'))
    }
}

/// How far each delay level was delivered: level → offset in its queue. Java writes it with bare levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DelayOffsetTable {
    /// The table.
    pub offset_table: BTreeMap<i32, i64>,
}
