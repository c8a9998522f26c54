//! `topicStatus`: first and next offset of each queue of a topic, and when it was last written.
//!
//! Asks 105, then 202 of one broker of each name; of a broker that does not serve it, 31 and 30 for each queue, and the
//! times stay empty. Owns the table. One thread.

use std::collections::BTreeMap;

use protocol::body::{MessageQueue, TopicOffset, TopicRouteData, TopicStatsTable};
use protocol::code::{request, response};
use serde_json::json;

use super::Command;
use crate::arguments::{Arguments, Opt};
use crate::context::Context;
use crate::failure::{Failure, Unanswered};

pub const COMMAND: Command = Command {
    name: "topicStatus",
    about: "Offsets of each queue of a topic",
    options: &[Opt::value('t', "topic", "the topic").required()],
    run,
};

/// Characters of a broker's name that are printed.
const NAME_MAX: usize = 32;

/// Queues of one broker that are asked for one by one, two requests each.
const QUEUES_ASKED_MAX: i32 = 4096;

fn run(context: &mut Context<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let topic = arguments.get("topic").unwrap_or_default();
    let route = super::topic_route::of(context, arguments)?;
    // The master of each name, or, without one, the slave with the lowest id: it has the same offsets, or nearly.
    let asked: Vec<(&str, &str)> = route
        .broker_datas
        .iter()
        .filter_map(|broker| Some((broker.broker_name.as_str(), broker.broker_addrs.values().next()?.as_str())))
        .collect();
    let addresses: Vec<&str> = asked.iter().map(|(_, address)| *address).collect();
    let answers: Vec<Result<TopicStatsTable, Unanswered>> =
        context.ask_each(&addresses, request::GET_TOPIC_STATS_INFO, &[("topic", topic)]);
    let mut queues: BTreeMap<MessageQueue, TopicOffset> = BTreeMap::new();
    for (answer, (name, address)) in answers.into_iter().zip(&asked) {
        let outcome = match answer {
            Err(Unanswered::Refused { code: response::REQUEST_CODE_NOT_SUPPORTED, .. }) => {
                let note = format!(
                    "broker {name} at {address} does not serve request 202; when a queue was written is not known"
                );
                context.notes.push(note);
                one_by_one(context, &route, name, address, topic)
            }
            answer => answer.map(|stats| stats.offset_table),
        };
        match outcome {
            Ok(offsets) => queues.extend(offsets),
            Err(error) => context.complaints.push(format!("broker {name} at {error}")),
        }
    }
    if queues.is_empty() && context.complaints.is_empty() {
        let text = format!("no broker of topic {topic} has queues of it: {}", addresses.join(", "));
        return Err(Failure::Failed(text));
    }
    if context.json {
        let queues: Vec<_> = queues
            .iter()
            .map(|(queue, offset)| {
                json!({
                    "brokerName": queue.broker_name, "queueId": queue.queue_id, "minOffset": offset.min_offset,
                    "maxOffset": offset.max_offset, "lastUpdateTimestamp": offset.last_update_timestamp,
                })
            })
            .collect();
        context.print_json(&json!({ "topic": topic, "queues": queues, "errors": context.complaints }));
        return Ok(());
    }
    context.line(row(["#Broker Name", "#QID", "#Min Offset", "#Max Offset", "#Last Updated"]));
    for (queue, offset) in queues {
        let name: String = queue.broker_name.chars().take(NAME_MAX).collect();
        let [id, min, max] =
            [i64::from(queue.queue_id), offset.min_offset, offset.max_offset].map(|number| number.to_string());
        let updated = match offset.last_update_timestamp {
            ..=0 => String::new(),
            unix_ms => context.clock.text(unix_ms),
        };
        context.line(row([&name, &id, &min, &max, &updated]));
    }
    Ok(())
}

/// First and next offset of each queue that the route names, asked for one by one.
fn one_by_one(
    context: &mut Context<'_>,
    route: &TopicRouteData,
    name: &str,
    address: &str,
    topic: &str,
) -> Result<BTreeMap<MessageQueue, TopicOffset>, Unanswered> {
    let named = route.queue_datas.iter().filter(|queues| queues.broker_name == name);
    let count = named.map(|queues| queues.read_queue_nums.max(queues.write_queue_nums)).max().unwrap_or(0);
    if count > QUEUES_ASKED_MAX {
        let text = format!("broker {name} at {address}: {count} queues, the first {QUEUES_ASKED_MAX} are shown");
        context.complaints.push(text);
    }
    let mut offsets = BTreeMap::new();
    for queue_id in 0..count.min(QUEUES_ASKED_MAX) {
        let id = queue_id.to_string();
        let ask = |request: i32| {
            let reply = context.wire.ask(address, request, &[("topic", topic), ("queueId", &id)])?;
            let offset = reply.fields.get("offset").and_then(|text| text.parse().ok());
            offset.ok_or_else(|| Unanswered::Malformed {
                address: address.to_owned(),
                request,
                why: "its field offset is missing or no number".to_owned(),
            })
        };
        let (min_offset, max_offset) = (ask(request::GET_MIN_OFFSET)?, ask(request::GET_MAX_OFFSET)?);
        let queue = MessageQueue { broker_name: name.to_owned(), queue_id, topic: topic.to_owned() };
        offsets.insert(queue, TopicOffset { last_update_timestamp: 0, max_offset, min_offset });
    }
    Ok(offsets)
}

fn row(cells: [&str; 5]) -> String {
    let [name, id, min, max, updated] = cells;
    format!("{name:<32}  {id:<4}  {min:<20}  {max:<20}    {updated}")
}
