//! What tools ask of topics and groups: requests 202 and 208, whatever shards own the queues.

mod common;

use common::{Client, TestBroker, eventually};
use protocol::body::{Body, ConsumeStats, OffsetWrapper, TopicStatsTable};
use protocol::message::Record;

const TOPIC_STATS: i32 = 202;
const CONSUME_STATS: i32 = 208;

fn create(client: &mut Client, topic: &str, read: i32, write: i32) {
    let (read, write) = (read.to_string(), write.to_string());
    let fields = [
        ("topic", topic),
        ("defaultTopic", "TBW102"),
        ("readQueueNums", &read),
        ("writeQueueNums", &write),
        ("perm", "6"),
        ("topicFilterType", "SINGLE_TAG"),
        ("topicSysFlag", "0"),
        ("order", "false"),
    ];
    let answer = client.call(17, &fields, &[]);
    assert_eq!(answer.code, 0, "{answer:?}");
}

fn send(client: &mut Client, topic: &str, queue_id: i32, count: usize) {
    for number in 0..count {
        let answer = client.send(topic, queue_id, &format!("{number}"));
        assert_eq!(answer.code, 0, "{answer:?}");
    }
}

fn commit(client: &mut Client, group: &str, topic: &str, queue_id: i32, offset: i64) {
    let (queue_id, offset) = (queue_id.to_string(), offset.to_string());
    let fields =
        [("consumerGroup", group), ("topic", topic), ("queueId", &queue_id), ("commitOffset", offset.as_str())];
    let answer = client.call(15, &fields, &[]);
    assert_eq!(answer.code, 0, "{answer:?}");
}

/// When a message was stored, as its record says.
fn stored(client: &mut Client, topic: &str, queue_id: i32, offset: i64) -> i64 {
    let answer = client.pull("reader", topic, queue_id, offset, 0, 0);
    Record::decode(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}")).store_timestamp
}

fn on_shards(name: &str, check: impl Fn(&mut Client)) {
    for shards in [1, 2, 4] {
        let broker = TestBroker::start(name, &format!("shardNums={shards}"));
        check(&mut broker.client());
    }
}

/// Progress in a queue of a topic.
type Row = (String, i32, OffsetWrapper);

/// Messages a second and the rows of an answer.
fn consume_stats(client: &mut Client, group: &str, topic: Option<&str>) -> (f64, Vec<Row>) {
    let mut fields = vec![("consumerGroup", group)];
    fields.extend(topic.map(|topic| ("topic", topic)));
    let answer = client.call(CONSUME_STATS, &fields, &[]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let stats = ConsumeStats::from_json(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()));
    assert_eq!(answer.body, stats.to_fastjson(), "in the form Java reads");
    let queues = stats.offset_table.into_iter().map(|(queue, progress)| (queue.topic, queue.queue_id, progress));
    (stats.consume_tps, queues.collect())
}

#[test]
fn topic_stats_name_every_queue_whatever_shard_owns_it() {
    on_shards("topic-stats", |client| {
        create(client, "T", 7, 5);
        for (queue_id, count) in [(0, 3), (1, 1), (4, 2)] {
            send(client, "T", queue_id, count);
        }
        let mut rows = Vec::new();
        for (queue_id, end) in [(0, 3), (1, 1), (2, 0), (3, 0), (4, 2)] {
            let time = if end == 0 { 0 } else { stored(client, "T", queue_id, end - 1) };
            rows.push(format!(
                "{{\"brokerName\":\"a\",\"queueId\":{queue_id},\"topic\":\"T\"}}:\
                 {{\"lastUpdateTimestamp\":{time},\"maxOffset\":{end},\"minOffset\":0}}"
            ));
        }
        let answer = client.call(TOPIC_STATS, &[("topic", "T")], &[]);
        assert_eq!((answer.code, answer.text()), (0, format!("{{\"offsetTable\":{{{}}}}}", rows.join(","))));
    });
}

