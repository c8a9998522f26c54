//! Requests as they come off the wire, and their answers.

use std::fs;
use std::net::SocketAddr;

use protocol::code::request as code;
use protocol::{Command, Head, write_command};
use serde_json::{Value, json};

use super::{Answer, Request, answer};
use crate::namesrv::Namesrv;
use crate::testing::{self, TempDir};

const START_MS: i64 = 1_795_259_250_000;

struct Server {
    namesrv: Namesrv,
    dir: TempDir,
    peer: SocketAddr,
}

impl Server {
    fn new() -> Server {
        let dir = TempDir::new("handler");
        let options = testing::options(&format!("kvConfigPath={}/kvConfig.json\n", dir.path().display()));
        Server { namesrv: Namesrv::load(options, START_MS).unwrap(), dir, peer: "10.0.0.9:4711".parse().unwrap() }
    }

    fn call_with(&mut self, code: i32, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut frame = Vec::new();
        write_command(
            &mut frame,
            &Head::request(code, 7),
            |writer| fields.iter().for_each(|(key, value)| writer.str(key, value)),
            body.len(),
        );
        frame.extend_from_slice(body);
        let command = Command::decode(&frame).unwrap();
        let request = Request { command: &command, connection: 1, peer: self.peer, now_ms: START_MS };
        let answer = answer(&mut self.namesrv, &request);
        self.check_frame(&command, &answer);
        answer
    }

    /// Whatever is answered reads back as the response to its request.
    fn check_frame(&self, command: &Command<'_>, answer: &Answer) {
        let mut frame = Vec::new();
        answer.write(command, &mut frame);
        let response = Command::decode(&frame).unwrap();
        assert!(response.is_response());
        assert_eq!((response.opaque, response.code, response.body), (command.opaque, answer.code, &answer.body[..]));
    }

    fn call(&mut self, code: i32, fields: &[(&str, &str)]) -> Answer {
        self.call_with(code, fields, b"")
    }

    fn register(&mut self, name: &str, id: &str, address: &str, body: &Value) -> Answer {
        let fields = [
            ("brokerName", name),
            ("brokerAddr", address),
            ("clusterName", "C"),
            ("haServerAddr", "ha:1"),
            ("brokerId", id),
        ];
        self.call_with(code::REGISTER_BROKER, &fields, body.to_string().as_bytes())
    }
}

fn topics(counter: i64, topics: &[(&str, i32)]) -> Value {
    let table: serde_json::Map<_, _> = topics
        .iter()
        .map(|(topic, perm)| {
            let topic_config = json!({"topicName": topic, "readQueueNums": 8, "writeQueueNums": 4, "perm": perm,
                "topicSysFlag": 1, "topicFilterType": "SINGLE_TAG", "order": false});
            (topic.to_string(), topic_config)
        })
        .collect();
    json!({"filterServerList": [], "topicConfigSerializeWrapper":
        {"dataVersion": {"counter": counter, "timestamp": 1}, "topicConfigTable": table}})
}

fn body(answer: &Answer) -> Value {
    assert_eq!(answer.code, 0, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[track_caller]
fn check_refused(answer: &Answer, code: i32, remark: &str) {
    assert_eq!(answer.code, code, "{answer:?}");
    let found = answer.remark.as_deref().unwrap_or_default();
    assert!(found.contains(remark), "{found:?} does not hold {remark:?}");
}

#[test]
fn a_route_is_standard_json_with_both_spellings() {
    let mut server = Server::new();
    assert_eq!(server.register("a", "0", "10.0.0.1:10911", &topics(1, &[("T", 6)])), Answer::success());
    let slave = server.register("a", "1", "10.0.0.2:10911", &topics(1, &[]));
    assert_eq!(slave.fields, [("haServerAddr", "ha:1".to_string()), ("masterAddr", "10.0.0.1:10911".to_string())]);
    let route = server.call(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "T")]);
    let expected = concat!(
        r#"{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:10911","1":"10.0.0.2:10911"},"brokerName":"a","cluster":"C","#,
        r#""enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"a","perm":6,"#,
        r#""readQueueNums":8,"topicSynFlag":1,"topicSysFlag":1,"writeQueueNums":4}]}"#
    );
    assert_eq!(String::from_utf8(route.body).unwrap(), expected);
    assert_eq!(route.remark, None);
}

