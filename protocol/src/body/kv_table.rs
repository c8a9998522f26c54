//! A table of strings: KV configuration, runtime info. Plain value, any core.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KvTable {
    /// The table.
    pub table: BTreeMap<String, String>,
}
