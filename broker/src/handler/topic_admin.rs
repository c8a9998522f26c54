//! UPDATE_AND_CREATE_TOPIC 17, DELETE_TOPIC_IN_BROKER 215, GET_TOPIC_CONFIG 351 (which today's
//! dashboards ask even a 4.x broker) and GET_ALL_TOPIC_CONFIG 21. Run on the home shard; a change is
//! answered once it is durable.

use protocol::body::{Body, TopicConfig, TopicFilterType};
use protocol::code::response;
use protocol::header::{DeleteTopicHeader, GetTopicConfigHeader, UpdateAndCreateTopicHeader};
use protocol::topic as names;

use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;
use crate::home::Home;
use crate::mesh::TableChange;
use crate::tables::Table;
use crate::topics::QUEUES_MAX;

fn check_changeable(core: &Core, topic: &str) -> Result<(), Refusal> {
    names::check_topic_name(topic)
        .map_err(|error| Refusal::new(response::SYSTEM_ERROR, format!("the specified topic is refused: {error}")))?;
    let options = &core.env.options;
    let own = topic == options.cluster || topic == options.name || topic == names::reply_topic(&options.cluster);
    if names::is_system(topic) || own {
        return Err(Refusal::new(
            response::SYSTEM_ERROR,
            format!("the topic[{topic}] is conflict with system topic: the broker keeps it itself"),
        ));
    }
    Ok(())
}

/// Creates a topic or changes it.
pub fn update(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    if !call.durable {
        let header = UpdateAndCreateTopicHeader::decode(&call.command.fields)?;
        check_changeable(core, &header.topic)?;
        for (field, queues) in [("readQueueNums", header.read_queue_nums), ("writeQueueNums", header.write_queue_nums)]
        {
            if !(0..=QUEUES_MAX).contains(&queues) {
                return Err(Refusal::new(
                    response::SYSTEM_ERROR,
                    format!("{field}={queues}: a topic has 0 to {QUEUES_MAX} queues"),
                ));
            }
        }
        let topic = TopicConfig {
            topic_name: header.topic.to_string(),
            read_queue_nums: header.read_queue_nums,
            write_queue_nums: header.write_queue_nums,
            perm: header.perm,
            topic_filter_type: TopicFilterType::from_name(&header.topic_filter_type).unwrap_or_default(),
            topic_sys_flag: header.topic_sys_flag,
            ..TopicConfig::default()
        };
        // The order flag is not stored: it comes from the nameservers' configuration (Java 4.9.7).
        tracing::info!(topic = topic.topic_name, read = topic.read_queue_nums, write = topic.write_queue_nums, perm = topic.perm, peer = %call.peer, "topic updated");
        let now_ms = core.now_ms;
        let topic = home.topics.put(now_ms, topic);
        return Ok(Next::Park(home.change(Table::Topics, TableChange::Topic(topic))));
    }
    // As Java, whose answer comes behind the registration: whoever asks a nameserver next finds the topic.
    if !call.told {
        return Ok(Next::Tell);
    }
    core.reply(&call.to, response::SUCCESS, None, |_| {});
    Ok(Next::Done)
}

/// Deletes a topic with its consume queues; its messages go with the log's retention.
pub fn delete(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    if !call.durable {
        let header = DeleteTopicHeader::decode(&call.command.fields)?;
        check_changeable(core, &header.topic)?;
        tracing::info!(topic = &*header.topic, peer = %call.peer, "topic deleted");
        if home.topics.remove(core.now_ms, &header.topic) {
            let change = TableChange::TopicRemoved(header.topic.to_string());
            return Ok(Next::Park(home.change(Table::Topics, change)));
        }
    }
    core.reply(&call.to, response::SUCCESS, None, |_| {});
    Ok(Next::Done)
}

/// One topic's configuration.
pub fn get(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let header = GetTopicConfigHeader::decode(&call.command.fields)?;
    let Some(topic) = home.topics.get(&header.topic) else {
        return Err(Refusal::new(
            response::TOPIC_NOT_EXIST,
            format!("No topic in this broker. topic: {}", header.topic),
        ));
    };
    // 5.x asks for a TopicConfigAndQueueMapping: the configuration with an absent mapping.
    let body = topic.to_json();
    core.reply_body(&call.to, response::SUCCESS, None, |_| {}, &body);
    Ok(Next::Done)
}

/// Every topic.
pub fn get_all(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let snapshot = home.topics.snapshot();
    core.reply_rendered(&call.to, move || snapshot.wrapper().to_json());
    Ok(Next::Done)
}
