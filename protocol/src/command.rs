//! A request or response: reading one in place, writing one into a buffer.
//!
//! Owns the head that all commands share. What the fields mean is said in [`crate::header`], the numbers in
//! [`crate::code`]. Any core.

use crate::digits::push_number;
use crate::field_writer::FieldWriter;
use crate::fields::{Fields, Text};
use crate::frame::{self, FrameError, HEADER_LEN_MAX, HEADER_MAX, PREFIX_LEN};
use crate::header_rocketmq;
use crate::json;
use crate::json::escape::push_quoted;
use crate::language::Language;
use crate::version;

/// How a header is written. A response takes the form of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HeaderForm {
    /// JSON text, what every client speaks by default.
    #[default]
    Json,
    /// The binary form of `rocketmq.serialize.type=ROCKETMQ`.
    Rocketmq,
}

/// Set in the flag of a response.
pub const FLAG_RESPONSE: i32 = 1;
/// Set in the flag of a request that wants no response.
pub const FLAG_ONEWAY: i32 = 2;

/// A command in place: everything borrows the frame.
#[derive(Clone, Debug)]
pub struct Command<'a> {
    /// Request code, or response code when [`Command::is_response`].
    pub code: i32,
    /// Language of the sender.
    pub language: Language,
    /// Version ordinal of the sender, see [`crate::version`].
    pub version: i32,
    /// Pairs a response with its request.
    pub opaque: i32,
    /// Bit 0 response, bit 1 one-way.
    pub flag: i32,
    /// Free text, mostly of a failed response.
    pub remark: Option<Text<'a>>,
    /// How the header was written.
    pub form: HeaderForm,
    /// The fields ("extFields").
    pub fields: Fields<'a>,
    /// Everything behind the header.
    pub body: &'a [u8],
}

impl<'a> Command<'a> {
    /// Reads exactly one whole frame, its length word included, with headers up to [`HEADER_MAX`].
    pub fn decode(frame: &'a [u8]) -> Result<Command<'a>, FrameError> {
        Command::decode_with(frame, HEADER_MAX)
    }

    /// Like [`Command::decode`] with another limit for the header, in bytes.
    pub fn decode_with(frame: &'a [u8], header_max: usize) -> Result<Command<'a>, FrameError> {
        let (form, header, body) = frame::split(frame, header_max)?;
        let mut command = Command::over(form, header, body);
        match form {
            HeaderForm::Json => json::header::read(header, &mut command)?,
            HeaderForm::Rocketmq => header_rocketmq::read(header, &mut command)?,
        }
        Ok(command)
    }

    /// Like [`Command::decode`] without the short cuts for the usual shapes, for comparing.
    pub(crate) fn decode_any(frame: &'a [u8]) -> Result<Command<'a>, FrameError> {
        let (form, header, body) = frame::split(frame, HEADER_MAX)?;
        let mut command = Command::over(form, header, body);
        match form {
            HeaderForm::Json => json::header::read_any(header, &mut command)?,
            HeaderForm::Rocketmq => header_rocketmq::read_with(header, &mut command, false)?,
        }
        Ok(command)
    }

    /// A command with its defaults and no fields yet.
    #[inline(always)]
    fn over(form: HeaderForm, header: &'a [u8], body: &'a [u8]) -> Command<'a> {
        Command {
            code: 0,
            language: Language::JAVA,
            version: 0,
            opaque: 0,
            flag: 0,
            remark: None,
            form,
            fields: Fields::over(header),
            body,
        }
    }

    /// Whether it answers a request.
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether the sender wants no answer.
    pub fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }

    /// The head of the response to this request: same opaque and form, this program's language and version.
    pub fn reply_head<'r>(&self, code: i32, remark: Option<&'r str>) -> Head<'r> {
        Head::reply(self.opaque, self.form, code, remark)
    }
}

