//! What a broker runs with, as plain typed fields.
//!
//! Built once at start from [`Values`]; every rule that derives one value from another is here (VIP and HA port, store
//! paths, default addresses). Field docs name the key. Nothing here touches disk or network.

use crate::environment::Environment;
use crate::keys::{CONSUME_QUEUE_UNIT, Role};
use crate::nic;
use crate::replication::ReplicationSettings;
use crate::report::{Report, Severity};
use crate::settings::{
    ServerSettings, check_host, parse_delay_levels, parse_hours, parse_namesrv_addr, port, unsigned,
};
use crate::values::Values;
use std::path::{Path, PathBuf};

/// brokerRole
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerRole {
    AsyncMaster,
    SyncMaster,
    Slave,
}

impl BrokerRole {
    /// As the file says it.
    pub fn name(self) -> &'static str {
        match self {
            BrokerRole::AsyncMaster => "ASYNC_MASTER",
            BrokerRole::SyncMaster => "SYNC_MASTER",
            BrokerRole::Slave => "SLAVE",
        }
    }
}

/// flushDiskType: whether a send is answered before or after its message is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushDiskType {
    Async,
    Sync,
}

/// flushWay: who calls fdatasync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushWay {
    Ring,
    Thread,
    Inline,
    Auto,
}

/// segmentPrepare: what is done to the next commit log file before it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentPrepare {
    /// Space allocated and zeros written, so that a flush touches no metadata.
    Zero,
    /// Space allocated.
    Allocate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerSettings {
    /// The `-c` file as it was named.
    pub config_file: Option<PathBuf>,
    pub rocketmq_home: Option<PathBuf>,

    /// brokerClusterName
    pub cluster_name: String,
    pub broker_name: String,
    pub broker_id: i64,
    pub broker_role: BrokerRole,
    /// brokerPermission: 2 write, 4 read.
    pub broker_permission: i32,
    /// brokerIP1: an IP address or a host name, no port.
    pub broker_ip1: String,
    /// brokerIP2, the same.
    pub broker_ip2: String,
    /// regionId
    pub region_id: String,

    pub listen_port: u16,
    /// listenPort - 2
    pub vip_port: u16,
    /// listenPort + 1
    pub ha_listen_port: u16,
    pub server: ServerSettings,
    /// shardNums
    pub shards: usize,
    pub pin_shards: bool,

    /// namesrvAddr, one `host:port` each; empty: register nowhere.
    pub namesrv_addrs: Vec<String>,
    /// connectTimeoutMillis
    pub connect_timeout_ms: u64,
    /// registerBrokerTimeoutMills
    pub register_timeout_ms: u64,
    /// registerNameServerPeriod
    pub register_interval_ms: u64,
    /// compressedRegister
    pub register_compressed: bool,
    /// forceRegister
    pub register_forced: bool,

    /// defaultTopicQueueNums
    pub default_topic_queues: u32,
    pub auto_create_topic_enable: bool,
    /// autoCreateTopicsMax
    pub auto_create_topics_max: usize,
    pub auto_create_subscription_group: bool,
    pub cluster_topic_enable: bool,
    pub broker_topic_enable: bool,
    /// msgTraceTopicName
    pub trace_topic_name: String,
    pub trace_topic_enable: bool,
    /// traceOn
    pub trace_on: bool,
    pub admin_remote_enable: bool,

    /// startAcceptSendRequestTimeStamp, ms since 1970
    pub accept_sends_from_ms: i64,
    pub long_polling_enable: bool,
    /// shortPollingTimeMills
    pub short_polling_ms: u64,
    pub notify_consumer_ids_changed_enable: bool,
    /// flushConsumerOffsetInterval
    pub consumer_offset_flush_interval_ms: u64,
    /// lockMaxLiveTime
    pub lock_life_ms: u64,

    pub replication: ReplicationSettings,
    pub store: StoreSettings,
}

