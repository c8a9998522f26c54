//! CONSUMER_SEND_MSG_BACK 36: a consumer could not process a message and wants it again later.
//!
//! The message goes to %RETRY%group through its delay level, or past its limit to %DLQ%group. The
//! original is read from the log by its physical offset, which any shard can do; the copy is stored
//! by the shard that owns its queue. Source of the rules: Java 4.9.7 SendMessageProcessor.

use protocol::code::response;
use protocol::header::ConsumerSendMsgBackHeader;
use protocol::message::properties::{self as text, names};
use protocol::message::{Record, tags_code};
use protocol::topic as topics;

use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;
use crate::mesh::{Ack, OwnedPut};
use crate::topics::{perm, sys_flag};

/// Handles a message sent back.
pub fn handle(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = ConsumerSendMsgBackHeader::decode(&call.command.fields)?;
    let Some(group) = core.groups.get(&*header.group).cloned() else {
        return super::pull_message::missing_group(core, call, &header.group);
    };
    let options = &core.env.options;
    if options.permission & perm::WRITE == 0 {
        return Err(Refusal::new(
            response::NO_PERMISSION,
            format!(
                "the broker[{}] sending message is forbidden (brokerPermission={})",
                options.name, options.permission
            ),
        ));
    }
    if group.retry_queue_nums <= 0 {
        core.reply(&call.to, response::SUCCESS, None, |_| {});
        return Ok(Next::Done);
    }
    let limit = match header.max_reconsume_times {
        Some(limit) if call.command.version >= 121 => limit,
        _ => group.retry_max_times,
    };
    let Some(range) = core.env.store.record(header.offset) else {
        return Err(Refusal::new(response::SYSTEM_ERROR, format!("look message by offset failed, {}", header.offset)));
    };
    let Ok(record) = Record::decode(range.bytes()) else {
        return Err(Refusal::new(
            response::SYSTEM_ERROR,
            format!("look message by offset failed, {}: no record begins there", header.offset),
        ));
    };

    let dead = record.reconsume_times >= limit || header.delay_level < 0;
    let target = if dead { topics::dlq_topic(&header.group) } else { topics::retry_topic(&header.group) };
    let Some(topic) = core.topics.get(&target).cloned() else {
        let now_ms = core.now_ms;
        let Some(home) = core.home.as_mut() else { return Ok(Next::Forward(0)) };
        let queues = if dead { 1 } else { group.retry_queue_nums };
        let sys_flag = if header.unit_mode && !dead { sys_flag::UNIT_SUB } else { 0 };
        return Ok(Next::Park(home.own_topic(now_ms, &target, queues, 6, sys_flag)));
    };
    if topic.perm & perm::WRITE == 0 {
        if let Some(next) = super::ask_home(core, call) {
            return Ok(next);
        }
        return Err(Refusal::new(
            response::NO_PERMISSION,
            format!("the topic[{target}] sending message is forbidden (perm {})", topic.perm),
        ));
    }
    let queue_id = if dead { 0 } else { core.choose_queue(group.retry_queue_nums) };

    let mut properties = Vec::with_capacity(record.properties.len() + 128);
    text::append_without(
        &mut properties,
        record.properties,
        &[names::DELAY, names::WAIT, names::REAL_TOPIC, names::REAL_QID],
    );
    let mut add = |name: &str, value: &str| text::append(&mut properties, name, value);
    if record.property(names::RETRY_TOPIC).is_none() {
        add(names::RETRY_TOPIC, record.topic);
    }
    if record.property(names::ORIGIN_MESSAGE_ID).is_none() {
        add(names::ORIGIN_MESSAGE_ID, record.offset_msg_id().as_str());
    }
    let levels = &core.env.options.delay_levels_ms;
    let level = match header.delay_level {
        _ if dead || levels.is_empty() => 0,
        0 => (3 + record.reconsume_times.max(0) as usize).clamp(1, levels.len()),
        level => (level.max(1) as usize).min(levels.len()),
    };
    let mut put = OwnedPut {
        topic: target,
        queue_id: queue_id as u32,
        flag: record.flag,
        sys_flag: record.sys_flag,
        born_timestamp: record.born_timestamp,
        born_host: record.born_host,
        store_host: core.env.options.advertised,
        reconsume_times: record.reconsume_times.saturating_add(1),
        body: record.body.to_vec(),
        properties: Vec::new(),
        tags_code: record.property(names::TAGS).map_or(0, tags_code),
        ack: Ack::SendBack { to: call.to },
    };
    if level > 0 {
        add(names::DELAY, &level.to_string());
        add(names::REAL_TOPIC, &put.topic);
        add(names::REAL_QID, &put.queue_id.to_string());
        put.topic = topics::SCHEDULE_TOPIC.to_owned();
        put.queue_id = level as u32 - 1;
        put.tags_code = core.now_ms + levels[level - 1];
    }
    put.properties = properties;
    core.put(put);
    Ok(Next::Done)
}
