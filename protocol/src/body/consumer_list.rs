//! The members of a group. Plain value, any core.

use serde::{Deserialize, Serialize};

/// The answer to GET_CONSUMER_LIST_BY_GROUP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerListByGroup {
    /// Client ids.
    pub consumer_id_list: Vec<String>,
}
