//! The two answers a broker gives all day, written without going through their fields: a send that was stored, a pull.
//!
//! The bytes are those of [`crate::write_command`] with the same fields in the order given here. Appends to the
//! caller's buffer and takes no other memory. Any core.

use std::net::{IpAddr, SocketAddr};

use crate::command::{FLAG_RESPONSE, HeaderForm};
use crate::digits::{Decimal, hex16, push_number};
use crate::frame::{HEADER_LEN_MAX, PREFIX_LEN};
use crate::header::PullMessageResponse;
use crate::header_rocketmq::push_field;
use crate::json::escape::push_quoted;
use crate::language::Language;
use crate::version;

/// Ends every JSON header.
const JSON_END: &[u8] = b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":407}";
const _: () = assert!(version::CURRENT == 407, "JSON_END names another version");

/// Where the opaque stands in a binary header, and where the fields' length when there is no remark.
const OPAQUE: usize = PREFIX_LEN + 5;
const FIELDS_LEN: usize = PREFIX_LEN + 17;

/// Answers to sends that were stored with success, of one broker: what is the same in all of them is prepared.
/// Fields: msgId, queueId, queueOffset, MSG_REGION, TRACE_ON.
#[derive(Clone, Debug)]
pub struct SendReplies {
    /// Up to the store host's digits in the message id.
    json_start: Vec<u8>,
    /// From behind the queue offset up to the opaque.
    json_middle: Vec<u8>,
    rocketmq_start: Vec<u8>,
    /// The fields behind the queue offset.
    rocketmq_end: Vec<u8>,
}

impl SendReplies {
    /// For the broker that stores at `store_host`, lies in `region` and has its clients trace or not.
    pub fn new(store_host: SocketAddr, region: &str, trace_on: bool) -> SendReplies {
        let mut host = match store_host.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        host.extend_from_slice(&u32::from(store_host.port()).to_be_bytes());
        let host: String = host.iter().map(|byte| format!("{byte:02X}")).collect();
        let trace_on = if trace_on { "true" } else { "false" };

        let mut json_start = vec![0; PREFIX_LEN];
        json_start.extend_from_slice(b"{\"code\":0,\"extFields\":{\"msgId\":\"");
        json_start.extend_from_slice(host.as_bytes());
        let mut json_middle = b"\",\"MSG_REGION\":".to_vec();
        push_quoted(&mut json_middle, region);
        json_middle.extend_from_slice(format!(",\"TRACE_ON\":\"{trace_on}\"}},\"flag\":1").as_bytes());
        json_middle.extend_from_slice(b",\"language\":\"JAVA\",\"opaque\":");

        let mut rocketmq_start = vec![0; PREFIX_LEN];
        push_rocketmq_head(&mut rocketmq_start, 0, 0, "");
        rocketmq_start.extend_from_slice(&[0; 4]);
        // The field with an id of the right length, then cut to the host.
        push_field(&mut rocketmq_start, "msgId", format!("{host}{:016X}", 0).as_bytes());
        rocketmq_start.truncate(rocketmq_start.len() - 16);
        let mut rocketmq_end = Vec::new();
        push_field(&mut rocketmq_end, "MSG_REGION", region.as_bytes());
        push_field(&mut rocketmq_end, "TRACE_ON", trace_on.as_bytes());
        SendReplies { json_start, json_middle, rocketmq_start, rocketmq_end }
    }

