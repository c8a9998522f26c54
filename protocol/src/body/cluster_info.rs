//! All brokers of all clusters. Plain value, any core.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::BrokerData;

/// The answer to GET_BROKER_CLUSTER_INFO. Java 4.9.7 always writes it in fastjson's form, see
/// [`super::Body::to_fastjson`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterInfo {
    /// Brokers by name.
    pub broker_addr_table: BTreeMap<String, BrokerData>,
    /// Names of brokers by cluster.
    pub cluster_addr_table: BTreeMap<String, BTreeSet<String>>,
}
