//! SEND_MESSAGE 10, SEND_MESSAGE_V2 310, SEND_BATCH_MESSAGE 320: a producer's message.
//!
//! The story, in Java 4.9.7's order: may this broker and this topic take it; where does it go
//! (retry past its limit to the dead letter queue, delay to SCHEDULE_TOPIC_XXXX); store; the answer
//! follows when the message's promise is decided. Runs first on the connection's shard, then on the
//! shard that owns the queue.

mod batch;
mod properties;

use std::borrow::Cow;

use engine::{PutMessage, PutOutcome, PutStatus};
use protocol::body::TopicFilterType;
use protocol::code::{request, response};
use protocol::header::SendMessageHeader;
use protocol::message::properties as text;
use protocol::message::{SentProperties, offset_msg_id, sys_flag as message_sys_flag, tags_code};
use protocol::topic as names;
use remoting::net;

use crate::call::{Call, Handled, Next, Refusal, ReplyTo};
use crate::core::Core;
use crate::counters::ShardCounters;
use crate::mesh::Ack;
use crate::topics::{NoTopic, perm, sys_flag as topic_sys_flag};

/// Room for properties that is kept from one message to the next.
const ROOM_KEPT_BYTES: usize = 64 << 10;

/// Where a message ends up.
struct Target<'a> {
    topic: Cow<'a, str>,
    queue_id: i32,
    /// The queue the answer names.
    answered_queue_id: i32,
    tags_code: i64,
}

/// Room for one message's properties, used again for the next.
#[derive(Default)]
pub struct Room {
    /// As they came, undone from JSON.
    came: String,
    /// As they are stored.
    stored: Vec<u8>,
}

/// Handles a send.
pub fn handle(core: &mut Core, call: &Call<'_>) -> Handled {
    let mut room = std::mem::take(&mut core.room);
    let handled = store(core, call, &mut room);
    room.came.shrink_to(ROOM_KEPT_BYTES);
    room.stored.shrink_to(ROOM_KEPT_BYTES);
    core.room = room;
    handled
}

fn store(core: &mut Core, call: &Call<'_>, room: &mut Room) -> Handled {
    let Room { came, stored } = room;
    let v2 = call.command.code != request::SEND_MESSAGE;
    let fields = &call.command.fields;
    let header = if v2 {
        SendMessageHeader::decode_v2_in(fields, came)?
    } else {
        SendMessageHeader::decode_v1_in(fields, came)?
    };
    admit(core, &header)?;
    let topic = match existing_topic(core, &header)? {
        Ok(topic) => topic,
        Err(next) => return Ok(next),
    };
    let queues = topic.read_queue_nums.max(topic.write_queue_nums);
    if header.queue_id >= queues {
        if let Some(next) = super::ask_home(core, call) {
            return Ok(next);
        }
        return Err(Refusal::new(
            response::SYSTEM_ERROR,
            format!(
                "request queueId[{}] is illegal, topic [{}] has {} read and {} write queues, producer {}",
                header.queue_id, header.topic, topic.read_queue_nums, topic.write_queue_nums, call.peer
            ),
        ));
    }
    let chosen = header.queue_id < 0;
    let queue_id = match call.chosen_queue {
        Some(queue_id) if chosen => queue_id,
        _ if chosen => core.choose_queue(topic.write_queue_nums),
        _ => header.queue_id,
    };
    if header.batch {
        let owner = super::owner(core, &header.topic, queue_id);
        if owner != core.id {
            return Ok(Next::ForwardTo(owner, queue_id));
        }
        return batch::store(core, call, &header, queue_id);
    }
    let mut sent = SentProperties::scan(&header.properties);
    let plain = sent.delay_level <= 0 && !names::is_retry(&header.topic);
    let owner = super::owner(core, &header.topic, queue_id);
    if plain && owner != core.id && !sent.half {
        return Ok(if chosen { Next::ForwardTo(owner, queue_id) } else { Next::Forward(owner) });
    }
    if sent.half {
        return Err(Refusal::new(
            response::REQUEST_CODE_NOT_SUPPORTED,
            "transactional messages are not part of this broker yet; nothing was stored",
        ));
    }
    let mut target = Target {
        topic: Cow::Borrowed(&header.topic),
        queue_id,
        answered_queue_id: queue_id,
        tags_code: sent.tags.map_or(0, tags_code),
    };
    if let Some(next) = dead_letter(core, call, &header, &mut target, &mut sent)? {
        return Ok(next);
    }
    stored.clear();
    if sent.delay_level > 0 {
        delay(core, &mut target, &sent, stored);
    } else {
        sent.write(stored, None);
    }
    sent.write_cluster(stored, &core.env.options.cluster);
    let owner = super::owner(core, &target.topic, target.queue_id);
    if owner != core.id {
        return Ok(if chosen { Next::ForwardTo(owner, queue_id) } else { Next::Forward(owner) });
    }
    let message = PutMessage {
        topic: &target.topic,
        queue_id: target.queue_id as u32,
        flag: header.flag,
        sys_flag: sys_flag(&header, topic.topic_filter_type),
        born_timestamp: header.born_timestamp,
        born_host: call.peer,
        store_host: core.env.options.advertised,
        reconsume_times: header.reconsume_times.unwrap_or(0),
        prepared_transaction_offset: 0,
        body: call.command.body,
        properties: &[stored],
        tags_code: target.tags_code,
    };
    put(core, call, &[message], sent.wait, target.answered_queue_id)
}

