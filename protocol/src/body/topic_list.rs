//! A list of topics. Plain value, any core.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Topics, and for system topics a broker that knows of more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicList {
    /// Any broker, for a client to ask next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_addr: Option<String>,
    /// Names.
    pub topic_list: BTreeSet<String>,
}
