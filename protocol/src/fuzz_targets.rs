//! What fuzzing runs: each function takes any bytes and must come back, having checked what must hold for what it
//! read. The same functions are run by an ordinary test over the corpus and mutations of it. Any core.

use crate::body::{
    Body, ClusterInfo, ConsumerOffsetTable, HeartbeatData, LockBatchRequestBody, RegisterBrokerBody, SubscriptionData,
    SubscriptionGroupWrapper, TopicRouteData, TopicStatsTable,
};
use crate::frame::{FRAME_MAX, HEADER_LEN_MAX};
use crate::header::{PullMessageHeader, RegisterBrokerHeader, SendMessageHeader, SendMessageResponse};
use crate::message::{
    NewRecord, Peek, Record, batch, encode, encoded_len, java_hash, parse_offset_msg_id, peek, properties, stamp,
};
use crate::{Command, Head, HeaderForm, frame_len, json, topic, write_command};

/// A target: takes any bytes and panics when something does not hold.
pub type Target = fn(&[u8]);

/// The names of the targets with their functions.
pub const TARGETS: [(&str, Target); 7] = [
    ("frame", frame),
    ("json_header", json_header),
    ("rocketmq_header", rocketmq_header),
    ("record", record),
    ("batch", batch),
    ("properties", properties),
    ("body", body),
];

/// A stream of frames, as a connection reads it.
pub fn frame(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some(len)) = frame_len(rest, FRAME_MAX) {
        let Some((frame, behind)) = rest.split_at_checked(len) else { break };
        command(frame);
        rest = behind;
    }
}

/// The bytes as a JSON header.
pub fn json_header(data: &[u8]) {
    header(0, data);
}

/// The bytes as a binary header.
pub fn rocketmq_header(data: &[u8]) {
    header(1, data);
}

fn header(form: u8, header: &[u8]) {
    let len = header.len().min(HEADER_LEN_MAX);
    let mut frame = (4 + len as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&(u32::from(form) << 24 | len as u32).to_be_bytes());
    frame.extend_from_slice(&header[..len]);
    command(&frame);
}

/// What is read is read the same after it was written again.
fn command(frame: &[u8]) {
    same_without_short_cuts(frame);
    let Ok(command) = Command::decode(frame) else { return };
    let fields: Vec<(String, String)> =
        command.fields.iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    // Names that are not UTF-8 are shown with U+FFFD but not found by it.
    for (key, _) in fields.iter().filter(|(key, _)| !key.contains('\u{fffd}')) {
        let last = fields.iter().rfind(|(other, _)| other == key).map(|(_, value)| value.as_str());
        assert_eq!(command.fields.get(key).as_deref(), last);
    }
    typed(&command);
    if fields.iter().any(|(key, _)| key.len() > 1000) {
        return;
    }
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
    write_command(
        &mut out,
        &head,
        |writer| fields.iter().for_each(|(key, value)| writer.str(key, value)),
        command.body.len(),
    );
    out.extend_from_slice(command.body);
    assert_eq!(frame_len(&out, usize::MAX), Ok(Some(out.len())));
    let again = Command::decode_with(&out, HEADER_LEN_MAX).expect("what was written is readable");
    assert_eq!(
        (again.code, again.version, again.opaque, again.flag),
        (head.code, head.version, head.opaque, head.flag)
    );
    assert_eq!((again.form, again.body), (command.form, command.body));
    assert_eq!(again.language, command.language);
    assert_eq!(
        again.remark.map(|remark| remark.get()).filter(|text| !text.is_empty()),
        remark.filter(|text| !text.is_empty())
    );
    let mut back = again.fields.iter();
    for (key, value) in &fields {
        assert_eq!(back.next(), Some((key.as_str().into(), value.as_str().into())));
    }
    assert_eq!(back.next(), None);
}

