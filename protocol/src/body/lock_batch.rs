//! Locking and unlocking queues for orderly consumption. Plain values, any core.

use serde::{Deserialize, Serialize};

use super::MessageQueue;

/// The body of LOCK_BATCH_MQ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LockBatchRequestBody {
    /// Who locks.
    pub client_id: String,
    /// For which group.
    pub consumer_group: String,
    /// Which queues.
    pub mq_set: Vec<MessageQueue>,
}

/// The body of UNLOCK_BATCH_MQ, of the same shape.
pub type UnlockBatchRequestBody = LockBatchRequestBody;

/// The answer to LOCK_BATCH_MQ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockBatchResponseBody {
    /// The queues that are now locked by the asker.
    #[serde(rename = "lockOKMQSet")]
    pub lock_ok_mq_set: Vec<MessageQueue>,
}