#[test]
fn a_missing_route_names_topic_and_cause() {
    let mut server = Server::new();
    server.register("a", "0", "a:1", &topics(1, &[("closed", 1)]));
    let missing = server.call(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "U")]);
    check_refused(&missing, 17, "No topic route info in name server for the topic: U; no broker registered it since");
    assert!(missing.remark.unwrap().starts_with("No topic route info"));
    let closed = server.call(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "closed")]);
    check_refused(&closed, 0, "none permits reading or writing it");
    check_refused(&server.call(code::GET_ROUTEINFO_BY_TOPIC, &[]), 1, "missing field topic");
}

#[test]
fn ordered_topics_come_with_route_and_registration() {
    let mut server = Server::new();
    let put = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "T"), ("value", "a:4")];
    assert_eq!(server.call(code::PUT_KV_CONFIG, &put), Answer::success());
    assert_eq!(body(&server.register("a", "0", "a:1", &topics(1, &[("T", 6)]))), json!({"table": {"T": "a:4"}}));
    let order = |server: &mut Server| {
        let route = server.call(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "T")]);
        body(&route).get("orderTopicConf").cloned()
    };
    assert_eq!(order(&mut server), None);
    let enable = server.call_with(code::UPDATE_NAMESRV_CONFIG, &[], b"orderMessageEnable=true\n");
    check_refused(&enable, 0, "not saved");
    assert_eq!(order(&mut server), Some(json!("a:4")));
}

#[test]
fn registrations_that_cannot_be_taken_say_why() {
    let mut server = Server::new();
    let good = topics(1, &[("T", 6)]).to_string();
    let crc = protocol::message::crc32(good.as_bytes());
    let with = |extra: &'static [(&'static str, &'static str)]| {
        let mut fields = vec![
            ("brokerName", "a"),
            ("brokerAddr", "a:1"),
            ("clusterName", "C"),
            ("haServerAddr", "ha:1"),
            ("brokerId", "0"),
        ];
        fields.retain(|(key, _)| extra.iter().all(|(replaced, _)| replaced != key));
        fields.extend(extra.iter().filter(|(_, value)| *value != "-"));
        fields
    };
    for (fields, body, remark) in [
        (with(&[("bodyCrc32", "1")]), &good[..], "crc32 not match"),
        (with(&[("bodyCrc32", "x")]), &good[..], "field bodyCrc32"),
        (with(&[("compressed", "true")]), &good[..], "zlib"),
        (with(&[]), "{", "register body cannot be read"),
        (with(&[("brokerName", "-")]), &good[..], "missing field brokerName"),
        (with(&[("brokerId", "one")]), &good[..], "field brokerId: \"one\""),
        (with(&[("brokerId", "-2")]), &good[..], "brokerId -2 is not usable"),
        (with(&[("brokerAddr", "")]), &good[..], "brokerAddr"),
    ] {
        check_refused(&server.call_with(code::REGISTER_BROKER, &fields, body.as_bytes()), 1, remark);
        assert_eq!(server.namesrv.table.broker_count(), 0);
    }
    let mut fields = with(&[]);
    let crc = crc.to_string();
    fields.push(("bodyCrc32", &crc));
    assert_eq!(server.call_with(code::REGISTER_BROKER, &fields, good.as_bytes()), Answer::success());
    fields.last_mut().unwrap().1 = "0";
    assert_eq!(server.call_with(code::REGISTER_BROKER, &fields, good.as_bytes()), Answer::success());
}

#[test]
fn brokers_unregister_and_topics_are_deleted() {
    let mut server = Server::new();
    server.register("a", "0", "a:1", &topics(1, &[("T", 6)]));
    let leave = [("brokerName", "a"), ("brokerAddr", "a:1"), ("clusterName", "C"), ("brokerId", "0")];
    assert_eq!(server.call(code::UNREGISTER_BROKER, &leave), Answer::success());
    assert_eq!(server.call(code::UNREGISTER_BROKER, &leave), Answer::success());
    let gone = server.call(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "T")]);
    check_refused(&gone, 17, "its last broker a unregistered at 2026-11-21T11:07:30Z");

    server.register("a", "0", "a:1", &topics(1, &[("T", 6)]));
    for (fields, code_after) in [
        (&[("topic", "T"), ("clusterName", "other")][..], 0),
        (&[("topic", "T"), ("clusterName", "")][..], 17),
        (&[("topic", "T")][..], 17),
    ] {
        assert_eq!(server.call(code::DELETE_TOPIC_IN_NAMESRV, fields), Answer::success());
        assert_eq!(server.call(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "T")]).code, code_after);
    }
}

