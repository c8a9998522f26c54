//! The body of the messages in OFFSET_MOVED_EVENT. Plain value, any core.

use serde::{Deserialize, Serialize};

use super::MessageQueue;

/// A pull asked for an offset that is not there and was told another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OffsetMovedEvent {
    /// Who pulled.
    pub consumer_group: String,
    /// From where.
    pub message_queue: MessageQueue,
    /// What it was told.
    pub offset_new: i64,
    /// What it asked for.
    pub offset_request: i64,
}
