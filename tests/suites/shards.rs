//! The whole flow of a client, on one, two and four shards; and a store that is opened with another number of shards
//! each time.
//!
//! Each case has its own broker. Nothing here may depend on which shard owns a queue.

use std::sync::mpsc;
use std::time::Duration;

use client::{
    BatchMessage, Broker, Consumer, ConsumerSpec, Delivery, GroupMember, HeaderForm, LockedQueue, MessageQuery,
    Options, Properties, Pull, PullOutcome, Send, Subscription, TopicSpec,
};
use tests::run::{LoadSpec, Run};
use tests::{Case, Outcome, Rng, Server, ServerSpec, suite, wait};

const TOPIC: &str = "Flow";
const QUEUES: i32 = 8;
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    suite::run(&[
        Case { name: "one_shard", run: || whole_flow(1) },
        Case { name: "two_shards", run: || whole_flow(2) },
        Case { name: "four_shards", run: || whole_flow(4) },
        Case { name: "another_number_of_shards_each_start", run: another_number_each_start },
    ]);
}

fn ok<T>(result: Result<T, client::Error>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn whole_flow(shards: u32) -> Outcome {
    let mut server = ServerSpec::new("shards")
        .set("mappedFileSizeCommitLog", "67108864")
        .set("shardNums", &shards.to_string())
        .start();
    ok(server.connect().create_topic(&TopicSpec::new(TOPIC, QUEUES)));
    let mut sent = 0;
    for form in [HeaderForm::Json, HeaderForm::Rocketmq] {
        let mut broker = server.connect_with(Options { form, ..Options::default() });
        sent += send_and_read(&mut broker, sent);
    }
    let mut broker = server.connect();
    assert_eq!((0..QUEUES).map(|queue| ok(broker.max_offset(TOPIC, queue))).sum::<i64>(), sent);
    offsets(&mut broker);
    membership(&mut broker);
    lookups(&mut broker);
    held_pull_wakes(&server);
    push_consumer(&server);
    send_back(&mut broker);
    drop(broker);
    let took = server.stop(PATIENCE).unwrap_or_else(|problem| panic!("{problem}"));
    println!("  {shards} shards: exit after {} ms", took.as_millis());
    Outcome::Passed
}

/// Sync, one-way and batch to every queue; every pull sees them at their offsets. Answers how many were sent.
fn send_and_read(broker: &mut Broker, before: i64) -> i64 {
    let mut count = 0;
    for queue in 0..QUEUES {
        let first = ok(broker.max_offset(TOPIC, queue));
        let single = ok(broker.send(&Send::to(TOPIC, queue, b"single")));
        assert_eq!((single.queue_id, single.queue_offset), (queue, first));
        ok(broker.send_oneway(&Send::to(TOPIC, queue, b"oneway")));
        let batch: Vec<BatchMessage<'_>> = [b"b0".as_slice(), b"b1", b"b2"]
            .map(|body| BatchMessage { flag: 7, properties: Properties::new().with("TAGS", "batch"), body })
            .into();
        // The one-way send has no ack; on one connection it is behind the next answer at the latest.
        let batched = ok(broker.send_batch(&Send::to(TOPIC, queue, &[]), &batch));
        assert_eq!(batched.queue_offset, first + 2, "queue {queue}");
        assert_eq!(batched.physical_offsets().len(), 3, "{}", batched.msg_id);
        let pulled = wait::until(PATIENCE, || {
            let pulled = ok(broker.pull(&Pull::from("CID_read", TOPIC, queue, first)));
            (pulled.messages.len() == 5).then_some(pulled)
        });
        let pulled = pulled.unwrap_or_else(|| panic!("queue {queue}: five messages never became readable"));
        let bodies: Vec<&[u8]> = pulled.messages.iter().map(|message| message.body.as_slice()).collect();
        assert_eq!(bodies, [b"single".as_slice(), b"oneway", b"b0", b"b1", b"b2"]);
        for (step, message) in pulled.messages.iter().enumerate() {
            assert_eq!((message.queue_offset, message.queue_id), (first + step as i64, queue));
            assert!(message.body_crc_ok);
        }
        assert_eq!(pulled.next_begin_offset, first + 5);
        let tagged = Pull { subscription: Some("batch"), ..Pull::from("CID_read", TOPIC, queue, first) };
        let tagged = ok(broker.pull(&tagged));
        assert_eq!(tagged.messages.len(), 3, "queue {queue}: the tag filter let others through");
        count += 5;
    }
    assert!(before >= 0);
    count
}

fn offsets(broker: &mut Broker) {
    for queue in 0..QUEUES {
        ok(broker.update_offset("CID_flow", TOPIC, queue, i64::from(queue) + 1));
    }
    for queue in 0..QUEUES {
        assert_eq!(ok(broker.query_offset("CID_flow", TOPIC, queue)), Some(i64::from(queue) + 1));
        assert_eq!(ok(broker.min_offset(TOPIC, queue)), 0);
        let max = ok(broker.max_offset(TOPIC, queue));
        assert_eq!(ok(broker.search_offset(TOPIC, queue, 0)), 0);
        let after_all = ok(broker.search_offset(TOPIC, queue, i64::MAX / 2));
        assert!((max - 1..=max).contains(&after_all), "search far in the future answers {after_all} of {max}");
        assert!(ok(broker.earliest_store_time(TOPIC, queue)) > 1_600_000_000_000);
    }
}

fn membership(broker: &mut Broker) {
    let subscriptions = [Subscription { topic: TOPIC, expression: "*" }];
    let member = |client_id| GroupMember {
        client_id,
        group: "CID_members",
        is_broadcasting: false,
        subscriptions: &subscriptions,
    };
    ok(broker.heartbeat_producer("p@1", "PID_members"));
    ok(broker.heartbeat_consumer(&member("c@1")));
    assert_eq!(ok(broker.consumer_list("CID_members")), ["c@1"]);
    let queues: Vec<LockedQueue> = (0..QUEUES)
        .map(|queue_id| LockedQueue { topic: TOPIC.into(), broker_name: "broker-a".into(), queue_id })
        .collect();
    let mut held = ok(broker.lock("CID_members", "c@1", &queues));
    held.sort_by_key(|queue| queue.queue_id);
    assert_eq!(held, queues);
    assert_eq!(ok(broker.lock("CID_members", "c@2", &queues)), [], "a second client got locks that are held");
    ok(broker.unlock("CID_members", "c@1", &queues[..3]));
    assert_eq!(ok(broker.lock("CID_members", "c@2", &queues)).len(), 3);
    ok(broker.unregister("c@1", "", "CID_members"));
    assert!(ok(broker.consumer_list("CID_members")).is_empty());
}

fn lookups(broker: &mut Broker) {
    for queue in 0..QUEUES {
        let key = format!("key-{queue}");
        let body = format!("looked up {queue}");
        let mut message = Send::to(TOPIC, queue, body.as_bytes());
        message.properties =
            Properties::new().with("KEYS", &key).with("UNIQ_KEY", &format!("7F0000010000000000000000000000{queue:02}"));
        let sent = ok(broker.send(&message));
        let by_id = ok(broker.view_message(&sent.msg_id));
        assert_eq!((by_id.body.as_slice(), by_id.queue_offset), (body.as_bytes(), sent.queue_offset));
        let by_key = wait::until(PATIENCE, || {
            let found = ok(broker.query_message(&MessageQuery::key(TOPIC, &key)));
            (!found.is_empty()).then_some(found)
        });
        let by_key = by_key.unwrap_or_else(|| panic!("{key} is not found"));
        assert!(by_key.iter().all(|message| message.body == body.as_bytes()), "{by_key:?}");
    }
    assert!(ok(broker.query_message(&MessageQuery::key(TOPIC, "no such key"))).is_empty());
}

/// A pull that waits on each queue is woken by the message, long before its time is over.
fn held_pull_wakes(server: &Server) {
    for queue in 0..QUEUES {
        let mut broker = server.connect();
        let end = ok(broker.max_offset(TOPIC, queue));
        let address = server.address();
        let puller = std::thread::spawn(move || {
            let mut broker = ok(Broker::connect(address));
            let begun = std::time::Instant::now();
            let pull = Pull { suspend: Some(PATIENCE), ..Pull::from("CID_held", TOPIC, queue, end) };
            (ok(broker.pull(&pull)), begun.elapsed())
        });
        ok(broker.send(&Send::to(TOPIC, queue, b"wake up")));
        let (pulled, waited) = puller.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert_eq!((pulled.outcome, pulled.messages.len()), (PullOutcome::Found, 1), "queue {queue}");
        assert!(waited < Duration::from_secs(4), "queue {queue}: woken after {waited:?}");
    }
}

fn push_consumer(server: &Server) {
    let queues = (0..QUEUES).map(|queue| (TOPIC.to_owned(), queue)).collect();
    let mut spec = ConsumerSpec::new(server.address(), "CID_push", queues);
    spec.suspend = Duration::from_millis(50);
    let (tell, told) = mpsc::channel();
    let consumer = Consumer::start(spec, move |messages| {
        for message in messages {
            // The receiver is gone once it has seen enough.
            let _ = tell.send(message.body.clone());
        }
        Delivery::Consumed
    });
    let consumer = consumer.unwrap_or_else(|error| panic!("{error}"));
    let mut broker = server.connect();
    for queue in 0..QUEUES {
        ok(broker.send(&Send::to(TOPIC, queue, format!("pushed {queue}").as_bytes())));
    }
    let mut missing: Vec<Vec<u8>> = (0..QUEUES).map(|queue| format!("pushed {queue}").into_bytes()).collect();
    while !missing.is_empty() {
        let body = told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("never pushed: {missing:?}"));
        missing.retain(|wanted| *wanted != body);
    }
    ok(consumer.stop());
    for queue in 0..QUEUES {
        let max = ok(broker.max_offset(TOPIC, queue));
        assert_eq!(ok(broker.query_offset("CID_push", TOPIC, queue)), Some(max), "queue {queue}");
    }
}

