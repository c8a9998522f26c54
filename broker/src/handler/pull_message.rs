//! PULL_MESSAGE 11: a consumer asks for messages from an offset on, and may wait for them.
//!
//! Checks in Java 4.9.7's order, then the store, then the answer, or a hold when there is nothing
//! yet. Runs on the shard that owns the queue; a held pull runs again here, once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::{Get, GetStatus, TagFilter};
use protocol::body::SubscriptionData;
use protocol::code::response;
use protocol::header::{PullMessageHeader, PullMessageResponse};

use super::at_owner;
use crate::call::{Call, Forwarded, Handled, Next, Refusal};
use crate::core::Core;
use crate::counters::ShardCounters;
use crate::holds::Wanted;
use crate::mesh::{Ack, OwnedPut};
use crate::topics::perm;

/// Bits of the header's sysFlag.
mod flag {
    pub const COMMIT_OFFSET: i32 = 1;
    pub const SUSPEND: i32 = 2;
    pub const SUBSCRIPTION: i32 = 4;
}

/// A slave lets a consumer that is ahead of it wait this long before it tries again, or until the slave has caught up:
/// clients themselves do not pause on code 20.
const RETRY_PAUSE_MS: i64 = 200;
/// No pull is held longer than this, whatever the client says.
const HOLD_MAX_MS: i64 = 120_000;

/// Handles a pull.
pub fn handle(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = PullMessageHeader::decode(&call.command.fields)?;
    if let Some(next) = admit(core, call, &header)? {
        return Ok(next);
    }
    let wanted = match subscription(core, call, &header)? {
        Ok(wanted) => wanted,
        Err(next) => return Ok(next),
    };
    at_owner!(core, &header.topic, header.queue_id);

    let slot = core.store.queue(&header.topic, header.queue_id as u32);
    let filter = match &wanted {
        Wanted::All => TagFilter::All,
        Wanted::Codes(codes) => TagFilter::Codes(codes),
    };
    let get = Get {
        slot,
        offset: header.queue_offset,
        max_messages: usize::try_from(header.max_msg_nums).unwrap_or(0),
        max_bytes: usize::MAX,
        filter,
    };
    let mut ranges = std::mem::take(&mut core.ranges);
    ranges.clear();
    let got = core.store.get(get, &mut ranges);
    core.ranges = ranges;
    let mut code = crate::response_code::pulled(got.status, header.queue_offset);
    let is_slave = core.env.options.is_slave();
    // A slave's queues may only lag: it neither moves a consumer's offset nor calls it wrong, and names its master.
    let lags = is_slave && !core.env.options.replication.offset_check_in_slave && corrects(got.status);
    let next_begin_offset = if lags { header.queue_offset } else { got.next_begin_offset };
    let to_master = lags && code == response::PULL_OFFSET_MOVED;
    if to_master {
        code = response::PULL_RETRY_IMMEDIATELY;
    }

    if call.first && !is_slave && header.sys_flag & flag::COMMIT_OFFSET != 0 && header.commit_offset >= 0 {
        core.progress.commit(&header.consumer_group, &header.topic, header.queue_id, header.commit_offset);
    }
    let waits = code == response::PULL_NOT_FOUND || to_master;
    if waits && call.first && header.sys_flag & flag::SUSPEND != 0 && !core.stopping {
        let options = &core.env.options;
        let wait_ms = match to_master {
            true => header.suspend_timeout_millis.min(RETRY_PAUSE_MS),
            false if options.long_polling => header.suspend_timeout_millis,
            false => options.short_polling_ms,
        };
        let deadline_ms = core.now_ms + wait_ms.clamp(0, HOLD_MAX_MS);
        if core.holds.hold(slot, header.queue_offset, deadline_ms, wanted, Forwarded::of(call)).is_ok() {
            core.env.holds.fetch_add(1, Ordering::Relaxed);
            return Ok(Next::Done);
        }
        // "Not found" would be asked again at once; on "busy" clients pause.
        return Err(Refusal::new(
            response::SYSTEM_BUSY,
            format!("[OVERLOAD]system busy: {} pulls are held on this shard", core.holds.len()),
        ));
    }
    if core.stopping && call.first && code == response::PULL_NOT_FOUND {
        return Err(Refusal::new(response::SYSTEM_BUSY, "system busy: the broker is shutting down"));
    }
    if got.status == GetStatus::Found {
        ShardCounters::add(&core.counters.get_found, 1);
        ShardCounters::add(&core.counters.transferred, got.messages as u64);
    } else {
        ShardCounters::add(&core.counters.get_miss, 1);
    }
    if code == response::PULL_OFFSET_MOVED && !is_slave {
        offset_moved(core, &header, got.next_begin_offset);
    }
    let suggested = if to_master {
        core.groups.get(&*header.consumer_group).map_or(0, |group| group.broker_id)
    } else {
        suggested_broker(core, &header.consumer_group, got.suggest_slave)
    };
    let answer = PullMessageResponse {
        max_offset: got.max_offset,
        min_offset: got.min_offset,
        next_begin_offset,
        suggest_which_broker_id: suggested,
    };
    core.reply_pull(&call.to, code, got.status.name(), got.cold, &answer);
    Ok(Next::Done)
}

