//! Reading the code and the opaque of an ack cheaply: most acks of a broker look alike.
//!
//! Owns what was learnt of the last answer's shape. A header that does not look precisely like it is decoded in full.
//! One a thread.

use protocol::{Command, HeaderForm};

const CODE_ZERO: &[u8] = b"{\"code\":0,";
/// As a key of the fields: in a text its quotes would be escaped.
const QUEUE_OFFSET_KEY: &[u8] = b"\"queueOffset\":\"";
const FLAG_KEY: &[u8] = b"\"flag\":";
const OPAQUE_KEY: &[u8] = b"\"opaque\":";
/// Opaques of the loader's sends all have ten digits.
const DIGITS: usize = 10;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: i32,
    pub opaque: i32,
    pub is_response: bool,
}

/// Remembers how the last answer in JSON ended: from its flag on only the opaque's digits change.
#[derive(Clone, Debug, Default)]
pub struct ReplyReader {
    /// From `"flag":` to the end of the header, in an answer.
    tail: Vec<u8>,
    /// Where the opaque's digits are in it.
    opaque_at: usize,
    /// Where the key of the queue offset was in the last header.
    queue_offset_at: usize,
}

impl ReplyReader {
    /// Reads a whole frame.
    pub fn read(&mut self, frame: &[u8]) -> Result<Reply, String> {
        match frame.get(4) {
            Some(0) => {
                if let Some(reply) = self.read_like_the_last(frame) {
                    return Ok(reply);
                }
            }
            Some(1) => {
                if let Some(reply) = read_binary(frame) {
                    return Ok(reply);
                }
            }
            _ => {}
        }
        let command = decode(frame)?;
        if command.form == HeaderForm::Json && command.is_response() && command.code == 0 {
            self.learn(header(frame).unwrap_or_default(), command.opaque);
        }
        Ok(Reply { code: command.code, opaque: command.opaque, is_response: command.is_response() })
    }

    /// The `queueOffset` of an ack.
    pub fn queue_offset(&mut self, frame: &[u8]) -> Result<u64, String> {
        if frame.get(4) == Some(&0)
            && let Some(offset) = header(frame).and_then(|header| self.find_queue_offset(header))
        {
            return Ok(offset);
        }
        let offset = decode(frame)?.fields.get("queueOffset").and_then(|offset| offset.parse().ok());
        offset.ok_or_else(|| "an ack has no queueOffset".to_owned())
    }

    fn find_queue_offset(&mut self, header: &[u8]) -> Option<u64> {
        let len = QUEUE_OFFSET_KEY.len();
        if header.get(self.queue_offset_at..self.queue_offset_at + len) != Some(QUEUE_OFFSET_KEY) {
            self.queue_offset_at = header.windows(len).position(|part| part == QUEUE_OFFSET_KEY)?;
        }
        let digits = header.get(self.queue_offset_at + len..)?;
        let end = digits.iter().take(20).position(|byte| *byte == b'"').filter(|end| *end > 0)?;
        digits.get(..end)?.iter().try_fold(0u64, |sum, byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 { None } else { sum.checked_mul(10)?.checked_add(u64::from(digit)) }
        })
    }

    fn read_like_the_last(&self, frame: &[u8]) -> Option<Reply> {
        let header = header(frame)?;
        if self.tail.is_empty() || !header.starts_with(CODE_ZERO) {
            return None;
        }
        let tail = header.get(header.len().checked_sub(self.tail.len())?..)?;
        let (before, rest) = tail.split_at_checked(self.opaque_at)?;
        let (digits, after) = rest.split_at_checked(DIGITS)?;
        if before != self.tail.get(..self.opaque_at)? || after != self.tail.get(self.opaque_at + DIGITS..)? {
            return None;
        }
        let mut opaque = 0i64;
        for digit in digits {
            let value = digit.wrapping_sub(b'0');
            if value > 9 {
                return None;
            }
            opaque = opaque * 10 + i64::from(value);
        }
        Some(Reply { code: 0, opaque: i32::try_from(opaque).ok()?, is_response: true })
    }

    fn learn(&mut self, header: &[u8], opaque: i32) {
        self.tail.clear();
        let find = |wanted: &[u8]| header.windows(wanted.len()).rposition(|part| part == wanted);
        let (Some(flag_at), Some(opaque_at)) = (find(FLAG_KEY), find(OPAQUE_KEY)) else { return };
        let digits_at = opaque_at + OPAQUE_KEY.len();
        let digits = header.get(digits_at..digits_at + DIGITS);
        let is_as_expected = header.starts_with(CODE_ZERO)
            && flag_at < opaque_at
            && digits.is_some_and(|digits| digits == opaque.to_string().as_bytes())
            // Behind the fields: else a field's value could look like the opaque.
            && header.get(flag_at..).is_some_and(|tail| !tail.contains(&b'{'))
            && header.get(digits_at + DIGITS).is_some_and(|next| !next.is_ascii_digit());
        if is_as_expected {
            self.tail.extend_from_slice(header.get(flag_at..).unwrap_or_default());
            self.opaque_at = digits_at - flag_at;
        }
    }
}

