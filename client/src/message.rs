//! A message as a consumer holds it: the record's parts, copied out of the answer.
//!
//! Owns the copying and the property text. Must not ask the network for more. Plain data, any thread.

use protocol::message::{Peek, Record, RecordError, offset_msg_id, peek, properties};

/// A property text built name by name.
#[derive(Clone, Debug, Default)]
pub struct Properties(Vec<u8>);

impl Properties {
    /// No property.
    pub fn new() -> Self {
        Properties::default()
    }

    /// Adds one; a name given twice counts with its last value.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        properties::append(&mut self.0, name, value);
        self
    }

    /// As the wire has it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As the wire has it.
    pub fn as_text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// One message read from a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub queue_id: i32,
    /// Place in the queue.
    pub queue_offset: i64,
    /// Byte in the log.
    pub physical_offset: i64,
    pub flag: i32,
    pub sys_flag: i32,
    /// When the producer made it, ms.
    pub born_timestamp: i64,
    /// When the broker stored it, ms.
    pub store_timestamp: i64,
    pub reconsume_times: i32,
    /// CRC of the record, 31 bits, as stored.
    pub body_crc: u32,
    /// The body's bytes give that CRC.
    pub body_crc_ok: bool,
    /// Bytes of the whole record.
    pub total_size: u32,
    /// The id by which [`crate::Broker::view_message`] finds it.
    pub offset_msg_id: String,
    pub body: Vec<u8>,
    pub properties: Vec<u8>,
}

impl Message {
    pub(crate) fn copy(record: &Record<'_>) -> Message {
        Message {
            topic: record.topic.to_owned(),
            queue_id: record.queue_id,
            queue_offset: record.queue_offset,
            physical_offset: record.physical_offset,
            flag: record.flag,
            sys_flag: record.sys_flag,
            born_timestamp: record.born_timestamp,
            store_timestamp: record.store_timestamp,
            reconsume_times: record.reconsume_times,
            body_crc: record.body_crc,
            body_crc_ok: record.body_crc_ok(),
            total_size: record.total_size,
            offset_msg_id: offset_msg_id(record.store_host, record.physical_offset).as_str().to_owned(),
            body: record.body.to_vec(),
            properties: record.properties.to_vec(),
        }
    }

    /// A property's value.
    pub fn property(&self, name: &str) -> Option<&str> {
        properties::get(&self.properties, name)
    }

    /// The records of a pull or query body, in their order.
    pub fn read_all(mut body: &[u8]) -> Result<Vec<Message>, RecordError> {
        let mut messages = Vec::new();
        while !body.is_empty() {
            let Peek::Record { total_size } = peek(body) else {
                // Decoding names the problem; what peeks as no record decodes as none.
                let record = Record::decode(body)?;
                return Err(RecordError::Size { total_size: record.total_size, parts: body.len() });
            };
            let record = Record::decode(body)?;
            messages.push(Message::copy(&record));
            body = body.get(total_size as usize..).unwrap_or_default();
        }
        Ok(messages)
    }
}
