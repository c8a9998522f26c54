//! From what the configuration says to what the broker needs.
//!
//! Owns the translation only; checks were made where the settings were read.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use config::{BrokerRole, BrokerSettings, FlushDiskType, FlushWay, SegmentPrepare, StoreSettings};
use engine::{
    FlushMode, IndexConfig, PreparePolicy, Replication, RetentionOptions, StoreOptions, StoreRole, TransferLimits,
};

use crate::options::BrokerOptions;
use crate::topics::TopicPolicy;

/// Held pulls of one shard at most: some 600 bytes each.
const HOLDS_MAX: usize = 100_000;

/// Options of a broker with these settings. `config_text` is the whole configuration as `-p` prints
/// it. The error says which key leads nowhere.
pub fn options(settings: &BrokerSettings, config_text: String) -> Result<BrokerOptions, String> {
    let advertised = SocketAddr::new(address_of("brokerIP1", &settings.broker_ip1)?, settings.listen_port);
    let bind = settings.server.bind_address;
    Ok(BrokerOptions {
        cluster: settings.cluster_name.clone(),
        name: settings.broker_name.clone(),
        id: settings.broker_id,
        role: settings.broker_role,
        replication: settings.replication.clone(),
        advertised,
        ha_advertised: format!("{}:{}", settings.broker_ip2, settings.ha_listen_port),
        ha_listen: SocketAddr::new(bind, settings.ha_listen_port),
        listen: vec![SocketAddr::new(bind, settings.listen_port), SocketAddr::new(bind, settings.vip_port)],
        nameservers: settings.namesrv_addrs.clone(),
        register_period_ms: settings.register_interval_ms.clamp(10_000, 60_000),
        register_timeout_ms: settings.register_timeout_ms,
        connect_timeout_ms: settings.connect_timeout_ms,
        compressed_register: settings.register_compressed,
        force_register: settings.register_forced,
        permission: settings.broker_permission,
        topics: TopicPolicy {
            auto_create: settings.auto_create_topic_enable,
            auto_create_max: settings.auto_create_topics_max,
            default_queues: i32::try_from(settings.default_topic_queues).unwrap_or(i32::MAX),
            cluster: settings.cluster_name.clone(),
            broker: settings.broker_name.clone(),
            cluster_topic: settings.cluster_topic_enable,
            broker_topic: settings.broker_topic_enable,
            is_slave: settings.broker_role == BrokerRole::Slave,
            trace_topic: settings.trace_topic_enable.then(|| settings.trace_topic_name.clone()),
        },
        auto_create_groups: settings.auto_create_subscription_group,
        admin_remote: settings.admin_remote_enable,
        lock_life_ms: i64::try_from(settings.lock_life_ms).unwrap_or(i64::MAX),
        message_size_max: settings.store.body_size_max,
        region: settings.region_id.clone(),
        trace_on: settings.trace_on,
        accept_sends_from_ms: settings.accept_sends_from_ms,
        long_polling: settings.long_polling_enable,
        short_polling_ms: i64::try_from(settings.short_polling_ms).unwrap_or(i64::MAX),
        notify_consumers: settings.notify_consumer_ids_changed_enable,
        delay_levels_ms: settings.store.delay_levels_ms.clone(),
        progress_interval_ms: i64::try_from(settings.consumer_offset_flush_interval_ms).unwrap_or(i64::MAX),
        delay_interval_ms: i64::try_from(settings.store.delay_offset_flush_interval_ms).unwrap_or(i64::MAX),
        query_max: settings.store.query_messages_max,
        unique_query_max: settings.store.query_unique_messages_max,
        memory_distance_bytes: memory_distance_bytes(&settings.store),
        config_dir: settings.store.config_dir.clone(),
        config_file: settings.config_file.clone(),
        store: store(settings),
        // What a slave flushes comes from a thread.
        flush_on_ring: settings.store.flush_way == FlushWay::Ring && settings.broker_role != BrokerRole::Slave,
        cpus: cpus(settings),
        holds_max: HOLDS_MAX,
        server: settings.server.clone(),
        config_text,
    })
}

