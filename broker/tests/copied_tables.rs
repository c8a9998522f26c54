//! A slave learns from a nameserver where its master is, copies the master's tables, and serves them.
//!
//! The peers speak as Java 4.9.7 does, in fastjson's form.

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use common::{Client, Peer, Scripted, TestBroker, eventually};

const TOPICS: i32 = 21;
const PROGRESS: i32 = 43;
const DELAY: i32 = 45;
const GROUPS: i32 = 201;
const REGISTER: i32 = 103;

/// The tables of a master, as text.
#[derive(Clone, Default)]
struct Tables {
    topics: String,
    progress: String,
    delay: String,
    groups: String,
}

fn topic(name: &str, queues: i32) -> String {
    format!(
        "\"{name}\":{{\"order\":false,\"perm\":6,\"readQueueNums\":{queues},\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\
         \"{name}\",\"topicSysFlag\":0,\"writeQueueNums\":{queues}}}"
    )
}

fn topics(counter: i32, topics: &[(&str, i32)]) -> String {
    let topics: Vec<String> = topics.iter().map(|(name, queues)| topic(name, *queues)).collect();
    format!(
        "{{\"dataVersion\":{{\"counter\":{counter},\"timestamp\":1700000000000}},\"topicConfigTable\":{{{}}}}}",
        topics.join(",")
    )
}

fn groups(counter: i32, names: &[&str]) -> String {
    let groups: Vec<String> = names
        .iter()
        .map(|name| {
            format!(
                "\"{name}\":{{\"brokerId\":0,\"consumeBroadcastEnable\":true,\"consumeEnable\":true,\"consumeFromMinEnable\":\
                 true,\"groupName\":\"{name}\",\"notifyConsumerIdsChangedEnable\":true,\"retryMaxTimes\":3,\
                 \"retryQueueNums\":1,\"whichBrokerWhenConsumeSlowly\":1}}"
            )
        })
        .collect();
    format!(
        "{{\"dataVersion\":{{\"counter\":{counter},\"timestamp\":1700000000000}},\"subscriptionGroupTable\":{{{}}}}}",
        groups.join(",")
    )
}

fn tables() -> Tables {
    Tables {
        topics: topics(5, &[("T", 4), ("TBW102", 8)]),
        progress: "{\"offsetTable\":{\"T@g\":{0:15,1:7},\"%RETRY%g@g\":{0:2}}}".into(),
        delay: "{\"offsetTable\":{1:120,3:44}}".into(),
        groups: groups(2, &["g"]),
    }
}

fn answer(tables: &Tables, code: i32) -> Scripted {
    match code {
        TOPICS => Scripted::body(&tables.topics),
        PROGRESS => Scripted::body(&tables.progress),
        // As Java when there is nothing yet.
        DELAY if tables.delay.is_empty() => Scripted { code: 1, fields: Vec::new(), body: Vec::new() },
        DELAY => Scripted::body(&tables.delay),
        GROUPS => Scripted::body(&tables.groups),
        _ => Scripted { code: 3, fields: Vec::new(), body: Vec::new() },
    }
}

fn master(tables: &Arc<Mutex<Tables>>) -> Peer {
    let tables = tables.clone();
    Peer::start(move |code, _| {
        let tables = tables.lock().expect("no panic").clone();
        answer(&tables, code)
    })
}

/// A nameserver that knows `master`, when there is one.
fn nameserver(master: &Arc<Mutex<String>>) -> Peer {
    let master = master.clone();
    Peer::start(move |_, _| {
        let address = master.lock().expect("no panic").clone();
        let mut fields = Vec::new();
        if !address.is_empty() {
            fields.push(("haServerAddr".to_owned(), "127.0.0.1:1".to_owned()));
            fields.push(("masterAddr".to_owned(), address));
        }
        Scripted { code: 0, fields, body: b"{\"table\":{}}".to_vec() }
    })
}

struct Set {
    tables: Arc<Mutex<Tables>>,
    place: Arc<Mutex<String>>,
    nameserver: Peer,
    master: Peer,
    slave: TestBroker,
}