/// Whether the store answers this with another offset than the one asked for, though nothing was read.
fn corrects(status: GetStatus) -> bool {
    match status {
        GetStatus::NoMatchedLogicQueue
        | GetStatus::NoMessageInQueue
        | GetStatus::OffsetFoundNull
        | GetStatus::OffsetOverflowOne
        | GetStatus::OffsetOverflowBadly
        | GetStatus::OffsetTooSmall => true,
        GetStatus::Found | GetStatus::MessageWasRemoving | GetStatus::NoMatchedMessage => false,
    }
}

/// Broker, group, topic, queue: may this pull be served at all?
fn admit(core: &mut Core, call: &Call<'_>, header: &PullMessageHeader<'_>) -> Result<Option<Next>, Refusal> {
    let options = &core.env.options;
    if options.permission & perm::READ == 0 {
        return Err(Refusal::new(
            response::NO_PERMISSION,
            format!(
                "the broker[{}] pulling message is forbidden (brokerPermission={})",
                options.name, options.permission
            ),
        ));
    }
    let Some(group) = core.groups.get(&*header.consumer_group).cloned() else {
        return missing_group(core, call, &header.consumer_group).map(Some);
    };
    if !group.consume_enable {
        if let Some(next) = super::ask_home(core, call) {
            return Ok(Some(next));
        }
        return Err(Refusal::new(
            response::NO_PERMISSION,
            format!("subscription group no permission, {} (consumeEnable=false)", header.consumer_group),
        ));
    }
    let topic = match super::topic(core, call, &header.topic)? {
        Ok(topic) => topic,
        Err(next) => return Ok(Some(next)),
    };
    if topic.perm & perm::READ == 0 {
        if let Some(next) = super::ask_home(core, call) {
            return Ok(Some(next));
        }
        return Err(Refusal::new(
            response::NO_PERMISSION,
            format!("the topic[{}] pulling message is forbidden (perm {})", header.topic, topic.perm),
        ));
    }
    if header.queue_id < 0 || header.queue_id >= topic.read_queue_nums {
        if let Some(next) = super::ask_home(core, call) {
            return Ok(Some(next));
        }
        return Err(Refusal::new(
            response::SYSTEM_ERROR,
            format!(
                "queueId[{}] is illegal, topic:[{}] topicConfig.readQueueNums:[{}] consumer:[{}]",
                header.queue_id, header.topic, topic.read_queue_nums, call.peer
            ),
        ));
    }
    Ok(None)
}

/// A group unknown here: home knows it, makes it, or refuses.
pub fn missing_group(core: &mut Core, call: &Call<'_>, group: &str) -> Result<Next, Refusal> {
    let refused = || {
        Refusal::new(
            response::SUBSCRIPTION_GROUP_NOT_EXIST,
            format!("subscription group [{group}] does not exist (autoCreateSubscriptionGroup=false), create it first"),
        )
    };
    if core.id != 0 {
        return if call.hops < 2 { Ok(Next::Forward(0)) } else { Err(refused()) };
    }
    protocol::topic::check_group_name(group)
        .map_err(|error| Refusal::new(response::SYSTEM_ERROR, format!("the consumer group is refused: {error}")))?;
    let now_ms = core.now_ms;
    match core.home.as_mut().and_then(|home| home.group(now_ms, group)) {
        Some(ticket) => Ok(Next::Park(ticket)),
        None => Err(refused()),
    }
}

