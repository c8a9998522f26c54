//! UPDATE_AND_CREATE_TOPIC (17) and DELETE_TOPIC_IN_BROKER (215).
//!
//! Owns the topic requests. Must not wait for routes: creation is answered by the broker alone. One thread.

use protocol::code::request;

use crate::broker::Broker;
use crate::error::Error;

/// A topic to create or change.
#[derive(Clone, Copy, Debug)]
pub struct TopicSpec<'a> {
    pub topic: &'a str,
    pub read_queue_nums: i32,
    pub write_queue_nums: i32,
    /// 4 read + 2 write + 1 inherit.
    pub perm: i32,
    pub order: bool,
}

impl<'a> TopicSpec<'a> {
    /// A topic of this many queues to read and write.
    pub fn new(topic: &'a str, queues: i32) -> Self {
        TopicSpec { topic, read_queue_nums: queues, write_queue_nums: queues, perm: 6, order: false }
    }
}

impl Broker {
    /// Creates or changes a topic; acked = durable.
    pub fn create_topic(&mut self, spec: &TopicSpec<'_>) -> Result<(), Error> {
        self.connection
            .call(
                request::UPDATE_AND_CREATE_TOPIC,
                |fields| {
                    fields.str("topic", spec.topic);
                    fields.str("defaultTopic", "TBW102");
                    fields.i32("readQueueNums", spec.read_queue_nums);
                    fields.i32("writeQueueNums", spec.write_queue_nums);
                    fields.i32("perm", spec.perm);
                    fields.str("topicFilterType", "SINGLE_TAG");
                    fields.i32("topicSysFlag", 0);
                    fields.bool("order", spec.order);
                },
                &[],
            )
            .map(drop)
    }

    /// Deletes a topic from this broker.
    pub fn delete_topic(&mut self, topic: &str) -> Result<(), Error> {
        self.connection.call(request::DELETE_TOPIC_IN_BROKER, |fields| fields.str("topic", topic), &[]).map(drop)
    }
}
