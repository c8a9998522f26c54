//! GET_TOPIC_STATS_INFO 202: first and next offset of each of a topic's queues, and when it was last written.
//!
//! Begins on the home shard; [`crate::survey`] asks the owners of the queues.

use protocol::body::{Body, MessageQueue, TopicOffset, TopicStatsTable};
use protocol::header::GetTopicStatsInfoHeader;

use crate::call::{Call, Handled, Next};
use crate::core::Core;
use crate::home::Home;
use crate::survey::{Question, Survey};

/// Asks for the queues that producers write to, as Java does.
pub fn handle(core: &mut Core, _home: &mut Home, call: &Call<'_>) -> Handled {
    let header = GetTopicStatsInfoHeader::decode(&call.command.fields)?;
    let topic = match super::topic(core, call, &header.topic)? {
        Ok(topic) => topic,
        Err(next) => return Ok(next),
    };
    let queues = topic.write_queue_nums;
    core.begin_survey(call.to, Question::Topic, vec![(header.topic.into_owned(), queues)])?;
    Ok(Next::Done)
}

/// Answers with what was found; a thread reads the times.
pub fn answer(core: &mut Core, survey: Box<Survey>) {
    let env = core.env.clone();
    let to = survey.to;
    core.reply_rendered(&to, move || {
        let store_time = |physical_offset| env.store.store_time_at(physical_offset);
        table(&env.options.name, &survey, store_time).to_fastjson()
    });
}

fn table(broker_name: &str, survey: &Survey, store_time: impl Fn(i64) -> Option<i64>) -> TopicStatsTable {
    let offset_table = survey.parts.iter().filter_map(|part| {
        let (topic, _) = survey.topics.get(part.topic)?;
        let queue = MessageQueue { broker_name: broker_name.into(), queue_id: part.queue_id, topic: topic.clone() };
        let last_update_timestamp = match part.end {
            ..=0 => 0,
            // Java's word for a last message that is no longer there.
            _ => part.physical_offset.and_then(&store_time).unwrap_or(-1),
        };
        Some((queue, TopicOffset { last_update_timestamp, max_offset: part.end, min_offset: part.begin }))
    });
    TopicStatsTable { offset_table: offset_table.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::Part;

    #[test]
    fn the_time_is_that_of_the_last_message() {
        for (begin, end, physical_offset, expected) in
            [(0, 0, None, 0), (2, 9, Some(7), 700), (9, 9, None, -1), (2, 9, Some(8), -1)]
        {
            let parts = vec![Part { topic: 0, queue_id: 3, begin, end, physical_offset }];
            let survey = Survey::found(Question::Topic, &[("T", 4)], parts);
            let table = table("a", &survey, |physical_offset| (physical_offset == 7).then_some(700));
            let expected = format!(
                "{{\"offsetTable\":{{{{\"brokerName\":\"a\",\"queueId\":3,\"topic\":\"T\"}}:\
                 {{\"lastUpdateTimestamp\":{expected},\"maxOffset\":{end},\"minOffset\":{begin}}}}}}}"
            );
            assert_eq!(String::from_utf8_lossy(&table.to_fastjson()), expected);
        }
    }
}
