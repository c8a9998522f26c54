//! A list of groups. Plain value, any core.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The answer to QUERY_TOPIC_CONSUME_BY_WHO.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupList {
    /// Names.
    pub group_list: BTreeSet<String>,
}