/// Stores, or refuses with the store's reason.
fn put(core: &mut Core, call: &Call<'_>, messages: &[PutMessage<'_>], wait: bool, queue_id: i32) -> Handled {
    // A one-way send has nobody to wait for the stronger promise.
    let wait = wait && !call.to.oneway;
    match core.store.put(messages, wait, Ack::Send { to: call.to, queue_id }) {
        Ok(()) => {
            ShardCounters::add(&core.counters.put, messages.len() as u64);
            let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
            ShardCounters::add(&core.counters.put_bytes, bytes as u64);
            Ok(Next::Done)
        }
        Err((_, refused)) => Err(crate::response_code::refused(&refused)),
    }
}

fn admit(core: &Core, header: &SendMessageHeader<'_>) -> Result<(), Refusal> {
    let options = &core.env.options;
    if core.now_ms < options.accept_sends_from_ms {
        return Err(Refusal::new(
            response::SYSTEM_ERROR,
            format!(
                "broker unable to service, until {} (startAcceptSendRequestTimeStamp)",
                options.accept_sends_from_ms
            ),
        ));
    }
    names::check_topic_name(&header.topic)
        .map_err(|error| Refusal::new(response::SYSTEM_ERROR, format!("the specified topic is refused: {error}")))?;
    if names::is_not_writable(&header.topic) {
        return Err(Refusal::new(
            response::NO_PERMISSION,
            format!("sending message to topic[{}] is forbidden: the broker uses it itself", header.topic),
        ));
    }
    Ok(())
}

type Found = Result<std::sync::Arc<protocol::body::TopicConfig>, Next>;

/// The topic, made on the home shard if it may be.
fn existing_topic(core: &mut Core, header: &SendMessageHeader<'_>) -> Result<Found, Refusal> {
    if let Some(topic) = core.topics.get(&*header.topic) {
        let order_only = core.env.options.permission & perm::WRITE == 0 && topic.order;
        if order_only {
            return Err(Refusal::new(
                response::NO_PERMISSION,
                format!(
                    "the broker[{}] sending message is forbidden (brokerPermission={})",
                    core.env.options.name, core.env.options.permission
                ),
            ));
        }
        return Ok(Ok(topic.clone()));
    }
    let now_ms = core.now_ms;
    let Some(home) = core.home.as_mut() else { return Ok(Err(Next::Forward(0))) };
    let sys_flag = if header.unit_mode { topic_sys_flag::UNIT } else { 0 };
    let ticket = if let Some(group) = header.topic.strip_prefix(names::RETRY_PREFIX) {
        names::check_group_name(group)
            .map_err(|error| Refusal::new(response::SYSTEM_ERROR, format!("the retry topic is refused: {error}")))?;
        if home.groups.get(group).is_none() {
            return match home.group(now_ms, group) {
                Some(ticket) => Ok(Err(Next::Park(ticket))),
                None => Err(no_group(group)),
            };
        }
        let sys_flag = if header.unit_mode { topic_sys_flag::UNIT_SUB } else { 0 };
        home.own_topic(now_ms, &header.topic, 1, 6, sys_flag)
    } else {
        let queues = header.default_topic_queue_nums;
        home.topic_for_send(now_ms, &header.topic, &header.default_topic, queues, sys_flag).map_err(
            |NoTopic::Refused(why)| {
                Refusal::new(
                    response::TOPIC_NOT_EXIST,
                    format!(
                        "topic[{}] not exist, apply first please! ({why}; broker {})",
                        header.topic, core.env.options.name
                    ),
                )
            },
        )?
    };
    Ok(Err(Next::Park(ticket)))
}

fn no_group(group: &str) -> Refusal {
    Refusal::new(
        response::SUBSCRIPTION_GROUP_NOT_EXIST,
        format!("subscription group [{group}] not exist (autoCreateSubscriptionGroup=false)"),
    )
}

