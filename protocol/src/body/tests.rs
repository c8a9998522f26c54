//! Bodies as clients, brokers and fastjson write them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use super::*;

/// Reads `text`, compares, and writes it again as `text` in the one form or the other.
fn check<T: Body + PartialEq + Debug>(text: &str, value: T) {
    assert_eq!(T::from_json(text.as_bytes()).as_ref(), Ok(&value), "{text}");
    let (standard, fastjson) = (value.to_json(), value.to_fastjson());
    let written = [&standard, &fastjson].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(written.iter().any(|form| form == text), "{text}\n{written:#?}");
    assert_eq!(T::from_json(&standard).as_ref(), Ok(&value));
    assert_eq!(T::from_json(&fastjson).as_ref(), Ok(&value));
}

fn reads<T: Body + PartialEq + Debug>(text: &str, value: T) {
    assert_eq!(T::from_json(text.as_bytes()), Ok(value), "{text}");
}

/// Texts as 4.9.7 writes its table files, compact.
#[test]
fn tables_are_read_and_written_as_java_does() {
    let wrapper = TopicConfigSerializeWrapper {
        data_version: DataVersion { counter: 3, timestamp: 1_700_000_000_000 },
        topic_config_table: BTreeMap::from([("T".into(), TopicConfig::new("T", 8, 6))]),
    };
    check(
        r#"{"dataVersion":{"counter":3,"timestamp":1700000000000},"topicConfigTable":{"T":{"order":false,"perm":6,"readQueueNums":8,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":8}}}"#,
        wrapper,
    );
    check(
        r#"{"dataVersion":{"counter":1,"timestamp":1700000000000},"subscriptionGroupTable":{"G":{"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"groupName":"G","notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}}}"#,
        SubscriptionGroupWrapper {
            data_version: DataVersion { counter: 1, timestamp: 1_700_000_000_000 },
            subscription_group_table: BTreeMap::from([("G".into(), SubscriptionGroupConfig::new("G"))]),
        },
    );
    check(
        r#"{"offsetTable":{"%RETRY%G@G":{0:2},"T@G":{0:15,1:7}}}"#,
        ConsumerOffsetTable {
            offset_table: BTreeMap::from([
                ("T@G".into(), BTreeMap::from([(0, 15), (1, 7)])),
                ("%RETRY%G@G".into(), BTreeMap::from([(0, 2)])),
            ]),
        },
    );
    check(r#"{"offsetTable":{1:120,3:44}}"#, DelayOffsetTable { offset_table: BTreeMap::from([(1, 120), (3, 44)]) });
    check(
        r#"{"table":{"T":"broker-a:4;broker-b:4"}}"#,
        KvTable { table: BTreeMap::from([("T".into(), "broker-a:4;broker-b:4".into())]) },
    );
    reads(
        "{\n\t\"offsetTable\":{\n\t\t\"T@G\":{0:15\n\t\t}\n\t}\n}",
        ConsumerOffsetTable { offset_table: BTreeMap::from([("T@G".into(), BTreeMap::from([(0, 15)]))]) },
    );
    reads("{}", TopicConfig::default());
    reads(
        r#"{"topicName":"T","attributes":{"+a":"b"},"order":null}"#,
        TopicConfig { topic_name: "T".into(), ..TopicConfig::default() },
    );
}

#[test]
fn offset_keys_have_exactly_two_parts() {
    assert_eq!(ConsumerOffsetTable::split_key(&ConsumerOffsetTable::key("T", "G")), Some(("T", "G")));
    for key in ["T", "T@", "@G", "a@b@c", ""] {
        assert_eq!(ConsumerOffsetTable::split_key(key), None, "{key}");
    }
}

#[test]
fn routes_are_written_in_both_forms() {
    let broker = BrokerData {
        broker_addrs: BTreeMap::from([(0, "10.0.0.1:10911".into()), (1, "10.0.0.2:10911".into())]),
        broker_name: "broker-a".into(),
        cluster: "C".into(),
        enable_acting_master: false,
    };
    let queues = QueueData {
        broker_name: "broker-a".into(),
        perm: 6,
        read_queue_nums: 8,
        topic_sys_flag: 1,
        write_queue_nums: 8,
    };
    let route = TopicRouteData {
        broker_datas: vec![broker.clone()],
        queue_datas: vec![queues.clone()],
        ..TopicRouteData::default()
    };
    let text = |first: &str, second: &str| {
        format!(
            r#"{{"brokerDatas":[{{"brokerAddrs":{{{first}:"10.0.0.1:10911",{second}:"10.0.0.2:10911"}},"brokerName":"broker-a","cluster":"C","enableActingMaster":false}}],"filterServerTable":{{}},"queueDatas":[{{"brokerName":"broker-a","perm":6,"readQueueNums":8,"topicSynFlag":1,"topicSysFlag":1,"writeQueueNums":8}}]}}"#
        )
    };
    assert_eq!(String::from_utf8_lossy(&route.to_json()), text("\"0\"", "\"1\""));
    assert_eq!(String::from_utf8_lossy(&route.to_fastjson()), text("0", "1"));
    check(&text("0", "1"), route);
    for spelling in ["topicSynFlag", "topicSysFlag"] {
        reads(
            &format!(r#"{{"brokerName":"broker-a","perm":6,"readQueueNums":8,"{spelling}":1,"writeQueueNums":8}}"#),
            queues.clone(),
        );
    }
    check(
        r#"{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"C","enableActingMaster":false}},"clusterAddrTable":{"C":["broker-a"]}}"#,
        ClusterInfo {
            broker_addr_table: BTreeMap::from([("broker-a".into(), broker)]),
            cluster_addr_table: BTreeMap::from([("C".into(), BTreeSet::from(["broker-a".into()]))]),
        },
    );
    check(
        r#"{"topicList":["A","B"]}"#,
        TopicList { topic_list: BTreeSet::from(["A".into(), "B".into()]), broker_addr: None },
    );
    check(
        r#"{"brokerAddr":"a:1","topicList":[]}"#,
        TopicList { topic_list: BTreeSet::new(), broker_addr: Some("a:1".into()) },
    );
}

#[test]
fn heartbeats_of_all_clients_are_read() {
    let java = r#"{"clientID":"10.0.0.1@1#2","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"G","messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[2598919],"expressionType":"TAG","subString":"TagA","subVersion":1700000000000,"tagsSet":["TagA"],"topic":"T"}],"unitMode":false}],"producerDataSet":[{"groupName":"P"}]}"#;
    let subscription =
        SubscriptionData { sub_version: 1_700_000_000_000, ..SubscriptionData::parse_tags("T", "TagA").expect("tags") };
    let consumer = ConsumerData {
        group_name: "G".into(),
        consume_from_where: ConsumeFromWhere::FirstOffset,
        subscription_data_set: vec![subscription],
        ..ConsumerData::default()
    };
    let heartbeat = HeartbeatData {
        client_id: "10.0.0.1@1#2".into(),
        consumer_data_set: vec![consumer],
        producer_data_set: vec![ProducerData { group_name: "P".into() }],
    };
    check(java, heartbeat.clone());
    // Ordinals for names and quoted numbers, as the C++ client writes them.
    let cpp = java
        .replace("\"CONSUME_FROM_FIRST_OFFSET\"", "4")
        .replace("\"CONSUME_PASSIVELY\"", "1")
        .replace("\"CLUSTERING\"", "1")
        .replace("1700000000000", "\"1700000000000\"")
        .replace("[2598919]", "[\"2598919\"]");
    reads(&cpp, heartbeat.clone());
    // A subscription object shared by two groups, as Java writes it.
    let shared = r#"{"clientID":"c","consumerDataSet":[{"groupName":"A","subscriptionDataSet":[{"topic":"T","subString":"*"}]},{"groupName":"B","subscriptionDataSet":[{"$ref":"$.consumerDataSet[0].subscriptionDataSet[0]"}]}],"heartbeatFingerprint":0,"withoutSub":false}"#;
    let heartbeat = HeartbeatData::from_json(shared.as_bytes()).expect("readable");
    let topics: Vec<_> = heartbeat
        .consumer_data_set
        .iter()
        .flat_map(|data| &data.subscription_data_set)
        .map(|data| &*data.topic)
        .collect();
    assert_eq!(topics, ["T", "T"]);
    reads(
        r#"{"clientID":"c","producerDataSet":null}"#,
        HeartbeatData { client_id: "c".into(), ..HeartbeatData::default() },
    );
    assert!(HeartbeatData::from_json(br#"{"consumerDataSet":[{"messageModel":"SHARING"}]}"#).is_err());
}

#[test]
fn locks_and_stats_are_written_as_java_does() {
    let queue = MessageQueue { broker_name: "b".into(), queue_id: 3, topic: "T".into() };
    check(
        r#"{"clientId":"c","consumerGroup":"G","mqSet":[{"brokerName":"b","queueId":3,"topic":"T"}]}"#,
        LockBatchRequestBody { client_id: "c".into(), consumer_group: "G".into(), mq_set: vec![queue.clone()] },
    );
    check(
        r#"{"lockOKMQSet":[{"brokerName":"b","queueId":3,"topic":"T"}]}"#,
        LockBatchResponseBody { lock_ok_mq_set: vec![queue.clone()] },
    );
    check(
        r#"{"consumerGroup":"G","messageQueue":{"brokerName":"b","queueId":3,"topic":"T"},"offsetNew":0,"offsetRequest":9}"#,
        OffsetMovedEvent { consumer_group: "G".into(), message_queue: queue.clone(), offset_new: 0, offset_request: 9 },
    );
    reads(
        r#"{"clientId":"c","group":"G","subscriptionData":{"expressionType":"SQL92","subString":"a > 5","topic":"T"}}"#,
        CheckClientRequestBody {
            client_id: "c".into(),
            group: "G".into(),
            subscription_data: SubscriptionData::parse("T", "a > 5", Some("SQL92")).expect("kept"),
        },
    );
    check(r#"{"consumerIdList":["b","a"]}"#, ConsumerListByGroup { consumer_id_list: vec!["b".into(), "a".into()] });
    check(r#"{"groupList":["a"]}"#, GroupList { group_list: BTreeSet::from(["a".into()]) });
    check(
        r#"{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:{"lastUpdateTimestamp":9,"maxOffset":5,"minOffset":0}}}"#,
        TopicStatsTable {
            offset_table: BTreeMap::from([(
                queue.clone(),
                TopicOffset { last_update_timestamp: 9, max_offset: 5, min_offset: 0 },
            )]),
        },
    );
    check(
        r#"{"consumeTps":0.0,"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:{"brokerOffset":5,"consumerOffset":4,"lastTimestamp":9}}}"#,
        ConsumeStats {
            consume_tps: 0.0,
            offset_table: BTreeMap::from([(
                queue,
                OffsetWrapper { broker_offset: 5, consumer_offset: 4, last_timestamp: 9 },
            )]),
        },
    );
    check(
        r#"{"connectionSet":[{"clientAddr":"1.1.1.1:5","clientId":"c","language":"JAVA","version":407}],"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionTable":{}}"#,
        ConsumerConnection {
            connection_set: vec![Connection {
                client_addr: "1.1.1.1:5".into(),
                client_id: "c".into(),
                language: "JAVA".into(),
                version: 407,
            }],
            ..ConsumerConnection::default()
        },
    );
}

fn registration() -> RegisterBrokerBody {
    RegisterBrokerBody {
        filter_server_list: vec!["1.1.1.1:1".into()],
        topic_config_serialize_wrapper: TopicConfigSerializeWrapper {
            data_version: DataVersion { counter: 3, timestamp: 9 },
            topic_config_table: ["%RETRY%G", "T"].map(|name| (name.to_owned(), TopicConfig::new(name, 4, 6))).into(),
        },
    }
}

#[test]
fn registrations_go_both_ways_in_both_forms() {
    let body = registration();
    check(
        r#"{"filterServerList":["1.1.1.1:1"],"topicConfigSerializeWrapper":{"dataVersion":{"counter":3,"timestamp":9},"topicConfigTable":{"%RETRY%G":{"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"%RETRY%G","topicSysFlag":0,"writeQueueNums":4},"T":{"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":4}}}}"#,
        body.clone(),
    );
    let piece = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
    let stream = [
        piece(r#"{"counter":3,"timestamp":9}"#),
        vec![0, 0, 0, 2],
        piece("%RETRY%G 4 4 6 SINGLE_TAG"),
        piece("T 4 4 6 SINGLE_TAG"),
        piece(r#"["1.1.1.1:1"]"#),
    ]
    .concat();
    assert_eq!(body.to_stream(), stream);
    assert_eq!(RegisterBrokerBody::from_stream(&stream), Ok(body));
    for cut in 0..stream.len() {
        assert!(RegisterBrokerBody::from_stream(&stream[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn odd_topics_in_a_stream_are_refused_and_those_of_5x_taken() {
    let stream = |topic: &str| {
        let mut body = registration();
        body.topic_config_serialize_wrapper.topic_config_table =
            BTreeMap::from([("X".into(), TopicConfig::new("X", 1, 6))]);
        let text = String::from_utf8(body.to_stream()).expect("text");
        let old = format!("\u{0}\u{0}\u{0}\u{12}{}", "X 1 1 6 SINGLE_TAG");
        assert!(text.contains(&old));
        let new = format!("\u{0}\u{0}\u{0}{}{topic}", char::from(topic.len() as u8));
        text.replace(&old, &new).into_bytes()
    };
    for topic in ["X 1 1 6", "X 1 1 x SINGLE_TAG", "X 1 1 6 OTHER", " 1 1 6 SINGLE_TAG", ""] {
        let error = RegisterBrokerBody::from_stream(&stream(topic)).expect_err("refused");
        assert!(error.to_string().contains("is no topic"), "{error}");
    }
    assert!(RegisterBrokerBody::from_stream(&stream("X 1 1 6 SINGLE_TAG {\"+a\":\"b\"}")).is_ok());
    assert!(RegisterBrokerBody::from_stream(&[0x80, 0, 0, 0]).is_err());
}
