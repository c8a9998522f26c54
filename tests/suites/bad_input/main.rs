//! What no client should send: each row does its worst, then the same broker must serve a normal client and must not
//! have kept memory for it.
//!
//! Owns one broker for all rows. The rows lie by kind in `frames`, `requests` and `connections`.

mod connections;
mod frames;
mod requests;

use std::time::Duration;

use client::{Broker, Pull, Send, TopicSpec};
use tests::{Outcome, Server, ServerSpec, body, suite, wait};

/// A row: what is done to the broker. `Err` says what the broker did wrong.
pub struct Row {
    pub name: &'static str,
    pub run: fn(&Server) -> Result<(), String>,
}

/// Growth of resident memory over all rows, KiB: what pools and caches may keep.
const GROWTH_MAX_KIB: u64 = 100 << 10;
const TOPIC: &str = "Healthy";

fn main() {
    suite::run(&[tests::Case { name: "bad_input", run: all_rows }]);
}

fn all_rows() -> Outcome {
    let mut server = ServerSpec::new("bad-input").set("mappedFileSizeCommitLog", "67108864").start();
    let mut broker = server.connect();
    broker.create_topic(&TopicSpec::new(TOPIC, 2)).unwrap_or_else(|error| panic!("{error}"));
    drop(broker);
    for round in 0..50 {
        healthy(&server, round).unwrap_or_else(|problem| panic!("before any bad input: {problem}"));
    }
    let rss_before = server.broker_process().rss_kib();
    let pid = server.broker_process().pid();
    let mut wrong = Vec::new();
    let rows = [frames::ROWS, requests::ROWS, connections::ROWS].concat_rows();
    for (number, row) in rows.iter().enumerate() {
        let mut problems: Vec<String> = (row.run)(&server).err().into_iter().collect();
        if !server.broker_process().is_running() {
            panic!("{}: the broker is gone ({problems:?})\n{}", row.name, server.broker_process().log_tail());
        }
        problems.extend(healthy(&server, 1000 + number as u64).err().map(|problem| format!("afterwards: {problem}")));
        // What a row made the broker hold must be given back; a moment is allowed for it.
        let settled = wait::until(Duration::from_secs(10), || {
            let rss = server.broker_process().rss_kib();
            (rss <= rss_before + GROWTH_MAX_KIB).then_some(rss)
        });
        let rss = settled.unwrap_or_else(|| server.broker_process().rss_kib());
        if settled.is_none() {
            problems.push(format!("resident memory stays at {} MiB, {} MiB at first", rss >> 10, rss_before >> 10));
        }
        let verdict = if problems.is_empty() { "ok" } else { "WRONG" };
        println!("  {:<44} {verdict} (rss {} MiB) {}", row.name, rss >> 10, problems.join("; "));
        wrong.extend(problems.into_iter().map(|problem| format!("{}: {problem}", row.name)));
    }
    assert_eq!(pid, server.broker_process().pid());
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    Outcome::Passed
}

trait ConcatRows {
    fn concat_rows(&self) -> Vec<&'static Row>;
}

impl ConcatRows for [&'static [Row]; 3] {
    fn concat_rows(&self) -> Vec<&'static Row> {
        self.iter().flat_map(|rows| rows.iter()).collect()
    }
}

/// A normal client: sends, and reads the same bytes at the acked offset.
pub fn healthy(server: &Server, number: u64) -> Result<(), String> {
    let said = |error: client::Error| error.to_string();
    let mut broker = Broker::connect(server.address()).map_err(said)?;
    let uid = checker::Uid { producer: 1, seq: number };
    let bytes = body::make(uid, 300 + number as usize % 1000);
    let mut message = Send::to(TOPIC, (number % 2) as i32, &bytes);
    message.properties = body::properties(uid);
    let sent = broker.send(&message).map_err(said)?;
    // An ack may come a moment before the message is visible to others: the pull is one that waits.
    let pull = Pull {
        suspend: Some(Duration::from_secs(5)),
        ..Pull::from("CID_healthy", TOPIC, sent.queue_id, sent.queue_offset)
    };
    let pulled = broker.pull(&pull).map_err(said)?;
    let read = pulled.messages.first().ok_or("the message just acked cannot be pulled")?;
    if read.body != bytes || read.queue_offset != sent.queue_offset || body::uid(read) != Some(uid) {
        return Err(format!("sent {uid} at offset {}, read {:?} there", sent.queue_offset, body::uid(read)));
    }
    Ok(())
}

/// An expectation of a row.
pub fn expect(ok: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if ok { Ok(()) } else { Err(problem()) }
}
