//! Message records: as the broker stored them and as they travel in bodies. Batches too.

use protocol::Command;
use protocol::header::SendMessageHeader;
use protocol::message::properties;
use protocol::message::{NewRecord, Record, batch, encode, encoded_len, stamp, tags_code};

use crate::frames::decode;
use crate::golden;

/// Bodies that are records one behind the other: code and whether it is a response.
pub const RECORDS: [(i32, bool); 5] = [(11, true), (12, true), (33, true), (39, false), (309, false)];
/// Delays of the levels the samples use, ms.
const DELAY_LEVELS_MS: [(&str, i64); 3] = [("1", 1_000), ("2", 5_000), ("3", 10_000)];

/// Reads the record at the start of `bytes`, writes it again, and compares.
fn check_record<'a>(name: &str, bytes: &'a [u8]) -> Record<'a> {
    let record = Record::decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(record.body_crc_ok(), "{name}: checksum of the body");
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
    assert_eq!(encode(&new, &mut out), Ok(encoded_len(&new)), "{name}");
    stamp(&mut out, record.queue_offset, record.physical_offset, record.store_timestamp);
    assert_eq!(out.len(), record.total_size as usize, "{name}");
    assert!(bytes.starts_with(&out), "{name}: the record is written otherwise\n{record:#?}");
    check_properties(name, record.properties);
    record
}

/// All properties are found, and put together again they are what was there.
fn check_properties(name: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let mut joined = Vec::new();
    for (key, value) in properties::iter(text) {
        properties::append(&mut joined, key, value);
    }
    let trim = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_matches('\u{2}').to_owned();
    assert_eq!(trim(&joined), trim(bytes), "{name}");
}

/// The records of a body, as a client walks them. `code` is that of the request.
pub fn check_records(name: &str, code: i32, command: &Command<'_>) {
    let mut rest = command.body;
    let mut count = 0;
    while !rest.is_empty() {
        let record = check_record(name, rest);
        assert!(!record.topic.is_empty() && record.property("UNIQ_KEY").is_some(), "{name}");
        rest = &rest[record.total_size as usize..];
        count += 1;
    }
    assert!(count > 0, "{name}: no records");
    if code == 11 {
        let next: i64 = command.fields.get("nextBeginOffset").expect("there").parse().expect("a number");
        let record = check_record(name, command.body);
        assert!(record.queue_offset < next, "{name}");
    }
}

/// The items of SEND_BATCH_MESSAGE.
pub fn check_batch(name: &str, command: &Command<'_>) {
    let header = SendMessageHeader::decode_v2(&command.fields).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(header.batch, "{name}");
    let mut out = Vec::new();
    let mut bodies = Vec::new();
    for item in batch::iter(command.body) {
        let item = item.unwrap_or_else(|error| panic!("{name}: {error}"));
        batch::encode(&mut out, &item).expect("fits");
        check_properties(name, item.properties);
        assert_eq!(properties::get(item.properties, "TAGS"), Some("TagA"), "{name}");
        bodies.push(item.body);
    }
    assert_eq!(bodies, [b"body b1", b"body b2", b"body b3"], "{name}");
    assert_eq!(out, command.body, "{name}");
}

#[test]
fn pulled_records_are_whole() {
    let frames = golden::frames();
    for (code, response) in RECORDS {
        let found: Vec<_> = frames.iter().filter(|frame| (frame.code, frame.response) == (code, response)).collect();
        let mut with_records = 0;
        for frame in found {
            let command = decode(frame);
            if !command.body.is_empty() {
                check_records(&frame.name, code, &command);
                with_records += 1;
            }
        }
        assert!(with_records >= 2, "{code}: records in both forms");
    }
}

#[test]
fn batches_are_read_and_written_alike() {
    let frames = golden::frames();
    let found: Vec<_> = frames.iter().filter(|frame| frame.code == 320 && !frame.response).collect();
    assert_eq!(found.len(), 2);
    for frame in found {
        check_batch(&frame.name, &decode(frame));
    }
}

#[test]
fn stored_records_are_written_again_byte_for_byte() {
    for (file, unit) in golden::stored() {
        let name = &*file.name;
        let record = check_record(name, &file.bytes);
        assert_eq!(record.total_size as usize, file.bytes.len(), "{name}");
        let place = format!(
            "record of {} bytes at commit log offset {}, topic {}",
            file.bytes.len(),
            record.physical_offset,
            record.topic
        );
        assert!(file.origin.ends_with(&place), "{name}: {} is not {place}", file.origin);
        let place = format!("of the record {name}, queue {} offset {}", record.queue_id, record.queue_offset);
        assert!(unit.origin.ends_with(&place), "{name}: {} is not {place}", unit.origin);

        // What the queue holds instead of the tags' hash while a message waits: when it is due.
        let tags = match (record.topic, record.property("DELAY")) {
            ("SCHEDULE_TOPIC_XXXX", Some(level)) => {
                let delay = DELAY_LEVELS_MS.iter().find(|(other, _)| *other == level).expect("a level of the samples");
                record.store_timestamp + delay.1
            }
            _ => record.property("TAGS").map_or(0, tags_code),
        };
        let mut want = Vec::new();
        want.extend_from_slice(&record.physical_offset.to_be_bytes());
        want.extend_from_slice(&record.total_size.to_be_bytes());
        want.extend_from_slice(&tags.to_be_bytes());
        assert_eq!(unit.bytes, want, "{name}: consume queue unit");
    }
}
