//! Requests that can be read and mean nonsense: names, numbers, offsets, bodies.
//!
//! Each must be answered with the code the protocol has for it, never with success, and never by closing.

use client::{BatchMessage, Error, Properties, Pull, PullOutcome, Send, TopicSpec};
use protocol::FieldWriter;
use protocol::message::{BatchItem, batch};
use tests::{Server, raw};

use crate::{Row, expect};

pub const ROWS: &[Row] = &[
    Row { name: "illegal topic names", run: topic_names },
    Row { name: "illegal names in sends and groups", run: send_names },
    Row { name: "unknown request codes", run: unknown_codes },
    Row { name: "messages too large", run: oversize },
    Row { name: "properties too long", run: long_properties },
    Row { name: "pull offsets out of range", run: pull_offsets },
    Row { name: "queue ids out of range", run: queue_ids },
    Row { name: "missing fields", run: missing_fields },
    Row { name: "numbers that are none, negative numbers", run: wrong_numbers },
    Row { name: "batch bodies cut off or forged", run: batch_bodies },
    Row { name: "JSON bodies that are none", run: json_bodies },
    Row { name: "ids and log offsets of no message", run: view_offsets },
];

fn one(server: &Server, bytes: &[u8]) -> Result<(i32, String), String> {
    raw::Raw::connect(server.address()).map_err(|error| error.to_string())?.ask(bytes)
}

fn code_of<T>(what: &str, result: Result<T, Error>, wanted: &[i32]) -> Result<(), String> {
    match result {
        Ok(_) => Err(format!("{what}: answered with success")),
        Err(Error::Answer { code, .. }) if wanted.contains(&code) => Ok(()),
        Err(error) => Err(format!("{what}: wanted code {wanted:?}: {error}")),
    }
}

fn topic_names(server: &Server) -> Result<(), String> {
    let mut broker = server.connect();
    let long = "x".repeat(128);
    for name in ["", " ", "../evil", "..", "a/b", "/etc/passwd", "a\\b", "a b", "a\nb", "ü", "a\0b", "a.b", &long] {
        code_of(&format!("topic {name:?}"), broker.create_topic(&TopicSpec::new(name, 4)), &[1, 13])?;
    }
    let evil = server.data().parent().map(|parent| parent.join("evil"));
    expect(evil.is_some_and(|path| !path.exists()), || "a folder was made outside the store".into())
}

fn send_names(server: &Server) -> Result<(), String> {
    let mut broker = server.connect();
    let long = "x".repeat(200);
    for name in ["../../evil", "a/b", "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", &long] {
        code_of(&format!("send to {name:?}"), broker.send(&Send::to(name, 0, b"x")), &[1, 13, 16])?;
    }
    for group in ["../evil", "a/b", "a b"] {
        // A group is no file name here, but it is a key of the tables: it must be legal or refused.
        let _ = broker.update_offset(group, "Healthy", 0, 1);
        let _ = broker.pull(&Pull::from(group, "Healthy", 0, 0));
    }
    Ok(())
}

fn unknown_codes(server: &Server) -> Result<(), String> {
    for code in [-1, 0, 9999, 32_767, 100_000, i32::MAX, i32::MIN] {
        let (answer, remark) = one(server, &raw::request(code, |_| {}, &[]))?;
        expect(answer == 3, || format!("request code {code} was answered with {answer}: {remark}"))?;
    }
    Ok(())
}

fn oversize(server: &Server) -> Result<(), String> {
    let body = vec![7; (4 << 20) + 1];
    let mut broker = server.connect();
    code_of("4 MiB + 1", broker.send(&Send::to("Healthy", 0, &body)), &[13])?;
    let most = &body[..4 << 20];
    broker.send(&Send::to("Healthy", 1, most)).map_err(|error| format!("4 MiB exactly: {error}"))?;
    let eight = vec![7; 8 << 20];
    code_of("8 MiB", broker.send(&Send::to("Healthy", 0, &eight)), &[13])
}

fn long_properties(server: &Server) -> Result<(), String> {
    let mut broker = server.connect();
    for len in [32_768, 100_000] {
        let mut message = Send::to("Healthy", 0, b"x");
        message.properties = Properties::new().with("k", &"v".repeat(len));
        code_of(&format!("property of {len} bytes"), broker.send(&message), &[13])
            .or_else(|problem| if len > 60_000 { broker_is_back(server, problem) } else { Err(problem) })?;
    }
    Ok(())
}

