//! The cases: each prepares its buffers once and gives back the step that is counted, doing what a broker does.

use std::hint::black_box;
use std::net::SocketAddr;
use std::path::Path;

use protocol::header::{PullMessageHeader, PullMessageResponse, SendMessageHeader};
use protocol::message::{NewRecord, SentProperties, encode, offset_msg_id};
use protocol::{Command, Head, HeaderForm, SendReplies, write_command};

/// A named piece of work.
pub struct Case {
    pub name: &'static str,
    /// Prepares it.
    pub start: fn() -> Box<dyn FnMut()>,
}

pub const CASES: [Case; 12] = [
    Case { name: "scan-310-json", start: || scan("310_SEND_MESSAGE_V2_request_json") },
    Case { name: "decode-310-json", start: || send("310_SEND_MESSAGE_V2_request_json") },
    Case { name: "decode-310-rocketmq", start: || send("310_SEND_MESSAGE_V2_request_rocketmq") },
    Case { name: "decode-11-json", start: || pull("11_PULL_MESSAGE_request_json") },
    Case { name: "decode-11-rocketmq", start: || pull("11_PULL_MESSAGE_request_rocketmq") },
    Case { name: "properties", start: stored_properties },
    Case { name: "encode-record-1k", start: record },
    Case { name: "send-reply-json", start: || send_reply(HeaderForm::Json) },
    Case { name: "send-reply-rocketmq", start: || send_reply(HeaderForm::Rocketmq) },
    Case { name: "send-reply-json-by-fields", start: || send_reply_by_fields(HeaderForm::Json) },
    Case { name: "pull-reply-json", start: || pull_reply(HeaderForm::Json) },
    Case { name: "pull-reply-rocketmq", start: || pull_reply(HeaderForm::Rocketmq) },
];

/// What the 4.9.7 client of the captures puts there.
const PROPERTIES: &str = "colour\u{1}blau\u{2}KEYS\u{1}k1 k2\u{2}UNIQ_KEY\u{1}FD0000000000000000000000000000025E974E0E2F2A698008090000\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA";

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/wire/golden/{name}.hex"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits: Vec<u8> = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::bytes).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex");
    digits.chunks(2).map(byte).collect()
}

fn address() -> SocketAddr {
    SocketAddr::from(([172, 17, 4, 60], 10911))
}

fn scan(name: &str) -> Box<dyn FnMut()> {
    let frame = golden(name);
    Box::new(move || {
        black_box(Command::decode(black_box(&frame)).expect("readable"));
    })
}

fn send(name: &str) -> Box<dyn FnMut()> {
    let frame = golden(name);
    let mut room = String::new();
    Box::new(move || {
        let command = Command::decode(black_box(&frame)).expect("readable");
        black_box(SendMessageHeader::decode_v2_in(&command.fields, &mut room).expect("readable"));
    })
}

fn pull(name: &str) -> Box<dyn FnMut()> {
    let frame = golden(name);
    Box::new(move || {
        let command = Command::decode(black_box(&frame)).expect("readable");
        black_box(PullMessageHeader::decode(&command.fields).expect("readable"));
    })
}

fn stored_properties() -> Box<dyn FnMut()> {
    let mut out = Vec::new();
    Box::new(move || {
        let sent = SentProperties::scan(black_box(PROPERTIES));
        out.clear();
        sent.write(&mut out, None);
        sent.write_cluster(&mut out, black_box("DefaultCluster"));
        black_box((&sent, &out));
    })
}

fn record() -> Box<dyn FnMut()> {
    let body = vec![b'x'; 1024];
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        let record = NewRecord {
            topic: black_box("GoldenTopic"),
            queue_id: 3,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 1_795_261_198_353,
            born_host: address(),
            store_host: address(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: black_box(&body),
            properties: &[PROPERTIES.as_bytes()],
        };
        black_box(encode(black_box(&record), &mut out).expect("fits"));
    })
}

fn send_reply(form: HeaderForm) -> Box<dyn FnMut()> {
    let mut out = Vec::new();
    let mut number = 0i32;
    let replies = SendReplies::new(address(), "DefaultRegion", true);
    Box::new(move || {
        out.clear();
        number += 1;
        let (queue_offset, physical_offset) = (10_000_000 + i64::from(number), 123_456_789_012 + i64::from(number));
        replies.write(&mut out, black_box(form), 1_000_000 + number, black_box(3), queue_offset, physical_offset);
        black_box(&out);
    })
}

fn send_reply_by_fields(form: HeaderForm) -> Box<dyn FnMut()> {
    let mut out = Vec::new();
    let mut number = 0i32;
    Box::new(move || {
        out.clear();
        number += 1;
        let msg_id = offset_msg_id(black_box(address()), 123_456_789_012 + i64::from(number));
        let head = Head::reply(1_000_000 + number, black_box(form), 0, None);
        write_command(
            &mut out,
            &head,
            |fields| {
                fields.str("msgId", msg_id.as_str());
                fields.i32("queueId", black_box(3));
                fields.i64("queueOffset", 10_000_000 + i64::from(number));
                fields.str("MSG_REGION", black_box("DefaultRegion"));
                fields.bool("TRACE_ON", black_box(true));
            },
            0,
        );
        black_box(&out);
    })
}

fn pull_reply(form: HeaderForm) -> Box<dyn FnMut()> {
    let mut out = Vec::new();
    let mut number = 0i32;
    Box::new(move || {
        out.clear();
        number += 1;
        let offset = 10_000_000 + i64::from(number);
        let response = PullMessageResponse {
            max_offset: offset + 32,
            min_offset: black_box(0),
            next_begin_offset: offset,
            suggest_which_broker_id: black_box(0),
        };
        response.write_reply(&mut out, black_box(form), 1_000_000 + number, 0, black_box("FOUND"), 32_768);
        black_box(&out);
    })
}