#[test]
fn lists_and_cluster_info() {
    let mut server = Server::new();
    server.register("a", "0", "a:1", &topics(1, &[("T", 6), ("U", 6)]));
    for (code, fields, expected) in [
        (code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &[][..], json!({"topicList": ["T", "U"]})),
        (code::GET_TOPICS_BY_CLUSTER, &[("cluster", "C")][..], json!({"topicList": ["T", "U"]})),
        (code::GET_TOPICS_BY_CLUSTER, &[("cluster", "X")][..], json!({"topicList": []})),
        (code::GET_SYSTEM_TOPIC_LIST_FROM_NS, &[][..], json!({"brokerAddr": "a:1", "topicList": ["C", "a"]})),
        (code::GET_UNIT_TOPIC_LIST, &[][..], json!({"topicList": ["T", "U"]})),
        (code::GET_HAS_UNIT_SUB_TOPIC_LIST, &[][..], json!({"topicList": []})),
        (code::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, &[][..], json!({"topicList": []})),
        (
            code::GET_BROKER_CLUSTER_INFO,
            &[][..],
            json!({"brokerAddrTable": {"a": {"brokerAddrs": {"0": "a:1"}, "brokerName": "a", "cluster": "C",
                "enableActingMaster": false}}, "clusterAddrTable": {"C": ["a"]}}),
        ),
    ] {
        assert_eq!(body(&server.call(code, fields)), expected, "{code}");
    }
}

#[test]
fn write_permission_goes_and_comes() {
    let mut server = Server::new();
    server.register("a", "0", "a:1", &topics(1, &[("T", 7), ("U", 6)]));
    let perm = |server: &mut Server| {
        let route = server.call(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "T")]);
        body(&route)["queueDatas"][0]["perm"].as_i64()
    };
    let wiped = server.call(code::WIPE_WRITE_PERM_OF_BROKER, &[("brokerName", "a")]);
    assert_eq!((wiped.fields, perm(&mut server)), (vec![("wipeTopicCount", "2".to_string())], Some(5)));
    let added = server.call(code::ADD_WRITE_PERM_OF_BROKER, &[("brokerName", "a")]);
    assert_eq!((added.fields, perm(&mut server)), (vec![("addTopicCount", "2".to_string())], Some(6)));
}

