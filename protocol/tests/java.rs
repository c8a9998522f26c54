//! Compares with bytes that the classes of Apache RocketMQ 4.9.7 made: see `golden/Golden.java`.

use std::fmt::Debug;

use protocol::body::{
    ClusterInfo, ConsumeStats, HeartbeatData, KvTable, LockBatchRequestBody, LockBatchResponseBody, RegisterBrokerBody,
    SubscriptionData, SubscriptionGroupConfig, TopicConfigSerializeWrapper, TopicList, TopicRouteData, TopicStatsTable,
};
use protocol::header::{
    PullMessageHeader, PullMessageResponse, SendMessageHeader, SendMessageResponse, UpdateConsumerOffsetHeader,
};
use protocol::java_map::{iteration_order, reflected_order};
use protocol::message::{NewRecord, Record, batch, encode, properties, stamp};
use protocol::{Body, Command, FieldWriter, Fields, Head, HeaderForm, frame_len, topic, write_command};

/// All bytes of this name.
fn golden(name: &str) -> Vec<Vec<u8>> {
    let lines = include_str!("golden/java-4.9.7.hex").lines().filter(|line| !line.starts_with('#'));
    let found: Vec<Vec<u8>> = lines
        .filter_map(|line| line.split_once(' '))
        .filter(|(key, _)| *key == name)
        .map(|(_, hex)| unhex(hex))
        .collect();
    assert!(!found.is_empty(), "{name}");
    found
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Declared by the send headers and left out of the samples.
const ABSENT: [&str; 2] = ["maxReconsumeTimes", "brokerName"];

/// The command in both forms, decoded by `decode` and written again by `encode` in the order of Java's map.
fn check_command<'a, T: Debug>(
    frames: &'a [Vec<u8>; 2],
    class: &str,
    decode: impl Fn(&Fields<'a>) -> T,
    encode: impl Fn(&T, &mut FieldWriter<'_>),
) {
    for (frame, form) in frames.iter().zip([HeaderForm::Json, HeaderForm::Rocketmq]) {
        assert_eq!(frame_len(frame, frame.len()), Ok(Some(frame.len())));
        let command = Command::decode(frame).expect("readable");
        assert_eq!((command.form, command.version), (form, 407));
        let remark = command.remark.map(|remark| remark.to_string());
        let head =
            Head { flag: command.flag, remark: remark.as_deref(), form, ..Head::request(command.code, command.opaque) };
        // What the typed header writes, put into the order in which Java's map gives the same names.
        let mut unordered = Vec::new();
        let header = decode(&command.fields);
        write_command(&mut unordered, &head, |writer| encode(&header, writer), 0);
        let unordered = Command::decode(&unordered).expect("readable");
        let names: Vec<_> = unordered.fields.iter().map(|(name, _)| name.into_owned()).collect();
        // All that the class declares, as far as it matters: absent ones only make the set grow, beyond twelve.
        let declared: Vec<&str> = names.iter().map(String::as_str).chain(ABSENT).collect();
        let put = reflected_order(&format!("org.apache.rocketmq.common.protocol.header.{class}"), &declared);
        let put: Vec<&str> = put.into_iter().filter(|name| !ABSENT.contains(name)).collect();
        let mut out = Vec::new();
        write_command(
            &mut out,
            &head,
            |writer| {
                for name in iteration_order(put) {
                    writer.str(name, &unordered.fields.get(name).expect("there"));
                }
            },
            command.body.len(),
        );
        out.extend_from_slice(command.body);
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(frame));
        assert_eq!(out, *frame);
    }
}

fn frames(name: &str) -> [Vec<u8>; 2] {
    ["JSON", "ROCKETMQ"].map(|form| golden(&format!("{name}.{form}")).remove(0))
}

#[test]
fn commands_are_written_byte_for_byte_as_java_writes_them() {
    let (v1, v2) = (frames("send_v1"), frames("send_v2"));
    check_command(
        &v1,
        "SendMessageRequestHeader",
        |fields| SendMessageHeader::decode_v1(fields).expect("whole"),
        |header, out| header.encode_v1(out),
    );
    check_command(
        &v2,
        "SendMessageRequestHeaderV2",
        |fields| SendMessageHeader::decode_v2(fields).expect("whole"),
        |header, out| header.encode_v2(out),
    );
    let sent = frames("send_response");
    check_command(
        &sent,
        "SendMessageResponseHeader",
        |fields| SendMessageResponse::decode(fields).expect("whole"),
        |header, out| header.encode(out),
    );
    let pull = frames("pull");
    check_command(
        &pull,
        "PullMessageRequestHeader",
        |fields| PullMessageHeader::decode(fields).expect("whole"),
        |header, out| header.encode(out),
    );
    let pulled = frames("pull_response");
    check_command(
        &pulled,
        "PullMessageResponseHeader",
        |fields| PullMessageResponse::decode(fields).expect("whole"),
        |header, out| header.encode(out),
    );
    let update = frames("update_offset");
    check_command(
        &update,
        "UpdateConsumerOffsetRequestHeader",
        |fields| UpdateConsumerOffsetHeader::decode(fields).expect("whole"),
        |header, out| header.encode(out),
    );
    check_command(&frames("plain_response"), "None", |_| (), |_, _| {});

    let command = Command::decode(&v2[0]).expect("readable");
    let header = SendMessageHeader::decode_v2(&command.fields).expect("whole");
    assert_eq!(header.properties, "KEYS\u{1}k \"1\"\u{2}TAGS\u{1}标签😀\u{2}");
    assert_eq!((&*header.topic, header.queue_id, header.born_timestamp), ("TopicTest", 1, 1_700_000_000_000));
    assert_eq!(command.body, b"body");
}

#[test]
fn records_are_written_byte_for_byte_as_java_writes_them() {
    for name in ["record_v4", "record_v6"] {
        let bytes = golden(name).remove(0);
        let record = Record::decode(&bytes).expect("readable");
        assert!(record.body_crc_ok());
        assert_eq!((record.body, record.property("TAGS")), (&b"Hello RocketMQ"[..], Some("标签")));
        let new = NewRecord {
            topic: record.topic,
            queue_id: record.queue_id,
            flag: record.flag,
            sys_flag: 0,
            born_timestamp: record.born_timestamp,
            born_host: record.born_host,
            store_host: record.store_host,
            reconsume_times: record.reconsume_times,
            prepared_transaction_offset: record.prepared_transaction_offset,
            body: record.body,
            properties: &[record.properties],
        };
        let mut out = Vec::new();
        encode(&new, &mut out).expect("fits");
        stamp(&mut out, 5, 4096, 1_700_000_000_001);
        assert_eq!(out, bytes, "{name}");
        if name == "record_v4" {
            assert_eq!(record.offset_msg_id().as_str().as_bytes(), golden("msg_id_v4").remove(0));
        }
    }
}

#[test]
fn batches_are_written_byte_for_byte_as_java_writes_them() {
    let bytes = golden("batch").remove(0);
    let mut out = Vec::new();
    for item in batch::iter(&bytes) {
        batch::encode(&mut out, &item.expect("readable")).expect("fits");
    }
    assert_eq!(out, bytes);
    let bodies: Vec<_> = batch::iter(&bytes).map(|item| item.expect("readable").body).collect();
    assert_eq!(bodies, [b"one", b"two"]);
}

#[test]
fn odd_properties_are_read_as_java_reads_them() {
    for line in golden("properties") {
        let line = text(&line);
        let (odd, want) = line.split_once('\u{3}').expect("two parts");
        let mut read: Vec<_> =
            properties::iter(odd).map(|(name, _)| (name, properties::get(odd, name).expect("there"))).collect();
        read.sort_unstable();
        read.dedup();
        let read: String = read.iter().map(|(name, value)| format!("{name}\u{4}{value}\u{5}")).collect();
        assert_eq!(read, want, "{odd:?}");
    }
}

/// Reads Java's text and compares what is written in fastjson's form, without the members only newer readers want.
fn check_body<T: Body + PartialEq + Debug>(name: &str) -> T {
    let bytes = golden(name).remove(0);
    let body = T::from_json(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = text(&body.to_fastjson());
    let written = written.replace(",\"enableActingMaster\":false", "").replace("\"topicSynFlag\":1,", "");
    assert_eq!(written, text(&bytes), "{name}");
    assert_eq!(T::from_json(&body.to_json()).as_ref(), Ok(&body), "{name}");
    body
}

#[test]
fn bodies_are_written_as_java_writes_them() {
    let route: TopicRouteData = check_body("route");
    assert_eq!(TopicRouteData::from_json(&golden("route_standard")[0]).as_ref(), Ok(&route));
    let standard =
        text(&route.to_json()).replace(",\"enableActingMaster\":false", "").replace("\"topicSynFlag\":1,", "");
    assert_eq!(standard, text(&golden("route_standard")[0]));
    check_body::<ClusterInfo>("cluster");
    check_body::<KvTable>("kv");
    check_body::<TopicList>("topic_list");
    check_body::<HeartbeatData>("heartbeat");
    check_body::<SubscriptionGroupConfig>("group");
    check_body::<LockBatchRequestBody>("lock");
    check_body::<LockBatchResponseBody>("lock_response");
    check_body::<TopicStatsTable>("topic_stats");
    check_body::<ConsumeStats>("consume_stats");
}

#[test]
fn tables_and_registrations_hold_what_java_put_in() {
    let topics = TopicConfigSerializeWrapper::from_json(&golden("topics")[0]).expect("readable");
    let names: Vec<_> = topics
        .topic_config_table
        .iter()
        .map(|(name, topic)| (&**name, topic.read_queue_nums, topic.write_queue_nums))
        .collect();
    assert_eq!(names, [("%RETRY%G", 8, 4), ("TopicTest", 8, 4)]);
    assert_eq!((topics.data_version.counter, topics.data_version.timestamp), (3, 1_700_000_000_000));
    let json = RegisterBrokerBody::from_json(&golden("register")[0]).expect("readable");
    assert_eq!(json.topic_config_serialize_wrapper, topics);
    assert_eq!(json.filter_server_list, ["10.0.0.9:1"]);
    let stream = golden("register_stream").remove(0);
    assert_eq!(RegisterBrokerBody::from_stream(&stream).as_ref(), Ok(&json));
    assert_eq!(json.to_stream().len(), stream.len());
}

#[test]
fn a_subscription_shared_by_two_groups_is_read_in_both() {
    let bytes = golden("heartbeat_shared").remove(0);
    assert!(text(&bytes).contains("$ref"), "this text is about references");
    let heartbeat = HeartbeatData::from_json(&bytes).expect("readable");
    let [first, second] = &heartbeat.consumer_data_set[..] else { panic!("two groups") };
    assert_eq!(first.subscription_data_set, second.subscription_data_set);
    assert_eq!(first.subscription_data_set[0].sub_string, "TagA");
}

#[test]
fn tag_expressions_are_parsed_as_java_parses_them() {
    for line in golden("subscription") {
        let line = text(&line);
        let (expression, want) = line.split_once('\u{3}').expect("two parts");
        let read = match SubscriptionData::parse_tags("T", expression) {
            Ok(data) => {
                let tags: Vec<&str> = data.tags_set.iter().map(String::as_str).collect();
                format!("{}\u{4}{}\u{4}{:?}", data.sub_string, tags.join(","), data.code_set.iter().collect::<Vec<_>>())
            }
            Err(_) => "refused".to_owned(),
        };
        assert_eq!(read, want, "{expression:?}");
    }
}

#[test]
fn topic_names_are_judged_as_java_judges_them() {
    for line in golden("topic") {
        let line = text(&line);
        let (name, want) = line.split_once('\u{3}').expect("two parts");
        assert_eq!(topic::check_topic_name(name).is_ok().to_string(), want, "{name:?}");
    }
}