fn set() -> Set {
    let tables = Arc::new(Mutex::new(tables()));
    let master = master(&tables);
    set_of(tables, master)
}

fn set_of(tables: Arc<Mutex<Tables>>, master: Peer) -> Set {
    let place = Arc::new(Mutex::new(master.address.to_string()));
    let nameserver = nameserver(&place);
    let lines = format!("brokerRole=SLAVE\nbrokerId=1\nnamesrvAddr={}", nameserver.address);
    let slave = TestBroker::start("slave", &lines);
    Set { tables, place, nameserver, master, slave }
}

#[track_caller]
fn served(slave: &TestBroker, code: i32, part: &str) -> String {
    let mut client = slave.client();
    eventually("the slave serves it", || client.call(code, &[], &[]).text(), |text| text.contains(part))
}

#[test]
fn a_slave_serves_and_keeps_what_its_master_has() {
    let set = set();
    let topics = served(&set.slave, TOPICS, "\"counter\":5");
    assert!(
        topics.contains("\"T\":") && !topics.contains("BenchmarkTest"),
        "the master's table and no other: {topics}"
    );
    assert!(served(&set.slave, GROUPS, "\"counter\":2").contains("\"retryMaxTimes\":3"));
    served(&set.slave, PROGRESS, "\"T@g\":{0:15,1:7}");
    served(&set.slave, DELAY, "{\"offsetTable\":{1:120,2:0,3:44,");
    let offset = set.slave.client().call(14, &[("consumerGroup", "g"), ("topic", "T"), ("queueId", "1")], &[]);
    assert_eq!((offset.code, offset.field("offset")), (0, "7"));

    let (fields, body) = set.nameserver.last(REGISTER).expect("a registration");
    assert_eq!(fields.get("brokerId").map(String::as_str), Some("1"));
    assert!(body.contains("\"topicConfigTable\":{}"), "a slave brings no topics: {body}");

    let Set { mut slave, master, .. } = set;
    drop(master);
    assert!(slave.stop());
    for (file, part) in [
        ("topics.json", "\"T\""),
        ("subscriptionGroup.json", "\"g\""),
        ("consumerOffset.json", "\"%RETRY%g@g\""),
        ("delayOffset.json", "120"),
    ] {
        assert!(slave.table(file).contains(part), "{file}: {}", slave.table(file));
    }
    slave.start_again();
    served(&slave, PROGRESS, "\"T@g\":{0:15,1:7}");
    served(&slave, TOPICS, "\"counter\":5");
}

#[test]
fn changes_of_the_master_follow() {
    let set = set();
    served(&set.slave, PROGRESS, "\"T@g\":{0:15,1:7}");
    let mut client = set.slave.client();
    let commit = [("consumerGroup", "g"), ("topic", "T"), ("queueId", "1"), ("commitOffset", "9")];
    assert_eq!(client.call(15, &commit, &[]).code, 0, "a slave takes commits");
    served(&set.slave, PROGRESS, "\"T@g\":{0:15,1:9}");
    *set.tables.lock().expect("no panic") = Tables {
        topics: topics(6, &[("T2", 2), ("TBW102", 8)]),
        progress: "{\"offsetTable\":{\"T@g\":{0:3,1:8}}}".into(),
        delay: String::new(),
        groups: groups(3, &["g", "g2"]),
    };
    let table = served(&set.slave, TOPICS, "\"counter\":6");
    assert!(table.contains("\"T2\":") && !table.contains("\"T\":"), "{table}");
    served(&set.slave, GROUPS, "\"g2\"");
    served(&set.slave, PROGRESS, "\"T@g\":{0:3,1:8}");
    served(&set.slave, DELAY, "{1:120,2:0,3:44,");
    let gone = eventually("T is gone on every shard", || client.pull("g", "T", 0, 0, 0, 0), |answer| answer.code == 17);
    assert!(gone.remark.contains("topic[T] not exist"), "{gone:?}");
    // Its queue may be another shard's.
    eventually("T2 is there", || client.pull("g", "T2", 0, 0, 0, 0).code, |code| *code != 17);
}

