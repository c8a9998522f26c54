//! GET_CONSUME_STATS 208: how far a consumer group is in each queue of its topics, and how fast it consumes.
//!
//! Begins on the home shard; [`crate::survey`] asks the owners of the queues, first for the group's topics unless the
//! request names one.

use std::collections::BTreeSet;

use protocol::body::{Body, ConsumeStats, MessageQueue, OffsetWrapper};
use protocol::header::GetConsumeStatsHeader;

use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;
use crate::home::Home;
use crate::survey::{Question, Survey};

/// Asks for the queues that consumers read from, as Java does.
pub fn handle(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let header = GetConsumeStatsHeader::decode(&call.command.fields)?;
    let group = header.consumer_group.into_owned();
    match header.topic.filter(|topic| !topic.trim().is_empty()) {
        Some(topic) => {
            let (topics, consume_tps) = consumed(core, home, &group, [topic.into_owned()]);
            core.begin_survey(call.to, Question::Group { group, consume_tps }, topics)?;
        }
        None => {
            let question = Question::TopicsOf { group, topics: BTreeSet::new(), is_complete: false };
            core.begin_survey(call.to, question, Vec::new())?;
        }
    }
    Ok(Next::Done)
}

/// Every shard has named the topics the group has progress on: from here on the survey asks for their queues. Home only.
pub fn topics_are_known(core: &mut Core, survey: &mut Survey) -> Result<(), Refusal> {
    let Question::TopicsOf { group, topics, .. } = &mut survey.question else { return Ok(()) };
    let (group, topics) = (std::mem::take(group), std::mem::take(topics));
    let (topics, consume_tps) = match core.home.take() {
        Some(home) => {
            let consumed = consumed(core, &home, &group, topics);
            core.home = Some(home);
            consumed
        }
        None => (Vec::new(), 0.0),
    };
    survey.question = Question::Group { group, consume_tps };
    survey.set_topics(topics)
}

/// Those topics, and the number of their queues, that exist and that the group, if it has members, still subscribes;
/// and the messages a second it consumes of them.
fn consumed(
    core: &Core,
    home: &Home,
    group: &str,
    topics: impl IntoIterator<Item = String>,
) -> (Vec<(String, i32)>, f64) {
    let subscribed = home.clients.consumer_group(group).map(|group| &group.subscriptions).filter(|s| !s.is_empty());
    let topics: Vec<(String, i32)> = topics
        .into_iter()
        .filter(|topic| subscribed.is_none_or(|subscribed| subscribed.contains_key(topic)))
        .filter_map(|topic| core.topics.get(&topic).map(|config| (topic, config.read_queue_nums)))
        .collect();
    // Not `sum`: of nothing that is −0.0, which travels as such.
    let rates = topics.iter().map(|(topic, _)| home.consumption.rate(group, topic, core.now_ms));
    let consume_tps = rates.fold(0.0, |sum, rate| sum + rate);
    (topics, consume_tps)
}

/// Answers with what was found; a thread reads the times.
pub fn answer(core: &mut Core, survey: Box<Survey>) {
    let env = core.env.clone();
    let to = survey.to;
    core.reply_rendered(&to, move || {
        let store_time = |physical_offset| env.store.store_time_at(physical_offset);
        stats(&env.options.name, &survey, store_time).to_fastjson()
    });
}

fn stats(broker_name: &str, survey: &Survey, store_time: impl Fn(i64) -> Option<i64>) -> ConsumeStats {
    let consume_tps = match survey.question {
        Question::Group { consume_tps, .. } => consume_tps,
        _ => 0.0,
    };
    let offset_table = survey.parts.iter().filter_map(|part| {
        let (topic, _) = survey.topics.get(part.topic)?;
        let queue = MessageQueue { broker_name: broker_name.into(), queue_id: part.queue_id, topic: topic.clone() };
        let last_timestamp = part.physical_offset.and_then(&store_time).unwrap_or(0).max(0);
        Some((queue, OffsetWrapper { broker_offset: part.end, consumer_offset: part.begin, last_timestamp }))
    });
    ConsumeStats { consume_tps, offset_table: offset_table.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::Part;

    #[test]
    fn the_time_is_that_of_the_last_consumed_message() {
        for (begin, end, physical_offset, expected) in
            [(0, 0, None, 0), (2, 9, Some(7), 700), (9, 9, None, 0), (2, 9, Some(8), 0), (2, 9, Some(9), 0)]
        {
            let parts = vec![Part { topic: 0, queue_id: 3, begin, end, physical_offset }];
            let question = Question::Group { group: "g".into(), consume_tps: 1.5 };
            let survey = Survey::found(question, &[("T", 4)], parts);
            let stats = stats("a", &survey, |physical_offset| match physical_offset {
                7 => Some(700),
                8 => Some(-1),
                _ => None,
            });
            let expected = format!(
                "{{\"consumeTps\":1.5,\"offsetTable\":{{{{\"brokerName\":\"a\",\"queueId\":3,\"topic\":\"T\"}}:\
                 {{\"brokerOffset\":{end},\"consumerOffset\":{begin},\"lastTimestamp\":{expected}}}}}}}"
            );
            assert_eq!(String::from_utf8_lossy(&stats.to_fastjson()), expected);
        }
    }
}