/// A retried message past its limit goes to the dead letter queue of its group.
fn dead_letter(
    core: &mut Core,
    call: &Call<'_>,
    header: &SendMessageHeader<'_>,
    target: &mut Target<'_>,
    sent: &mut SentProperties<'_>,
) -> Result<Option<Next>, Refusal> {
    let Some(group_name) = header.topic.strip_prefix(names::RETRY_PREFIX) else { return Ok(None) };
    let Some(group) = core.groups.get(group_name).cloned() else {
        let now_ms = core.now_ms;
        let Some(home) = core.home.as_mut() else { return Ok(Some(Next::Forward(0))) };
        return match home.group(now_ms, group_name) {
            Some(ticket) => Ok(Some(Next::Park(ticket))),
            None => Err(no_group(group_name)),
        };
    };
    let limit = match header.max_reconsume_times {
        // Clients from V3_4_9 on send their own limit.
        Some(limit) if call.command.version >= 121 => limit,
        _ => group.retry_max_times,
    };
    if header.reconsume_times.unwrap_or(0) < limit {
        return Ok(None);
    }
    let dead_letter_topic = names::dlq_topic(group_name);
    if !core.topics.contains_key(&dead_letter_topic) {
        let now_ms = core.now_ms;
        let Some(home) = core.home.as_mut() else { return Ok(Some(Next::Forward(0))) };
        return Ok(Some(Next::Park(home.own_topic(now_ms, &dead_letter_topic, 1, 6, 0))));
    }
    target.topic = Cow::Owned(dead_letter_topic);
    target.queue_id = 0;
    target.answered_queue_id = 0;
    sent.delay_level = 0;
    Ok(None)
}

/// Sends a message to its delay level's queue; the real place travels in its properties.
fn delay(core: &Core, target: &mut Target<'_>, sent: &SentProperties<'_>, stored: &mut Vec<u8>) {
    let levels = &core.env.options.delay_levels_ms;
    let level = (sent.delay_level as usize).clamp(1, levels.len().max(1));
    sent.write(stored, Some(level));
    text::append(stored, text::names::REAL_TOPIC, &target.topic);
    text::append_number(stored, text::names::REAL_QID, i64::from(target.queue_id));
    target.topic = Cow::Borrowed(names::SCHEDULE_TOPIC);
    target.queue_id = level as i32 - 1;
    // In a delay queue the tags code is the time of delivery.
    target.tags_code = core.now_ms + levels.get(level - 1).copied().unwrap_or(0);
}

fn sys_flag(header: &SendMessageHeader<'_>, filter_type: TopicFilterType) -> i32 {
    let multi_tags = if filter_type == TopicFilterType::MultiTag { message_sys_flag::MULTI_TAGS } else { 0 };
    header.sys_flag | multi_tags
}

/// Answers a producer whose message's promise is decided.
pub fn acknowledge(core: &mut Core, to: &ReplyTo, queue_id: i32, outcome: &PutOutcome) {
    if outcome.status == PutStatus::NoRoom {
        let refusal = core.no_room();
        core.refuse(to, request::SEND_MESSAGE, &refusal);
        return;
    }
    let (code, name) = crate::response_code::status(outcome.status);
    if code == response::SYSTEM_ERROR {
        let remark = format!("{name}: the commitlog failed, the message may not be stored");
        core.refuse(to, request::SEND_MESSAGE, &Refusal::new(code, remark));
        return;
    }
    if to.oneway {
        return;
    }
    if code == response::SUCCESS && outcome.more.is_none() && to.conn.shard() == core.id {
        if let Some(conn) = net::find(to.conn) {
            let (queue_offset, physical_offset) = (outcome.queue_offset, outcome.physical_offset);
            core.sent.write(&mut conn.out(), to.form, to.opaque, queue_id, queue_offset, physical_offset);
        }
        return;
    }
    let advertised = core.env.options.advertised;
    let first = offset_msg_id(advertised, outcome.physical_offset);
    let mut joined = String::new();
    if let Some(more) = &outcome.more {
        joined.push_str(first.as_str());
        for physical_offset in more.iter() {
            joined.push(',');
            joined.push_str(offset_msg_id(advertised, *physical_offset).as_str());
        }
    }
    let msg_id = if joined.is_empty() { first.as_str() } else { &joined };
    let remark = (code != response::SUCCESS).then_some(name);
    let region = core.region.clone();
    core.reply(to, code, remark, |fields| {
        fields.str("msgId", msg_id);
        fields.i32("queueId", queue_id);
        fields.i64("queueOffset", outcome.queue_offset);
        region.write(fields);
    });
}
