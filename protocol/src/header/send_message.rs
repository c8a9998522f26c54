//! SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320) and the two reply codes (324, 325), producer to
//! broker. One header, two spellings: 10 and 324 use whole names, 310, 320 and 325 single letters.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::field_writer::FieldWriter;
use crate::fields::{Fields, Text};
use crate::header::header;
use crate::header::value::{self, HeaderError, Value};

/// A message to be stored, or a batch of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendMessageHeader<'a> {
    /// Empty when the client sends none.
    pub producer_group: Cow<'a, str>,
    /// Required.
    pub topic: Cow<'a, str>,
    /// Topic a new topic is modelled on, normally TBW102; empty when the client sends none.
    pub default_topic: Cow<'a, str>,
    /// Queues a new topic shall have; 4, Java's default, when the client sends none.
    pub default_topic_queue_nums: i32,
    /// Required; negative lets the broker choose.
    pub queue_id: i32,
    /// See [`crate::message::sys_flag`].
    pub sys_flag: i32,
    /// ms; 0 when the client sends none.
    pub born_timestamp: i64,
    /// The application's flag.
    pub flag: i32,
    /// Properties string, see [`crate::message::properties`].
    pub properties: Cow<'a, str>,
    /// How often the message was consumed in vain; set by consumers that send to a retry topic.
    pub reconsume_times: Option<i32>,
    /// A new topic gets the unit flag.
    pub unit_mode: bool,
    /// Greatest number of retries, of the same consumers.
    pub max_reconsume_times: Option<i32>,
    /// The body is a batch, see [`crate::message::batch`]. This, not the code, tells a batch.
    pub batch: bool,
}

/// The fields by their letter: whole name for each.
const NAMES: [(u8, &str); 13] = [
    (b'a', "producerGroup"),
    (b'b', "topic"),
    (b'c', "defaultTopic"),
    (b'd', "defaultTopicQueueNums"),
    (b'e', "queueId"),
    (b'f', "sysFlag"),
    (b'g', "bornTimestamp"),
    (b'h', "flag"),
    (b'i', "properties"),
    (b'j', "reconsumeTimes"),
    (b'k', "unitMode"),
    (b'l', "maxReconsumeTimes"),
    (b'm', "batch"),
];

/// What was found so far.
#[derive(Default)]
struct Found<'a> {
    producer_group: Option<Cow<'a, str>>,
    topic: Option<Cow<'a, str>>,
    default_topic: Option<Cow<'a, str>>,
    default_topic_queue_nums: Option<i32>,
    queue_id: Option<i32>,
    sys_flag: Option<i32>,
    born_timestamp: Option<i64>,
    flag: Option<i32>,
    properties: Option<Text<'a>>,
    reconsume_times: Option<i32>,
    unit_mode: Option<bool>,
    max_reconsume_times: Option<i32>,
    batch: Option<bool>,
}

fn put<'a, V: Value<'a>>(slot: &mut Option<V>, name: &'static str, text: Text<'a>) -> Result<(), HeaderError> {
    *slot = value::read(name, text)?;
    Ok(())
}

#[inline(always)]
fn put_plain<V>(slot: &mut Option<V>, value: Option<V>) -> bool {
    let is_there = value.is_some();
    if is_there {
        *slot = value;
    }
    is_there
}

impl<'a> Found<'a> {
    /// Takes the field of this letter if it is written in the plainest way; false leaves it to [`Found::take`].
    #[inline(always)]
    fn take_plain(&mut self, letter: u8, text: Text<'a>) -> bool {
        match letter {
            b'a' => put_plain(&mut self.producer_group, text.borrowed().map(Cow::Borrowed)),
            b'b' => put_plain(&mut self.topic, text.borrowed().map(Cow::Borrowed)),
            b'c' => put_plain(&mut self.default_topic, text.borrowed().map(Cow::Borrowed)),
            b'd' => put_plain(&mut self.default_topic_queue_nums, value::plain_i32(text)),
            b'e' => put_plain(&mut self.queue_id, value::plain_i32(text)),
            b'f' => put_plain(&mut self.sys_flag, value::plain_i32(text)),
            b'g' => put_plain(&mut self.born_timestamp, value::plain_i64(text)),
            b'h' => put_plain(&mut self.flag, value::plain_i32(text)),
            b'i' => put_plain(&mut self.properties, Some(text)),
            b'j' => put_plain(&mut self.reconsume_times, value::plain_i32(text)),
            b'k' => put_plain(&mut self.unit_mode, value::plain_bool(text)),
            b'l' => put_plain(&mut self.max_reconsume_times, value::plain_i32(text)),
            b'm' => put_plain(&mut self.batch, value::plain_bool(text)),
            _ => true,
        }
    }

