//! The binary ROCKETMQ header. Reads in place, writes into the caller's buffer; any core.
//!
//! ```text
//! size  field             position
//!   2   code              0
//!   1   language          2
//!   2   version           3
//!   4   opaque            5
//!   4   flag              9
//!   4   remark length r   13
//!   r   remark            17
//!   4   fields length     17 + r     bytes, not a count
//!       { 2 key length, key, 4 value length, value } …
//! ```
//! An empty key or value is none at all: the form cannot tell the two apart.

use crate::command::{Command, Head, HeaderForm};
use crate::fields::{Place, Slot, Text};
use crate::frame::FrameError;
use crate::language::Language;

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Scan<'a> {
    fn error(&self, problem: &'static str) -> FrameError {
        FrameError::Header { form: HeaderForm::Rocketmq, at: self.at, problem }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let place = self.place(N)?;
        let bytes = self.bytes.get(place.at..).and_then(|rest| rest.first_chunk::<N>());
        bytes.copied().ok_or_else(|| self.error("header ends too early"))
    }

    fn i16(&mut self) -> Result<i16, FrameError> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, FrameError> {
        self.array().map(i32::from_be_bytes)
    }

    fn length(&mut self, len: i32) -> Result<usize, FrameError> {
        usize::try_from(len).map_err(|_| self.error("negative length"))
    }

    fn place(&mut self, len: usize) -> Result<Place, FrameError> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.end);
        let end = end.ok_or_else(|| self.error("header ends too early"))?;
        let place = Place { at: self.at, len, escaped: false };
        self.at = end;
        Ok(place)
    }
}

/// Reads a header into a command that has its defaults and fields over this header.
pub(crate) fn read<'a>(header: &'a [u8], command: &mut Command<'a>) -> Result<(), FrameError> {
    read_with(header, command, true)
}

/// Like [`read`], with or without the short cut for the usual fields.
pub(crate) fn read_with<'a>(header: &'a [u8], command: &mut Command<'a>, usual: bool) -> Result<(), FrameError> {
    let mut scan = Scan { bytes: header, at: 0, end: header.len() };
    command.code = i32::from(scan.i16()?);
    let [language] = scan.array()?;
    command.language = Language(language);
    command.version = i32::from(scan.i16()?);
    command.opaque = scan.i32()?;
    command.flag = scan.i32()?;
    let remark_len = scan.i32()?;
    let remark_len = scan.length(remark_len)?;
    let remark = scan.place(remark_len)?;
    let remark = header.get(remark.at..remark.at + remark.len).filter(|raw| !raw.is_empty());
    command.remark = remark.map(|raw| Text::unchecked(raw, false));
    let fields_len = scan.i32()?;
    let fields_len = scan.length(fields_len)?;
    let fields = scan.place(fields_len)?;

    let end = fields.at + fields.len;
    let at = if usual { read_usual(header.get(..end).unwrap_or_default(), fields.at, command) } else { fields.at };
    let mut scan = Scan { bytes: header, at, end };
    while scan.at < scan.end {
        let key_len = i32::from(scan.i16()?);
        let key_len = scan.length(key_len)?;
        let key = scan.place(key_len)?;
        let value_len = scan.i32()?;
        let value_len = scan.length(value_len)?;
        let value = scan.place(value_len)?;
        if key_len > 0 && value_len > 0 {
            command.fields.push(key, value)?;
        }
    }
    Ok(())
}

/// Reads fields as long as they are sound and find room in line, and tells where it stopped.
#[inline(always)]
fn read_usual(bytes: &[u8], mut at: usize, command: &mut Command<'_>) -> usize {
    let field = |at: usize| {
        let key_len = usize::try_from(i16::from_be_bytes(*bytes.get(at..)?.first_chunk::<2>()?)).ok()?;
        let value_at = at + 2 + key_len + 4;
        let value_len = bytes.get(value_at - 4..)?.first_chunk::<4>()?;
        let value_len = usize::try_from(i32::from_be_bytes(*value_len)).ok()?;
        let end = value_at.checked_add(value_len).filter(|end| *end <= bytes.len())?;
        let slot = Slot {
            key_at: (at + 2) as u32,
            value_at: value_at as u32,
            value_len: value_len as u32,
            key_len: key_len as u16,
            key_escaped: false,
            value_escaped: false,
        };
        Some((slot, end))
    };
    // Places within are 16 bits then.
    if bytes.len() > usize::from(u16::MAX) {
        return at;
    }
    while let Some((slot, end)) = field(at) {
        if slot.key_len > 0 && slot.value_len > 0 && !command.fields.push_inline(slot) {
            break;
        }
        at = end;
    }
    at
}

/// Appends everything before the fields. The code and version are cut to 16 bits: the form has no more.
pub(crate) fn push_head(out: &mut Vec<u8>, head: &Head<'_>) {
    out.extend_from_slice(&(head.code as i16).to_be_bytes());
    out.push(head.language.0);
    out.extend_from_slice(&(head.version as i16).to_be_bytes());
    out.extend_from_slice(&head.opaque.to_be_bytes());
    out.extend_from_slice(&head.flag.to_be_bytes());
    let remark = head.remark.unwrap_or_default();
    push_length(out, remark.len());
    out.extend_from_slice(remark.as_bytes());
}

/// Appends one field.
pub(crate) fn push_field(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let key_len = i16::try_from(key.len()).expect("field names are short");
    out.extend_from_slice(&key_len.to_be_bytes());
    out.extend_from_slice(key.as_bytes());
    push_length(out, value.len());
    out.extend_from_slice(value);
}

fn push_length(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&i32::try_from(len).expect("a header is shorter than 16 MiB").to_be_bytes());
}