/// What [`write_command`] writes besides fields.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Request or response code. The binary form carries 16 bits of it.
    pub code: i32,
    /// Language of this side.
    pub language: Language,
    /// Version ordinal of this side.
    pub version: i32,
    /// Pairs a response with its request.
    pub opaque: i32,
    /// Bit 0 response, bit 1 one-way.
    pub flag: i32,
    /// Free text.
    pub remark: Option<&'a str>,
    /// How to write the header.
    pub form: HeaderForm,
}

impl<'a> Head<'a> {
    /// The head of a response to the request with this opaque and form.
    pub fn reply(opaque: i32, form: HeaderForm, code: i32, remark: Option<&'a str>) -> Head<'a> {
        Head { remark, form, flag: FLAG_RESPONSE, ..Head::request(code, opaque) }
    }

    /// The head of a request in JSON that wants an answer.
    pub fn request(code: i32, opaque: i32) -> Head<'static> {
        Head {
            code,
            language: Language::JAVA,
            version: version::CURRENT,
            opaque,
            flag: 0,
            remark: None,
            form: HeaderForm::Json,
        }
    }

    /// The head of a request in JSON that wants none.
    pub fn oneway(code: i32, opaque: i32) -> Head<'static> {
        Head { flag: FLAG_ONEWAY, ..Head::request(code, opaque) }
    }
}

/// Appends length word, form and header of a command whose body of `body_len` bytes the caller sends after it.
/// Members stand in the order fastjson gives them; absent ones are left out.
///
/// # Panics
/// When the header exceeds 16 MiB or the frame 2 GiB: callers bound what they answer with.
pub fn write_command(out: &mut Vec<u8>, head: &Head<'_>, fields: impl FnOnce(&mut FieldWriter<'_>), body_len: usize) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_LEN]);
    let form = match head.form {
        HeaderForm::Json => {
            write_json(out, head, fields);
            0
        }
        HeaderForm::Rocketmq => {
            write_rocketmq(out, head, fields);
            1
        }
    };
    let header_len = out.len() - start - PREFIX_LEN;
    assert!(header_len <= HEADER_LEN_MAX, "a header of {header_len} bytes cannot be sent");
    let frame_len = i32::try_from(header_len + 4 + body_len).expect("a frame is shorter than 2 GiB");
    out[start..][..4].copy_from_slice(&frame_len.to_be_bytes());
    out[start + 4..][..4].copy_from_slice(&(form << 24 | header_len as u32).to_be_bytes());
}

fn write_json(out: &mut Vec<u8>, head: &Head<'_>, fields: impl FnOnce(&mut FieldWriter<'_>)) {
    out.extend_from_slice(b"{\"code\":");
    push_number(out, i64::from(head.code));
    let mut writer = FieldWriter::new(out, HeaderForm::Json);
    fields(&mut writer);
    writer.finish();
    out.extend_from_slice(b",\"flag\":");
    push_number(out, i64::from(head.flag));
    out.extend_from_slice(b",\"language\":\"");
    out.extend_from_slice(head.language.name().as_bytes());
    out.extend_from_slice(b"\",\"opaque\":");
    push_number(out, i64::from(head.opaque));
    if let Some(remark) = head.remark {
        out.extend_from_slice(b",\"remark\":");
        push_quoted(out, remark);
    }
    out.extend_from_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    push_number(out, i64::from(head.version));
    out.push(b'}');
}

fn write_rocketmq(out: &mut Vec<u8>, head: &Head<'_>, fields: impl FnOnce(&mut FieldWriter<'_>)) {
    header_rocketmq::push_head(out, head);
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut writer = FieldWriter::new(out, HeaderForm::Rocketmq);
    fields(&mut writer);
    writer.finish();
    let fields_len = i32::try_from(out.len() - length_at - 4).expect("a header is shorter than 16 MiB");
    out[length_at..][..4].copy_from_slice(&fields_len.to_be_bytes());
}

#[cfg(test)]
mod tests;