/// Reads it in full.
pub fn decode(frame: &[u8]) -> Result<Command<'_>, String> {
    Command::decode(frame).map_err(|error| format!("answer cannot be read: {error}"))
}

fn header(frame: &[u8]) -> Option<&[u8]> {
    let len = frame.get(5..8).map(|len| len.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)))?;
    frame.get(8..8usize.checked_add(len)?)
}

fn read_binary(frame: &[u8]) -> Option<Reply> {
    let header = header(frame)?;
    let code = i16::from_be_bytes(header.get(0..2)?.try_into().ok()?);
    let opaque = i32::from_be_bytes(header.get(5..9)?.try_into().ok()?);
    let flag = i32::from_be_bytes(header.get(9..13)?.try_into().ok()?);
    Some(Reply { code: i32::from(code), opaque, is_response: flag & 1 != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::OPAQUE_FIRST;
    use protocol::{Head, write_command};

    fn frame(form: HeaderForm, code: i32, opaque: i32, offset: i64, remark: Option<&str>) -> Vec<u8> {
        let mut frame = Vec::new();
        let head = Head::reply(opaque, form, code, remark);
        write_command(&mut frame, &head, |fields| fields.i64("queueOffset", offset), 0);
        frame
    }

    #[test]
    fn acks_read_as_a_full_decode_reads_them() {
        for form in [HeaderForm::Json, HeaderForm::Rocketmq] {
            let mut reader = ReplyReader::default();
            for (code, opaque, remark) in [
                (0, OPAQUE_FIRST, None),
                (0, OPAQUE_FIRST + 12_345, None),
                (2, OPAQUE_FIRST + 1, Some("busy \"opaque\":1111111111,")),
                (0, 7, None),
                (0, i32::MAX, None),
                (10, OPAQUE_FIRST, None),
                (0, OPAQUE_FIRST + 2, Some("a remark")),
                (0, OPAQUE_FIRST + 3, None),
            ] {
                for offset in [1, 123_456] {
                    let frame = frame(form, code, opaque, offset, remark);
                    let wanted = Reply { code, opaque, is_response: true };
                    assert_eq!(reader.read(&frame), Ok(wanted), "{form:?} {code} {opaque} {remark:?}");
                }
            }
        }
    }

    #[test]
    fn the_second_ack_alike_takes_the_short_way() {
        let mut reader = ReplyReader::default();
        reader.read(&frame(HeaderForm::Json, 0, OPAQUE_FIRST, 5, None)).unwrap();
        let next = frame(HeaderForm::Json, 0, OPAQUE_FIRST + 9, 77, None);
        assert_eq!(reader.read_like_the_last(&next).map(|reply| reply.opaque), Some(OPAQUE_FIRST + 9));
        let failed = frame(HeaderForm::Json, 14, OPAQUE_FIRST + 9, 77, None);
        assert_eq!(reader.read_like_the_last(&failed), None);
    }

    #[test]
    fn requests_of_the_broker_are_no_responses() {
        let mut reader = ReplyReader::default();
        reader.read(&frame(HeaderForm::Json, 0, OPAQUE_FIRST, 5, None)).unwrap();
        let mut request = Vec::new();
        write_command(&mut request, &Head::oneway(40, OPAQUE_FIRST), |_| {}, 0);
        assert_eq!(reader.read(&request), Ok(Reply { code: 40, opaque: OPAQUE_FIRST, is_response: false }));
    }

    #[test]
    fn queue_offsets_read_as_a_full_decode_reads_them() {
        for form in [HeaderForm::Json, HeaderForm::Rocketmq] {
            let mut reader = ReplyReader::default();
            for (offset, remark) in
                [(0, None), (5, None), (123_456_789_012, None), (7, Some("\"queueOffset\":\"9\"")), (i64::MAX, None)]
            {
                let frame = frame(form, 0, OPAQUE_FIRST, offset, remark);
                assert_eq!(reader.queue_offset(&frame), Ok(offset as u64), "{form:?} {remark:?}");
            }
            for offset in [-1, i64::MIN] {
                assert!(reader.queue_offset(&frame(form, 0, OPAQUE_FIRST, offset, None)).is_err(), "{form:?}");
            }
            let mut none = Vec::new();
            write_command(&mut none, &Head::reply(7, form, 0, None), |_| {}, 0);
            assert!(reader.queue_offset(&none).is_err(), "{form:?}");
        }
    }

    #[test]
    fn garbage_is_an_error() {
        let mut reader = ReplyReader::default();
        for bytes in [&b""[..], b"\0\0\0\x04\0\0\0\x09", b"\0\0\0\x08\0\0\0\x04nope", b"\0\0\0\x05\x01\0\0\x01x"] {
            assert!(reader.read(bytes).is_err() && reader.queue_offset(bytes).is_err(), "{bytes:?}");
        }
    }
}