    /// Appends the answer for a message in `queue_id` at `queue_offset` whose record starts at `physical_offset`.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        form: HeaderForm,
        opaque: i32,
        queue_id: i32,
        queue_offset: i64,
        physical_offset: i64,
    ) {
        let start = out.len();
        out.reserve(512);
        match form {
            HeaderForm::Json => {
                out.extend_from_slice(&self.json_start);
                out.extend_from_slice(&hex16(physical_offset as u64));
                out.extend_from_slice(b"\",\"queueId\":\"");
                push_number(out, i64::from(queue_id));
                out.extend_from_slice(b"\",\"queueOffset\":\"");
                push_number(out, queue_offset);
                out.extend_from_slice(&self.json_middle);
                push_number(out, i64::from(opaque));
                out.extend_from_slice(JSON_END);
            }
            HeaderForm::Rocketmq => {
                out.extend_from_slice(&self.rocketmq_start);
                out.extend_from_slice(&hex16(physical_offset as u64));
                push_rocketmq_number(out, b"\0\x07queueId", i64::from(queue_id));
                push_rocketmq_number(out, b"\0\x0bqueueOffset", queue_offset);
                out.extend_from_slice(&self.rocketmq_end);
                put(out, start + OPAQUE, opaque);
                let fields_len = out.len() - start - FIELDS_LEN - 4;
                put(out, start + FIELDS_LEN, fields_len as i32);
            }
        }
        end(out, start, form, 0);
    }
}

impl PullMessageResponse {
    /// Appends the answer to a pull whose body of `body_len` bytes the caller sends after it.
    /// Fields: maxOffset, minOffset, nextBeginOffset, suggestWhichBrokerId.
    ///
    /// # Panics
    /// As [`crate::write_command`].
    pub fn write_reply(
        &self,
        out: &mut Vec<u8>,
        form: HeaderForm,
        opaque: i32,
        code: i32,
        remark: &str,
        body_len: usize,
    ) {
        let start = out.len();
        out.reserve(512);
        out.extend_from_slice(&[0; PREFIX_LEN]);
        match form {
            HeaderForm::Json => {
                out.extend_from_slice(b"{\"code\":");
                push_number(out, i64::from(code));
                out.extend_from_slice(b",\"extFields\":{\"maxOffset\":\"");
                push_number(out, self.max_offset);
                out.extend_from_slice(b"\",\"minOffset\":\"");
                push_number(out, self.min_offset);
                out.extend_from_slice(b"\",\"nextBeginOffset\":\"");
                push_number(out, self.next_begin_offset);
                out.extend_from_slice(b"\",\"suggestWhichBrokerId\":\"");
                push_number(out, self.suggest_which_broker_id);
                out.extend_from_slice(b"\"},\"flag\":1,\"language\":\"JAVA\",\"opaque\":");
                push_number(out, i64::from(opaque));
                out.extend_from_slice(b",\"remark\":");
                push_quoted(out, remark);
                out.extend_from_slice(JSON_END);
            }
            HeaderForm::Rocketmq => {
                push_rocketmq_head(out, code, opaque, remark);
                let length_at = out.len();
                out.extend_from_slice(&[0; 4]);
                push_rocketmq_number(out, b"\0\x09maxOffset", self.max_offset);
                push_rocketmq_number(out, b"\0\x09minOffset", self.min_offset);
                push_rocketmq_number(out, b"\0\x0fnextBeginOffset", self.next_begin_offset);
                push_rocketmq_number(out, b"\0\x14suggestWhichBrokerId", self.suggest_which_broker_id);
                let fields_len = out.len() - length_at - 4;
                put(out, length_at, fields_len as i32);
            }
        }
        end(out, start, form, body_len);
    }
}

#[inline(always)]
fn push_rocketmq_head(out: &mut Vec<u8>, code: i32, opaque: i32, remark: &str) {
    out.extend_from_slice(&(code as i16).to_be_bytes());
    out.push(Language::JAVA.0);
    out.extend_from_slice(&(version::CURRENT as i16).to_be_bytes());
    out.extend_from_slice(&opaque.to_be_bytes());
    out.extend_from_slice(&FLAG_RESPONSE.to_be_bytes());
    out.extend_from_slice(&(remark.len() as u32).to_be_bytes());
    out.extend_from_slice(remark.as_bytes());
}

