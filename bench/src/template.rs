//! The head of a send request, written once and patched for every message: it costs a few stores then.
//!
//! Owns the bytes before the body. The opaque and the born time are written with a fixed number of digits, so that a
//! patch never moves anything. Read-only after the start, shared by all threads.

use protocol::command::FLAG_ONEWAY;
use protocol::{Head, HeaderForm, write_command};

const CODE_SEND_MESSAGE: i32 = 10;
const CODE_SEND_MESSAGE_V2: i32 = 310;
const CODE_SEND_BATCH_MESSAGE: i32 = 320;
/// Placeholders; also the lowest opaque, so that all have ten digits.
pub const OPAQUE_FIRST: i32 = 1_111_111_111;
/// In a frame with a binary header.
const BINARY_OPAQUE_AT: usize = 13;
const BORN_MS: u64 = 2_222_222_222_222;

/// How messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// SEND_MESSAGE_V2, acked.
    Sync,
    /// SEND_MESSAGE with the one-way flag: no answer.
    OneWay,
    /// SEND_BATCH_MESSAGE with so many messages, acked as one.
    Batch(u32),
}

/// The head of the frames for one queue of a topic.
#[derive(Clone, Debug)]
pub struct Template {
    /// No byte more than needed: a load may have hundreds of thousands of queues.
    head: Box<[u8]>,
    opaque_at: u32,
    born_at: u32,
    form: HeaderForm,
}

impl Template {
    /// A plain send.
    pub fn new(topic: &str, queue: u32, form: HeaderForm, manner: Manner) -> Result<Template, String> {
        let mut frame = Vec::new();
        let (code, flag) = match manner {
            Manner::Sync => (CODE_SEND_MESSAGE_V2, 0),
            Manner::OneWay => (CODE_SEND_MESSAGE, FLAG_ONEWAY),
            Manner::Batch(_) => (CODE_SEND_BATCH_MESSAGE, 0),
        };
        let names = if code == CODE_SEND_MESSAGE { &LONG_NAMES } else { &SHORT_NAMES };
        let [
            group,
            name,
            default_topic,
            default_queues,
            queue_id,
            sys_flag,
            born,
            message_flag,
            properties,
            times,
            unit,
            batch,
        ] = *names;
        let head = Head { form, flag, ..Head::request(code, OPAQUE_FIRST) };
        write_command(
            &mut frame,
            &head,
            |fields| {
                fields.str(group, "PID_mqbench");
                fields.str(name, topic);
                fields.str(default_topic, "TBW102");
                fields.i32(default_queues, 4);
                fields.i64(queue_id, i64::from(queue));
                fields.i32(sys_flag, 0);
                fields.i64(born, BORN_MS as i64);
                fields.i32(message_flag, 0);
                fields.str(properties, "WAIT\u{1}true");
                fields.i32(times, 0);
                fields.bool(unit, false);
                fields.bool(batch, matches!(manner, Manner::Batch(_)));
            },
            0,
        );
        // With what stands around them: a topic's name may look like a placeholder, quotes and all.
        let (opaque_before, born_before) = match form {
            HeaderForm::Json => (b"\"opaque\":".to_vec(), format!("\"{born}\":\"").into_bytes()),
            HeaderForm::Rocketmq => {
                let mut before = (born.len() as u16).to_be_bytes().to_vec();
                before.extend_from_slice(born.as_bytes());
                before.extend_from_slice(&13u32.to_be_bytes());
                (Vec::new(), before)
            }
        };
        let digits = |before: Vec<u8>, number: u64| [before, number.to_string().into_bytes()].concat();
        let end_of = |wanted: &[u8]| {
            let at = frame.windows(wanted.len()).position(|part| part == wanted)?;
            Some(at + wanted.len())
        };
        let born_at = end_of(&digits(born_before, BORN_MS)).ok_or("the header has no born time")? - 13;
        let opaque_at = match form {
            HeaderForm::Json => {
                end_of(&digits(opaque_before, OPAQUE_FIRST as u64)).ok_or("the header has no opaque")? - 10
            }
            HeaderForm::Rocketmq => BINARY_OPAQUE_AT,
        };
        Ok(Template { head: frame.into(), opaque_at: opaque_at as u32, born_at: born_at as u32, form })
    }