/// A header over its bound may close the connection instead.
fn broker_is_back(server: &Server, problem: String) -> Result<(), String> {
    server.connect().max_offset("Healthy", 0).map(drop).map_err(|error| format!("{problem}; then {error}"))
}

fn pull_offsets(server: &Server) -> Result<(), String> {
    let said = |error: Error| error.to_string();
    let mut broker = server.connect();
    broker.send(&Send::to("Healthy", 0, b"one at least")).map_err(said)?;
    let max = broker.max_offset("Healthy", 0).map_err(said)?;
    let min = broker.min_offset("Healthy", 0).map_err(said)?;
    let cases = [
        (max, PullOutcome::NotFound, max),
        (max + 1, PullOutcome::OffsetMoved, max),
        (max + 1_000_000, PullOutcome::OffsetMoved, max),
        (i64::MAX, PullOutcome::OffsetMoved, max),
        (-1, PullOutcome::OffsetMoved, min),
        (i64::MIN, PullOutcome::OffsetMoved, min),
    ];
    for (offset, outcome, next) in cases {
        let pulled =
            broker.pull(&Pull::from("CID_bad", "Healthy", 0, offset)).map_err(|error| format!("{offset}: {error}"))?;
        expect((pulled.outcome, pulled.next_begin_offset) == (outcome, next), || {
            format!(
                "pull at {offset} (queue {min}..{max}): {:?}, next {} instead of {outcome:?}, {next}",
                pulled.outcome, pulled.next_begin_offset
            )
        })?;
    }
    for max_messages in [0, -1, i32::MIN, i32::MAX] {
        // Any answer will do, but one must come, and it must be bounded.
        let pull = Pull { max_messages, ..Pull::from("CID_bad", "Healthy", 0, min) };
        match broker.pull(&pull) {
            Ok(pulled) => expect(pulled.messages.len() <= 1024, || format!("{} messages", pulled.messages.len()))?,
            Err(error) => expect(!error.is_disconnect(), || format!("maxMsgNums {max_messages}: {error}"))?,
        }
    }
    Ok(())
}

fn queue_ids(server: &Server) -> Result<(), String> {
    let mut broker = server.connect();
    for queue in [2, 1000, i32::MAX] {
        code_of(&format!("send to queue {queue}"), broker.send(&Send::to("Healthy", queue, b"x")), &[1])?;
    }
    for queue in [2, i32::MAX, -1, i32::MIN] {
        code_of(&format!("pull of queue {queue}"), broker.pull(&Pull::from("CID_bad", "Healthy", queue, 0)), &[1])?;
    }
    for queue in [1 << 20, i32::MAX, -1, i32::MIN] {
        let answer = broker.max_offset("Healthy", queue);
        expect(!matches!(&answer, Err(error) if error.is_disconnect()), || format!("queue {queue}: {answer:?}"))?;
    }
    Ok(())
}

fn missing_fields(server: &Server) -> Result<(), String> {
    for code in [10, 310, 320, 11, 12, 14, 15, 17, 29, 30, 31, 32, 33, 36, 38, 215] {
        let (answer, remark) = one(server, &raw::request(code, |_| {}, b"x"))?;
        expect(answer != 0, || format!("request code {code} without fields was answered with success: {remark}"))?;
    }
    Ok(())
}

fn wrong_numbers(server: &Server) -> Result<(), String> {
    for number in ["", "x", "1.5", "99999999999999999999", "0x10", " 1 ", "-"] {
        let pull = |fields: &mut FieldWriter<'_>| {
            for key in ["queueId", "queueOffset", "maxMsgNums", "sysFlag", "commitOffset", "suspendTimeoutMillis"] {
                fields.str(key, number);
            }
            fields.str("consumerGroup", "CID_bad");
            fields.str("topic", "Healthy");
            fields.str("subVersion", number);
        };
        let (answer, remark) = one(server, &raw::request(11, pull, &[]))?;
        expect(answer != 0, || format!("pull with numbers {number:?} was answered with success: {remark}"))?;
        let topic = |fields: &mut FieldWriter<'_>| {
            fields.str("topic", "BadNumbers");
            fields.str("defaultTopic", "TBW102");
            for key in ["readQueueNums", "writeQueueNums", "perm"] {
                fields.str(key, number);
            }
        };
        let (answer, remark) = one(server, &raw::request(17, topic, &[]))?;
        expect(answer != 0, || format!("topic with numbers {number:?} was answered with success: {remark}"))?;
    }
    let mut broker = server.connect();
    for queues in [-1, i32::MIN, 0, i32::MAX] {
        let answer = broker.create_topic(&TopicSpec::new("BadQueues", queues));
        expect(!matches!(&answer, Err(error) if error.is_disconnect()), || format!("{queues} queues: {answer:?}"))?;
        // If it was taken, sending to it must be answered, too.
        let sent = broker.send(&Send::to("BadQueues", 0, b"x"));
        expect(!matches!(&sent, Err(error) if error.is_disconnect()), || format!("{queues} queues, send: {sent:?}"))?;
    }
    Ok(())
}

