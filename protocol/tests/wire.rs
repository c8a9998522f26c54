//! Compares with what went over the wire between a client, a broker and a nameserver of Java 4.9.7, and with what that
//! broker stored: see the README beside `golden`. Every file there is read, and none may be missing.

#[path = "wire/bodies.rs"]
mod bodies;
#[path = "wire/frames.rs"]
mod frames;
#[path = "wire/golden.rs"]
mod golden;
#[path = "wire/headers.rs"]
mod headers;
#[path = "wire/records.rs"]
mod records;

use std::collections::BTreeSet;

use protocol::HeaderForm;
use protocol::code::request;

/// What the broker and the nameserver serve, and what the broker sends on its own.
const SERVED: [i32; 49] = [
    request::SEND_MESSAGE,
    request::PULL_MESSAGE,
    request::QUERY_MESSAGE,
    request::QUERY_CONSUMER_OFFSET,
    request::UPDATE_CONSUMER_OFFSET,
    request::UPDATE_AND_CREATE_TOPIC,
    request::GET_ALL_TOPIC_CONFIG,
    request::GET_BROKER_RUNTIME_INFO,
    request::SEARCH_OFFSET_BY_TIMESTAMP,
    request::GET_MAX_OFFSET,
    request::GET_MIN_OFFSET,
    request::GET_EARLIEST_MSG_STORETIME,
    request::VIEW_MESSAGE_BY_ID,
    request::HEART_BEAT,
    request::UNREGISTER_CLIENT,
    request::CONSUMER_SEND_MSG_BACK,
    request::GET_CONSUMER_LIST_BY_GROUP,
    request::NOTIFY_CONSUMER_IDS_CHANGED,
    request::LOCK_BATCH_MQ,
    request::UNLOCK_BATCH_MQ,
    request::CHECK_CLIENT_CONFIG,
    request::PUT_KV_CONFIG,
    request::GET_KV_CONFIG,
    request::DELETE_KV_CONFIG,
    request::REGISTER_BROKER,
    request::UNREGISTER_BROKER,
    request::GET_ROUTEINFO_BY_TOPIC,
    request::GET_BROKER_CLUSTER_INFO,
    request::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
    request::GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
    request::WIPE_WRITE_PERM_OF_BROKER,
    request::GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
    request::DELETE_SUBSCRIPTIONGROUP,
    request::DELETE_TOPIC_IN_BROKER,
    request::DELETE_TOPIC_IN_NAMESRV,
    request::GET_KVLIST_BY_NAMESPACE,
    request::GET_TOPICS_BY_CLUSTER,
    request::GET_SYSTEM_TOPIC_LIST_FROM_NS,
    request::SEND_MESSAGE_V2,
    request::GET_UNIT_TOPIC_LIST,
    request::GET_HAS_UNIT_SUB_TOPIC_LIST,
    request::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
    request::UPDATE_NAMESRV_CONFIG,
    request::GET_NAMESRV_CONFIG,
    request::SEND_BATCH_MESSAGE,
    request::QUERY_DATA_VERSION,
    request::ADD_WRITE_PERM_OF_BROKER,
    request::GET_TOPIC_CONFIG,
    request::GET_SUBSCRIPTIONGROUP_CONFIG,
];

/// Requests (false) and responses (true) that Java 4.9.7 never sends, with the reason.
const NEVER_SENT: [(i32, bool, &str); 5] = [
    (request::NOTIFY_CONSUMER_IDS_CHANGED, true, "it goes one way"),
    (request::GET_TOPIC_CONFIG, false, "it came with 5.x"),
    (request::GET_TOPIC_CONFIG, true, "it came with 5.x"),
    (request::GET_SUBSCRIPTIONGROUP_CONFIG, false, "it came with 5.x"),
    (request::GET_SUBSCRIPTIONGROUP_CONFIG, true, "it came with 5.x"),
];

#[test]
fn nothing_served_is_without_captured_bytes() {
    let have: BTreeSet<_> = golden::frames().iter().map(|frame| (frame.code, frame.response, frame.json())).collect();
    let mut missing = Vec::new();
    for code in SERVED {
        for response in [false, true] {
            let never = NEVER_SENT.iter().find(|(other, way, _)| (*other, *way) == (code, response));
            for form in [HeaderForm::Json, HeaderForm::Rocketmq] {
                let is_there = have.contains(&(code, response, form == HeaderForm::Json));
                match never {
                    Some((.., reason)) => assert!(!is_there, "{code} has a file although {reason}"),
                    None if !is_there => missing.push((code, request::name(code), response, form)),
                    None => {}
                }
            }
        }
    }
    assert!(missing.is_empty(), "no file in golden for {missing:#?}");
}