#[test]
fn a_topic_of_many_queues_takes_several_turns() {
    on_shards("many-queues", |client| {
        create(client, "Many", 3_000, 3_000);
        send(client, "Many", 2_999, 1);
        let answer = client.call(TOPIC_STATS, &[("topic", "Many")], &[]);
        let table = TopicStatsTable::from_json(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        let ids: Vec<i32> = table.offset_table.keys().map(|queue| queue.queue_id).collect();
        assert_eq!(ids, (0..3_000).collect::<Vec<i32>>());
        let ends: i64 = table.offset_table.values().map(|offsets| offsets.max_offset).sum();
        assert_eq!(ends, 1);
    });
}

#[test]
fn what_is_not_there_is_refused() {
    on_shards("no-topic", |client| {
        create(client, "Gone", 2, 2);
        create(client, "Bare", 0, 0);
        assert_eq!(client.call(215, &[("topic", "Gone")], &[]).code, 0);
        let fields = |topic| vec![("topic", topic)];
        for (code, fields, expected, part) in [
            (TOPIC_STATS, fields("Unknown"), 17, "topic[Unknown] not exist"),
            (TOPIC_STATS, fields("Gone"), 17, "topic[Gone] not exist"),
            (TOPIC_STATS, Vec::new(), 1, "topic"),
            (TOPIC_STATS, fields("Bare"), 0, "{\"offsetTable\":{}}"),
            (CONSUME_STATS, fields("T"), 1, "consumerGroup"),
            (CONSUME_STATS, vec![("consumerGroup", "nobody")], 0, "{\"consumeTps\":0.0,\"offsetTable\":{}}"),
        ] {
            let answer = client.call(code, &fields, &[]);
            assert_eq!(answer.code, expected, "{code} {fields:?}: {answer:?}");
            assert!(answer.remark.contains(part) || answer.text() == part, "{code} {fields:?}: {answer:?}");
        }
    });
}

#[test]
fn consume_stats_name_every_queue_of_the_groups_topics() {
    on_shards("consume-stats", |client| {
        create(client, "T", 3, 2);
        create(client, "U", 1, 1);
        create(client, "Other", 1, 1);
        send(client, "T", 0, 4);
        send(client, "T", 1, 1);
        send(client, "U", 0, 2);
        commit(client, "g", "T", 0, 3);
        commit(client, "g", "U", 0, 0);
        commit(client, "g", "Unknown", 0, 9);
        commit(client, "another", "Other", 0, 0);
        let last_timestamp = stored(client, "T", 0, 2);
        let row = |topic: &str, queue_id, broker_offset, consumer_offset, last_timestamp| {
            (topic.to_owned(), queue_id, OffsetWrapper { broker_offset, consumer_offset, last_timestamp })
        };
        let of_t = vec![row("T", 0, 4, 3, last_timestamp), row("T", 1, 1, 0, 0), row("T", 2, 0, 0, 0)];
        let of_u = vec![row("U", 0, 2, 0, 0)];
        // Rows stand in the order of the queues: by id, then by topic.
        let mut both = [of_t.clone(), of_u.clone()].concat();
        both.sort_by_key(|(topic, queue_id, _)| (*queue_id, topic.clone()));
        let check = |client: &mut Client, cases: [(Option<&str>, &[Row]); 5]| {
            for (topic, expected) in cases {
                assert_eq!(consume_stats(client, "g", topic), (0.0, expected.to_vec()), "{topic:?}");
            }
        };
        check(
            client,
            [(None, &both), (Some("T"), &of_t), (Some("U"), &of_u), (Some(" "), &both), (Some("Unknown"), &[])],
        );
        // Once the group has members, only what they subscribe.
        let heartbeat = "{\"clientID\":\"c@1\",\"consumerDataSet\":[{\"consumeFromWhere\":\"CONSUME_FROM_LAST_OFFSET\",\
                         \"consumeType\":\"CONSUME_PASSIVELY\",\"groupName\":\"g\",\"messageModel\":\"CLUSTERING\",\
                         \"subscriptionDataSet\":[{\"subString\":\"*\",\"subVersion\":1,\"topic\":\"U\"}],\
                         \"unitMode\":false}],\"producerDataSet\":[]}";
        assert_eq!(client.call(34, &[], heartbeat.as_bytes()).code, 0);
        check(client, [(None, &of_u), (Some("T"), &[]), (Some("U"), &of_u), (Some(""), &of_u), (Some("Unknown"), &[])]);
    });
}

#[test]
fn progress_that_moves_is_consumption() {
    on_shards("consume-tps", |client| {
        create(client, "T", 2, 2);
        send(client, "T", 1, 1);
        commit(client, "g", "T", 1, 100);
        let gathered = |client: &mut Client| client.call(43, &[], &[]).text();
        eventually("home knows", || gathered(client), |text| text.contains("1:100"));
        commit(client, "g", "T", 1, 700);
        let found = eventually("a rate", || consume_stats(client, "g", None).0, |rate| *rate > 0.0);
        assert!((10.0..=12.0).contains(&found), "600 messages in 50 to 60 s: {found}");
    });
}

#[test]
fn a_restart_changes_no_answer() {
    let mut broker = TestBroker::start("stats-again", "");
    let mut client = broker.client();
    create(&mut client, "T", 3, 3);
    send(&mut client, "T", 0, 4);
    send(&mut client, "T", 2, 1);
    commit(&mut client, "g", "T", 0, 3);
    let ask = |broker: &TestBroker| {
        let mut client = broker.client();
        [(TOPIC_STATS, "topic", "T"), (CONSUME_STATS, "consumerGroup", "g")].map(|(code, name, value)| {
            let answer = client.call(code, &[(name, value)], &[]);
            assert_eq!(answer.code, 0, "{answer:?}");
            answer.text()
        })
    };
    let before = ask(&broker);
    assert!(before.iter().all(|text| text.contains("\"queueId\":2")), "{before:?}");
    drop(client);
    assert!(broker.stop(), "{}", broker.output());
    broker.start_again();
    assert_eq!(ask(&broker), before);
}