#[test]
fn what_no_table_can_hold_is_left_out() {
    let set = set();
    served(&set.slave, GROUPS, "\"counter\":2");
    *set.tables.lock().expect("no panic") = Tables {
        topics: topics(7, &[("ok", 1), ("../up", 1), ("many", 70_000), ("few", -1)]),
        progress: "{\"offsetTable\":{\"ok@g\":{0:1,-1:2,70000:3},\"noat\":{0:1},\"a/b@g\":{0:1},\"n@g\":{0:-5}}}"
            .into(),
        delay: "{\"offsetTable\":{0:1,1:-3,2:9,99:1}}".into(),
        groups: groups(9, &["fine", "no good"]),
    };
    let table = served(&set.slave, TOPICS, "\"counter\":7");
    assert!(table.contains("\"ok\":") && !table.contains("up") && !table.contains("many") && !table.contains("few"));
    let table = served(&set.slave, GROUPS, "\"fine\"");
    assert!(!table.contains("no good"), "{table}");
    let table = served(&set.slave, PROGRESS, "\"ok@g\":{0:1}");
    assert!(!table.contains("noat") && !table.contains("a/b") && !table.contains("n@g"), "{table}");
    served(&set.slave, DELAY, "{1:120,2:9,");
    // What is no table at all changes nothing; the next round is as good as ever.
    for broken in ["", "{", "[]", "{\"topicConfigTable\":{}}"] {
        let rounds = set.master.count(TOPICS);
        set.tables.lock().expect("no panic").topics = broken.into();
        eventually("another two rounds", || set.master.count(TOPICS), |now| *now >= rounds + 2);
        served(&set.slave, TOPICS, "\"counter\":7");
    }
    set.tables.lock().expect("no panic").topics = topics(8, &[("ok", 2)]);
    served(&set.slave, TOPICS, "\"counter\":8");
}

#[test]
fn a_master_that_moves_is_followed_and_one_that_is_gone_is_remembered() {
    let set = set();
    served(&set.slave, TOPICS, "\"counter\":5");
    // Forgotten by the nameserver, still there: the last word stands.
    set.place.lock().expect("no panic").clear();
    set.tables.lock().expect("no panic").topics = topics(6, &[("T", 4)]);
    served(&set.slave, TOPICS, "\"counter\":6");
    let tables = Arc::new(Mutex::new(Tables { topics: topics(9, &[("T", 4)]), ..self::tables() }));
    let moved = master(&tables);
    set.master.stop();
    *set.place.lock().expect("no panic") = moved.address.to_string();
    served(&set.slave, TOPICS, "\"counter\":9");
}

/// A group goes on committing at the slave while the slave tells its master what it committed before.
#[test]
fn a_copy_does_not_take_back_what_is_committed_meanwhile() {
    const MAX_OFFSET: i32 = 30;
    const COMMIT: i32 = 15;
    let at = [("consumerGroup", "g"), ("topic", "T"), ("queueId", "0")];
    let tables = Arc::new(Mutex::new(tables()));
    let slave: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
    // What the slave has at the end of each round, from the first commit meanwhile on.
    let found: Arc<Mutex<Option<Vec<String>>>> = Arc::default();
    let (known, address, offsets) = (tables.clone(), slave.clone(), found.clone());
    let master = Peer::start(move |code, _| {
        let slave = || Client::connect(address.lock().expect("no panic").expect("it asked"));
        match code {
            MAX_OFFSET => {
                slave().call(COMMIT, &[&at[..], &[("commitOffset", "60")]].concat(), &[]);
                offsets.lock().expect("no panic").get_or_insert_default();
                Scripted { code: 0, fields: vec![("offset".into(), "1000".into())], body: Vec::new() }
            }
            COMMIT => Scripted::body(""),
            // The next question of the same round.
            DELAY => {
                if let Some(offsets) = &mut *offsets.lock().expect("no panic") {
                    offsets.push(slave().call(14, &at, &[]).field("offset").to_owned());
                }
                answer(&known.lock().expect("no panic"), code)
            }
            _ => answer(&known.lock().expect("no panic"), code),
        }
    });
    let set = set_of(tables, master);
    served(&set.slave, PROGRESS, "\"T@g\":{0:15,1:7}");
    set.slave.client().call(COMMIT, &[&at[..], &[("commitOffset", "50")]].concat(), &[]);
    *slave.lock().expect("no panic") = Some(set.slave.address());
    let told = || set.master.last(COMMIT).map(|(fields, _)| fields["commitOffset"].clone());
    eventually("the master is told", told, |offset| offset.as_deref() == Some("60"));
    let found = found.lock().expect("no panic").clone().unwrap_or_default();
    assert!(!found.is_empty() && found.iter().all(|offset| offset == "60"), "{found:?}");
}

