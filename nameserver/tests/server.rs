//! A whole name server over sockets: what brokers and clients see.

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, Peer, TempDir, compressed_body, free_port, register_body, start, start_on};
use protocol::HeaderForm;
use protocol::code::request as code;
use serde_json::json;

#[test]
fn a_registered_topic_has_a_route_in_both_header_forms() {
    let dir = TempDir::new("route");
    let server = start(&dir, "");
    for form in [HeaderForm::Json, HeaderForm::Rocketmq] {
        let mut broker = Peer { form, ..Peer::connect(server.address()) };
        assert_eq!(broker.register("a", "0", "127.0.0.1:10911", false, &register_body(1, ["T"])).code, 0);
        let slave = broker.register("a", "1", "127.0.0.1:10921", false, &register_body(1, []));
        let field = |name: &str| slave.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(field("masterAddr"), Some("127.0.0.1:10911"));
        assert_eq!(field("haServerAddr"), Some("127.0.0.1:10912"));
        let mut client = Peer { form, ..Peer::connect(server.address()) };
        assert_eq!(
            client.route("T").json(),
            json!({"brokerDatas": [{"brokerAddrs": {"0": "127.0.0.1:10911", "1": "127.0.0.1:10921"}, "brokerName": "a",
                "cluster": "DefaultCluster", "enableActingMaster": false}], "filterServerTable": {},
                "queueDatas": [{"brokerName": "a", "perm": 6, "readQueueNums": 8, "topicSynFlag": 0,
                "topicSysFlag": 0, "writeQueueNums": 8}]})
        );
        let missing = client.route("U");
        assert_eq!(missing.code, 17);
        assert!(missing.remark.starts_with("No topic route info in name server for the topic: U"), "{missing:?}");
    }
    server.stop().unwrap();
}

#[test]
fn a_lost_connection_removes_its_broker_at_once() {
    let dir = TempDir::new("lost");
    let server = start(&dir, "");
    let (mut master, mut slave) = (Peer::connect(server.address()), Peer::connect(server.address()));
    let mut client = Peer::connect(server.address());
    master.register("a", "0", "a:1", false, &register_body(1, ["T"]));
    slave.register("a", "1", "a:2", false, &register_body(1, []));
    drop(master);
    let reply = client.route_until("T", |reply| reply.json()["brokerDatas"][0]["brokerAddrs"] == json!({"1": "a:2"}));
    assert_eq!(reply.code, 0);
    drop(slave);
    let reply = client.route_until("T", |reply| reply.code == 17);
    assert!(reply.remark.contains("its last broker a lost its connection at 20"), "{reply:?}");
    server.stop().unwrap();
}

#[test]
fn a_silent_broker_expires_and_its_connection_is_closed() {
    let dir = TempDir::new("expiry");
    let server = start(&dir, "scanNotActiveBrokerInterval=20\nbrokerChannelExpiredTime=2500\n");
    let mut silent = Peer::connect(server.address());
    let mut client = Peer::connect(server.address());
    let begin = Instant::now();
    silent.register("a", "0", "a:1", false, &register_body(1, ["T"]));
    // A second broker keeps registering on the connection that asks, and stays.
    let mut register = || {
        client.register("b", "0", "b:1", false, &register_body(1, ["T"]));
        client.route("T").json()["queueDatas"].as_array().unwrap().len()
    };
    while register() == 2 {
        assert!(begin.elapsed() < PATIENCE);
    }
    assert!(begin.elapsed() >= Duration::from_millis(2480), "{:?}", begin.elapsed());
    assert_eq!(register(), 1);
    assert!(silent.channel.receive(PATIENCE).is_err());
    assert!(silent.try_call(code::GET_BROKER_CLUSTER_INFO, &[], b"").is_err());
    server.stop().unwrap();
}

#[test]
fn several_brokers_share_topics_and_are_listed() {
    let dir = TempDir::new("several");
    let server = start(&dir, "");
    let mut brokers: Vec<_> = (0..5).map(|_| Peer::connect(server.address())).collect();
    for (i, broker) in brokers.iter_mut().enumerate() {
        broker.register(&format!("b{i}"), "0", &format!("h{i}:1"), i.is_multiple_of(2), &body_of(i));
    }
    let mut client = Peer::connect(server.address());
    let route = client.route("shared").json();
    let names: Vec<_> = route["queueDatas"].as_array().unwrap().iter().map(|data| data["brokerName"].clone()).collect();
    assert_eq!(names, ["b0", "b1", "b2", "b3", "b4"]);
    let info = client.call(code::GET_BROKER_CLUSTER_INFO, &[], b"").json();
    assert_eq!(info["clusterAddrTable"], json!({"DefaultCluster": ["b0", "b1", "b2", "b3", "b4"]}));
    let topics = client.call(code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &[], b"").json();
    assert_eq!(topics, json!({"topicList": ["own0", "own1", "own2", "own3", "own4", "shared"]}));
    let leave = [("brokerName", "b3"), ("brokerAddr", "h3:1"), ("clusterName", "DefaultCluster"), ("brokerId", "0")];
    assert_eq!(client.call(code::UNREGISTER_BROKER, &leave, b"").code, 0);
    assert_eq!(client.route("own3").code, 17);
    server.stop().unwrap();

    fn body_of(i: usize) -> Vec<u8> {
        let own = format!("own{i}");
        let topics = [own.as_str(), "shared"];
        if i.is_multiple_of(2) { compressed_body(topics) } else { register_body(1, topics) }
    }
}