/// What is read by a short cut is read the same without it, and refused for the same reason.
fn same_without_short_cuts(frame: &[u8]) {
    let (command, other) = match (Command::decode(frame), Command::decode_any(frame)) {
        (Ok(command), Ok(other)) => (command, other),
        (command, other) => return assert_eq!(command.err(), other.err()),
    };
    let head = |command: &Command<'_>| (command.code, command.flag, command.opaque, command.version, command.language);
    assert_eq!(head(&command), head(&other));
    assert_eq!((command.remark, command.form, command.body), (other.remark, other.form, other.body));
    assert!(command.fields.texts().eq(other.fields.texts()));
    assert!(command.fields.iter().eq(other.fields.iter()));
    let mut room = "old".to_owned();
    let send = SendMessageHeader::decode_v2(&other.fields);
    assert_eq!(SendMessageHeader::decode_v2_in(&command.fields, &mut room), send);
    let send = SendMessageHeader::decode_v1(&other.fields);
    assert_eq!(SendMessageHeader::decode_v1_in(&command.fields, &mut room), send);
    assert_eq!(PullMessageHeader::decode(&command.fields), PullMessageHeader::decode(&other.fields));
}

fn typed(command: &Command<'_>) {
    let sends = [SendMessageHeader::decode_v1(&command.fields), SendMessageHeader::decode_v2(&command.fields)];
    for send in sends.into_iter().flatten() {
        let mut out = Vec::new();
        write_command(&mut out, &Head::request(0, 0), |writer| send.encode_v2(writer), 0);
        let again = Command::decode_with(&out, HEADER_LEN_MAX).expect("what was written is readable");
        assert_eq!(SendMessageHeader::decode_v2(&again.fields), Ok(send));
    }
    let errors = [
        PullMessageHeader::decode(&command.fields).err(),
        RegisterBrokerHeader::decode(&command.fields).err(),
        SendMessageResponse::decode(&command.fields).err(),
    ];
    for error in errors.into_iter().flatten() {
        assert!(error.to_string().contains(error.field));
    }
}