    /// Takes the field of this letter; other letters (`n`, the broker's name) are ignored.
    fn take(&mut self, letter: u8, text: Text<'a>) -> Result<(), HeaderError> {
        match letter {
            b'a' => put(&mut self.producer_group, "producerGroup", text),
            b'b' => put(&mut self.topic, "topic", text),
            b'c' => put(&mut self.default_topic, "defaultTopic", text),
            b'd' => put(&mut self.default_topic_queue_nums, "defaultTopicQueueNums", text),
            b'e' => put(&mut self.queue_id, "queueId", text),
            b'f' => put(&mut self.sys_flag, "sysFlag", text),
            b'g' => put(&mut self.born_timestamp, "bornTimestamp", text),
            b'h' => put(&mut self.flag, "flag", text),
            b'i' => {
                self.properties = Some(text);
                Ok(())
            }
            b'j' => put(&mut self.reconsume_times, "reconsumeTimes", text),
            b'k' => put(&mut self.unit_mode, "unitMode", text),
            b'l' => put(&mut self.max_reconsume_times, "maxReconsumeTimes", text),
            b'm' => put(&mut self.batch, "batch", text),
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn finish(self, room: Option<&'a mut String>) -> Result<SendMessageHeader<'a>, HeaderError> {
        let properties = match (self.properties, room) {
            (Some(text), Some(room)) => text.get_in(room),
            (Some(text), None) => text.get(),
            (None, _) => Cow::Borrowed(""),
        };
        Ok(SendMessageHeader {
            producer_group: self.producer_group.unwrap_or_default(),
            topic: self.topic.map_or_else(|| value::absent("topic"), Ok)?,
            default_topic: self.default_topic.unwrap_or_default(),
            default_topic_queue_nums: self.default_topic_queue_nums.unwrap_or(4),
            queue_id: self.queue_id.map_or_else(|| value::absent("queueId"), Ok)?,
            sys_flag: self.sys_flag.unwrap_or_default(),
            born_timestamp: self.born_timestamp.unwrap_or_default(),
            flag: self.flag.unwrap_or_default(),
            properties,
            reconsume_times: self.reconsume_times,
            unit_mode: self.unit_mode.unwrap_or_default(),
            max_reconsume_times: self.max_reconsume_times,
            batch: self.batch.unwrap_or_default(),
        })
    }
}

fn find_names<'a>(fields: &Fields<'a>) -> Result<Found<'a>, HeaderError> {
    let mut found = Found::default();
    fields.try_each(|name, text| {
        let name = name.bytes();
        match NAMES.iter().find(|(_, whole)| *whole.as_bytes() == *name) {
            Some((letter, _)) => found.take(*letter, text),
            None => Ok(()),
        }
    })?;
    Ok(found)
}

#[inline(always)]
fn find_letters<'a>(fields: &Fields<'a>) -> Result<Found<'a>, HeaderError> {
    let mut found = Found::default();
    fields.try_letters(
        #[inline(always)]
        |letter, text| if found.take_plain(letter, text) { Ok(()) } else { found.take(letter, text) },
    )?;
    Ok(found)
}

impl<'a> SendMessageHeader<'a> {
    /// Reads the fields by their whole names: codes 10 and 324.
    pub fn decode_v1(fields: &Fields<'a>) -> Result<Self, HeaderError> {
        find_names(fields)?.finish(None)
    }

    /// Reads the fields by their letters: codes 310, 320 and 325.
    pub fn decode_v2(fields: &Fields<'a>) -> Result<Self, HeaderError> {
        find_letters(fields)?.finish(None)
    }

    /// Like [`SendMessageHeader::decode_v1`], with room for the properties: in JSON their separators are escaped, so
    /// they cannot be borrowed from the frame. A room that is used again takes no heap.
    pub fn decode_v1_in(fields: &Fields<'a>, room: &'a mut String) -> Result<Self, HeaderError> {
        find_names(fields)?.finish(Some(room))
    }

    /// Like [`SendMessageHeader::decode_v2`], with room for the properties as in [`SendMessageHeader::decode_v1_in`].
    pub fn decode_v2_in(fields: &Fields<'a>, room: &'a mut String) -> Result<Self, HeaderError> {
        find_letters(fields)?.finish(Some(room))
    }

    /// Writes the fields by their whole names.
    pub fn encode_v1(&self, out: &mut FieldWriter<'_>) {
        self.encode(out, |_, whole| whole);
    }

    /// Writes the fields by their letters.
    pub fn encode_v2(&self, out: &mut FieldWriter<'_>) {
        self.encode(out, |letter, _| letter);
    }

    fn encode(&self, out: &mut FieldWriter<'_>, pick: impl Fn(&'static str, &'static str) -> &'static str) {
        out.str(pick("a", "producerGroup"), &self.producer_group);
        out.str(pick("b", "topic"), &self.topic);
        out.str(pick("c", "defaultTopic"), &self.default_topic);
        out.i32(pick("d", "defaultTopicQueueNums"), self.default_topic_queue_nums);
        out.i32(pick("e", "queueId"), self.queue_id);
        out.i32(pick("f", "sysFlag"), self.sys_flag);
        out.i64(pick("g", "bornTimestamp"), self.born_timestamp);
        out.i32(pick("h", "flag"), self.flag);
        out.str(pick("i", "properties"), &self.properties);
        if let Some(times) = self.reconsume_times {
            out.i32(pick("j", "reconsumeTimes"), times);
        }
        out.bool(pick("k", "unitMode"), self.unit_mode);
        if let Some(times) = self.max_reconsume_times {
            out.i32(pick("l", "maxReconsumeTimes"), times);
        }
        out.bool(pick("m", "batch"), self.batch);
    }
}

header! {
    /// Where the message was stored. Clients read all three required fields and look at the region and trace switch, so
    /// the fields are never empty, not even in a refusal.
    SendMessageResponse<'a> {
        /// Offset message id; those of a batch joined by commas.
        msg_id: Cow<'a, str> = "msgId",
        /// Queue it was asked for.
        queue_id: i32 = "queueId",
        /// Of the first message of a batch.
        queue_offset: i64 = "queueOffset",
        /// Never set by 4.9.7.
        transaction_id: Option<Cow<'a, str>> = "transactionId",
        /// Region of the broker.
        msg_region: Option<Cow<'a, str>> = "MSG_REGION",
        /// Whether clients shall trace.
        trace_on: Option<bool> = "TRACE_ON",
    }
}
