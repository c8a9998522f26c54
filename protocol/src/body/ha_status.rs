//! The answer to GET_BROKER_HA_STATUS, which 5.x has: a master's slaves, or a slave's link. Plain values, any core.

use serde::{Deserialize, Serialize};

/// Replication as a broker sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HaRuntimeInfo {
    /// A slave's link; empty on a master.
    pub ha_client_runtime_info: HaClientRuntimeInfo,
    /// A master's slaves.
    pub ha_connection_info: Vec<HaConnectionRuntimeInfo>,
    /// How many of them are near enough to the end to be waited for.
    pub in_sync_slave_nums: i32,
    /// Whether the broker is a master.
    pub master: bool,
    /// End of the master's log, bytes; 0 on a slave.
    pub master_commit_log_max_offset: i64,
}

/// One slave of a master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HaConnectionRuntimeInfo {
    /// Its end of the connection, `ip:port`.
    pub addr: String,
    /// Bytes of the log it has not confirmed.
    pub diff: i64,
    /// Whether it is near enough to the end to be waited for.
    pub in_sync: bool,
    /// It has everything before this offset.
    pub slave_ack_offset: i64,
    /// Offset of the next byte it is sent.
    pub transfer_from_where: i64,
    /// Bytes it was sent in the last second.
    pub transferred_byte_in_second: i64,
}

/// A slave's link to its master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HaClientRuntimeInfo {
    /// When it last read from the link, ms since 1970; 0 if that is not kept.
    pub last_read_timestamp: i64,
    /// When it last wrote to it, the same.
    pub last_write_timestamp: i64,
    /// `ip:port` it copies from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_addr: Option<String>,
    /// End of the master's log as far as known, bytes.
    pub master_flush_offset: i64,
    /// End of the slave's own log, bytes.
    pub max_offset: i64,
    /// Bytes it was sent in the last second.
    pub transferred_byte_in_second: i64,
}
