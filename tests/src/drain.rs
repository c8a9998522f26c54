//! Reads every queue from its min offset to its max, and looks messages up, for the checker.
//!
//! Owns the reading after a run. Must not judge: what cannot be read is recorded as missing.

use std::time::Duration;

use checker::{Op, Record};
use client::{Broker, Message, MessageQuery, Pull, PullOutcome};

use crate::body;
use crate::load::LoadTopic;
use crate::recorder::Recorder;
use crate::rng::Rng;
use crate::wait;

const GROUP: &str = "CID_drain";

/// Drains the queues of all topics; answers what was read.
pub fn topics(broker: &mut Broker, recorder: &mut Recorder, topics: &[LoadTopic]) -> Vec<Message> {
    let mut messages = Vec::new();
    for topic in topics {
        for queue in 0..topic.queues {
            queue_to_max(broker, recorder, &topic.name, queue, &mut messages);
        }
    }
    messages
}

/// Drains one queue and records its edges.
pub fn queue_to_max(
    broker: &mut Broker,
    recorder: &mut Recorder,
    topic: &str,
    queue: i32,
    messages: &mut Vec<Message>,
) {
    let said = |error: client::Error| -> i64 { panic!("drain of {topic}/{queue}: {error}") };
    let t_call = recorder.now();
    let min_offset = broker.min_offset(topic, queue).unwrap_or_else(said);
    let max_offset = broker.max_offset(topic, queue).unwrap_or_else(said);
    let mut edges = recorder.record(Op::Edges, topic, queue, t_call);
    (edges.queue_offset, edges.max_offset) = (min_offset, max_offset);
    recorder.push(edges);
    let mut next = min_offset;
    while next < max_offset {
        let t_call = recorder.now();
        let pulled = broker
            .pull(&Pull::from(GROUP, topic, queue, next))
            .unwrap_or_else(|error| panic!("drain of {topic}/{queue} at {next}: {error}"));
        for message in &pulled.messages {
            assert!(
                message.body_crc_ok,
                "{topic}/{queue}@{}: the record's crc does not fit its body",
                message.queue_offset
            );
            recorder.push_read(Op::Drain, "", message, t_call);
        }
        // A broker that says "nothing" or does not move inside the queue is recorded as it is: the rest is missing.
        if pulled.outcome == PullOutcome::NotFound || pulled.next_begin_offset <= next {
            break;
        }
        next = pulled.next_begin_offset;
        messages.extend(pulled.messages);
    }
}

/// Looks up to `count` of the messages up by key and by id. The index may lag behind the log: a key is asked for until
/// it is found or `patience` is over.
pub fn lookups(
    broker: &mut Broker,
    recorder: &mut Recorder,
    messages: &[Message],
    count: usize,
    rng: &mut Rng,
    patience: Duration,
) {
    for _ in 0..count.min(messages.len()) {
        let message = &messages[rng.below(messages.len() as u64) as usize];
        let Some(uid) = body::uid(message) else { continue };
        let key = uid.to_string();
        let t_call = recorder.now();
        let by_key = wait::until(patience, || {
            let found = broker.query_message(&MessageQuery::key(&message.topic, &key)).ok()?;
            found.into_iter().find(|found| found.physical_offset == message.physical_offset)
        });
        recorder.push(looked_up(recorder, message, by_key.as_ref(), t_call));
        let t_call = recorder.now();
        let by_id = broker.view_message(&message.offset_msg_id).ok();
        recorder.push(looked_up(recorder, message, by_id.as_ref(), t_call));
    }
}

fn looked_up(recorder: &Recorder, wanted: &Message, found: Option<&Message>, t_call: u64) -> Record {
    let mut record = recorder.record(Op::Lookup, &wanted.topic, wanted.queue_id, t_call);
    record.uid = body::uid(wanted);
    match found {
        Some(found) => {
            record.crc = protocol::message::crc32(&found.body);
            (record.queue_offset, record.physical_offset) = (found.queue_offset, found.physical_offset);
        }
        None => record.status = 22,
    }
    record
}
