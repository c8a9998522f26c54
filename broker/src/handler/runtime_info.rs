//! GET_BROKER_RUNTIME_INFO 28: what mqadmin and dashboards show of a broker. Runs on the home shard.
//!
//! The names are Java 4.9.7's and part of the protocol: a missing one prints as an error in
//! `clusterList`. There are no thread pools here, so their queues are always empty.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use protocol::body::{Body, KvTable};
use protocol::code::response;

use crate::call::{Call, Handled, Next};
use crate::core::Core;
use crate::counters::Totals;
use crate::env::Env;
use crate::home::Home;

/// Answers the runtime table.
pub fn handle(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let body = KvTable { table: table(core, home) }.to_json();
    core.reply_body(&call.to, response::SUCCESS, None, |_| {}, &body);
    Ok(Next::Done)
}

fn table(core: &mut Core, home: &Home) -> BTreeMap<String, String> {
    let env = core.env.clone();
    let now = Totals::sum(core.now_ms, &env.counters);
    let mut table = BTreeMap::new();
    let mut put = |key: &str, value: String| {
        table.insert(key.to_owned(), value);
    };
    put("bootTimestamp", env.boot_ms.to_string());
    put("runtime", runtime(core.now_ms - env.boot_ms));
    put("brokerVersionDesc", protocol::version::name(protocol::version::CURRENT));
    put("brokerVersion", protocol::version::CURRENT.to_string());
    put("startAcceptSendRequestTimeStamp", env.options.accept_sends_from_ms.to_string());

    put("putMessageTimesTotal", now.put.to_string());
    put("putMessageFailedTimes", now.put_failed.to_string());
    put("putMessageSizeTotal", now.put_bytes.to_string());
    put("putMessageAverageSize", (now.put_bytes as f64 / now.put.max(1) as f64).to_string());
    put("putMessageEntireTimeMax", "0".to_owned());
    put("putMessageDistributeTime", String::new());
    put("getMessageEntireTimeMax", "0".to_owned());
    put("dispatchMaxBuffer", "0".to_owned());

    put("putTps", home.samples.rates(now, |t| t.put));
    put("getFoundTps", home.samples.rates(now, |t| t.get_found));
    put("getMissTps", home.samples.rates(now, |t| t.get_miss));
    put("getTotalTps", home.samples.rates(now, |t| t.get_found + t.get_miss));
    put("getTransferedTps", home.samples.rates(now, |t| t.transferred));
    let (today, yesterday) = home.samples.mornings();
    put("msgPutTotalYesterdayMorning", yesterday.put.to_string());
    put("msgPutTotalTodayMorning", today.put.to_string());
    put("msgPutTotalTodayNow", now.put.to_string());
    put("msgGetTotalYesterdayMorning", yesterday.transferred.to_string());
    put("msgGetTotalTodayMorning", today.transferred.to_string());
    put("msgGetTotalTodayNow", now.transferred.to_string());

    for (pool, capacity) in [("send", 10_000), ("pull", 100_000), ("query", 20_000)] {
        put(&format!("{pool}ThreadPoolQueueSize"), "0".to_owned());
        put(&format!("{pool}ThreadPoolQueueCapacity"), capacity.to_string());
        put(&format!("{pool}ThreadPoolQueueHeadWaitTimeMills"), "0".to_owned());
    }
    put("EndTransactionQueueSize", "0".to_owned());
    put("EndTransactionThreadPoolQueueCapacity", "100000".to_owned());
    put("pageCacheLockTimeMills", "0".to_owned());
    // Java without a transient pool: Integer.MAX_VALUE.
    put("remainTransientStoreBufferNumbs", i32::MAX.to_string());

    let store = &env.store;
    put("commitLogMinOffset", store.log_min().to_string());
    put("commitLogMaxOffset", store.log_max().to_string());
    put("dispatchBehindBytes", (store.log_max() - store.readable()).max(0).to_string());
    put("remainHowManyDataToFlush", format!("{} B", (store.log_max() - store.flushed()).max(0)));
    put("earliestMessageTimeStamp", earliest(store).to_string());
    let options = &env.options.store;
    let (ratio, space) = used_ratio(&env, &options.commitlog_dir);
    put("commitLogDiskRatio", ratio.to_string());
    put(&format!("commitLogDiskRatio_{}", options.commitlog_dir.display()), ratio.to_string());
    put("consumeQueueDiskRatio", used_ratio(&env, &options.consume_queue_dir).0.to_string());
    if let Some(space) = space {
        put("commitLogDirCapacity", format!("Total : {}, Free : {}.", gib(space.total_bytes), gib(space.free_bytes)));
    }
    for (index, (next, end)) in env.delay_offsets.iter().zip(&env.delay_ends).enumerate() {
        let (next, end) = (next.load(Ordering::Relaxed), end.load(Ordering::Relaxed));
        put(&format!("scheduleMessageOffset_{}", index + 1), format!("{next},{}", end.max(next)));
    }
    let flushes = store.counters();
    for (key, counter) in [
        ("ringmqFlushes", &flushes.flushes),
        ("ringmqFlushesInline", &flushes.inline_flushes),
        ("ringmqFlushMicrosMedian", &flushes.median_flush_us),
        ("ringmqFlushMicrosMax", &flushes.slowest_flush_us),
    ] {
        put(key, counter.load(Ordering::Relaxed).to_string());
    }
    put("ringmqFlushWay", format!("{:?}", options.flush_way).to_lowercase());
    super::ha_status::runtime_keys(&env, &mut put);
    let net = remoting::net::counters();
    let cold: u64 = env.counters.iter().map(|shard| shard.get_cold.load(Ordering::Relaxed)).sum();
    put("ringmqReadsSendfile", net.hot_sendfile.to_string());
    put("ringmqReadsSendmsg", net.hot_sendmsg.to_string());
    put("ringmqReadsCold", cold.to_string());
    put("ringmqHeldPulls", env.holds.load(Ordering::Relaxed).to_string());
    put("ringmqShardAllocations", shard::shard_allocations().to_string());
    put("ringmqShards", env.shards().to_string());
    table
}

/// As Java prints it: `[ 1 days, 2 hours, 3 minutes, 4 seconds ]`.
fn runtime(ms: i64) -> String {
    let s = ms.max(0) / 1000;
    format!("[ {} days, {} hours, {} minutes, {} seconds ]", s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60)
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

fn earliest(store: &engine::Shared) -> i64 {
    store
        .record(store.log_min())
        .and_then(|range| protocol::message::Record::decode(range.bytes()).ok().map(|record| record.store_timestamp))
        .unwrap_or(-1)
}

/// Room of the file system a path lies on, counted as Java counts it; −1 without the path.
fn used_ratio(env: &Env, path: &std::path::Path) -> (f64, Option<engine::io::Space>) {
    match env.options.store.retention.space.look(path) {
        Ok(space) => (f64::from(space.used_percent) / 100.0, Some(space)),
        Err(_) => (-1.0, None),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn runtime_reads_as_java_writes_it() {
        assert_eq!(super::runtime(93_784_000), "[ 1 days, 2 hours, 3 minutes, 4 seconds ]");
    }
}