#[test]
fn requests_may_be_pipelined_oneway_or_unknown() {
    let dir = TempDir::new("pipeline");
    let server = start(&dir, "");
    let mut peer = Peer::connect(server.address());
    let fields = |writer: &mut protocol::FieldWriter<'_>| writer.str("topic", "T");
    let mut expected: Vec<_> = (0..100)
        .map(|_| peer.channel.send(code::GET_ROUTEINFO_BY_TOPIC, peer.form, fields, b"", PATIENCE).unwrap())
        .collect();
    peer.channel.send_oneway(351, peer.form, |_| {}, b"", PATIENCE).unwrap();
    expected.push(peer.channel.send(351, peer.form, |_| {}, b"", PATIENCE).unwrap());
    for (i, opaque) in expected.into_iter().enumerate() {
        let answer = peer.channel.receive(PATIENCE).unwrap();
        let command = answer.command();
        assert_eq!((command.opaque, command.code), (opaque, if i < 100 { 17 } else { 3 }));
        if i == 100 {
            assert_eq!(command.remark.unwrap().get(), " request type 351 not supported");
        }
    }
    server.stop().unwrap();
}

#[test]
fn sixty_thousand_topics_register_through_a_socket() {
    let dir = TempDir::new("many");
    let server = start(&dir, "");
    // As long as names may be: the plain body is larger than the frames other servers take.
    let topics: Vec<_> = (0..60_000).map(|i| format!("topic-{i:0>100}")).collect();
    let plain = register_body(1, topics.iter().map(String::as_str));
    assert!(plain.len() > 16 << 20, "{}", plain.len());
    let begin = Instant::now();
    let (mut a, mut b) = (Peer::connect(server.address()), Peer::connect(server.address()));
    assert_eq!(a.register("a", "0", "a:1", false, &plain).code, 0);
    let compressed = compressed_body(topics.iter().map(String::as_str));
    assert_eq!(b.register("b", "0", "b:1", true, &compressed).code, 0);
    assert_eq!(b.route(&topics[59_999]).json()["queueDatas"].as_array().unwrap().len(), 2);
    let list = b.call(code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &[], b"").json();
    assert_eq!(list["topicList"].as_array().unwrap().len(), 60_000);
    // One more topic, sent alone as brokers do for a changed one.
    assert_eq!(a.register("a", "0", "a:1", false, &register_body(2, ["more"])).code, 0);
    assert_eq!(b.route("more").code, 0);
    assert_eq!(b.route(&topics[0]).code, 0);
    drop(a);
    b.route_until("more", |reply| reply.code == 17);
    println!("60,000 topics twice: {:?}", begin.elapsed());
    server.stop().unwrap();
}

#[test]
fn frames_beyond_the_bound_end_the_connection_only() {
    let dir = TempDir::new("oversize");
    let server = start(&dir, "");
    let too_long = ((nameserver::server::FRAME_MAX + 1) as u32).to_be_bytes();
    for bytes in [&too_long[..], &[0xff; 8], b"GET / HTTP/1.1\r\n\r\n", &[0x16, 3, 1, 0, 5], &[0, 0, 0, 4, 9, 0, 0, 0]]
    {
        let mut peer = Peer::connect(server.address());
        peer.channel.write_all(bytes, PATIENCE).unwrap();
        assert!(peer.channel.receive(PATIENCE).is_err(), "{bytes:?}");
    }
    let mut peer = Peer::connect(server.address());
    let bad = peer.register("a", "0", "a:1", true, b"no zlib stream");
    assert_eq!(bad.code, 1);
    assert!(bad.remark.starts_with("register body cannot be read: zlib"), "{bad:?}");
    assert_eq!(peer.register("a", "0", "a:1", false, &register_body(1, ["T"])).code, 0);
    server.stop().unwrap();
}

#[test]
fn key_value_pairs_survive_a_restart_on_the_same_port() {
    let dir = TempDir::new("restart");
    let server = start_on(&dir, "orderMessageEnable=true\n", free_port());
    let address = server.address();
    let mut peer = Peer::connect(address);
    let pair = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "T"), ("value", "a:8")];
    assert_eq!(peer.call(code::PUT_KV_CONFIG, &pair, b"").code, 0);
    server.stop().unwrap();
    assert!(peer.try_call(code::GET_KV_CONFIG, &pair[..2], b"").is_err());

    let server = start_on(&dir, "orderMessageEnable=true\n", address.port());
    let mut peer = Peer::connect(address);
    let order = peer.register("a", "0", "a:1", false, &register_body(1, ["T"])).json();
    assert_eq!(order, json!({"table": {"T": "a:8"}}));
    assert_eq!(peer.route("T").json()["orderTopicConf"], json!("a:8"));
    let shown = String::from_utf8(peer.call(code::GET_NAMESRV_CONFIG, &[], b"").body).unwrap();
    assert!(shown.contains("orderMessageEnable=true\n"), "{shown}");
    server.stop().unwrap();
}

#[test]
fn a_taken_port_and_a_damaged_file_stop_the_start() {
    let dir = TempDir::new("start");
    let server = start(&dir, "");
    let text = format!("bindAddress=127.0.0.1\nlistenPort={}\n", server.address().port());
    let fails = |text: &str| {
        let source = config::Source { name: "test", bytes: text.as_bytes() };
        let loaded = config::load_namesrv(Some(source), &[], &config::Environment::default());
        let options = nameserver::NamesrvOptions::new(loaded.settings.unwrap(), &loaded.values);
        nameserver::start(options).err().map(|error| error.to_string()).unwrap()
    };
    let error = fails(&text);
    assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
    std::fs::write(dir.path().join("bad.json"), "{").unwrap();
    let free = free_port();
    let error =
        fails(&format!("bindAddress=127.0.0.1\nlistenPort={free}\nkvConfigPath={}/bad.json\n", dir.path().display()));
    assert!(error.contains("bad.json cannot be read"), "{error}");
}