/// The store of a broker, for `engine`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// storePathRootDir
    pub root: PathBuf,
    /// storePathCommitLog, a directory
    pub commitlog_dir: PathBuf,
    /// storePathConsumeQueue, a directory
    pub consume_queue_dir: PathBuf,
    /// storePathIndex, a directory
    pub index_dir: PathBuf,
    /// storeCheckpoint, a file
    pub checkpoint_path: PathBuf,
    /// abortFile, a file
    pub abort_path: PathBuf,
    /// `config` under the root, a directory
    pub config_dir: PathBuf,
    /// `lock` under the root, a file
    pub lock_path: PathBuf,

    /// mappedFileSizeCommitLog, bytes
    pub segment_size: u64,
    pub segment_prepare: SegmentPrepare,
    /// mappedFileSizeConsumeQueue, bytes, a multiple of 20
    pub consume_queue_file_size: u64,
    /// Set when the file says mapedFileSizeConsumeQueue: the file size a Java broker up to 4.4 makes of it, which takes
    /// the number for bytes although everybody writes units. Files of this size may lie in the store already.
    pub consume_queue_file_size_java44: Option<u64>,
    pub flush_disk_type: FlushDiskType,
    pub flush_way: FlushWay,
    /// flushIntervalCommitLog
    pub flush_interval_ms: u64,
    /// syncFlushTimeout
    pub sync_flush_timeout_ms: u64,

    /// maxMessageSize, bytes of a body
    pub body_size_max: usize,
    /// maxTransferBytesOnMessageInMemory
    pub transfer_size_max_memory: usize,
    /// maxTransferCountOnMessageInMemory
    pub transfer_count_max_memory: usize,
    /// maxTransferBytesOnMessageInDisk
    pub transfer_size_max_disk: usize,
    /// maxTransferCountOnMessageInDisk
    pub transfer_count_max_disk: usize,

    /// accessMessageInMemoryMaxRatio, percent of the host's memory
    pub memory_percent: u8,

    /// messageIndexEnable
    pub index_enable: bool,
    /// maxHashSlotNum
    pub index_slots: u32,
    /// maxIndexNum
    pub index_entries: u32,
    /// maxMsgsNumBatch
    pub query_messages_max: usize,
    /// defaultQueryMaxNum
    pub query_unique_messages_max: usize,

    /// deleteWhen, hours of the day
    pub delete_hours: Vec<u8>,
    /// fileReservedTime, in ms
    pub file_reserved_ms: u64,
    /// cleanResourceInterval
    pub clean_interval_ms: u64,
    /// deleteCommitLogFilesInterval
    pub delete_commitlog_interval_ms: u64,
    /// diskMaxUsedSpaceRatio: expired files go at any hour from here.
    pub disk_used_percent_expired: u8,
    /// diskSpaceCleanForciblyRatio: files not yet expired go from here, if `clean_forcibly`.
    pub disk_used_percent_forcibly: u8,
    /// diskSpaceWarningLevelRatio: sends are refused from here.
    pub disk_used_percent_full: u8,
    /// cleanFileForciblyEnable
    pub clean_forcibly: bool,

    /// messageDelayLevel: delay in ms, level 1 first.
    pub delay_levels_ms: Vec<i64>,
    /// flushDelayOffsetInterval
    pub delay_offset_flush_interval_ms: u64,
}

