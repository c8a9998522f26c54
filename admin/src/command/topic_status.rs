//! `topicStatus`: first and next offset of each queue of a topic, and when it was last written.
//!
//! Asks 105, then 202 of one broker of each name. Owns the table. One thread.

use std::collections::BTreeMap;

use protocol::body::{MessageQueue, TopicOffset, TopicStatsTable};
use protocol::code::request;
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
    for (answer, (name, _)) in answers.into_iter().zip(&asked) {
        match answer {
            Ok(stats) => queues.extend(stats.offset_table),
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

fn row(cells: [&str; 5]) -> String {
    let [name, id, min, max, updated] = cells;
    format!("{name:<32}  {id:<4}  {min:<20}  {max:<20}    {updated}")
}
