//! Sixty thousand topics: registered at a nameserver, looked up while brokers register again and again, and served by
//! a broker that starts with them.
//!
//! Prints times and memory; the bounds are far above what is seen, they catch what is quadratic.

use std::fs;
use std::time::{Duration, Instant};

use client::{Nameserver, TopicSpec};
use serde_json::{Map, Value, json};
use tests::{Case, Outcome, Rng, ServerSpec, folder, suite, wait};

const TOPICS: usize = 60_000;
const REGISTER_BROKER: i32 = 103;
const LOOKUPS: usize = 2_000;

fn main() {
    suite::run(&[
        Case { name: "a_nameserver_holds_60000_topics", run: nameserver_holds_them },
        Case { name: "a_broker_serves_60000_topics", run: broker_serves_them },
    ]);
}

fn ok<T>(result: Result<T, client::Error>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn name(number: usize) -> String {
    format!("topic-of-many-{number:05}")
}

fn topic_config(topic: &str) -> Value {
    json!({
        "order": false, "perm": 6, "readQueueNums": 4, "topicFilterType": "SINGLE_TAG",
        "topicName": topic, "topicSysFlag": 0, "writeQueueNums": 4,
    })
}

/// One registration of a broker with all topics, as brokers send it uncompressed.
fn register(nameserver: &mut Nameserver, broker: usize, counter: u64, topics: &Map<String, Value>) {
    let body = json!({
        "filterServerList": [],
        "topicConfigSerializeWrapper": {
            "dataVersion": { "counter": counter, "timestamp": 1_700_000_000_000u64 },
            "topicConfigTable": topics,
        },
    });
    ok(nameserver.connection().call(
        REGISTER_BROKER,
        |fields| {
            fields.str("brokerName", &format!("broker-{broker}"));
            fields.str("brokerAddr", &format!("127.0.0.1:{}", 10_000 + broker * 10));
            fields.str("clusterName", "DefaultCluster");
            fields.str("haServerAddr", &format!("127.0.0.1:{}", 10_001 + broker * 10));
            fields.i64("brokerId", 0);
            fields.bool("compressed", false);
            fields.i32("bodyCrc32", 0);
        },
        body.to_string().as_bytes(),
    ));
}

fn nameserver_holds_them() -> Outcome {
    let mut server = ServerSpec::new("namesrv-many").set("mappedFileSizeCommitLog", "67108864").start();
    let rss_before = server.broker_process().rss_kib();
    let topics: Map<String, Value> = (0..TOPICS).map(|number| (name(number), topic_config(&name(number)))).collect();
    let mut brokers: Vec<Nameserver> = (0..2).map(|_| server.connect_nameserver()).collect();
    for (broker, nameserver) in brokers.iter_mut().enumerate() {
        let begun = Instant::now();
        register(nameserver, broker, 1, &topics);
        println!("  broker {broker} registers {TOPICS} topics in {} ms", begun.elapsed().as_millis());
        assert!(begun.elapsed() < Duration::from_secs(6), "a broker waits 6 s for its registration");
    }
    let listed = ok(server.connect_nameserver().topics());
    assert!((0..TOPICS).all(|number| listed.binary_search(&name(number)).is_ok()), "{} topics listed", listed.len());

    let (p50, p99, max) = lookups(&server);
    println!("  {LOOKUPS} routes, nothing else going on: p50 {p50} us, p99 {p99} us, max {max} us");
    // Again, while a broker registers over and over with new data versions.
    let address = server.nameserver_address();
    let registering = std::thread::spawn(move || {
        let mut nameserver = ok(Nameserver::connect(address));
        for counter in 2..6 {
            register(&mut nameserver, 2, counter, &topics);
        }
    });
    let (p50, p99, max) = lookups(&server);
    println!("  the same beside registrations: p50 {p50} us, p99 {p99} us, max {max} us");
    registering.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let rss = server.broker_process().rss_kib();
    println!("  resident: {} MiB, before {} MiB", rss >> 10, rss_before >> 10);
    assert!(rss < rss_before + (512 << 10), "{} MiB for {TOPICS} topics", rss >> 10);

    // A broker whose connection ends is gone, from all its topics.
    drop(brokers.remove(0));
    let mut nameserver = server.connect_nameserver();
    let last = name(TOPICS - 1);
    let gone = wait::until(Duration::from_secs(10), || {
        let route = ok(nameserver.route(&last))?;
        route.brokers.iter().all(|broker| broker.broker_name != "broker-0").then_some(())
    });
    assert!(gone.is_some(), "broker-0 hung up and is still in the route of {last}");
    Outcome::Passed
}

/// Microseconds: p50, p99, max.
fn lookups(server: &tests::Server) -> (u128, u128, u128) {
    let mut nameserver = server.connect_nameserver();
    let mut rng = Rng::new(11);
    let mut micros: Vec<u128> = (0..LOOKUPS)
        .map(|_| {
            let topic = name(rng.below(TOPICS as u64) as usize);
            let begun = Instant::now();
            let route = ok(nameserver.route(&topic)).unwrap_or_else(|| panic!("{topic} has no route"));
            assert!(
                route.queues.len() >= 2 && route.queues.iter().all(|queue| queue.write_queue_nums == 4),
                "{route:?}"
            );
            begun.elapsed().as_micros()
        })
        .collect();
    micros.sort_unstable();
    (micros[LOOKUPS / 2], micros[LOOKUPS * 99 / 100], micros[LOOKUPS - 1])
}

fn broker_serves_them() -> Outcome {
    let mut server = ServerSpec::new("broker-many").set("mappedFileSizeCommitLog", "67108864").start();
    ok(server.connect().create_topic(&TopicSpec::new("Before", 1)));
    server.stop(Duration::from_secs(10)).unwrap_or_else(|problem| panic!("{problem}"));
    let path = folder::find(server.data(), "topics.json").into_iter().next();
    let path = path.unwrap_or_else(|| panic!("no topics.json below {}", server.data().display()));
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{error}"));
    let mut table = protocol::json::lenient::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let topics = table.get_mut("topicConfigTable").and_then(Value::as_object_mut);
    let topics = topics.unwrap_or_else(|| panic!("topics.json has no topicConfigTable"));
    topics.extend((0..TOPICS).map(|number| (name(number), topic_config(&name(number)))));
    fs::write(&path, table.to_string()).unwrap_or_else(|error| panic!("{error}"));

    let ready = server.start().unwrap_or_else(|problem| panic!("{problem}"));
    let last = name(TOPICS - 1);
    let mut nameserver = server.connect_nameserver();
    let begun = Instant::now();
    wait::until(Duration::from_secs(30), || ok(nameserver.route(&last)))
        .unwrap_or_else(|| panic!("{last} never got a route"));
    println!(
        "  ready after {} ms, routes after {} ms more, resident {} MiB",
        ready.as_millis(),
        begun.elapsed().as_millis(),
        server.broker_process().rss_kib() >> 10
    );
    assert!(ready < Duration::from_secs(10), "{ready:?}");
    let mut broker = server.connect();
    let begun = Instant::now();
    for number in 0..20 {
        ok(broker.create_topic(&TopicSpec::new(&format!("One-more-{number}"), 4)));
    }
    println!("  one more topic takes {} ms", begun.elapsed().as_millis() / 20);
    assert!(begun.elapsed() < Duration::from_secs(20), "20 topics took {:?}", begun.elapsed());
    for number in [0, TOPICS / 2, TOPICS - 1] {
        let sent = ok(broker.send(&client::Send::to(&name(number), 3, b"one of many")));
        assert_eq!(sent.queue_offset, 0);
    }
    Outcome::Passed
}