impl BrokerSettings {
    /// Settings from the values; rules that derive a value write it back so that `-p` shows what runs. A value that
    /// breaks a rule is reported and stands in the settings as its nearest sensible replacement.
    pub(crate) fn build(values: &mut Values, environment: &Environment, report: &mut Report) -> BrokerSettings {
        derive_ports(values, report);
        derive_addresses(values, environment, report);
        let path = |key: &str| values.text(key).map(PathBuf::from);
        let text = |key: &str| values.text(key).unwrap_or_default().to_owned();
        let number = |key: &str| unsigned(values, key);
        BrokerSettings {
            config_file: values.file().map(PathBuf::from),
            rocketmq_home: path("rocketmqHome"),
            cluster_name: required(values, "brokerClusterName", report),
            broker_name: required(values, "brokerName", report),
            broker_id: values.number("brokerId"),
            broker_role: match values.text("brokerRole") {
                Some("SLAVE") => BrokerRole::Slave,
                Some("SYNC_MASTER") => BrokerRole::SyncMaster,
                _ => BrokerRole::AsyncMaster,
            },
            broker_permission: values.number("brokerPermission") as i32,
            broker_ip1: text("brokerIP1"),
            broker_ip2: text("brokerIP2"),
            region_id: text("regionId"),
            listen_port: port(values, "listenPort"),
            vip_port: port(values, "listenPort").saturating_sub(2),
            ha_listen_port: port(values, "haListenPort"),
            server: ServerSettings::read(values, report),
            shards: number("shardNums") as usize,
            pin_shards: values.boolean("pinShards"),
            namesrv_addrs: parsed(values, "namesrvAddr", report, parse_namesrv_addr),
            connect_timeout_ms: number("connectTimeoutMillis"),
            register_timeout_ms: number("registerBrokerTimeoutMills"),
            register_interval_ms: number("registerNameServerPeriod"),
            register_compressed: values.boolean("compressedRegister"),
            register_forced: values.boolean("forceRegister"),
            default_topic_queues: number("defaultTopicQueueNums") as u32,
            auto_create_topic_enable: values.boolean("autoCreateTopicEnable"),
            auto_create_topics_max: number("autoCreateTopicsMax") as usize,
            auto_create_subscription_group: values.boolean("autoCreateSubscriptionGroup"),
            cluster_topic_enable: values.boolean("clusterTopicEnable"),
            broker_topic_enable: values.boolean("brokerTopicEnable"),
            trace_topic_name: required(values, "msgTraceTopicName", report),
            trace_topic_enable: values.boolean("traceTopicEnable"),
            trace_on: values.boolean("traceOn"),
            admin_remote_enable: values.boolean("adminRemoteEnable"),
            accept_sends_from_ms: values.number("startAcceptSendRequestTimeStamp"),
            long_polling_enable: values.boolean("longPollingEnable"),
            short_polling_ms: number("shortPollingTimeMills"),
            notify_consumer_ids_changed_enable: values.boolean("notifyConsumerIdsChangedEnable"),
            consumer_offset_flush_interval_ms: number("flushConsumerOffsetInterval"),
            lock_life_ms: number("lockMaxLiveTime"),
            replication: ReplicationSettings::read(values, report),
            store: StoreSettings::read(values, report),
        }
    }
}

impl StoreSettings {
    fn read(values: &Values, report: &mut Report) -> StoreSettings {
        let number = |key: &str| unsigned(values, key);
        let size = |key: &str| unsigned(values, key) as usize;
        let root = PathBuf::from(required(values, "storePathRootDir", report));
        let under = |key: &str, name: &str| values.text(key).map_or_else(|| root.join(name), PathBuf::from);
        let unit = CONSUME_QUEUE_UNIT as u64;
        let whole_units = |bytes: u64| bytes.div_ceil(unit).saturating_mul(unit);
        StoreSettings {
            commitlog_dir: under("storePathCommitLog", "commitlog"),
            consume_queue_dir: under("storePathConsumeQueue", "consumequeue"),
            index_dir: under("storePathIndex", "index"),
            checkpoint_path: under("storeCheckpoint", "checkpoint"),
            abort_path: under("abortFile", "abort"),
            config_dir: root.join("config"),
            lock_path: root.join("lock"),
            segment_size: number("mappedFileSizeCommitLog"),
            segment_prepare: match values.text("segmentPrepare") {
                Some("allocate") => SegmentPrepare::Allocate,
                _ => SegmentPrepare::Zero,
            },
            consume_queue_file_size: whole_units(number("mappedFileSizeConsumeQueue")),
            consume_queue_file_size_java44: values
                .written_as("mappedFileSizeConsumeQueue")
                .and_then(|(_, written)| written.parse().ok())
                .map(whole_units),
            flush_disk_type: match values.text("flushDiskType") {
                Some("SYNC_FLUSH") => FlushDiskType::Sync,
                _ => FlushDiskType::Async,
            },
            flush_way: match values.text("flushWay") {
                Some("thread") => FlushWay::Thread,
                Some("inline") => FlushWay::Inline,
                Some("ring") => FlushWay::Ring,
                _ => FlushWay::Auto,
            },
            flush_interval_ms: number("flushIntervalCommitLog"),
            sync_flush_timeout_ms: number("syncFlushTimeout"),
            body_size_max: size("maxMessageSize"),
            transfer_size_max_memory: size("maxTransferBytesOnMessageInMemory"),
            transfer_count_max_memory: size("maxTransferCountOnMessageInMemory"),
            transfer_size_max_disk: size("maxTransferBytesOnMessageInDisk"),
            transfer_count_max_disk: size("maxTransferCountOnMessageInDisk"),
            memory_percent: number("accessMessageInMemoryMaxRatio") as u8,
            index_enable: values.boolean("messageIndexEnable"),
            index_slots: number("maxHashSlotNum") as u32,
            index_entries: number("maxIndexNum") as u32,
            query_messages_max: size("maxMsgsNumBatch"),
            query_unique_messages_max: size("defaultQueryMaxNum"),
            delete_hours: parsed(values, "deleteWhen", report, parse_hours),
            file_reserved_ms: number("fileReservedTime").saturating_mul(3_600_000),
            clean_interval_ms: number("cleanResourceInterval"),
            delete_commitlog_interval_ms: number("deleteCommitLogFilesInterval"),
            disk_used_percent_expired: number("diskMaxUsedSpaceRatio") as u8,
            disk_used_percent_forcibly: number("diskSpaceCleanForciblyRatio") as u8,
            disk_used_percent_full: number("diskSpaceWarningLevelRatio") as u8,
            clean_forcibly: values.boolean("cleanFileForciblyEnable"),
            delay_levels_ms: parsed(values, "messageDelayLevel", report, parse_delay_levels),
            delay_offset_flush_interval_ms: number("flushDelayOffsetInterval"),
            root,
        }
    }