fn store(broker: &BrokerSettings) -> StoreOptions {
    let (settings, shards): (&StoreSettings, usize) = (&broker.store, broker.shards);
    let ms = Duration::from_millis;
    let mut options = StoreOptions::at(&settings.root);
    options.commitlog_dir = settings.commitlog_dir.clone();
    options.consume_queue_dir = settings.consume_queue_dir.clone();
    options.index_dir = settings.index_dir.clone();
    options.checkpoint_path = settings.checkpoint_path.clone();
    options.abort_path = settings.abort_path.clone();
    options.segment_size = settings.segment_size;
    options.consume_queue_file_size = settings.consume_queue_file_size;
    options.flush = match settings.flush_disk_type {
        FlushDiskType::Async => FlushMode::Async,
        FlushDiskType::Sync => FlushMode::Sync,
    };
    options.flush_way = match settings.flush_way {
        FlushWay::Ring => engine::FlushWay::Ring,
        FlushWay::Thread => engine::FlushWay::Thread,
        FlushWay::Inline => engine::FlushWay::Inline,
        FlushWay::Auto => engine::FlushWay::Auto,
    };
    options.role = match broker.broker_role {
        BrokerRole::Slave => StoreRole::Slave,
        BrokerRole::AsyncMaster | BrokerRole::SyncMaster => StoreRole::Master,
    };
    options.replication = match broker.broker_role {
        BrokerRole::SyncMaster => Replication::Sync {
            timeout: ms(broker.replication.slave_timeout_ms),
            fall_behind_max: broker.replication.fall_behind_max,
        },
        BrokerRole::AsyncMaster | BrokerRole::Slave => Replication::Async,
    };
    options.flush_interval = ms(settings.flush_interval_ms);
    options.sync_flush_timeout = ms(settings.sync_flush_timeout_ms);
    options.max_body_size = settings.body_size_max;
    options.shards = shards;
    if settings.segment_prepare != SegmentPrepare::Zero {
        options.prepare = PreparePolicy::Allocated;
    }
    options.delay_levels_ms = settings.delay_levels_ms.clone();
    options.transfer = TransferLimits {
        memory_bytes: settings.transfer_size_max_memory,
        memory_count: settings.transfer_count_max_memory,
        disk_bytes: settings.transfer_size_max_disk,
        disk_count: settings.transfer_count_max_disk,
        memory_distance_bytes: memory_distance_bytes(settings),
        ..TransferLimits::default()
    };
    options.retention = RetentionOptions {
        file_reserved: ms(settings.file_reserved_ms),
        delete_when_hours: settings.delete_hours.clone(),
        disk_max_used_percent: settings.disk_used_percent_expired.into(),
        clean_forcibly_percent: settings.disk_used_percent_forcibly.into(),
        warning_percent: settings.disk_used_percent_full.into(),
        clean_forcibly: settings.clean_forcibly,
        interval: ms(settings.clean_interval_ms),
        delete_pause: ms(settings.delete_commitlog_interval_ms),
        ..RetentionOptions::default()
    };
    options.index =
        IndexConfig { enable: settings.index_enable, slots: settings.index_slots, entries: settings.index_entries };
    options
}

/// Bytes behind the log's end that count as in memory.
fn memory_distance_bytes(settings: &StoreSettings) -> i64 {
    engine::io::physical_memory_bytes() / 100 * i64::from(settings.memory_percent)
}

/// The address a key names, whether written as one or as a host name.
fn address_of(key: &str, text: &str) -> Result<IpAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let found = (text, 0).to_socket_addrs().map_err(|error| {
        format!("{key}={text} cannot be resolved ({error}); write an IP address that clients reach")
    })?;
    let found = most_reachable(found.map(|address| address.ip()));
    let address =
        found.ok_or_else(|| format!("{key}={text} has no address; write an IP address that clients reach"))?;
    if address.is_loopback() && !text.eq_ignore_ascii_case("localhost") {
        tracing::warn!(
            "{key}={text} is {address} on this host (see /etc/hosts), and that is announced: clients and brokers on \
             other hosts cannot connect; write an IP address that they reach"
        );
    }
    Ok(address)
}

/// Of a name's addresses the one that most clients reach. Many a host finds itself as 127.0.1.1 by its name.
fn most_reachable(found: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    found.min_by_key(|address| (address.is_loopback(), address.is_ipv6()))
}

/// Shard n on CPU n, where each shard can have one and another is left for everything else.
fn cpus(settings: &BrokerSettings) -> Vec<Option<usize>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pin = settings.pin_shards && settings.shards < cores;
    (0..settings.shards).map(|shard| pin.then_some(shard)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_names_addresses_one_that_others_reach_is_announced() {
        for (found, want) in [
            ("127.0.1.1 10.0.0.1", "10.0.0.1"),
            ("::1 127.0.0.1", "127.0.0.1"),
            ("127.0.1.1 fd00::2", "fd00::2"),
            ("fd00::2 10.0.0.1 10.0.0.2", "10.0.0.1"),
        ] {
            let found = found.split(' ').map(|text| text.parse().expect("an address"));
            assert_eq!(most_reachable(found).map(|address| address.to_string()).as_deref(), Some(want));
        }
    }
}
