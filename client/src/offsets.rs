//! The offsets of queues (29, 30, 31, 32) and of groups (14, 15).
//!
//! Owns these six requests. Must not interpret what a group without an offset should do. One thread.

use protocol::code::{request, response};

use crate::broker::Broker;
use crate::connection::{number, refused};
use crate::error::Error;

impl Broker {
    /// The next offset to be written.
    pub fn max_offset(&mut self, topic: &str, queue_id: i32) -> Result<i64, Error> {
        self.queue_number(request::GET_MAX_OFFSET, topic, queue_id, "offset", None)
    }

    /// The oldest offset still there.
    pub fn min_offset(&mut self, topic: &str, queue_id: i32) -> Result<i64, Error> {
        self.queue_number(request::GET_MIN_OFFSET, topic, queue_id, "offset", None)
    }

    /// The offset of the first message stored at or after this time (ms).
    pub fn search_offset(&mut self, topic: &str, queue_id: i32, timestamp_ms: i64) -> Result<i64, Error> {
        self.queue_number(request::SEARCH_OFFSET_BY_TIMESTAMP, topic, queue_id, "offset", Some(timestamp_ms))
    }

    /// When the oldest message was stored (ms), -1 when the queue is empty.
    pub fn earliest_store_time(&mut self, topic: &str, queue_id: i32) -> Result<i64, Error> {
        self.queue_number(request::GET_EARLIEST_MSG_STORETIME, topic, queue_id, "timestamp", None)
    }

    fn queue_number(
        &mut self,
        code: i32,
        topic: &str,
        queue_id: i32,
        key: &str,
        timestamp_ms: Option<i64>,
    ) -> Result<i64, Error> {
        let answer = self.connection.call(
            code,
            |fields| {
                fields.str("topic", topic);
                fields.i32("queueId", queue_id);
                if let Some(timestamp_ms) = timestamp_ms {
                    fields.i64("timestamp", timestamp_ms);
                }
            },
            &[],
        )?;
        number(code, &answer, key)
    }

    /// A group's next offset to consume; `None` when the broker knows none (22).
    pub fn query_offset(&mut self, group: &str, topic: &str, queue_id: i32) -> Result<Option<i64>, Error> {
        let code = request::QUERY_CONSUMER_OFFSET;
        let timeout = self.connection.timeout();
        let answer = self.connection.ask(
            code,
            |fields| {
                fields.str("consumerGroup", group);
                fields.str("topic", topic);
                fields.i32("queueId", queue_id);
            },
            &[],
            timeout,
        )?;
        match answer.command().code {
            response::SUCCESS => number(code, &answer, "offset").map(Some),
            response::QUERY_NOT_FOUND => Ok(None),
            _ => Err(refused(code, &answer)),
        }
    }

    /// Commits a group's next offset to consume and waits for the answer.
    pub fn update_offset(&mut self, group: &str, topic: &str, queue_id: i32, offset: i64) -> Result<(), Error> {
        self.connection
            .call(
                request::UPDATE_CONSUMER_OFFSET,
                |fields| {
                    fields.str("consumerGroup", group);
                    fields.str("topic", topic);
                    fields.i32("queueId", queue_id);
                    fields.i64("commitOffset", offset);
                },
                &[],
            )
            .map(drop)
    }
}
