//! The bodies: read into their types, written again, and compared as values with what was captured.

use std::collections::BTreeSet;

use protocol::Body;
use protocol::body::{
    CheckClientRequestBody, ClusterInfo, ConsumeStats, ConsumerConnection, ConsumerListByGroup, ConsumerOffsetTable,
    DataVersion, DelayOffsetTable, GroupList, HeartbeatData, KvTable, LockBatchRequestBody, LockBatchResponseBody,
    ProducerConnection, RegisterBrokerBody, SubscriptionGroupConfig, SubscriptionGroupWrapper,
    TopicConfigSerializeWrapper, TopicList, TopicRouteData, TopicStatsTable, UnlockBatchRequestBody,
};
use protocol::code::request as code;
use protocol::json::lenient;
use protocol::message::Record;
use serde_json::{Map, Value};

use crate::frames::decode;
use crate::golden;
use crate::records::RECORDS;

const REQUEST: bool = false;
const RESPONSE: bool = true;

/// Reads Java's text and writes it in standard and in fastjson's form.
type Check = fn(&str, &[u8]) -> [Vec<u8>; 2];

fn check<T: Body + PartialEq + std::fmt::Debug>(name: &str, text: &[u8]) -> [Vec<u8>; 2] {
    let body = T::from_json(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let forms = [body.to_json(), body.to_fastjson()];
    for form in &forms {
        assert_eq!(T::from_json(form).as_ref(), Ok(&body), "{name}");
    }
    forms
}

/// The types of the bodies: code, direction, check.
const TYPED: [(i32, bool, Check); 30] = [
    (code::GET_ALL_TOPIC_CONFIG, RESPONSE, check::<TopicConfigSerializeWrapper>),
    (code::GET_BROKER_RUNTIME_INFO, RESPONSE, check::<KvTable>),
    (code::HEART_BEAT, REQUEST, check::<HeartbeatData>),
    (code::GET_CONSUMER_LIST_BY_GROUP, RESPONSE, check::<ConsumerListByGroup>),
    (code::LOCK_BATCH_MQ, REQUEST, check::<LockBatchRequestBody>),
    (code::LOCK_BATCH_MQ, RESPONSE, check::<LockBatchResponseBody>),
    (code::UNLOCK_BATCH_MQ, REQUEST, check::<UnlockBatchRequestBody>),
    (code::GET_ALL_CONSUMER_OFFSET, RESPONSE, check::<ConsumerOffsetTable>),
    (code::GET_ALL_DELAY_OFFSET, RESPONSE, check::<DelayOffsetTable>),
    (code::CHECK_CLIENT_CONFIG, REQUEST, check::<CheckClientRequestBody>),
    (code::REGISTER_BROKER, REQUEST, check::<RegisterBrokerBody>),
    (code::REGISTER_BROKER, RESPONSE, check::<KvTable>),
    (code::GET_ROUTEINFO_BY_TOPIC, RESPONSE, check::<TopicRouteData>),
    (code::GET_BROKER_CLUSTER_INFO, RESPONSE, check::<ClusterInfo>),
    (code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, REQUEST, check::<SubscriptionGroupConfig>),
    (code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, RESPONSE, check::<SubscriptionGroupWrapper>),
    (code::GET_TOPIC_STATS_INFO, RESPONSE, check::<TopicStatsTable>),
    (code::GET_CONSUMER_CONNECTION_LIST, RESPONSE, check::<ConsumerConnection>),
    (code::GET_PRODUCER_CONNECTION_LIST, RESPONSE, check::<ProducerConnection>),
    (code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, RESPONSE, check::<TopicList>),
    (code::GET_CONSUME_STATS, RESPONSE, check::<ConsumeStats>),
    (code::GET_KVLIST_BY_NAMESPACE, RESPONSE, check::<KvTable>),
    (code::GET_TOPICS_BY_CLUSTER, RESPONSE, check::<TopicList>),
    (code::QUERY_TOPIC_CONSUME_BY_WHO, RESPONSE, check::<GroupList>),
    (code::GET_SYSTEM_TOPIC_LIST_FROM_NS, RESPONSE, check::<TopicList>),
    (code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER, RESPONSE, check::<TopicList>),
    (code::GET_UNIT_TOPIC_LIST, RESPONSE, check::<TopicList>),
    (code::GET_HAS_UNIT_SUB_TOPIC_LIST, RESPONSE, check::<TopicList>),
    (code::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, RESPONSE, check::<TopicList>),
    (code::QUERY_DATA_VERSION, REQUEST, check::<DataVersion>),
];

/// JSON of requests not served, without a type here. It must be readable all the same.
const UNTYPED: [(i32, bool); 12] = [
    (code::RESET_CONSUMER_CLIENT_OFFSET, REQUEST),
    (code::GET_CONSUMER_STATUS_FROM_CLIENT, RESPONSE),
    (code::INVOKE_BROKER_TO_RESET_OFFSET, RESPONSE),
    (code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS, RESPONSE),
    (code::QUERY_CONSUME_TIME_SPAN, RESPONSE),
    (code::GET_CONSUMER_RUNNING_INFO, RESPONSE),
    (code::QUERY_CORRECTION_OFFSET, RESPONSE),
    (code::CONSUME_MESSAGE_DIRECTLY, RESPONSE),
    (code::VIEW_BROKER_STATS_DATA, RESPONSE),
    (code::GET_BROKER_CONSUME_STATS, RESPONSE),
    (code::QUERY_CONSUME_QUEUE, RESPONSE),
    (code::GET_ALL_PRODUCER_INFO, RESPONSE),
];

/// Neither JSON nor records: message bodies, batches (looked at elsewhere), and `key=value` lines.
const OTHER: [(i32, bool); 7] = [
    (code::SEND_MESSAGE, REQUEST),
    (code::SEND_MESSAGE_V2, REQUEST),
    (code::SEND_BATCH_MESSAGE, REQUEST),
    (code::UPDATE_BROKER_CONFIG, REQUEST),
    (code::GET_BROKER_CONFIG, RESPONSE),
    (code::UPDATE_NAMESRV_CONFIG, REQUEST),
    (code::GET_NAMESRV_CONFIG, RESPONSE),
];

/// Members that hold a Java set: their order says nothing.
const SETS: [&str; 5] = ["topicList", "groupList", "tagsSet", "codeSet", "clusterAddrTable"];

/// Sorts the sets of a tree.
fn normal(value: &mut Value, in_set: bool) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                normal(member, in_set || SETS.contains(&&**name));
            }
        }
        Value::Array(elements) => {
            elements.iter_mut().for_each(|element| normal(element, false));
            if in_set {
                elements.sort_by_key(Value::to_string);
            }
        }
        _ => {}
    }
}

