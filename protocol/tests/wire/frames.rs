//! Every frame: read, judged by its name, and written again from what was read.

use protocol::frame::{FrameError, HEADER_MAX};
use protocol::{Command, FRAME_MAX, FieldWriter, Head, HeaderForm, frame_len, write_command};

use crate::golden::{self, Frame};

/// Empty values in the binary form: Java writes them and drops them when it reads, as we do. File, place, field.
const DROPPED: [(&str, usize, &str); 1] =
    [("223_INVOKE_BROKER_TO_GET_CONSUMER_STATUS_request_rocketmq", 0, "clientAddr")];

/// The command in a captured frame.
pub fn decode(frame: &Frame) -> Command<'_> {
    Command::decode(&frame.bytes).unwrap_or_else(|error| panic!("{}: {error}", frame.name))
}

/// Writes the head and body of a command that was read, with these fields.
pub fn again(command: &Command<'_>, fields: impl FnOnce(&mut FieldWriter<'_>)) -> Vec<u8> {
    let remark = command.remark.map(|remark| remark.get());
    let head = Head {
        code: command.code,
        language: command.language,
        version: command.version,
        opaque: command.opaque,
        flag: command.flag,
        remark: remark.as_deref(),
        form: command.form,
    };
    let mut out = Vec::new();
    write_command(&mut out, &head, fields, command.body.len());
    out.extend_from_slice(command.body);
    out
}

/// Compares whole frames; a difference is shown as text first, where it can be read.
pub fn assert_same(name: &str, got: &[u8], want: &[u8]) {
    assert_eq!(String::from_utf8_lossy(got), String::from_utf8_lossy(want), "{name}");
    assert!(got == want, "{name}: other bytes");
}

/// Whether the header has a member for fields, if only an empty one: Java writes it for every command that was made
/// with a header class.
pub fn has_fields_member(frame: &[u8]) -> bool {
    frame.windows(12).any(|window| window == b"\"extFields\":")
}

#[test]
fn frames_are_what_their_names_say() {
    for frame in golden::frames() {
        let Frame { name, code, response, form, bytes } = &frame;
        assert_eq!(frame_len(bytes, FRAME_MAX), Ok(Some(bytes.len())), "{name}");
        let command = decode(&frame);
        assert_eq!((command.is_response(), command.form), (*response, *form), "{name}");
        assert_eq!((command.version, command.language.name()), (407, "JAVA"), "{name}");
        if *response {
            assert!(protocol::code::response::name(command.code).is_some(), "{name}: response code {}", command.code);
            assert!(!command.is_oneway(), "{name}");
        } else {
            assert_eq!(command.code, *code, "{name}");
        }
    }
}

#[test]
fn frames_are_written_again_byte_for_byte() {
    let mut dropped = Vec::new();
    for frame in golden::frames() {
        let command = decode(&frame);
        let mut fields: Vec<_> = command.fields.iter().collect();
        if let Some((name, at, key)) = DROPPED.iter().find(|(name, ..)| *name == frame.name) {
            assert_eq!(command.fields.get(key), None, "{name}");
            fields.insert(*at, ((*key).into(), "".into()));
            dropped.push(*name);
        }
        let written = again(&command, |out| {
            if has_fields_member(&frame.bytes) {
                out.open();
            }
            for (key, value) in &fields {
                out.str(key, value);
            }
        });
        assert_same(&frame.name, &written, &frame.bytes);
    }
    assert_eq!(dropped, DROPPED.map(|(name, ..)| name), "each exception is needed");
}

/// A send with properties of the greatest length takes some 40 KiB, and up to six times that when a client escapes
/// every character: who wants to take those asks for it.
#[test]
fn headers_of_256_kib_are_read_when_asked_for() {
    const ASKED: usize = 256 * 1024;
    for form in [HeaderForm::Json, HeaderForm::Rocketmq] {
        let frame = |value: &str| {
            let mut out = Vec::new();
            let head = Head { form, ..Head::request(310, 7) };
            write_command(&mut out, &head, |out| out.str("i", value), 4);
            out.extend_from_slice(b"body");
            out
        };
        let rest = frame("").len() - 8 - 4;
        let cases =
            [(HEADER_MAX, true, true), (HEADER_MAX + 1, false, true), (ASKED, false, true), (ASKED + 1, false, false)];
        for (len, fits, fits_asked) in cases {
            let value = "v".repeat(len - rest);
            let bytes = frame(&value);
            let too_long = |max| FrameError::HeaderTooLong { len, max };
            let check = |decoded: Result<Command<'_>, FrameError>, max, fits: bool| match decoded {
                Ok(command) => {
                    assert!(fits, "{form:?} {len}");
                    assert_eq!(command.fields.get("i").as_deref(), Some(&*value));
                    assert_eq!((command.code, command.opaque, command.body), (310, 7, &b"body"[..]));
                }
                Err(error) => assert_eq!((error, fits), (too_long(max), false), "{form:?} {len}"),
            };
            check(Command::decode(&bytes), HEADER_MAX, fits);
            check(Command::decode_with(&bytes, ASKED), ASKED, fits_asked);
        }
    }
    // All escapes: 32,767 bytes of properties become six times as many.
    let properties = "\u{1}".repeat(32_767);
    let mut out = Vec::new();
    write_command(&mut out, &Head::request(310, 7), |out| out.str("i", &properties), 0);
    assert!(out.len() > 190_000 && out.len() < ASKED);
    let command = Command::decode_with(&out, ASKED).expect("readable");
    assert_eq!(command.fields.get("i").as_deref(), Some(&*properties));
}
