//! What the broker needs of its configuration, checked and in its own units.
//!
//! Owns no state. `startup` fills it from the `config` crate's settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use config::{BrokerRole, ReplicationSettings};

/// Settings of one broker, fixed while it runs.
#[derive(Clone)]
pub struct BrokerOptions {
    /// `brokerClusterName`.
    pub cluster: String,
    /// `brokerName`.
    pub name: String,
    /// `brokerId`; 0 is the master.
    pub id: i64,
    /// `brokerRole`.
    pub role: BrokerRole,
    /// What master and slaves agree on: the `ha…` keys and those of reading from slaves.
    pub replication: ReplicationSettings,
    /// brokerIP1 and listenPort: what clients are told, part of store hosts and message ids.
    pub advertised: SocketAddr,
    /// brokerIP2 and haListenPort: what slaves are told.
    pub ha_advertised: String,
    /// Where a master listens for slaves: listenPort + 1.
    pub ha_listen: SocketAddr,
    /// Where to listen; the first is listenPort, the second the VIP port listenPort − 2.
    pub listen: Vec<SocketAddr>,
    /// Nameserver addresses `host:port`.
    pub nameservers: Vec<String>,
    /// `registerNameServerPeriod`, ms, within 10,000 and 60,000.
    pub register_period_ms: u64,
    /// `registerBrokerTimeoutMills`.
    pub register_timeout_ms: u64,
    /// `connectTimeoutMillis`.
    pub connect_timeout_ms: u64,
    /// `compressedRegister`.
    pub compressed_register: bool,
    /// `forceRegister`.
    pub force_register: bool,
    /// `brokerPermission`: 2 write, 4 read.
    pub permission: i32,
    /// `autoCreateTopicEnable`, queues of TBW102 and the like.
    pub topics: crate::topics::TopicPolicy,
    /// `autoCreateSubscriptionGroup`.
    pub auto_create_groups: bool,
    /// `maxMessageSize`, bytes of a body.
    pub message_size_max: usize,
    /// `regionId`, echoed to producers.
    pub region: String,
    /// `traceOn`, echoed to producers.
    pub trace_on: bool,
    /// `startAcceptSendRequestTimeStamp`, ms.
    pub accept_sends_from_ms: i64,
    /// `longPollingEnable`.
    pub long_polling: bool,
    /// `shortPollingTimeMills`.
    pub short_polling_ms: i64,
    /// `notifyConsumerIdsChangedEnable`.
    pub notify_consumers: bool,
    /// `messageDelayLevel`, ms each.
    pub delay_levels_ms: Vec<i64>,
    /// `flushConsumerOffsetInterval`, ms.
    pub progress_interval_ms: i64,
    /// `flushDelayOffsetInterval`, ms.
    pub delay_interval_ms: i64,
    /// `maxMsgsNumBatch`.
    pub query_max: usize,
    /// `defaultQueryMaxNum`.
    pub unique_query_max: usize,
    /// `accessMessageInMemoryMaxRatio` of RAM in bytes: what lags further counts as "on disk".
    pub memory_distance_bytes: i64,
    /// `store/config`.
    pub config_dir: PathBuf,
    /// The -c file, for request 26 and messages to operators.
    pub config_file: Option<PathBuf>,
    /// Everything the store needs.
    pub store: engine::StoreOptions,
    /// `flushWay=ring`: the flusher runs on shard 0's ring; otherwise on its own thread.
    pub flush_on_ring: bool,
    /// Pin shard n to this CPU.
    pub cpus: Vec<Option<usize>>,
    /// Bound of pulls held on one shard.
    pub holds_max: usize,
    /// Limits of connections.
    pub server: config::ServerSettings,
    /// `adminRemoteEnable`: other hosts may change topics, groups and offsets.
    pub admin_remote: bool,
    /// `lockMaxLiveTime`.
    pub lock_life_ms: i64,
    /// All settings as text, for request 26 and `-p`.
    pub config_text: String,
}

impl BrokerOptions {
    /// Whether this broker copies a master instead of taking messages itself.
    pub fn is_slave(&self) -> bool {
        self.role == BrokerRole::Slave
    }
}
