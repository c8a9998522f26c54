//! The version of a table: equal versions mean equal content. Plain value, any core.

use serde::{Deserialize, Serialize};

/// Counter and time of a table's last change. Equality compares both, as Java does; 5.x's stateVersion is not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataVersion {
    /// Changes so far.
    pub counter: i64,
    /// When the last change happened, ms.
    pub timestamp: i64,
}

impl DataVersion {
    /// The version after one more change at `now`, ms.
    pub fn next(self, now: i64) -> DataVersion {
        DataVersion { counter: self.counter.wrapping_add(1), timestamp: now }
    }
}
