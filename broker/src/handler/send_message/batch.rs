//! A batch: many messages of one topic and queue in one request, stored as ordinary records, all of
//! them or none, never split over two commitlog files.

use engine::PutMessage;
use protocol::code::response;
use protocol::header::SendMessageHeader;
use protocol::message::layout::{self, PROPERTIES_LEN_MAX};
use protocol::message::properties as text;
use protocol::message::sys_flag::TRANSACTION_MASK;
use protocol::message::{SentProperties, batch, tags_code};

use super::properties::{add_cluster, add_missing};
use crate::call::{Call, Handled, Refusal};
use crate::core::Core;

/// Messages of one batch at most; the frame limit allows some 700,000 empty ones.
const MESSAGES_MAX: usize = 65_536;

/// What records may add to a batch's body (Java 4.9.4 and later: 64 KiB on top of maxMessageSize).
const STORED_EXTRA_MAX: usize = 64 * 1024;

fn too_long(len: usize) -> Refusal {
    Refusal::new(
        response::MESSAGE_ILLEGAL,
        format!("properties of {len} bytes, at most {PROPERTIES_LEN_MAX} can be stored"),
    )
}

/// Stores a batch on its queue's shard.
pub fn store(core: &mut Core, call: &Call<'_>, header: &SendMessageHeader<'_>, queue_id: i32) -> Handled {
    let illegal = |why: String| Refusal::new(response::MESSAGE_ILLEGAL, why);
    let sent = SentProperties::scan(&header.properties);
    if header.sys_flag & TRANSACTION_MASK != 0 || sent.half {
        return Err(illegal("a batch cannot be transactional".into()));
    }
    if sent.delay_level > 0 {
        return Err(illegal("a batch cannot be delayed".into()));
    }
    let body = call.command.body;
    if body.len() > core.env.options.message_size_max {
        return Err(illegal(format!(
            "batch of {} bytes, at most {} are taken (maxMessageSize)",
            body.len(),
            core.env.options.message_size_max
        )));
    }
    if header.properties.len() > PROPERTIES_LEN_MAX {
        return Err(too_long(header.properties.len()));
    }
    let stored_max = core.env.options.message_size_max + STORED_EXTRA_MAX;
    let mut items = Vec::new();
    let mut properties = Vec::with_capacity(body.len() / 2);
    let mut own = Vec::new();
    for item in batch::iter(body) {
        let item = item.map_err(|error| illegal(format!("the batch's body is damaged: {error}")))?;
        if items.len() >= MESSAGES_MAX {
            return Err(illegal(format!("more than {MESSAGES_MAX} messages in one batch")));
        }
        let start = properties.len();
        own.clear();
        own.extend_from_slice(item.properties);
        add_missing(&mut own, &header.properties);
        add_cluster(&mut own, &core.env.options.cluster);
        if own.len() > PROPERTIES_LEN_MAX {
            return Err(too_long(own.len()));
        }
        properties.extend_from_slice(&own);
        // The whole batch is one piece of the log: what is stored is bounded, not only what came.
        let stored = properties.len() + body.len() + (items.len() + 1) * (layout::RECORD_LEN_MIN + header.topic.len());
        if stored > stored_max {
            return Err(illegal(format!("the batch takes more than {stored_max} bytes when stored")));
        }
        items.push((item, start..properties.len()));
    }
    if items.is_empty() {
        return Err(illegal("the batch holds no message".into()));
    }
    let parts: Vec<[&[u8]; 1]> = items.iter().map(|(_, range)| [&properties[range.clone()]]).collect();
    let messages: Vec<PutMessage<'_>> = items
        .iter()
        .zip(&parts)
        .map(|((item, _), part)| PutMessage {
            topic: &header.topic,
            queue_id: queue_id as u32,
            flag: item.flag,
            sys_flag: header.sys_flag,
            born_timestamp: header.born_timestamp,
            born_host: call.peer,
            store_host: core.env.options.advertised,
            reconsume_times: header.reconsume_times.unwrap_or(0),
            prepared_transaction_offset: 0,
            body: item.body,
            properties: part,
            tags_code: text::get(part[0], text::names::TAGS).map_or(0, tags_code),
        })
        .collect();
    super::put(core, call, &messages, sent.wait, queue_id)
}