/// What is sent back comes again in the group's retry topic.
fn send_back(broker: &mut Broker) {
    let subscriptions = [Subscription { topic: TOPIC, expression: "*" }];
    let member =
        GroupMember { client_id: "c@9", group: "CID_back", is_broadcasting: false, subscriptions: &subscriptions };
    ok(broker.heartbeat_consumer(&member));
    let pulled = ok(broker.pull(&Pull::from("CID_back", TOPIC, 3, 0)));
    let message = pulled.messages.first().unwrap_or_else(|| panic!("queue 3 is empty"));
    ok(broker.send_back(message, "CID_back", 1));
    let retry = "%RETRY%CID_back";
    let pull = Pull { suspend: Some(Duration::from_secs(5)), ..Pull::from("CID_back", retry, 0, 0) };
    let again = wait::until(PATIENCE, || ok(broker.pull(&pull)).messages.into_iter().next());
    let again = again.unwrap_or_else(|| panic!("what was sent back never came again"));
    assert_eq!(again.body, message.body);
    assert_eq!(again.reconsume_times, 1);
    assert_eq!(again.property("RETRY_TOPIC"), Some(TOPIC));
}

fn another_number_each_start() -> Outcome {
    let seed = Rng::seed_of_run();
    println!("  RINGMQ_SEED={seed}");
    let mut server =
        ServerSpec::new("reshard").set("mappedFileSizeCommitLog", "67108864").set("shardNums", "1").start();
    let run = Run::start(&server, LoadSpec::mixed(seed));
    for (start, shards) in ["2", "4", "1", "3"].into_iter().enumerate() {
        run.wait_acked(200, PATIENCE).unwrap_or_else(|problem| panic!("{problem}"));
        server.set("shardNums", shards);
        // Stopped and killed in turn.
        if start % 2 == 0 {
            server.stop(PATIENCE).unwrap_or_else(|problem| panic!("{problem}"));
        } else {
            server.kill9();
        }
        server.start().unwrap_or_else(|problem| panic!("{shards} shards: {problem}"));
    }
    run.wait_acked(200, PATIENCE).unwrap_or_else(|problem| panic!("{problem}"));
    let report = run.stop().judge(&server, 50);
    println!("  {report}");
    Outcome::Passed
}