/// What the master's table says is a moment old: the group has gone on at the master since.
#[test]
fn the_master_is_not_told_of_progress_behind_its_own() {
    const MAX_OFFSET: i32 = 30;
    const COMMIT: i32 = 15;
    const COMMITTED: i32 = 14;
    let tables = Arc::new(Mutex::new(tables()));
    let known = tables.clone();
    let offset = |offset: &str| Scripted { code: 0, fields: vec![("offset".into(), offset.into())], body: Vec::new() };
    let master = Peer::start(move |code, _| match code {
        MAX_OFFSET => offset("1000"),
        COMMITTED => offset("55"),
        COMMIT => Scripted::body(""),
        _ => answer(&known.lock().expect("no panic"), code),
    });
    let set = set_of(tables, master);
    served(&set.slave, PROGRESS, "\"T@g\":{0:15,1:7}");
    let at = [("consumerGroup", "g"), ("topic", "T"), ("queueId", "0")];
    let mut client = set.slave.client();
    client.call(COMMIT, &[&at[..], &[("commitOffset", "50")]].concat(), &[]);
    // What the master has counts at the slave, too.
    let here = || client.call(COMMITTED, &at, &[]).field("offset").to_owned();
    eventually("the round that asks", here, |offset| offset == "55");
    assert_eq!(set.master.count(COMMIT), 0);
    client.call(COMMIT, &[&at[..], &[("commitOffset", "60")]].concat(), &[]);
    let told = || set.master.last(COMMIT).map(|(fields, _)| fields["commitOffset"].clone());
    eventually("what is beyond is told", told, |offset| offset.as_deref() == Some("60"));
}

/// The master is away, groups commit at the slave, and then the slave restarts, too.
#[test]
fn what_is_committed_at_a_slave_that_restarts_reaches_its_master() {
    const MAX_OFFSET: i32 = 30;
    const COMMIT: i32 = 15;
    const COMMITTED: i32 = 14;
    let at = [("consumerGroup", "g"), ("topic", "T"), ("queueId", "0")];
    for is_killed in [false, true] {
        let Set { tables, place, nameserver, master, mut slave } = set();
        served(&slave, PROGRESS, "\"T@g\":{0:15,1:7}");
        drop(master);
        let commit = [&at[..], &[("commitOffset", "50")]].concat();
        assert_eq!(slave.client().call(COMMIT, &commit, &[]).code, 0);
        if is_killed {
            eventually("it is kept", || slave.table("ownCommits.json"), |text| text.contains("50"));
            slave.kill();
        } else {
            assert!(slave.stop());
        }
        let known = tables.clone();
        let told = Peer::start(move |code, _| match code {
            MAX_OFFSET => Scripted { code: 0, fields: vec![("offset".into(), "1000".into())], body: Vec::new() },
            COMMITTED => Scripted { code: 22, fields: Vec::new(), body: Vec::new() },
            COMMIT => Scripted::body(""),
            _ => answer(&known.lock().expect("no panic"), code),
        });
        *place.lock().expect("no panic") = told.address.to_string();
        slave.start_again();
        let offset = || told.last(COMMIT).map(|(fields, _)| fields["commitOffset"].clone());
        eventually("the master is told", offset, |offset| offset.as_deref() == Some("50"));
        eventually("it is told once", || slave.table("ownCommits.json"), |text| !text.contains("50"));
        drop(nameserver);
    }
}
