//! The table of what this broker speaks: one match from request code to handler.
//!
//! Owns nothing. Requests that belong to features this build does not have, and codes nobody knows,
//! are answered 3 with a remark, never with a false success.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use protocol::code::{request, response};

use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;
use crate::counters::ShardCounters;
use crate::handler::*;
use crate::home::Home;

/// Whether a request is a send, whose answers carry region and trace switch even when refused.
pub fn is_send(code: i32) -> bool {
    matches!(code, request::SEND_MESSAGE | request::SEND_MESSAGE_V2 | request::SEND_BATCH_MESSAGE)
}

/// A request that has no body may carry this much all the same; it may be kept in memory while it waits.
const NO_BODY_MAX: usize = 4096;

fn has_no_body(code: i32) -> bool {
    matches!(
        code,
        request::PULL_MESSAGE
            | request::LITE_PULL_MESSAGE
            | request::QUERY_MESSAGE
            | request::QUERY_CONSUMER_OFFSET
            | request::UPDATE_CONSUMER_OFFSET
            | request::SEARCH_OFFSET_BY_TIMESTAMP
            | request::GET_MAX_OFFSET
            | request::GET_MIN_OFFSET
            | request::GET_EARLIEST_MSG_STORETIME
            | request::VIEW_MESSAGE_BY_ID
            | request::CONSUMER_SEND_MSG_BACK
            | request::UNREGISTER_CLIENT
            | request::GET_CONSUMER_LIST_BY_GROUP
            | request::UPDATE_AND_CREATE_TOPIC
            | request::DELETE_TOPIC_IN_BROKER
            | request::DELETE_SUBSCRIPTIONGROUP
            | request::GET_ALL_TOPIC_CONFIG
            | request::GET_ALL_CONSUMER_OFFSET
            | request::GET_ALL_DELAY_OFFSET
            | request::GET_ALL_SUBSCRIPTIONGROUP_CONFIG
            | request::GET_TOPIC_STATS_INFO
            | request::GET_CONSUME_STATS
    )
}

/// What a broker that stops no longer takes: commits of progress and questions still are.
fn takes_new_work(code: i32) -> bool {
    is_send(code) || matches!(code, request::CONSUMER_SEND_MSG_BACK | request::UPDATE_AND_CREATE_TOPIC)
}