/// A field; the name comes with its length before it.
#[inline(always)]
fn push_rocketmq_number<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], number: i64) {
    let decimal = Decimal::of(number);
    out.extend_from_slice(name);
    out.extend_from_slice(&(decimal.as_bytes().len() as u32).to_be_bytes());
    decimal.push_to(out);
}

#[inline(always)]
fn put(out: &mut [u8], at: usize, number: i32) {
    out[at..][..4].copy_from_slice(&number.to_be_bytes());
}

/// Fills in the two words before the header.
#[inline(always)]
fn end(out: &mut [u8], start: usize, form: HeaderForm, body_len: usize) {
    let header_len = out.len() - start - PREFIX_LEN;
    assert!(header_len <= HEADER_LEN_MAX, "a header of {header_len} bytes cannot be sent");
    let frame_len = i32::try_from(header_len + 4 + body_len).expect("a frame is shorter than 2 GiB");
    let form = u64::from(form == HeaderForm::Rocketmq);
    let words = (frame_len as u64) << 32 | form << 24 | header_len as u64;
    out[start..][..PREFIX_LEN].copy_from_slice(&words.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::offset_msg_id;
    use crate::{Head, write_command};
    use proptest::prelude::*;

    fn check(host: &str, region: &str, trace_on: bool, opaque: i32, numbers: [i64; 4], code: i32, remark: &str) {
        let host: SocketAddr = host.parse().expect("address");
        let replies = SendReplies::new(host, region, trace_on);
        let [queue_offset, physical_offset, third, fourth] = numbers;
        for form in [HeaderForm::Json, HeaderForm::Rocketmq] {
            let mut want = b"before".to_vec();
            let send = |fields: &mut crate::FieldWriter<'_>| {
                fields.str("msgId", offset_msg_id(host, physical_offset).as_str());
                fields.i32("queueId", third as i32);
                fields.i64("queueOffset", queue_offset);
                fields.str("MSG_REGION", region);
                fields.bool("TRACE_ON", trace_on);
            };
            write_command(&mut want, &Head::reply(opaque, form, 0, None), send, 0);
            let mut out = b"before".to_vec();
            replies.write(&mut out, form, opaque, third as i32, queue_offset, physical_offset);
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&want));
            assert_eq!(out, want);

            let response = PullMessageResponse {
                max_offset: queue_offset,
                min_offset: physical_offset,
                next_begin_offset: third,
                suggest_which_broker_id: fourth,
            };
            let pull = |fields: &mut crate::FieldWriter<'_>| {
                fields.i64("maxOffset", queue_offset);
                fields.i64("minOffset", physical_offset);
                fields.i64("nextBeginOffset", third);
                fields.i64("suggestWhichBrokerId", fourth);
            };
            write_command(&mut want, &Head::reply(opaque, form, code, Some(remark)), pull, 77);
            response.write_reply(&mut out, form, opaque, code, remark, 77);
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&want));
            assert_eq!(out, want);
        }
    }

    #[test]
    fn the_answers_of_every_day() {
        check("127.0.0.1:10911", "DefaultRegion", true, 20, [0, 0, 1, 0], 0, "FOUND");
        check("[2001:db8::1]:1", "", false, -1, [i64::MAX, i64::MIN, -1, 1], 19, "OFFSET_OVERFLOW_ONE");
        check("172.17.4.60:65535", "a\"b\n中", true, i32::MIN, [1, 2, 3, 4], -7, "");
    }

    proptest! {
        #[test]
        fn answers_are_those_of_the_field_writer(
            region in ".{0,30}", trace_on in any::<bool>(), opaque in any::<i32>(), numbers in any::<[i64; 4]>(),
            shift in 0u32..63, code in any::<i16>(), remark in ".{0,40}",
        ) {
            check("10.0.0.1:10911", &region, trace_on, opaque, numbers.map(|n| n >> shift), code.into(), &remark);
        }
    }
}