/// The bytes as a commitlog.
pub fn record(data: &[u8]) {
    let mut rest = data;
    loop {
        let step = match peek(rest) {
            Peek::Record { total_size } => total_size,
            Peek::Blank { remaining } => remaining,
            Peek::Nothing | Peek::Bad => break,
        };
        match Record::decode(rest) {
            Ok(record) => {
                assert_eq!(record.total_size, step);
                same_record(&record);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let Some(behind) = rest.get(step as usize..) else { break };
        rest = behind;
    }
    let _ = Record::decode(data).map(|record| same_record(&record));
}

fn same_record(record: &Record<'_>) {
    properties(record.properties);
    let new = NewRecord {
        topic: record.topic,
        queue_id: record.queue_id,
        flag: record.flag,
        sys_flag: record.sys_flag,
        born_timestamp: record.born_timestamp,
        born_host: record.born_host,
        store_host: record.store_host,
        reconsume_times: record.reconsume_times,
        prepared_transaction_offset: record.prepared_transaction_offset,
        body: record.body,
        properties: &[record.properties],
    };
    let mut out = Vec::new();
    let size = encode(&new, &mut out).expect("what was read can be written");
    assert_eq!((size, size), (encoded_len(&new), record.total_size as usize));
    stamp(&mut out, record.queue_offset, record.physical_offset, record.store_timestamp);
    let again = Record::decode(&out).expect("what was written is readable");
    assert!(again.body_crc_ok());
    assert_eq!(again, Record { body_crc: again.body_crc, ..*record });
    assert_eq!(record.body_crc_ok(), record.body_crc == again.body_crc);
    let id = record.offset_msg_id();
    assert_eq!(parse_offset_msg_id(id.as_str()), Some((record.store_host, record.physical_offset)));
}

/// The bytes as a batch body.
pub fn batch(data: &[u8]) {
    let mut out = Vec::new();
    let mut items = Vec::new();
    for item in batch::iter(data) {
        match item {
            Ok(item) => {
                properties(item.properties);
                batch::encode(&mut out, &item).expect("what was read can be written");
                items.push(item);
            }
            Err(error) => {
                assert_eq!(error.index, items.len());
                assert_eq!(error.position, out.len());
            }
        }
    }
    let again: Vec<_> = batch::iter(&out).map(|item| item.expect("what was written is readable")).collect();
    assert_eq!(again, items);
}

/// The bytes as a properties string, and as other short texts.
pub fn properties(data: &[u8]) {
    let pairs: Vec<_> = properties::iter(data).collect();
    let mut out = Vec::new();
    for (name, value) in &pairs {
        let last = pairs.iter().rfind(|(other, _)| other == name).map(|(_, value)| *value);
        assert_eq!(properties::get(data, name), last);
        properties::append(&mut out, name, value);
    }
    assert_eq!(properties::iter(&out).collect::<Vec<_>>(), pairs);
    if let Some((first, _)) = pairs.first() {
        let mut without = Vec::new();
        properties::append_without(&mut without, data, &[first]);
        let rest: Vec<_> = pairs.iter().copied().filter(|(name, _)| name != first).collect();
        assert_eq!(properties::iter(&without).collect::<Vec<_>>(), rest);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let slow = text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    assert_eq!(java_hash(text), slow);
    if let Some((host, physical_offset)) = parse_offset_msg_id(text) {
        let id = crate::message::offset_msg_id(host, physical_offset);
        assert!(id.as_str().eq_ignore_ascii_case(text));
    }
    if topic::check_topic_name(text).is_ok() {
        assert!(!text.contains(['/', '.', '\\', '\0']) && text.len() <= topic::TOPIC_LEN_MAX);
    }
    if let Ok(data) = SubscriptionData::parse_tags("T", text) {
        assert!(data.tags_set.len() >= data.code_set.len());
    }
}

/// The bytes as JSON bodies, and as a registration.
pub fn body(data: &[u8]) {
    if let Ok(value) = json::lenient::parse(data) {
        let text = value.to_string();
        let again = json::lenient::parse(text.as_bytes());
        // A reference that was left alone may stand elsewhere after sorting; everything else stays.
        assert!(text.contains("$ref") || again.is_ok());
    }
    same_body::<HeartbeatData>(data);
    same_body::<TopicRouteData>(data);
    same_body::<ClusterInfo>(data);
    same_body::<RegisterBrokerBody>(data);
    same_body::<SubscriptionGroupWrapper>(data);
    same_body::<ConsumerOffsetTable>(data);
    same_body::<LockBatchRequestBody>(data);
    same_body::<TopicStatsTable>(data);
    if let Ok(body) = RegisterBrokerBody::from_stream(data) {
        let again = RegisterBrokerBody::from_stream(&body.to_stream()).expect("what was written is readable");
        assert_eq!(again, body);
    }
}

/// What is read is read the same from the standard form.
fn same_body<T: Body + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let Ok(body) = T::from_json(data) else { return };
    let text = body.to_json();
    if text.windows(4).any(|window| window == b"$ref") {
        return;
    }
    assert_eq!(T::from_json(&text).as_ref(), Ok(&body));
}

/// A few whole inputs for each target, from which the corpus is made.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let pairs = "TAGS\u{1}TagA\u{2}KEYS\u{1}k1 k2\u{2}WAIT\u{1}true\u{2}UNIQ_KEY\u{1}7F0000010000";
    match target {
        "frame" => [HeaderForm::Json, HeaderForm::Rocketmq].map(command_seed).to_vec(),
        "json_header" => {
            let mut seeds = vec![command_seed(HeaderForm::Json)[8..].to_vec()];
            seeds.push(br#"{"code":"11","flag":1,"opaque":-7,"remark":"no \"x\" \u4e2d\ud83d\ude00","more":[{"a":{}}],"extFields":{"a":3,"b":true,"c":null,"\u0064":"TAGS\u0001x\u0002"}}"#.to_vec());
            seeds
        }
        "rocketmq_header" => vec![command_seed(HeaderForm::Rocketmq)[8..].to_vec()],
        "record" => vec![record_seed("127.0.0.1:10911", pairs), record_seed("[2001:db8::1]:10911", "")],
        "batch" => {
            let mut out = Vec::new();
            for body in [&b"one"[..], b"", b"three"] {
                let item = batch::BatchItem { flag: 1, body, properties: pairs.as_bytes() };
                batch::encode(&mut out, &item).expect("seeds fit");
            }
            vec![out]
        }
        "properties" => vec![
            pairs.as_bytes().to_vec(),
            b"7F00000100002A9F0000000000001000".to_vec(),
            b"%RETRY%a-group_1".to_vec(),
            "TagA || TagB || 中文😀".as_bytes().to_vec(),
        ],
        "body" => body_seeds(),
        _ => Vec::new(),
    }
}

fn command_seed(form: HeaderForm) -> Vec<u8> {
    let mut out = Vec::new();
    let head = Head { form, ..Head::request(310, 7) };
    let fields =
        [("a", "P"), ("b", "TopicTest"), ("c", "TBW102"), ("d", "4"), ("e", "1"), ("f", "0"), ("g", "1700000000000")];
    let more = [("h", "0"), ("i", "TAGS\u{1}TagA\u{2}KEYS\u{1}中\u{2}"), ("j", "0"), ("k", "false"), ("m", "true")];
    write_command(
        &mut out,
        &head,
        |writer| fields.iter().chain(&more).for_each(|(key, value)| writer.str(key, value)),
        5,
    );
    out.extend_from_slice(b"hello");
    write_command(&mut out, &Head::reply(7, form, 1, Some("no")), |writer| writer.i32("queueId", 1), 0);
    out
}

fn record_seed(host: &str, pairs: &str) -> Vec<u8> {
    let host = host.parse().expect("an address");
    let new = NewRecord {
        topic: "TopicTest",
        queue_id: 1,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"hello",
        properties: &[pairs.as_bytes()],
    };
    let mut out = Vec::new();
    for place in 0..2 {
        let start = out.len();
        encode(&new, &mut out).expect("seeds fit");
        stamp(&mut out[start..], place, start as i64, 1_700_000_000_001);
    }
    out.extend_from_slice(&[0, 0, 0, 16, 0xcb, 0xd4, 0x31, 0x94, 0, 0, 0, 0, 0, 0, 0, 0]);
    out
}

fn body_seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"clientID":"c@1","consumerDataSet":[{"consumeFromWhere":4,"consumeType":"CONSUME_PASSIVELY","groupName":"G","messageModel":"CLUSTERING","subscriptionDataSet":[{"codeSet":["2598919"],"subString":"TagA","subVersion":1,"tagsSet":["TagA"],"topic":"T"},{"$ref":"$.consumerDataSet[0].subscriptionDataSet[0]"}]}],"producerDataSet":[{"groupName":"P"}]}"#,
        r#"{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911",},'brokerName':"b",cluster:"C"}],"filterServerTable":{},"queueDatas":[{"brokerName":"b","perm":6,"topicSynFlag":1}]}"#,
        r#"{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:{"lastUpdateTimestamp":9,"maxOffset":5,"minOffset":0}}}"#,
        r#"{"offsetTable":{"T@G":{0:15,1:7}}}"#,
        r#"{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{"counter":1,"timestamp":2},"topicConfigTable":{"T":{"perm":6,"topicName":"T"}}}}"#,
    ];
    let registration = RegisterBrokerBody::from_json(texts[4].as_bytes()).expect("seeds are readable");
    texts.iter().map(|text| text.as_bytes().to_vec()).chain([registration.to_stream()]).collect()
}