/// Runs the handler of a request.
pub fn handle(core: &mut Core, call: &Call<'_>) -> Handled {
    if std::mem::take(&mut core.clock_is_old) {
        core.now_ms = shard::now_ms();
    }
    ShardCounters::add(&core.counters.requests, 1);
    if call.command.body.len() > NO_BODY_MAX && has_no_body(call.command.code) {
        return Err(Refusal::new(
            response::MESSAGE_ILLEGAL,
            format!("a body of {} bytes on a request that has none", call.command.body.len()),
        ));
    }
    if core.finished && call.command.code == request::UPDATE_CONSUMER_OFFSET {
        return Err(Refusal::new(
            response::SERVICE_NOT_AVAILABLE,
            "service not available now: the broker is shutting down",
        ));
    }
    if core.stopping && takes_new_work(call.command.code) {
        return Err(Refusal::new(
            response::SERVICE_NOT_AVAILABLE,
            "service not available now: the broker is shutting down",
        ));
    }
    if let Some(refusal) = crate::role::refusal(&core.env.options, call.command.code) {
        return Err(refusal);
    }
    match call.command.code {
        request::SEND_MESSAGE | request::SEND_MESSAGE_V2 | request::SEND_BATCH_MESSAGE => {
            send_message::handle(core, call)
        }
        // 361 is how 5.x lite pull consumers pull; Java 4.9.7 refuses it and they get nothing.
        request::PULL_MESSAGE | request::LITE_PULL_MESSAGE => pull_message::handle(core, call),
        request::CONSUMER_SEND_MSG_BACK => send_back::handle(core, call),
        request::QUERY_MESSAGE => query_message::handle(core, call),
        request::VIEW_MESSAGE_BY_ID => view_message::handle(core, call),
        request::QUERY_CONSUMER_OFFSET => consumer_offset::query(core, call),
        request::UPDATE_CONSUMER_OFFSET => consumer_offset::update(core, call),
        request::SEARCH_OFFSET_BY_TIMESTAMP => queue_offset::search(core, call),
        request::GET_MAX_OFFSET => queue_offset::max(core, call),
        request::GET_MIN_OFFSET => queue_offset::min(core, call),
        request::GET_EARLIEST_MSG_STORETIME => queue_offset::earliest_store_time(core, call),
        request::HEART_BEAT => home(core, call, client_manage::heartbeat),
        request::UNREGISTER_CLIENT => home(core, call, client_manage::unregister),
        request::CHECK_CLIENT_CONFIG => client_manage::check_config(core, call),
        request::GET_CONSUMER_LIST_BY_GROUP => home(core, call, client_manage::consumer_list),
        request::LOCK_BATCH_MQ => home(core, call, lock_queues::lock),
        request::UNLOCK_BATCH_MQ => home(core, call, lock_queues::unlock),
        request::UPDATE_AND_CREATE_TOPIC => admin(core, call, topic_admin::update),
        request::DELETE_TOPIC_IN_BROKER => admin(core, call, topic_admin::delete),
        request::GET_TOPIC_CONFIG => home(core, call, topic_admin::get),
        request::GET_ALL_TOPIC_CONFIG => home(core, call, topic_admin::get_all),
        request::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => admin(core, call, group_admin::update),
        request::DELETE_SUBSCRIPTIONGROUP => admin(core, call, group_admin::delete),
        request::GET_SUBSCRIPTIONGROUP_CONFIG => home(core, call, group_admin::get),
        request::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => home(core, call, group_admin::get_all),
        request::GET_ALL_CONSUMER_OFFSET => home(core, call, copy_tables::progress),
        request::GET_ALL_DELAY_OFFSET => copy_tables::delay(core, call),
        request::GET_TOPIC_STATS_INFO => home(core, call, topic_stats::handle),
        request::GET_CONSUME_STATS => home(core, call, consume_stats::handle),
        request::GET_BROKER_HA_STATUS => ha_status::handle(core, call),
        request::GET_BROKER_RUNTIME_INFO => home(core, call, runtime_info::handle),
        code => Err(Refusal::new(response::REQUEST_CODE_NOT_SUPPORTED, not_supported(code))),
    }
}

/// Why a code is not served. The first words are Java's; some clients look for them.
fn not_supported(code: i32) -> String {
    match request::name(code) {
        Some(name) => format!(" request type {code} not supported ({name} is not part of this broker yet)"),
        None => format!(" request type {code} not supported"),
    }
}

/// Runs a handler that changes the broker: from this host, or from others where that is allowed.
fn admin(core: &mut Core, call: &Call<'_>, handler: fn(&mut Core, &mut Home, &Call<'_>) -> Handled) -> Handled {
    if !core.env.options.admin_remote && !call.peer.ip().to_canonical().is_loopback() {
        return Err(Refusal::new(
            response::NO_PERMISSION,
            format!("{} may not administer this broker: adminRemoteEnable=false", call.peer.ip()),
        ));
    }
    home(core, call, handler)
}

/// Runs a handler that needs the masters of the tables: on the home shard.
fn home(core: &mut Core, call: &Call<'_>, handler: fn(&mut Core, &mut Home, &Call<'_>) -> Handled) -> Handled {
    let Some(mut home) = core.home.take() else { return Ok(Next::Forward(0)) };
    // The masters outlive a panic in a handler; whoever called us ends the request or its connection.
    let handled = catch_unwind(AssertUnwindSafe(|| handler(core, &mut home, call)));
    core.home = Some(home);
    handled.unwrap_or_else(|panic| resume_unwind(panic))
}
