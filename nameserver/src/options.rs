//! What a name server is started with, and what of it may change while it runs.
//!
//! Owns the rule which keys UPDATE_NAMESRV_CONFIG may touch. Does no I/O.

use std::net::SocketAddr;

use config::{NamesrvSettings, Properties, Role, Values, keys, print};

/// Everything a name server needs to start.
#[derive(Clone, Debug)]
pub struct NamesrvOptions {
    /// The configuration. `listen_port` 0 lets the system choose a port.
    pub settings: NamesrvSettings,
    /// Every setting as GET_NAMESRV_CONFIG shows it.
    pub properties: Properties,
    /// The core the thread is bound to; None leaves it free.
    pub cpu: Option<usize>,
}

impl NamesrvOptions {
    /// A configuration as it was loaded; the thread is left free.
    pub fn new(settings: NamesrvSettings, values: &Values) -> NamesrvOptions {
        NamesrvOptions { settings, properties: Properties::parse(print::config_body(values).as_bytes()), cpu: None }
    }

    /// Where to listen.
    pub fn bind_address(&self) -> SocketAddr {
        SocketAddr::new(self.settings.server.bind_address, self.settings.listen_port)
    }
}

/// What UPDATE_NAMESRV_CONFIG may do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Takes effect at once.
    Now,
    /// A path or a list that guards paths: never changed over the network (CVE-2023-37582).
    Forbidden,
    /// Read at start only.
    AtStart,
    /// No key of a name server.
    Unknown,
}

/// The key whose change takes effect at once.
pub const ORDER_MESSAGE_ENABLE: &str = "orderMessageEnable";

/// Java's black list of 4.9.8; longer than that of 4.9.7, which left two of these open.
const FORBIDDEN: [&str; 4] = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

/// The rule for `key`.
pub fn change_of(key: &str) -> Change {
    if key == ORDER_MESSAGE_ENABLE {
        Change::Now
    } else if FORBIDDEN.contains(&key) {
        Change::Forbidden
    } else if keys::find(Role::Namesrv, key).is_some() {
        Change::AtStart
    } else {
        Change::Unknown
    }
}
