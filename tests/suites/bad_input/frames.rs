//! Frames that are none: lengths, headers and bytes that do not fit together.
//!
//! Each row opens its own connections. A frame that cannot be read must end its connection and nothing else.

use protocol::FieldWriter;
use tests::{Rng, Server, raw};

use crate::{Row, expect};

pub const ROWS: &[Row] = &[
    Row { name: "random bytes", run: random_bytes },
    Row { name: "frame lengths: huge, negative, zero", run: lengths },
    Row { name: "header longer than its frame", run: header_longer_than_frame },
    Row { name: "unknown header form", run: unknown_form },
    Row { name: "half frames, then closed", run: half_frames },
    Row { name: "one byte at a time", run: one_byte_writes },
    Row { name: "broken JSON headers", run: broken_json },
    Row { name: "broken binary headers", run: broken_binary },
    Row { name: "a response nobody asked for", run: unasked_response },
    Row { name: "many fields, long fields", run: many_fields },
];

fn fine_request() -> Vec<u8> {
    raw::request(30, topic_fields, &[])
}

fn topic_fields(fields: &mut FieldWriter<'_>) {
    fields.str("topic", "Healthy");
    fields.i32("queueId", 0);
}

/// The bytes must end the connection, without an answer.
fn closes(server: &Server, what: &str, bytes: &[u8]) -> Result<(), String> {
    let mut raw = raw::Raw::connect(server.address()).map_err(|error| format!("{what}: {error}"))?;
    raw.write(bytes);
    raw.finish();
    expect(raw.is_closed_silently(), || format!("{what}: answered, or left open"))
}

fn random_bytes(server: &Server) -> Result<(), String> {
    let mut rng = Rng::new(7);
    for len in [1, 3, 8, 100, 4096, 70_000] {
        let mut bytes = vec![0; len];
        rng.fill(&mut bytes);
        closes(server, &format!("{len} random bytes"), &bytes)?;
    }
    Ok(())
}

fn lengths(server: &Server) -> Result<(), String> {
    for length in [0u32, 1, 3, 16 << 20, (16 << 20) + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 4, b'{', b'}', 0, 0]);
        closes(server, &format!("length {length:#x}"), &bytes)?;
    }
    Ok(())
}

fn header_longer_than_frame(server: &Server) -> Result<(), String> {
    for header_len in [3u32, 100, 0x00ff_ffff] {
        let mut bytes = 6u32.to_be_bytes().to_vec();
        bytes.extend_from_slice(&header_len.to_be_bytes());
        bytes.extend_from_slice(b"{}");
        closes(server, &format!("header length {header_len}"), &bytes)?;
    }
    Ok(())
}

fn unknown_form(server: &Server) -> Result<(), String> {
    for form in [2, 3, 127, 255] {
        closes(server, &format!("form {form}"), &raw::frame(form, br#"{"code":30,"opaque":1}"#, &[]))?;
    }
    Ok(())
}

fn half_frames(server: &Server) -> Result<(), String> {
    let whole = fine_request();
    for len in 1..whole.len() {
        closes(server, &format!("{len} of {} bytes", whole.len()), &whole[..len])?;
    }
    Ok(())
}

fn one_byte_writes(server: &Server) -> Result<(), String> {
    let mut raw = raw::Raw::connect(server.address()).map_err(|error| error.to_string())?;
    for byte in fine_request() {
        raw.write(&[byte]);
    }
    let (code, remark) = raw.answer()?;
    expect(code == 0, || format!("code {code}: {remark}"))
}

fn broken_json(server: &Server) -> Result<(), String> {
    let headers: &[&[u8]] = &[
        b"",
        b"{",
        b"[]",
        b"null",
        b"{\"code\":}",
        b"{\"code\":30,\"extFields\":[1,2]}",
        b"{\"code\":\"x\",\"opaque\":1}",
        b"{\"code\":99999999999999999999,\"opaque\":1}",
        b"{\"code\":30,\"extFields\":{\"topic\":\"\\ud800\"}}",
        b"{\"code\":30,\"extFields\":{\"topic\":\"\xff\xfe\"}}",
    ];
    for header in headers {
        // Closing and any refusal are both fine: what matters is what comes after.
        let mut raw = raw::Raw::connect(server.address()).map_err(|error| error.to_string())?;
        raw.write(&raw::frame(0, header, &[]));
        raw.finish();
        if let Ok((code, remark)) = raw.answer() {
            let text = String::from_utf8_lossy(header).into_owned();
            expect(code != 0, || format!("header {text} was answered with success: {remark}"))?;
        }
    }
    let deep = [b"{\"code\":30,\"extFields\":".as_slice(), &b"[".repeat(100_000)].concat();
    closes(server, "100,000 open brackets", &raw::frame(0, &deep, &[]))
}

fn broken_binary(server: &Server) -> Result<(), String> {
    let head = |remark_len: i32, fields_len: i32, rest: &[u8]| {
        let mut header = vec![0, 30, 0, 1, 151, 0, 0, 0, 1, 0, 0, 0, 0];
        header.extend_from_slice(&remark_len.to_be_bytes());
        header.extend_from_slice(&fields_len.to_be_bytes());
        header.extend_from_slice(rest);
        raw::frame(1, &header, &[])
    };
    let cases = [
        ("remark longer than the header", head(1000, 0, &[])),
        ("negative remark length", head(-1, 0, &[])),
        ("fields longer than the header", head(0, 1000, &[0, 1, b'k'])),
        ("negative fields length", head(0, -5, &[])),
        ("key longer than the fields", head(0, 4, &[0, 200, b'k', b'k'])),
        ("negative value length", head(0, 7, &[0, 1, b'k', 255, 255, 255, 255])),
        ("cut off at 5 bytes", raw::frame(1, &[0, 30, 0, 1, 151], &[])),
    ];
    for (what, bytes) in cases {
        let mut raw = raw::Raw::connect(server.address()).map_err(|error| error.to_string())?;
        raw.write(&bytes);
        raw.finish();
        if let Ok((code, remark)) = raw.answer() {
            expect(code != 0, || format!("{what}: answered with success: {remark}"))?;
        }
    }
    Ok(())
}

fn unasked_response(server: &Server) -> Result<(), String> {
    let mut raw = raw::Raw::connect(server.address()).map_err(|error| error.to_string())?;
    raw.write(&raw::frame(0, br#"{"code":0,"flag":1,"opaque":77,"language":"JAVA","version":407}"#, &[]));
    let (code, remark) = raw.ask(&fine_request())?;
    expect(code == 0, || format!("the request behind it: code {code}: {remark}"))
}

fn many_fields(server: &Server) -> Result<(), String> {
    for (count, len) in [(255, 10), (5_000, 10), (3, 60_000), (3, 1 << 20)] {
        let value = "v".repeat(len);
        let bytes = raw::request(
            30,
            |fields| {
                for index in 0..count {
                    fields.str(&format!("k{index}"), &value);
                }
                topic_fields(fields);
            },
            &[],
        );
        // Served or refused: both are fine.
        let mut raw = raw::Raw::connect(server.address()).map_err(|error| error.to_string())?;
        raw.write(&bytes);
        raw.finish();
        let _ = raw.answer();
    }
    Ok(())
}
