//! A queue of a topic on a broker, alone and as the key of a map. Plain value, any core.

use serde::{Deserialize, Serialize};

/// One queue. Its members stand in this order wherever it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MessageQueue {
    /// Name of the broker.
    pub broker_name: String,
    /// Place among the topic's queues on that broker.
    pub queue_id: i32,
    /// Topic.
    pub topic: String,
}

/// For `#[serde(with)]` on maps keyed by queues: the key is the queue's compact JSON, which
/// [`super::Body::to_fastjson`] puts there as an object, the way Java reads it.
pub(super) mod as_key {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::MessageQueue;

    pub fn serialize<V: Serialize, S: Serializer>(
        map: &BTreeMap<MessageQueue, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(queue, value)| {
            let key = serde_json::to_string(queue).unwrap_or_default();
            (key, value)
        }))
    }

    pub fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<MessageQueue, V>, D::Error> {
        BTreeMap::deserialize(deserializer)
    }
}
