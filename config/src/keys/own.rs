//! Keys that Java's objects do not have: this broker's own, keys users write that Java ignores, keys of other versions,
//! and what Java only takes as system properties.

use super::*;

const OLD_TRANSACTIONS: &str = "a key of RocketMQ 3; 4.9.7 ignores it";

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    // Threads and addresses.
    computed("shardNums", Kind::Number { java: "int", min: 1, max: SHARDS_MAX, clamp: false }, Formula::Shards).live("shards: threads that serve requests, each with its own queues"),
    boolean("pinShards", true).live("bind each shard to a core, where there is a core for each"),
    computed("bindAddress", Kind::Text, Formula::BindAddress).live("address the listening sockets are bound to"),
    int_in("namesrvListenPort", "9876", 1, 65_535).live("port of the nameserver when ringmq runs it beside the broker"),
    boolean("adminRemoteEnable", true).live("allow other hosts to change topics, groups and offsets while access control is off"),
    // Files; 4.x files in the field name them, Java has no setter for them.
    null_path("storePathConsumeQueue").live("directory of consume queues; unset: consumequeue under the root"),
    null_path("storePathIndex").live("directory of index files; unset: index under the root"),
    null_path("storeCheckpoint").live("checkpoint file; unset: checkpoint under the root"),
    null_path("abortFile").live("file that exists while the broker runs; unset: abort under the root"),
    // The log.
    choice("flushWay", "auto", &["auto", "thread", "inline", "ring"]).live("who calls fdatasync: the shard's ring, a thread of its own, or (SYNC_FLUSH, fast disks) inline the shard itself, which does nothing else meanwhile; auto: inline while the disk is fast, else the thread"),
    choice("segmentPrepare", "zero", &["zero", "allocate"]).live("the next commit log file is made ahead: space and zeros, or space only"),
    int_in("diskSpaceCleanForciblyRatio", "85", 10, 99).live("percent of the disk from which files not yet expired are deleted (cleanFileForciblyEnable)"),
    int_in("diskSpaceWarningLevelRatio", "90", 10, 99).live("percent of the disk from which sends are refused"),
    // Replication.
    choice("haInitialSync", "all", &["all", "lastFile"]).live("what an empty slave copies: all the master keeps, or (as Java) its last commit log file only"),
    choice("haResync", "never", &["never", "aside"]).live("a slave whose log differs from its master's: stop and say so, or set its own files aside and copy anew"),
    int_in("haSlavesMax", "32", 1, 1_024).live("replication links a master serves at once"),
    int_in("haCopyTablesInterval", "10000", 10, INT_MAX).live("ms between a slave's copies of its master's topics, groups and progress"),
    // Bounds.
    int_in("autoCreateTopicsMax", "10000", 0, 1_000_000).live("topics a broker creates by itself"),
    int_in("lockMaxLiveTime", "60000", 1, INT_MAX).live("ms a queue lock of an orderly consumer lives without renewal"),
    int_in("frameMaxLength", "16777216", 65_536, 64 * 1024 * 1024).live("bytes a request may have"),
    int_in("connectionsMax", "10000", 1, 1_000_000).live("connections served at once"),
    int_in("connectionOutMax", "4194304", 65_536, INT_MAX).live("bytes of answers that may wait for a slow reader"),
    int_in("startedFrameTimeoutMillis", "30000", 100, INT_MAX).live("ms a request may take to arrive"),
    int_in("scanNotActiveBrokerInterval", "10000", 10, INT_MAX).live("ms between a nameserver's looks for brokers gone silent"),
    int_in("brokerChannelExpiredTime", "120000", 100, INT_MAX).live("ms without registration before a nameserver forgets a broker"),
    // Of other versions, and system properties.
    boolean("checkTransactionMessageEnable", false).accepted("ask producers about open transactions", OLD_TRANSACTIONS),
    null("rmqAddressServerDomain").later("host of the address server", Switch::Never, "the address server; set namesrvAddr"),
    null("rmqAddressServerSubGroup").later("path on the address server", Switch::Never, "the address server; set namesrvAddr"),
    null("configBlackList").accepted("keys that administration may not change", "administration may only change keys that are safe to change"),
    choice("metricsExporterType", "DISABLE", &["DISABLE", "OTLP_GRPC", "PROM", "LOG"]).later("how metrics are published (5.x)", Switch::Value(&["OTLP_GRPC", "PROM", "LOG"]), METRICS),
    int("metricsPromExporterPort", "5557").later("port of the metrics page (5.x)", Switch::Never, METRICS),
    null("metricsPromExporterHost").later("address of the metrics page (5.x)", Switch::Never, METRICS),
];