fn batch_bodies(server: &Server) -> Result<(), String> {
    let said = |error: Error| error.to_string();
    let mut broker = server.connect();
    let before = broker.max_offset("Healthy", 0).map_err(said)?;
    let mut body = Vec::new();
    for text in [b"first".as_slice(), b"second"] {
        batch::encode(&mut body, &BatchItem { flag: 0, body: text, properties: b"" }).map_err(|e| e.to_string())?;
    }
    let head = Send::to("Healthy", 0, &[]);
    let mut refused = |what: String, bytes: &[u8]| -> Result<(), String> {
        match broker.send_batch_body(&head, bytes) {
            Err(error) if !error.is_disconnect() => Ok(()),
            other => Err(format!("{what}: {other:?}")),
        }
    };
    for len in [1, 3, 4, 10, 21, body.len() - 1] {
        refused(format!("{len} of {} bytes", body.len()), &body[..len])?;
    }
    for len in [-1, i32::MAX, i32::MIN, 100_000] {
        let mut forged = body.clone();
        forged[16..20].copy_from_slice(&i32::to_be_bytes(len));
        refused(format!("first body of {len} bytes"), &forged)?;
    }
    let after = broker.max_offset("Healthy", 0).map_err(said)?;
    expect(before == after, || format!("refused batches left {} messages", after - before))?;
    // Java 4.9.7 takes no notice of an item's own size; taken or refused, both messages are there or none is.
    for size in [0, 1, -1, i32::MAX, i32::MIN, 1000] {
        let mut forged = body.clone();
        forged[..4].copy_from_slice(&i32::to_be_bytes(size));
        let before = broker.max_offset("Healthy", 0).map_err(said)?;
        let answer = broker.send_batch_body(&head, &forged);
        let wanted = match &answer {
            Ok(_) => before + 2,
            Err(error) if !error.is_disconnect() => before,
            Err(error) => return Err(format!("first record of {size} bytes: {error}")),
        };
        let after = broker.max_offset("Healthy", 0).map_err(said)?;
        expect(after == wanted, || format!("first record of {size} bytes: {answer:?}, but {} stored", after - before))?;
    }
    let good = [BatchMessage { flag: 0, properties: Properties::new(), body: b"one" }];
    broker.send_batch(&head, &good).map(drop).map_err(said)
}

fn json_bodies(server: &Server) -> Result<(), String> {
    for code in [34, 41, 42, 46, 200] {
        for body in [b"".as_slice(), b"{", b"[]", b"null", b"\xff\xff", b"{\"clientID\":7,\"consumerDataSet\":3}"] {
            let bytes = raw::request(code, |_| {}, body);
            let answer = one(server, &bytes);
            expect(answer.is_ok(), || format!("code {code} with body {body:?}: {answer:?}"))?;
        }
        let deep = b"[".repeat(1 << 20);
        let answer = one(server, &raw::request(code, |_| {}, &deep));
        expect(matches!(&answer, Ok((answer, _)) if *answer != 0), || format!("code {code}, deep body: {answer:?}"))?;
    }
    Ok(())
}

fn view_offsets(server: &Server) -> Result<(), String> {
    let mut broker = server.connect();
    for offset in [-1, i64::MIN, i64::MAX, 1, 7, 1 << 40] {
        let answer = broker.view_message_at(offset);
        expect(matches!(&answer, Err(error) if !error.is_disconnect()), || format!("byte {offset}: {answer:?}"))?;
    }
    let sent = broker.send(&Send::to("Healthy", 0, b"here")).map_err(|error| error.to_string())?;
    let message = broker.view_message(&sent.msg_id).map_err(|error| error.to_string())?;
    expect(message.body == b"here", || "the id of the last send finds another message".into())?;
    let inside = broker.view_message_at(message.physical_offset + 3);
    expect(inside.is_err(), || "three bytes into a record lies no record".into())
}