    /// Appends the head of a frame whose body of this many bytes the caller appends next. `opaque` is at least
    /// [`OPAQUE_FIRST`].
    pub fn write(&self, out: &mut Vec<u8>, opaque: i32, born: &BornTime, body_len: usize) {
        let begin = out.len();
        out.extend_from_slice(&self.head);
        let head = &mut out[begin..];
        let frame_len = (self.head.len() - 4 + body_len) as u32;
        head[0..4].copy_from_slice(&frame_len.to_be_bytes());
        let (opaque_at, born_at) = (self.opaque_at as usize, self.born_at as usize);
        match self.form {
            HeaderForm::Json => write_digits(&mut head[opaque_at..opaque_at + 10], opaque as u64),
            HeaderForm::Rocketmq => head[opaque_at..opaque_at + 4].copy_from_slice(&opaque.to_be_bytes()),
        }
        head[born_at..born_at + 13].copy_from_slice(&born.digits);
    }
}

const SHORT_NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "m"];
const LONG_NAMES: [&str; 12] = [
    "producerGroup",
    "topic",
    "defaultTopic",
    "defaultTopicQueueNums",
    "queueId",
    "sysFlag",
    "bornTimestamp",
    "flag",
    "properties",
    "reconsumeTimes",
    "unitMode",
    "batch",
];

/// A born time in its 13 digits; made anew once a millisecond only.
#[derive(Clone, Debug)]
pub struct BornTime {
    ms: u64,
    digits: [u8; 13],
}

impl BornTime {
    /// 1970.
    pub fn new() -> BornTime {
        BornTime { ms: 0, digits: [b'0'; 13] }
    }

    /// Sets it, in milliseconds since 1970.
    pub fn set(&mut self, ms: u64) {
        if ms != self.ms {
            self.ms = ms;
            write_digits(&mut self.digits, ms);
        }
    }
}

impl Default for BornTime {
    fn default() -> Self {
        BornTime::new()
    }
}

fn write_digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Command;

    const TOPICS: [&str; 3] = ["T", "1111111111-2222222222222", "\"opaque\":1111111111,\"g\":\"2222222222222\""];

    #[test]
    fn the_templates_of_all_queues_fit_into_memory() {
        let template = Template::new("Bench-99999", 3, HeaderForm::Json, Manner::Sync).unwrap();
        let each = size_of::<Template>() + template.head.len().next_multiple_of(16) + 16;
        assert!(each * crate::queues::QUEUES_MAX < 150_000_000, "{each} bytes a queue");
    }

    #[test]
    fn a_patched_frame_decodes_to_its_values() {
        for form in [HeaderForm::Json, HeaderForm::Rocketmq] {
            for topic in TOPICS {
                check(form, topic, Manner::Sync, 310, ["b", "e", "g", "m"], "false");
                check(form, topic, Manner::OneWay, 10, ["topic", "queueId", "bornTimestamp", "batch"], "false");
                check(form, topic, Manner::Batch(2), 320, ["b", "e", "g", "m"], "true");
            }
        }
    }

    fn check(form: HeaderForm, topic: &str, manner: Manner, code: i32, keys: [&str; 4], batch: &str) {
        let mut born = BornTime::new();
        born.set(1_800_000_000_123);
        let template = Template::new(topic, 3, form, manner).unwrap();
        let mut out = b"before".to_vec();
        template.write(&mut out, 1_987_654_321, &born, 4);
        out.extend_from_slice(b"body");
        let what = format!("{form:?} {topic} {manner:?}");
        let command = Command::decode(&out[6..]).unwrap();
        assert_eq!((command.code, command.opaque, command.body), (code, 1_987_654_321, &b"body"[..]), "{what}");
        assert_eq!(command.is_oneway(), manner == Manner::OneWay, "{what}");
        for (key, value) in keys.iter().zip([topic, "3", "1800000000123", batch]) {
            assert_eq!(command.fields.get(key).as_deref(), Some(value), "{what} {key}");
        }
    }
}
