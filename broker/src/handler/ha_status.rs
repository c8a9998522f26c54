//! GET_BROKER_HA_STATUS 907, which 5.x tools ask, and what request 28 says of replication. Any shard.

use protocol::body::{Body, HaClientRuntimeInfo, HaConnectionRuntimeInfo, HaRuntimeInfo};
use protocol::code::response;
use replication::ha::LinkState;

use crate::call::{Call, Handled, Next};
use crate::core::Core;
use crate::env::Env;
use crate::replicas::View;

/// Answers how replication stands.
pub fn handle(core: &mut Core, call: &Call<'_>) -> Handled {
    let body = status(&core.env).to_json();
    core.reply_body(&call.to, response::SUCCESS, None, |_| {}, &body);
    Ok(Next::Done)
}

/// Near enough to the end that a SYNC_MASTER waits for it.
fn is_in_sync(env: &Env, link: &LinkState) -> bool {
    link.is_up && u64::try_from(link.lag).unwrap_or(0) < env.options.replication.fall_behind_max
}

fn status(env: &Env) -> HaRuntimeInfo {
    let rate = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    match env.replicas.view() {
        Some(View::Slave(state)) => HaRuntimeInfo {
            ha_client_runtime_info: HaClientRuntimeInfo {
                master_addr: state.master.map(|master| master.to_string()),
                master_flush_offset: state.master_end,
                max_offset: state.end,
                transferred_byte_in_second: rate(state.bytes_per_second),
                ..HaClientRuntimeInfo::default()
            },
            ..HaRuntimeInfo::default()
        },
        Some(View::Master(links)) => {
            let in_sync = links.iter().filter(|link| is_in_sync(env, link)).count();
            HaRuntimeInfo {
                ha_connection_info: links
                    .iter()
                    .map(|link| HaConnectionRuntimeInfo {
                        addr: link.peer.to_string(),
                        diff: link.lag,
                        in_sync: is_in_sync(env, link),
                        slave_ack_offset: link.acked,
                        transfer_from_where: link.sent,
                        transferred_byte_in_second: rate(link.bytes_per_second),
                    })
                    .collect(),
                in_sync_slave_nums: i32::try_from(in_sync).unwrap_or(i32::MAX),
                master: true,
                master_commit_log_max_offset: env.store.log_max(),
                ..HaRuntimeInfo::default()
            }
        }
        None => HaRuntimeInfo { master: !env.options.is_slave(), ..HaRuntimeInfo::default() },
    }
}

/// The keys of request 28 that tell of role and replication.
pub fn runtime_keys(env: &Env, mut put: impl FnMut(&str, String)) {
    put("ringmqRole", env.options.role.name().to_owned());
    match env.replicas.view() {
        Some(View::Master(links)) => {
            put("ringmqHaLinks", links.len().to_string());
            put("ringmqHaLinksInSync", links.iter().filter(|link| is_in_sync(env, link)).count().to_string());
            put("ringmqHaLagBytesMax", links.iter().map(|link| link.lag).max().unwrap_or(0).to_string());
            for (number, link) in links.iter().enumerate() {
                let word = if link.is_up { "up" } else { "waiting for its first report" };
                let text = format!(
                    "{} {word}, acked {}, sent {}, lag {} bytes, {} bytes/s",
                    link.peer, link.acked, link.sent, link.lag, link.bytes_per_second
                );
                put(&format!("ringmqHaLink_{}", number + 1), text);
            }
        }
        Some(View::Slave(state)) => {
            put("ringmqHaState", state.phase.word().to_owned());
            put("ringmqHaStateText", state.phase.to_string());
            put("ringmqHaMaster", state.master.map_or_else(|| "unknown".to_owned(), |master| master.to_string()));
            put("ringmqHaEnd", state.end.to_string());
            put("ringmqHaDurable", state.durable.to_string());
            put("ringmqHaMasterEnd", state.master_end.to_string());
            put("ringmqHaLagBytes", state.master_end.saturating_sub(state.end).max(0).to_string());
            put("ringmqHaBytesPerSecond", state.bytes_per_second.to_string());
            put("ringmqHaLinksSinceStart", state.links.to_string());
        }
        None => {}
    }
}
