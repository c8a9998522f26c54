//! The body of HEART_BEAT. Plain values, any core.

use serde::{Deserialize, Serialize};

use super::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};

/// What a client says every 30 s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HeartbeatData {
    /// `ip@instance`, unique in each group.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Its consumer groups.
    pub consumer_data_set: Vec<ConsumerData>,
    /// Its producer groups.
    pub producer_data_set: Vec<ProducerData>,
}

/// One producer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerData {
    /// Name.
    pub group_name: String,
}

/// One consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerData {
    /// Where the group begins when it is new.
    pub consume_from_where: ConsumeFromWhere,
    /// Push consumers are passive, pull consumers active.
    pub consume_type: ConsumeType,
    /// Name.
    pub group_name: String,
    /// Whether members share messages.
    pub message_model: MessageModel,
    /// All subscriptions; a topic missing here is no longer subscribed.
    pub subscription_data_set: Vec<SubscriptionData>,
    /// Marks the retry topic.
    pub unit_mode: bool,
}
