//! QUERY_MESSAGE (12), VIEW_MESSAGE_BY_ID (33) and CONSUMER_SEND_MSG_BACK (36): requests about one known message.
//!
//! Owns these three. Must not follow an id to another broker. One thread.

use protocol::code::{request, response};
use protocol::message::parse_offset_msg_id;

use crate::broker::Broker;
use crate::connection::refused;
use crate::error::Error;
use crate::message::Message;

/// A search by key.
#[derive(Clone, Copy, Debug)]
pub struct MessageQuery<'a> {
    pub topic: &'a str,
    /// A key of KEYS, or a unique id with `is_unique_id`.
    pub key: &'a str,
    pub is_unique_id: bool,
    pub max_messages: i32,
    /// Bounds of the store time, ms.
    pub begin_timestamp: i64,
    pub end_timestamp: i64,
}

impl<'a> MessageQuery<'a> {
    /// Up to 32 messages of any time.
    pub fn key(topic: &'a str, key: &'a str) -> Self {
        MessageQuery { topic, key, is_unique_id: false, max_messages: 32, begin_timestamp: 0, end_timestamp: i64::MAX }
    }
}

impl Broker {
    /// The messages of a key; none when the index knows the key not (22).
    pub fn query_message(&mut self, query: &MessageQuery<'_>) -> Result<Vec<Message>, Error> {
        let code = request::QUERY_MESSAGE;
        let timeout = self.connection.timeout();
        let answer = self.connection.ask(
            code,
            |fields| {
                fields.str("topic", query.topic);
                fields.str("key", query.key);
                fields.i32("maxNum", query.max_messages);
                fields.i64("beginTimestamp", query.begin_timestamp);
                fields.i64("endTimestamp", query.end_timestamp);
                fields.bool("_UNIQUE_KEY_QUERY", query.is_unique_id);
            },
            &[],
            timeout,
        )?;
        match answer.command().code {
            response::SUCCESS => {
                Message::read_all(answer.command().body).map_err(|error| Error::malformed(code, error.to_string()))
            }
            response::QUERY_NOT_FOUND => Ok(Vec::new()),
            _ => Err(refused(code, &answer)),
        }
    }

    /// The message of an offset message id.
    pub fn view_message(&mut self, offset_msg_id: &str) -> Result<Message, Error> {
        let (_, physical_offset) = parse_offset_msg_id(offset_msg_id)
            .ok_or_else(|| Error::Argument(format!("{offset_msg_id:?} is no offset message id")))?;
        self.view_message_at(physical_offset)
    }

    /// The message that starts at this byte of the log.
    pub fn view_message_at(&mut self, physical_offset: i64) -> Result<Message, Error> {
        let code = request::VIEW_MESSAGE_BY_ID;
        let answer = self.connection.call(code, |fields| fields.i64("offset", physical_offset), &[])?;
        let messages =
            Message::read_all(answer.command().body).map_err(|error| Error::malformed(code, error.to_string()))?;
        messages.into_iter().next().ok_or_else(|| Error::malformed(code, "no record in the body"))
    }

    /// Gives a message back to its group for another try. `delay_level` 0: the broker chooses; negative: dead letters.
    pub fn send_back(&mut self, message: &Message, group: &str, delay_level: i32) -> Result<(), Error> {
        self.connection
            .call(
                request::CONSUMER_SEND_MSG_BACK,
                |fields| {
                    fields.i64("offset", message.physical_offset);
                    fields.str("group", group);
                    fields.i32("delayLevel", delay_level);
                    fields.str("originMsgId", &message.offset_msg_id);
                    fields.str("originTopic", &message.topic);
                    fields.bool("unitMode", false);
                    fields.i32("maxReconsumeTimes", 16);
                },
                &[],
            )
            .map(drop)
    }
}