#[test]
fn the_data_version_is_compared() {
    let mut server = Server::new();
    let fields = [("brokerName", "a"), ("brokerAddr", "a:1"), ("clusterName", "C"), ("brokerId", "0")];
    let query = |server: &mut Server, version: &str| {
        let answer = server.call_with(code::QUERY_DATA_VERSION, &fields, version.as_bytes());
        (answer.fields[0].1.clone(), String::from_utf8(answer.body).unwrap())
    };
    let known = r#"{"counter":3,"timestamp":1}"#;
    assert_eq!(query(&mut server, known), ("true".into(), String::new()));
    server.register("a", "0", "a:1", &topics(3, &[]));
    assert_eq!(query(&mut server, known), ("false".into(), known.into()));
    assert_eq!(query(&mut server, r#"{"counter":4,"timestamp":1}"#), ("true".into(), known.into()));
    check_refused(&server.call_with(code::QUERY_DATA_VERSION, &fields, b"["), 1, "cannot be read");
}

#[test]
fn key_value_pairs() {
    let mut server = Server::new();
    let pair = [("namespace", "n"), ("key", "k"), ("value", "v=1;2")];
    check_refused(&server.call(code::GET_KV_CONFIG, &pair[..2]), 22, "Namespace: n Key: k");
    check_refused(&server.call(code::GET_KVLIST_BY_NAMESPACE, &pair[..1]), 22, "Namespace: n");
    check_refused(&server.call(code::PUT_KV_CONFIG, &pair[..2]), 1, "missing field value");
    assert_eq!(server.call(code::PUT_KV_CONFIG, &pair), Answer::success());
    assert_eq!(server.call(code::GET_KV_CONFIG, &pair[..2]).fields, [("value", "v=1;2".to_string())]);
    assert_eq!(body(&server.call(code::GET_KVLIST_BY_NAMESPACE, &pair[..1])), json!({"table": {"k": "v=1;2"}}));
    let file = fs::read_to_string(server.dir.path().join("kvConfig.json")).unwrap();
    assert_eq!(file, r#"{"configTable":{"n":{"k":"v=1;2"}}}"#);
    assert_eq!(server.call(code::DELETE_KV_CONFIG, &pair[..2]), Answer::success());
    check_refused(&server.call(code::GET_KV_CONFIG, &pair[..2]), 22, "Key: k");
}

#[test]
fn the_configuration_is_shown_and_guarded() {
    let mut server = Server::new();
    let shown = |server: &mut Server| String::from_utf8(server.call(code::GET_NAMESRV_CONFIG, &[]).body).unwrap();
    for line in ["listenPort=9876\n", "orderMessageEnable=false\n", "/kvConfig.json\n"] {
        assert!(shown(&mut server).contains(line), "{}", shown(&mut server));
    }
    let path = server.dir.path().join("namesrv.conf");
    fs::write(&path, "# mine\norderMessageEnable = false # not a comment\nlistenPort=9876\n").unwrap();
    server.namesrv.options.settings.config_file = Some(path.clone());
    for (text, code, remark) in [
        ("kvConfigPath=/etc/cron.d/x", 16, "black list: kvConfigPath"),
        ("configStorePath=/x", 16, "black list: configStorePath"),
        ("orderMessageEnable=true\nrocketmqHome=/x", 16, "black list: rocketmqHome"),
        ("orderMessageEnable=true\nlistenPort=1", 1, "listenPort is read at start only"),
        ("whatever=1", 1, "unknown key \"whatever\""),
        ("orderMessageEnable=yes", 1, "neither true nor false"),
    ] {
        check_refused(&server.call_with(code::UPDATE_NAMESRV_CONFIG, &[], text.as_bytes()), code, remark);
        assert!(!server.namesrv.options.settings.order_message_enable, "{text}");
    }
    assert!(fs::read_to_string(&path).unwrap().starts_with("# mine\norderMessageEnable = false"));
    let update = server.call_with(code::UPDATE_NAMESRV_CONFIG, &[], b"orderMessageEnable=true");
    assert_eq!(update, Answer::success());
    assert!(shown(&mut server).contains("orderMessageEnable=true\n"));
    let saved = fs::read_to_string(&path).unwrap();
    assert!(saved.starts_with("# mine\norderMessageEnable = true") && saved.ends_with("listenPort=9876\n"), "{saved}");
    assert_eq!(server.call(code::UPDATE_NAMESRV_CONFIG, &[]), Answer::success());
}

#[test]
fn changes_from_other_hosts_can_be_shut_out() {
    let mut server = Server::new();
    server.register("a", "0", "a:1", &topics(1, &[("T", 6)]));
    server.namesrv.options.settings.admin_remote_enable = false;
    for (code, fields) in [
        (code::PUT_KV_CONFIG, &[("namespace", "n"), ("key", "k"), ("value", "v")][..]),
        (code::DELETE_KV_CONFIG, &[("namespace", "n"), ("key", "k")][..]),
        (code::WIPE_WRITE_PERM_OF_BROKER, &[("brokerName", "a")][..]),
        (code::ADD_WRITE_PERM_OF_BROKER, &[("brokerName", "a")][..]),
        (code::DELETE_TOPIC_IN_NAMESRV, &[("topic", "T")][..]),
        (code::UPDATE_NAMESRV_CONFIG, &[][..]),
    ] {
        check_refused(&server.call(code, fields), 16, "adminRemoteEnable=false");
        server.peer = "[::ffff:127.0.0.1]:4711".parse().unwrap();
        assert_eq!(server.call(code, fields).code, 0, "{code}");
        server.peer = "10.0.0.9:4711".parse().unwrap();
    }
    server.register("b", "0", "b:1", &topics(1, &[("U", 6)]));
    assert_eq!(server.call(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "U")]).code, 0);
}

#[test]
fn unknown_requests_are_answered() {
    let mut server = Server::new();
    for code in [0, -1, 10, 351, 99_999] {
        let answer = server.call(code, &[]);
        assert_eq!((answer.code, answer.remark), (3, Some(format!(" request type {code} not supported"))));
    }
}
