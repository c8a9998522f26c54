//! The state one name server answers from.
//!
//! Owns route table, key-value configuration and running settings; one value, on the name server's thread.

use crate::kv_config::{KvConfig, LoadError};
use crate::options::NamesrvOptions;
use crate::route_table::{BROKERS_MAX, RouteTable, TOPICS_MAX};

/// See the module's header.
pub struct Namesrv {
    /// Who serves what.
    pub table: RouteTable,
    /// The key-value configuration.
    pub kv: KvConfig,
    /// The settings as they are now.
    pub options: NamesrvOptions,
}

impl Namesrv {
    /// Loads the key-value file; the routes start empty. `now_ms`: milliseconds since 1970.
    pub fn load(options: NamesrvOptions, now_ms: i64) -> Result<Namesrv, LoadError> {
        let (kv, line) = KvConfig::load(&options.settings.kv_config_path)?;
        if let Some(line) = line {
            tracing::warn!("{line}");
        }
        let expiry_ms = i64::try_from(options.settings.broker_expiry_ms).unwrap_or(i64::MAX);
        let table = RouteTable::with_bounds(now_ms, TOPICS_MAX, BROKERS_MAX, expiry_ms);
        Ok(Namesrv { table, kv, options })
    }
}