/// Whether a member that Java 4.9.7 does not write may be there: what other versions read, with the value it must have.
fn may_be_added(name: &str, value: &Value, beside: &Map<String, Value>) -> bool {
    match name {
        // How readers up to 4.8 spell topicSysFlag.
        "topicSynFlag" => Some(value) == beside.get("topicSysFlag"),
        // Of 5.x.
        "enableActingMaster" => *value == Value::Bool(false),
        _ => false,
    }
}

/// Takes out of `ours` the members that were added, noting their names.
fn remove_added(ours: &mut Value, java: &Value, added: &mut BTreeSet<String>) {
    match (ours, java) {
        (Value::Object(ours), Value::Object(java)) => {
            let extra: Vec<String> = ours.keys().filter(|name| !java.contains_key(*name)).cloned().collect();
            for name in extra {
                if ours.get(&name).is_some_and(|value| may_be_added(&name, value, java)) {
                    ours.remove(&name);
                    added.insert(name);
                }
            }
            for (name, member) in ours.iter_mut() {
                if let Some(java) = java.get(name) {
                    remove_added(member, java, added);
                }
            }
        }
        (Value::Array(ours), Value::Array(java)) => {
            for (ours, java) in ours.iter_mut().zip(java) {
                remove_added(ours, java, added);
            }
        }
        _ => {}
    }
}

fn parse(name: &str, text: &[u8]) -> Value {
    let mut value = lenient::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    normal(&mut value, false);
    value
}

#[test]
fn bodies_are_written_as_java_writes_them() {
    let mut added = BTreeSet::new();
    let mut checked = BTreeSet::new();
    let mut unchecked = BTreeSet::new();
    for frame in golden::frames() {
        let (name, key) = (&*frame.name, (frame.code, frame.response));
        let command = decode(&frame);
        if command.body.is_empty() || RECORDS.contains(&key) {
            continue;
        }
        if OTHER.contains(&key) {
            assert!(
                lenient::parse(command.body).is_err() && Record::decode(command.body).is_err(),
                "{name} has a form"
            );
            unchecked.insert(key);
            continue;
        }
        let java = parse(name, command.body);
        assert!(java.as_object().is_some_and(|members| !members.is_empty()), "{name}");
        let Some((.., check)) = TYPED.iter().find(|(code, response, _)| (*code, *response) == key) else {
            assert!(UNTYPED.contains(&key), "{name}: nobody reads this body");
            unchecked.insert(key);
            continue;
        };
        let [standard, fastjson] = check(name, command.body);
        assert!(serde_json::from_slice::<Value>(&standard).is_ok(), "{name}: standard JSON");
        for text in [standard, fastjson] {
            let mut ours = parse(name, &text);
            remove_added(&mut ours, &java, &mut added);
            assert_eq!(ours, java, "{name}");
        }
        checked.insert((frame.code, frame.response, frame.json()));
    }
    for (code, response, _) in TYPED {
        for json in [true, false] {
            assert!(checked.contains(&(code, response, json)), "no sample of the body of {code}, response: {response}");
        }
    }
    // No list holds more than is needed.
    assert!(UNTYPED.iter().chain(&OTHER).all(|key| unchecked.contains(key)), "{unchecked:?}");
    assert_eq!(added, ["enableActingMaster", "topicSynFlag"].map(str::to_owned).into());
}