/// What the consumer wants: from the request itself or from its group's heartbeats.
fn subscription(core: &Core, call: &Call<'_>, header: &PullMessageHeader<'_>) -> Result<Result<Wanted, Next>, Refusal> {
    if header.sys_flag & flag::SUBSCRIPTION != 0 {
        refuse_sql(header.expression_type.as_deref())?;
        let expression = header.subscription.as_deref().unwrap_or("*");
        let data = SubscriptionData::parse_tags(&header.topic, expression).map_err(|error| {
            Refusal::new(
                response::SUBSCRIPTION_PARSE_FAILED,
                format!("parse the consumer's subscription failed: {error}"),
            )
        })?;
        return Ok(Ok(wanted(&data)));
    }
    // A change published by home may still be on its way: home sends the request after it.
    let ask_home = core.id != 0 && call.hops < 2;
    let Some(group) = core.subscriptions.get(&*header.consumer_group) else {
        if ask_home {
            return Ok(Err(Next::Forward(0)));
        }
        return Err(Refusal::new(
            response::SUBSCRIPTION_NOT_EXIST,
            format!("the consumer's group info not exist: no member of {} sent a heartbeat", header.consumer_group),
        ));
    };
    if group.broadcasting && core.groups.get(&*header.consumer_group).is_some_and(|g| !g.consume_broadcast_enable) {
        return Err(Refusal::new(
            response::NO_PERMISSION,
            format!("the consumer group[{}] can not consume by broadcast way", header.consumer_group),
        ));
    }
    let Some(subscription) = group.topics.get(&*header.topic) else {
        if ask_home {
            return Ok(Err(Next::Forward(0)));
        }
        return Err(Refusal::new(
            response::SUBSCRIPTION_NOT_EXIST,
            format!(
                "the consumer's subscription not exist: group {} does not subscribe {}",
                header.consumer_group, header.topic
            ),
        ));
    };
    if subscription.data.sub_version < header.sub_version {
        if ask_home {
            return Ok(Err(Next::Forward(0)));
        }
        return Err(Refusal::new(
            response::SUBSCRIPTION_NOT_LATEST,
            format!(
                "the consumer's subscription not latest: group {}, topic {}, heartbeat {}, pull {}",
                header.consumer_group, header.topic, subscription.data.sub_version, header.sub_version
            ),
        ));
    }
    refuse_sql(Some(&subscription.data.expression_type))?;
    Ok(Ok(subscription.wanted.clone()))
}

fn refuse_sql(expression_type: Option<&str>) -> Result<(), Refusal> {
    match expression_type {
        None | Some("" | "TAG") => Ok(()),
        Some(other) => Err(Refusal::new(
            response::SYSTEM_ERROR,
            format!("The broker does not support consumer to filter message by {other}"),
        )),
    }
}

/// The filter a subscription stands for.
pub fn wanted(data: &SubscriptionData) -> Wanted {
    if data.sub_string.is_empty() || data.sub_string == "*" || data.class_filter_mode || data.code_set.is_empty() {
        return Wanted::All;
    }
    Wanted::Codes(data.code_set.iter().copied().collect::<Arc<[i32]>>())
}

fn suggested_broker(core: &Core, group: &str, suggest_slave: bool) -> i64 {
    if !core.env.options.replication.slave_read_enable {
        return 0;
    }
    match core.groups.get(group) {
        Some(group) if suggest_slave => group.which_broker_when_consume_slowly,
        Some(group) => group.broker_id,
        None => 0,
    }
}

/// Leaves the event that monitors listen for (Java 4.9.7: topic OFFSET_MOVED_EVENT).
fn offset_moved(core: &mut Core, header: &PullMessageHeader<'_>, next: i64) {
    let body = serde_json::json!({
        "consumerGroup": header.consumer_group,
        "messageQueue": { "brokerName": core.env.options.name, "queueId": header.queue_id, "topic": header.topic },
        "offsetNew": next,
        "offsetRequest": header.queue_offset,
    });
    let mut properties = Vec::new();
    protocol::message::properties::append(&mut properties, "KEYS", &header.consumer_group);
    protocol::message::properties::append(&mut properties, "TAGS", &header.consumer_group);
    let host = core.env.options.advertised;
    core.put(OwnedPut {
        topic: "OFFSET_MOVED_EVENT".into(),
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp: core.now_ms,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        body: body.to_string().into_bytes(),
        properties,
        tags_code: protocol::message::tags_code(&header.consumer_group),
        ack: Ack::Nobody,
    });
}