    /// The store's files and directories with the key that places each, root first.
    pub fn paths(&self) -> [(&'static str, &Path); 8] {
        [
            ("storePathRootDir", &self.root),
            ("storePathCommitLog", &self.commitlog_dir),
            ("storePathConsumeQueue", &self.consume_queue_dir),
            ("storePathIndex", &self.index_dir),
            ("storeCheckpoint", &self.checkpoint_path),
            ("abortFile", &self.abort_path),
            ("storePathRootDir/config", &self.config_dir),
            ("storePathRootDir/lock", &self.lock_path),
        ]
    }
}

fn required(values: &Values, key: &str, report: &mut Report) -> String {
    let text = values.text(key).unwrap_or_default();
    if text.is_empty() {
        values.say(
            report,
            Severity::Error,
            key,
            format!("{key} is empty; give it a value or remove it for its default"),
        );
    }
    text.to_owned()
}

/// A value with a form of its own; a broken one is reported and read as empty.
fn parsed<T: std::default::Default>(
    values: &Values,
    key: &str,
    report: &mut Report,
    parse: impl Fn(&str) -> Result<T, String>,
) -> T {
    let text = values.text(key).unwrap_or_default();
    parse(text).unwrap_or_else(|problem| {
        values.say(report, Severity::Error, key, format!("{key}={text}: {problem}"));
        T::default()
    })
}

/// The HA port is always listenPort + 1 in RocketMQ 4.x, whatever the file says.
fn derive_ports(values: &mut Values, report: &mut Report) {
    let ha_port = values.number("listenPort").saturating_add(1);
    let configured = values.number("haListenPort");
    if values.is_set("haListenPort") && configured != ha_port {
        let text =
            format!("haListenPort={configured} does not count: replication takes listenPort + 1, that is {ha_port}");
        values.say(report, Severity::Warning, "haListenPort", text);
    }
    values.derive("haListenPort", ha_port.to_string());
}

fn derive_addresses(values: &mut Values, environment: &Environment, report: &mut Report) {
    if values.role() == Role::AllInOne && values.text("namesrvAddr").is_none_or(str::is_empty) {
        let bound = values.text("bindAddress").unwrap_or_default();
        let host = match bound.parse() {
            Ok(std::net::IpAddr::V4(v4)) if !v4.is_unspecified() => v4.to_string(),
            Ok(std::net::IpAddr::V6(v6)) if !v6.is_unspecified() => format!("[{v6}]"),
            _ => "127.0.0.1".into(),
        };
        let addr = format!("{host}:{}", values.number("namesrvListenPort"));
        values.derive("namesrvAddr", addr);
    }
    for key in ["brokerIP1", "brokerIP2"] {
        let text = values.text(key).unwrap_or_default();
        // A name or an address; the port is announced apart from it.
        let sound = text.parse::<std::net::IpAddr>().is_ok() || check_host(text).is_ok();
        if values.is_set(key) && !sound {
            let text = format!("{key}={text}: an IP address or host name without a port expected");
            values.say(report, Severity::Error, key, text);
        }
    }
    // An empty list means that nobody enumerated the cards, as in a check of a file for another host.
    let guessed = !values.is_set("brokerIP1") && values.role() == Role::Broker && !environment.interfaces.is_empty();
    if guessed && let Some(text) = nic::warning(&nic::rank(&environment.interfaces)) {
        values.say(report, Severity::Warning, "brokerIP1", text);
    }
}
