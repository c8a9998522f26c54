//! The tables outlive what happens to their files: an acked topic is there after a kill, a torn file falls back to
//! the one before it.
//!
//! Looks at the files of a stopped broker only.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use client::{Error, Pull, Send, TopicSpec};
use tests::{Case, Outcome, Server, ServerSpec, folder, suite};

const STOP_MAX: Duration = Duration::from_secs(10);

fn main() {
    suite::run(&[
        Case { name: "an_acked_topic_survives_kill9", run: acked_topic_survives_kill9 },
        Case { name: "a_torn_topics_file_falls_back", run: torn_topics_file_falls_back },
        Case { name: "group_offsets_survive_a_stop", run: group_offsets_survive_a_stop },
        Case { name: "a_torn_offsets_file_falls_back", run: torn_offsets_file_falls_back },
    ]);
}

fn create(server: &Server, topic: &str, queues: i32) {
    server
        .connect()
        .create_topic(&TopicSpec::new(topic, queues))
        .unwrap_or_else(|error| panic!("topic {topic}: {error}"));
}

/// How the broker sees a queue: `Ok` when it belongs to a topic it knows.
fn has_queue(server: &Server, topic: &str, queue: i32) -> Result<(), Error> {
    server.connect().pull(&Pull::from("CID_look", topic, queue, 0)).map(drop)
}

fn table(server: &Server, name: &str) -> PathBuf {
    let found = folder::find(server.data(), name);
    assert_eq!(found.len(), 1, "one {name} below {}: {found:?}", server.data().display());
    found.into_iter().next().unwrap_or_default()
}

fn stop(server: &mut Server) {
    server.stop(STOP_MAX).unwrap_or_else(|problem| panic!("{problem}"));
}

fn start(server: &mut Server) {
    server.start().unwrap_or_else(|problem| panic!("{problem}"));
}

fn acked_topic_survives_kill9() -> Outcome {
    let mut server = ServerSpec::new("tables-kill9").set("mappedFileSizeCommitLog", "67108864").start();
    for round in 0..5 {
        let topic = format!("Acked{round}");
        let mut broker = server.connect();
        broker.create_topic(&TopicSpec::new(&topic, 7)).unwrap_or_else(|error| panic!("{error}"));
        server.kill9();
        start(&mut server);
        has_queue(&server, &topic, 6).unwrap_or_else(|error| panic!("{topic} was acked and is gone: {error}"));
        let beyond = has_queue(&server, &topic, 7);
        assert!(matches!(&beyond, Err(Error::Answer { code: 1, .. })), "{topic} has an eighth queue: {beyond:?}");
    }
    Outcome::Passed
}

fn torn_topics_file_falls_back() -> Outcome {
    let mut server = ServerSpec::new("tables-torn").set("mappedFileSizeCommitLog", "67108864").start();
    create(&server, "First", 5);
    create(&server, "Second", 5);
    stop(&mut server);
    let path = table(&server, "topics.json");
    let whole = fs::read(&path).unwrap_or_else(|error| panic!("{error}"));
    for (what, torn) in [("half", &whole[..whole.len() / 2]), ("nothing", &whole[..0])] {
        fs::write(&path, torn).unwrap_or_else(|error| panic!("{error}"));
        start(&mut server);
        has_queue(&server, "First", 4).unwrap_or_else(|error| panic!("{what} of topics.json left: {error}"));
        let log = server.broker_process().log();
        assert!(log.contains("topics.json"), "nothing is said of the torn file ({what}):\n{log}");
        // And it goes on from there.
        create(&server, "Third", 3);
        has_queue(&server, "Third", 2).unwrap_or_else(|error| panic!("{error}"));
        stop(&mut server);
    }
    let again = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}"));
    assert!(again.contains("\"First\"") && again.contains("\"Third\""), "{again}");
    Outcome::Passed
}

fn group_offsets_survive_a_stop() -> Outcome {
    let mut server = ServerSpec::new("tables-offsets").set("mappedFileSizeCommitLog", "67108864").start();
    create(&server, "Offsets", 2);
    let mut broker = server.connect();
    for _ in 0..10 {
        broker.send(&Send::to("Offsets", 1, b"x")).unwrap_or_else(|error| panic!("{error}"));
    }
    broker.update_offset("CID_offsets", "Offsets", 1, 7).unwrap_or_else(|error| panic!("{error}"));
    drop(broker);
    stop(&mut server);
    start(&mut server);
    let offset = server.connect().query_offset("CID_offsets", "Offsets", 1);
    assert_eq!(offset.unwrap_or_else(|error| panic!("{error}")), Some(7));
    Outcome::Passed
}

fn torn_offsets_file_falls_back() -> Outcome {
    let mut server = ServerSpec::new("tables-torn-offsets").set("mappedFileSizeCommitLog", "67108864").start();
    create(&server, "Offsets", 1);
    let mut broker = server.connect();
    for _ in 0..10 {
        broker.send(&Send::to("Offsets", 0, b"x")).unwrap_or_else(|error| panic!("{error}"));
    }
    drop(broker);
    // Each stop writes the table once: the file before the last one holds 4.
    for offset in [4, 6] {
        server.connect().update_offset("CID_torn", "Offsets", 0, offset).unwrap_or_else(|error| panic!("{error}"));
        stop(&mut server);
        if offset == 4 {
            start(&mut server);
        }
    }
    let path = table(&server, "consumerOffset.json");
    let whole = fs::read(&path).unwrap_or_else(|error| panic!("{error}"));
    fs::write(&path, &whole[..whole.len() / 2]).unwrap_or_else(|error| panic!("{error}"));
    start(&mut server);
    let offset = server.connect().query_offset("CID_torn", "Offsets", 0).unwrap_or_else(|error| panic!("{error}"));
    // An older offset delivers again; a newer one than was committed would skip.
    assert!(offset.is_some_and(|offset| (1..=6).contains(&offset)), "fell back to {offset:?}");
    Outcome::Passed
}
