//! SEND_MESSAGE_V2 (310) and SEND_BATCH_MESSAGE (320).
//!
//! Owns the one-letter header and the answer of a send. Must not choose queues or retry. Used by one thread.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::FieldWriter;
use protocol::code::{request, response};
use protocol::message::{BatchItem, batch};
use remoting::blocking::Answer;

use crate::broker::Broker;
use crate::connection::{number, refused};
use crate::error::Error;
use crate::message::Properties;

/// A message to send. `Send::to(topic, queue_id)` fills the rest with what a plain producer sends.
#[derive(Clone, Debug)]
pub struct Send<'a> {
    pub group: &'a str,
    pub topic: &'a str,
    /// The topic whose settings a new topic copies, and the queues it gets at most.
    pub default_topic: &'a str,
    pub default_topic_queue_nums: i32,
    /// Negative: the broker chooses.
    pub queue_id: i32,
    pub sys_flag: i32,
    pub flag: i32,
    pub properties: Properties,
    pub reconsume_times: i32,
    pub max_reconsume_times: Option<i32>,
    pub body: &'a [u8],
    /// Bounds the wait for the ack; `None`: the connection's own.
    pub timeout: Option<Duration>,
}

impl<'a> Send<'a> {
    /// A message for this queue.
    pub fn to(topic: &'a str, queue_id: i32, body: &'a [u8]) -> Self {
        Send {
            group: "PID_ringmq",
            topic,
            default_topic: "TBW102",
            default_topic_queue_nums: 4,
            queue_id,
            sys_flag: 0,
            flag: 0,
            properties: Properties::new(),
            reconsume_times: 0,
            max_reconsume_times: None,
            body,
            timeout: None,
        }
    }

    fn write(&self, fields: &mut FieldWriter<'_>, is_batch: bool) {
        fields.str("a", self.group);
        fields.str("b", self.topic);
        fields.str("c", self.default_topic);
        fields.i32("d", self.default_topic_queue_nums);
        fields.i32("e", self.queue_id);
        fields.i32("f", self.sys_flag);
        fields.i64("g", now_ms());
        fields.i32("h", self.flag);
        fields.str("i", self.properties.as_text());
        fields.i32("j", self.reconsume_times);
        fields.bool("k", false);
        if let Some(times) = self.max_reconsume_times {
            fields.i32("l", times);
        }
        fields.bool("m", is_batch);
    }
}

/// One message of a batch; topic, queue and the rest come from the [`Send`] it goes with.
#[derive(Clone, Debug)]
pub struct BatchMessage<'a> {
    pub flag: i32,
    pub properties: Properties,
    pub body: &'a [u8],
}

/// The broker's word on a stored message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// 0 SEND_OK, 10 flush not confirmed in time, 11 no slave, 12 slave not in time. In all of these it is stored.
    pub status: i32,
    /// Offset message id; of a batch the comma-joined ids.
    pub msg_id: String,
    pub queue_id: i32,
    /// Of a batch: of its first message.
    pub queue_offset: i64,
}

impl Sent {
    /// Byte of the log where each message lies, read out of the ids.
    pub fn physical_offsets(&self) -> Vec<i64> {
        self.msg_id
            .split(',')
            .filter_map(|id| protocol::message::parse_offset_msg_id(id).map(|(_, physical_offset)| physical_offset))
            .collect()
    }
}

impl Broker {
    /// Sends one message and waits for its ack. Any code but 0, 10, 11 and 12 is an error.
    pub fn send(&mut self, message: &Send<'_>) -> Result<Sent, Error> {
        let timeout = message.timeout.unwrap_or(self.connection.timeout());
        let code = request::SEND_MESSAGE_V2;
        let answer = self.connection.ask(code, |fields| message.write(fields, false), message.body, timeout)?;
        sent(code, &answer)
    }

    /// Sends one message and asks for no ack.
    pub fn send_oneway(&mut self, message: &Send<'_>) -> Result<(), Error> {
        self.connection.tell(request::SEND_MESSAGE_V2, |fields| message.write(fields, false), message.body)
    }

    /// Sends messages of one queue as one unit. The body of `head` is not used.
    pub fn send_batch(&mut self, head: &Send<'_>, messages: &[BatchMessage<'_>]) -> Result<Sent, Error> {
        let mut body = Vec::new();
        for message in messages {
            let item = BatchItem { flag: message.flag, body: message.body, properties: message.properties.as_bytes() };
            batch::encode(&mut body, &item).map_err(|error| Error::Argument(error.to_string()))?;
        }
        self.send_batch_body(head, &body)
    }

    /// Like [`Broker::send_batch`] with a body the caller encoded.
    pub fn send_batch_body(&mut self, head: &Send<'_>, body: &[u8]) -> Result<Sent, Error> {
        let timeout = head.timeout.unwrap_or(self.connection.timeout());
        let code = request::SEND_BATCH_MESSAGE;
        let answer = self.connection.ask(code, |fields| head.write(fields, true), body, timeout)?;
        sent(code, &answer)
    }
}

fn sent(code: i32, answer: &Answer) -> Result<Sent, Error> {
    let command = answer.command();
    match command.code {
        response::SUCCESS
        | response::FLUSH_DISK_TIMEOUT
        | response::SLAVE_NOT_AVAILABLE
        | response::FLUSH_SLAVE_TIMEOUT => Ok(Sent {
            status: command.code,
            msg_id: command.fields.get("msgId").unwrap_or_default().into_owned(),
            queue_id: i32::try_from(number(code, answer, "queueId")?)
                .map_err(|_| Error::malformed(code, "field queueId is no i32"))?,
            queue_offset: number(code, answer, "queueOffset")?,
        }),
        _ => Err(refused(code, answer)),
    }
}

/// Wall clock, ms since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
