//! The rules of registration, departure and lookup, as stories of events and what the table then shows.

use super::*;

const START_MS: i64 = 1_795_259_250_000;

fn queue_data(perm: i32) -> QueueData {
    QueueData { read_queue_nums: 4, write_queue_nums: 4, perm, topic_sys_flag: 0 }
}

fn version(counter: i64) -> DataVersion {
    DataVersion { timestamp: 1, counter, state_version: 0 }
}

/// One thing that happens to the table.
enum Event {
    /// name, id, address, connection, version counter, topics
    Register(&'static str, i64, &'static str, u64, i64, &'static [&'static str]),
    Unregister(&'static str, i64, &'static str),
    Lost(u64),
    /// Seconds go by.
    Wait(i64),
    Scan,
    /// address, version counter, expected "changed"
    Query(&'static str, i64, bool),
    Wipe(&'static str, usize),
    AddPerm(&'static str, usize),
    Delete(&'static str, Option<&'static str>),
}
use Event::*;

struct Story {
    table: RouteTable,
    now_ms: i64,
}

fn play(events: &[Event]) -> Story {
    let mut story = Story { table: RouteTable::new(START_MS), now_ms: START_MS };
    for event in events {
        story.happen(event);
        story.check_invariants();
    }
    story
}

impl Story {
    fn happen(&mut self, event: &Event) {
        let Story { table, now_ms } = self;
        match *event {
            Register(name, id, address, connection, counter, topics) => {
                register(table, name, id, address, connection, counter, topics, *now_ms).unwrap();
            }
            Unregister(name, id, address) => {
                table.unregister(name, address, id, *now_ms);
            }
            Lost(connection) => {
                table.connection_lost(connection, *now_ms);
            }
            Wait(seconds) => *now_ms += seconds * 1000,
            Scan => {
                table.scan(*now_ms);
            }
            Query(address, counter, changed) => {
                assert_eq!(table.is_changed(address, version(counter), *now_ms), changed, "query of {address}");
            }
            Wipe(name, count) => assert_eq!(table.wipe_write_perm(name), count),
            AddPerm(name, count) => assert_eq!(table.add_write_perm(name), count),
            Delete(topic, cluster) => {
                table.delete_topic(topic, cluster, *now_ms);
            }
        }
    }

    /// Whatever happened, the maps agree with each other.
    fn check_invariants(&self) {
        let table = &self.table;
        for (topic, brokers) in &table.topics {
            assert!(!brokers.is_empty(), "{topic} has no broker");
            assert!(brokers.is_sorted_by(|a, b| a.0 < b.0), "{topic} is not sorted");
            assert!(brokers.iter().all(|(name, _)| table.brokers.contains_key(name)), "{topic} names a lost broker");
            assert!(!table.departed.contains_key(topic), "{topic} is both here and gone");
        }
        for (name, broker) in &table.brokers {
            assert!(!broker.addresses.is_empty(), "{name} has no address");
            assert!(table.clusters.values().any(|names| names.contains(name)), "{name} is in no cluster");
        }
        assert!(table.clusters.values().flatten().all(|name| table.brokers.contains_key(name)));
    }

    /// `topic` as `broker:perm[id=address ...]`, brokers joined by commas; "-" without a route.
    fn route(&self, topic: &str) -> String {
        let Ok(route) = self.table.route(topic) else { return "-".into() };
        let mut text = Vec::new();
        for (name, queue_data) in &route.queues {
            let broker = route.brokers.iter().find(|broker| broker.broker_name == *name).unwrap();
            let addresses: Vec<_> = broker.addresses.iter().map(|(id, address)| format!("{id}={address}")).collect();
            text.push(format!("{name}:{}[{}]", queue_data.perm, addresses.join(" ")));
        }
        text.join(",")
    }
}

#[allow(clippy::too_many_arguments)]
fn register(
    table: &mut RouteTable,
    broker_name: &str,
    broker_id: i64,
    broker_address: &str,
    connection: u64,
    counter: i64,
    topics: &[&str],
    now_ms: i64,
) -> Result<Registered, RegistrationRefused> {
    let topics: Vec<_> = topics.iter().map(|topic| (topic.to_string(), queue_data(6))).collect();
    table.register(
        &Registration {
            cluster: "C",
            broker_name,
            broker_address,
            broker_id,
            ha_server_address: "ha:1",
            connection,
            version: version(counter),
            topics: &topics,
            filter_servers: Some(&[]),
        },
        now_ms,
    )
}

#[track_caller]
fn check(events: &[Event], topic: &str, expected: &str) {
    assert_eq!(play(events).route(topic), expected);
}

#[test]
fn registration_makes_routes() {
    check(&[Register("a", 0, "a0", 1, 1, &["T"])], "T", "a:6[0=a0]");
    check(&[Register("a", 0, "a0", 1, 1, &["T"]), Register("a", 1, "a1", 2, 1, &[])], "T", "a:6[0=a0 1=a1]");
    check(&[Register("b", 0, "b0", 2, 1, &["T"]), Register("a", 0, "a0", 1, 1, &["T"])], "T", "a:6[0=a0],b:6[0=b0]");
    check(&[Register("a", 0, "a0", 1, 1, &["T"])], "U", "-");
}

#[test]
fn registrations_only_add_topics() {
    let events = [Register("a", 0, "a0", 1, 1, &["T"]), Register("a", 0, "a0", 1, 2, &["U"])];
    check(&events, "T", "a:6[0=a0]");
    check(&events, "U", "a:6[0=a0]");
}

#[test]
fn the_data_version_gates_topics() {
    let same = [Register("a", 0, "a0", 1, 1, &["T"]), Register("a", 0, "a0", 1, 1, &["T", "U"])];
    check(&same, "U", "-");
    // A deleted topic stays away while the version stays, and returns with the next change.
    let deleted = [Register("a", 0, "a0", 1, 1, &["T"]), Delete("T", None), Register("a", 0, "a0", 1, 1, &["T"])];
    check(&deleted, "T", "-");
    let changed = [Register("a", 0, "a0", 1, 1, &["T"]), Delete("T", None), Register("a", 0, "a0", 1, 2, &["T"])];
    check(&changed, "T", "a:6[0=a0]");
    // A first registration of an id counts as changed: the broker came back with the version it left with.
    let back = [Register("a", 0, "a0", 1, 1, &["T"]), Lost(1), Register("a", 0, "a0", 2, 1, &["T"])];
    check(&back, "T", "a:6[0=a0]");
}

#[test]
fn slaves_never_bring_topics() {
    check(&[Register("a", 1, "a1", 1, 1, &["T"])], "T", "-");
    check(&[Register("a", 0, "a0", 1, 1, &["T"]), Register("a", 1, "a1", 2, 9, &["T", "U"])], "U", "-");
}

#[test]
fn a_slave_that_became_master_has_one_id() {
    let events = [
        Register("a", 0, "a0", 1, 1, &["T"]),
        Register("a", 1, "a1", 2, 1, &[]),
        Unregister("a", 0, "a0"),
        Register("a", 0, "a1", 2, 1, &["T"]),
    ];
    check(&events, "T", "a:6[0=a1]");
}

#[test]
fn the_last_writer_of_a_name_and_id_wins_and_is_named() {
    let mut table = RouteTable::new(START_MS);
    assert_eq!(register(&mut table, "a", 0, "old", 1, 1, &["T"], START_MS).unwrap().displaced, None);
    let taken = register(&mut table, "a", 0, "new", 2, 1, &["T"], START_MS).unwrap();
    assert_eq!(taken.displaced.as_deref(), Some("old"));
    assert_eq!(register(&mut table, "a", 0, "new", 2, 1, &["T"], START_MS).unwrap().displaced, None);
    // The old one's end does not touch the new one, and neither does its late good-bye.
    assert_eq!(table.connection_lost(1, START_MS).len(), 1);
    assert_eq!(table.unregister("a", "old", 0, START_MS), None);
    assert_eq!(&*table.route("T").unwrap().brokers[0].addresses[&0], "new");
    // An address that is gone already is no conflict.
    table.connection_lost(2, START_MS);
    assert_eq!(register(&mut table, "a", 0, "third", 3, 1, &["T"], START_MS).unwrap().displaced, None);
}

#[test]
fn whoever_lost_its_place_to_another_registers_anew() {
    let events = [
        Register("a", 0, "old", 1, 1, &["T"]),
        Query("old", 1, false),
        Register("a", 0, "new", 2, 7, &["T"]),
        Query("old", 1, true),
        Query("new", 7, false),
        Unregister("a", 0, "new"),
        Query("old", 1, true),
        Register("a", 0, "old", 1, 1, &["T"]),
        Query("old", 1, false),
    ];
    check(&events, "T", "a:6[0=old]");
}

#[test]
fn a_slave_learns_its_master() {
    let mut table = RouteTable::new(START_MS);
    let alone = register(&mut table, "a", 1, "a1", 1, 1, &[], START_MS).unwrap();
    assert_eq!((alone.master_address, alone.ha_server_address), (None, None));
    let master = register(&mut table, "a", 0, "a0", 2, 1, &[], START_MS).unwrap();
    assert_eq!((master.master_address, master.ha_server_address), (None, None));
    let slave = register(&mut table, "a", 1, "a1", 1, 1, &[], START_MS).unwrap();
    assert_eq!((slave.master_address.as_deref(), slave.ha_server_address.as_deref()), (Some("a0"), Some("ha:1")));
}

#[test]
fn brokers_leave() {
    let two = || Register("a", 0, "a0", 1, 1, &["T"]);
    check(&[two(), Unregister("a", 0, "a0")], "T", "-");
    check(&[two(), Lost(1)], "T", "-");
    check(&[two(), Lost(2)], "T", "a:6[0=a0]");
    check(&[two(), Unregister("a", 1, "a0")], "T", "-");
    check(&[two(), Unregister("a", 0, "other")], "T", "a:6[0=a0]");
    check(&[two(), Unregister("b", 0, "b0")], "T", "a:6[0=a0]");
    // A slave keeps the route alive for readers.
    check(&[two(), Register("a", 1, "a1", 2, 1, &[]), Lost(1)], "T", "a:6[1=a1]");
    check(&[two(), Register("a", 1, "a1", 2, 1, &[]), Lost(1), Lost(2)], "T", "-");
    // The newest connection of an address is the one that counts.
    check(&[two(), Register("a", 0, "a0", 7, 1, &["T"]), Lost(1)], "T", "a:6[0=a0]");
    check(&[two(), Register("a", 0, "a0", 7, 1, &["T"]), Lost(7)], "T", "-");
    // Two brokers of one process share a connection.
    check(&[two(), Register("b", 0, "b0", 1, 1, &["T"]), Lost(1)], "T", "-");
}

#[test]
fn silence_expires_after_two_minutes() {
    let register = || Register("a", 0, "a0", 1, 1, &["T"]);
    check(&[register(), Wait(120), Scan], "T", "a:6[0=a0]");
    check(&[register(), Wait(121), Scan], "T", "-");
    check(&[register(), Wait(100), register(), Wait(100), Scan], "T", "a:6[0=a0]");
    // An unchanged version query refreshes; a changed one does not.
    check(&[register(), Wait(100), Query("a0", 1, false), Wait(100), Scan], "T", "a:6[0=a0]");
    check(&[register(), Wait(100), Query("a0", 2, true), Wait(100), Scan], "T", "-");
    check(&[register(), Query("b0", 1, true)], "T", "a:6[0=a0]");
}

#[test]
fn a_stall_of_our_own_is_forgiven() {
    let mut story = play(&[Register("a", 0, "a0", 1, 1, &["T"]), Wait(300)]);
    story.table.forgive(300_000);
    assert_eq!(story.table.scan(story.now_ms), vec![]);
    let gone = story.table.scan(story.now_ms + 120_001);
    assert_eq!((gone.len(), gone[0].silent_ms, gone[0].topics_lost, gone[0].connection), (1, 120_001, 1, 1));
    assert_eq!(gone[0].broker, Some(("a".into(), 0)));
}

#[test]
fn write_permission_is_wiped_and_restored() {
    let brokers = || [Register("a", 0, "a0", 1, 1, &["T", "U"]), Register("b", 0, "b0", 2, 1, &["T"])];
    let with = |more: Vec<Event>| brokers().into_iter().chain(more).collect::<Vec<_>>();
    check(&with(vec![Wipe("a", 2)]), "T", "a:4[0=a0],b:6[0=b0]");
    check(&with(vec![Wipe("a", 2), AddPerm("a", 2)]), "T", "a:6[0=a0],b:6[0=b0]");
    check(&with(vec![Wipe("none", 0)]), "T", "a:6[0=a0],b:6[0=b0]");
    check(&with(vec![Wipe("a", 2), Register("a", 0, "a0", 1, 1, &["T"])]), "T", "a:4[0=a0],b:6[0=b0]");
    check(&with(vec![Wipe("a", 2), Register("a", 0, "a0", 1, 2, &["T"])]), "T", "a:6[0=a0],b:6[0=b0]");
}

#[test]
fn topics_are_deleted_everywhere_or_in_one_cluster() {
    let mut story = play(&[Register("a", 0, "a0", 1, 1, &["T"])]);
    let other = [("T".to_string(), queue_data(6))];
    let registration = Registration {
        cluster: "D",
        broker_name: "d",
        broker_address: "d0",
        broker_id: 0,
        ha_server_address: "",
        connection: 2,
        version: version(1),
        topics: &other,
        filter_servers: None,
    };
    story.table.register(&registration, START_MS).unwrap();
    assert_eq!(story.table.topics_of_cluster("D"), ["T"]);
    assert!(!story.table.delete_topic("T", Some("none"), START_MS));
    assert!(story.table.delete_topic("T", Some("D"), START_MS));
    assert_eq!(story.route("T"), "a:6[0=a0]");
    assert_eq!(story.table.topics_of_cluster("D"), Vec::<&str>::new());
    assert!(story.table.delete_topic("T", None, START_MS));
    assert!(!story.table.delete_topic("T", None, START_MS));
    assert_eq!(story.route("T"), "-");
    story.check_invariants();
}

#[test]
fn a_missing_route_says_why() {
    let why = |events: &[Event], topic: &str| play(events).table.route(topic).unwrap_err().to_string();
    let start = "2026-11-21T11:07:30Z";
    let register = |topics| Register("a", 0, "a0", 1, 1, topics);
    for (events, expected) in [
        (vec![], format!("no broker is registered with this name server (nor was since {start})")),
        (
            vec![register(&["T"]), Wait(121), Scan],
            "no broker is registered with this name server; its last broker a expired at 2026-11-21T11:09:31Z".into(),
        ),
        (
            vec![register(&["T"]), Register("b", 0, "b0", 2, 1, &[]), Lost(1)],
            format!("its last broker a lost its connection at {start}"),
        ),
        (
            vec![register(&["T"]), Register("b", 0, "b0", 2, 1, &[]), Unregister("a", 0, "a0")],
            format!("its last broker a unregistered at {start}"),
        ),
        (vec![register(&["T"]), Delete("T", None)], format!("it was deleted here at {start} (last broker a)")),
        (vec![register(&["TBW102"])], format!("no broker registered it since {start}; a producer's first send")),
        (vec![register(&["U"])], format!("no broker registered it since {start}, and none offers TBW102")),
    ] {
        let remark = why(&events, "T");
        assert!(remark.starts_with(&expected), "{remark:?} does not start with {expected:?}");
    }
}

#[test]
fn a_route_without_permission_is_told_apart() {
    let mut story = play(&[Register("a", 0, "a0", 1, 1, &["T"])]);
    assert!(story.table.route("T").unwrap().is_usable());
    story.table.set_perm_for_test("T", 1);
    assert!(!story.table.route("T").unwrap().is_usable());
}

impl RouteTable {
    fn set_perm_for_test(&mut self, topic: &str, perm: i32) {
        self.topics.get_mut(topic).unwrap()[0].1.perm = perm;
    }
}

#[test]
fn lists_name_topics_brokers_and_units() {
    let mut table = RouteTable::new(START_MS);
    let topics: Vec<_> = [("plain", 0), ("unit", 1), ("sub", 2), ("both", 3)]
        .map(|(topic, flag)| (topic.to_string(), QueueData { topic_sys_flag: flag, ..queue_data(6) }))
        .into();
    let registration = Registration {
        cluster: "C",
        broker_name: "a",
        broker_address: "a0",
        broker_id: 0,
        ha_server_address: "",
        connection: 1,
        version: version(1),
        topics: &topics,
        filter_servers: Some(&["f:1".to_string()]),
    };
    table.register(&registration, START_MS).unwrap();
    assert_eq!(table.topics(), ["both", "plain", "sub", "unit"]);
    assert_eq!(table.topics_of_cluster("C"), ["both", "plain", "sub", "unit"]);
    assert_eq!(table.topics_of_cluster("X"), Vec::<&str>::new());
    assert_eq!(table.unit_topics(), ["both", "unit"]);
    assert_eq!(table.unit_sub_topics(), ["both", "sub"]);
    assert_eq!(table.unit_sub_ununit_topics(), ["sub"]);
    let system = table.system_topics();
    assert_eq!((system.names, system.broker_address), (vec!["C", "a"], Some("a0")));
    assert_eq!(table.clusters(), BTreeMap::from([("C", vec!["a"])]));
    assert_eq!(table.brokers().map(|broker| broker.broker_name).collect::<Vec<_>>(), ["a"]);
    assert_eq!(table.route("unit").unwrap().filter_servers["a0"], ["f:1"]);
    assert_eq!(table.data_version("a0"), Some(version(1)));
    assert_eq!(table.data_version("b0"), None);
    assert_eq!((table.topic_count(), table.broker_count()), (4, 1));
}

#[test]
fn topics_beyond_the_bound_are_left_out_and_read_again_later() {
    let mut table = RouteTable::with_bounds(START_MS, 2, 10, BROKER_EXPIRY_MS);
    let taken = register(&mut table, "a", 0, "a0", 1, 1, &["T", "U", "V", "W"], START_MS).unwrap();
    let left_out = taken.left_out.unwrap();
    assert_eq!((left_out.count, left_out.first.as_str(), taken.topics_written), (2, "V", 2));
    assert!(left_out.to_string().contains("2 topics of this registration were left out"));
    // The broker is alive, and its version is not settled: once there is room, the same registration is read again.
    assert_eq!((table.broker_count(), table.data_version("a0")), (1, None));
    assert!(table.is_changed("a0", version(1), START_MS));
    assert!(table.delete_topic("T", None, START_MS));
    register(&mut table, "a", 0, "a0", 1, 1, &["V"], START_MS).unwrap();
    assert!(table.route("V").is_ok());
    // Known topics are renewed at the bound.
    assert_eq!(register(&mut table, "b", 0, "b0", 2, 1, &["U"], START_MS).unwrap().left_out, None);
}

#[test]
fn brokers_beyond_the_bound_are_refused() {
    let mut table = RouteTable::with_bounds(START_MS, 10, 1, BROKER_EXPIRY_MS);
    register(&mut table, "a", 0, "a0", 1, 1, &[], START_MS).unwrap();
    let refused = register(&mut table, "b", 0, "b0", 1, 1, &["T"], START_MS).unwrap_err();
    assert_eq!(refused, RegistrationRefused::TooManyBrokers { brokers_max: 1 });
    assert!(table.route("T").is_err());
    register(&mut table, "a", 0, "a0", 1, 2, &["T"], START_MS).unwrap();
    assert!(table.route("T").is_ok());
}

#[test]
fn unusable_names_are_refused() {
    let mut table = RouteTable::new(START_MS);
    let long = "x".repeat(256);
    for (name, address, field) in
        [("", "a0", "brokerName"), ("a\nb", "a0", "brokerName"), (&long, "a0", "brokerName"), ("a", " ", "brokerAddr")]
    {
        match register(&mut table, name, 0, address, 1, 1, &[], START_MS) {
            Err(RegistrationRefused::BadName { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(register(&mut table, "a", -1, "a0", 1, 1, &[], START_MS), Err(RegistrationRefused::BadId(-1)));
    assert_eq!((table.broker_count(), table.clusters().len()), (0, 0));
    let taken = register(&mut table, "a", 0, "a0", 1, 1, &["bad topic", "T", ""], START_MS).unwrap();
    assert_eq!((taken.topics_written, taken.misnamed), (1, Some((2, "bad topic".into()))));
}

#[test]
fn the_memory_of_departed_topics_is_bounded_and_honest() {
    let mut table = RouteTable::with_bounds(START_MS, 2, 10, BROKER_EXPIRY_MS);
    for (round, topic) in ["T", "U", "V"].into_iter().enumerate() {
        let now_ms = START_MS + round as i64 * 1000;
        register(&mut table, "a", 0, "a0", 1, 1, &[topic], now_ms).unwrap();
        table.connection_lost(1, now_ms);
    }
    assert_eq!(table.departed.len(), 1);
    assert_eq!(table.route("T"), Err(Absent::NoBroker { since_ms: START_MS + 2000, departed: None }));
}

#[test]
fn sixty_thousand_topics_register_and_leave_quickly() {
    let topics: Vec<_> = (0..60_000).map(|i| (format!("topic-{i:05}"), queue_data(6))).collect();
    let mut table = RouteTable::new(START_MS);
    let start = std::time::Instant::now();
    for broker in ["a", "b", "c"] {
        let registration = Registration {
            cluster: "C",
            broker_name: broker,
            broker_address: broker,
            broker_id: 0,
            ha_server_address: "",
            connection: 1,
            version: version(1),
            topics: &topics,
            filter_servers: None,
        };
        assert_eq!(table.register(&registration, START_MS).unwrap().topics_written, 60_000);
    }
    assert_eq!(table.route("topic-59999").unwrap().brokers.len(), 3);
    assert_eq!(table.connection_lost(1, START_MS).iter().map(|gone| gone.topics_lost).sum::<usize>(), 60_000);
    assert_eq!(table.topic_count(), 0);
    // A bound no machine can miss unless the work stops being linear (an unoptimised build takes some 0.3 s).
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
