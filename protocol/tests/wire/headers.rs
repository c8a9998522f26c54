//! The typed headers: read from what was captured, written in the order of Java's map, and compared byte for byte.
//!
//! Java puts the fields of a header class into a HashMap in the order of a set of reflected fields; classes made for
//! speed are written in declared order instead, in the binary form only. Fields added by hand go into the map first.

use std::collections::BTreeSet;

use protocol::body::{Body, DataVersion};
use protocol::code::request as code;
use protocol::header::{self, HeaderError};
use protocol::java_map::{iteration_order, order_by_hash};
use protocol::message::{crc32, java_hash, properties};
use protocol::{Command, FieldWriter, Fields};

use crate::frames::{again, assert_same, decode, has_fields_member};
use crate::golden::{self, Frame};

const REQUEST: bool = false;
const RESPONSE: bool = true;

/// The typed header of a command.
struct Typed {
    code: i32,
    response: bool,
    /// Java's class, below [`PACKAGE`].
    class: &'static str,
    /// Whether the class is one of those made for speed.
    fast: bool,
    /// Fields the class declares and the samples lack, where they make the set of reflected fields grow.
    absent: &'static [&'static str],
    /// Reads the header and writes the command again with it.
    again: fn(&Command<'_>) -> Result<Vec<u8>, HeaderError>,
}

const PACKAGE: &str = "org.apache.rocketmq.common.protocol.header.";
/// Declares `bname`, the superclass of requests to a broker.
const BASE_CLASS: &str = "org.apache.rocketmq.common.rpc.RpcRequestHeader";

/// Fields added by hand, not by a header class. Which of them a typed header knows is its own business.
const ADDED_BY_HAND: [&str; 4] = ["ReqT", "MSG_REGION", "TRACE_ON", "_UNIQUE_KEY_QUERY"];

/// Fields that are sent and no header keeps.
const IGNORED: [(&str, &str); 3] = [
    ("bname", "the broker's name; a proxy would route by it"),
    ("n", "the same in SEND_MESSAGE_V2"),
    ("ReqT", "marks the requests of pull clients"),
];

/// Fields that a header writes although the sample lacks them: code, name, value.
const WRITTEN_UNASKED: [(i32, &str, &str); 2] =
    [(code::GET_ROUTEINFO_BY_TOPIC, "acceptStandardJsonOnly", "false"), (code::DELETE_TOPIC_IN_NAMESRV, "topic", "")];

/// Requests not served: their fields have no typed header.
const UNTYPED: [i32; 13] = [
    code::CHECK_TRANSACTION_STATE,
    code::RESET_CONSUMER_CLIENT_OFFSET,
    code::GET_CONSUMER_STATUS_FROM_CLIENT,
    code::INVOKE_BROKER_TO_RESET_OFFSET,
    code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS,
    code::QUERY_CONSUME_TIME_SPAN,
    code::GET_CONSUMER_RUNNING_INFO,
    code::QUERY_CORRECTION_OFFSET,
    code::CONSUME_MESSAGE_DIRECTLY,
    code::CLONE_GROUP_OFFSET,
    code::VIEW_BROKER_STATS_DATA,
    code::GET_BROKER_CONSUME_STATS,
    code::QUERY_CONSUME_QUEUE,
];

macro_rules! typed {
    ($code:ident, $way:ident, $class:literal, $header:ident) => {
        typed!($code, $way, $class, |fields| header::$header::decode(fields), |header, out| header.encode(out))
    };
    ($code:ident, $way:ident, $class:literal, $decode:expr, $encode:expr) => {
        Typed {
            code: code::$code,
            response: $way,
            class: $class,
            fast: false,
            absent: &[],
            again: |command| again_with(command, $decode, $encode),
        }
    };
}

fn again_with<'a, T>(
    command: &Command<'a>,
    decode: impl Fn(&Fields<'a>) -> Result<T, HeaderError>,
    encode: impl Fn(&T, &mut FieldWriter<'_>),
) -> Result<Vec<u8>, HeaderError> {
    let header = decode(&command.fields)?;
    Ok(again(command, |out| encode(&header, out)))
}

fn sent(name: i32) -> Typed {
    let typed = typed!(SEND_MESSAGE, RESPONSE, "SendMessageResponseHeader", SendMessageResponse);
    Typed { code: name, fast: true, ..typed }
}

fn send_v2(name: i32) -> Typed {
    let typed = typed!(
        SEND_MESSAGE_V2,
        REQUEST,
        "SendMessageRequestHeaderV2",
        header::SendMessageHeader::decode_v2,
        |header, out| header.encode_v2(out)
    );
    Typed { code: name, fast: true, absent: &["l"], ..typed }
}

fn all() -> Vec<Typed> {
    vec![
        Typed {
            absent: &["maxReconsumeTimes"],
            ..typed!(
                SEND_MESSAGE,
                REQUEST,
                "SendMessageRequestHeader",
                header::SendMessageHeader::decode_v1,
                |header, out| header.encode_v1(out)
            )
        },
        send_v2(code::SEND_MESSAGE_V2),
        send_v2(code::SEND_BATCH_MESSAGE),
        sent(code::SEND_MESSAGE),
        sent(code::SEND_MESSAGE_V2),
        sent(code::SEND_BATCH_MESSAGE),
        Typed { fast: true, ..typed!(PULL_MESSAGE, REQUEST, "PullMessageRequestHeader", PullMessageHeader) },
        Typed { fast: true, ..typed!(PULL_MESSAGE, RESPONSE, "PullMessageResponseHeader", PullMessageResponse) },
        typed!(QUERY_MESSAGE, REQUEST, "QueryMessageRequestHeader", QueryMessageHeader),
        typed!(QUERY_MESSAGE, RESPONSE, "QueryMessageResponseHeader", QueryMessageResponse),
        typed!(QUERY_CONSUMER_OFFSET, REQUEST, "QueryConsumerOffsetRequestHeader", QueryConsumerOffsetHeader),
        typed!(QUERY_CONSUMER_OFFSET, RESPONSE, "QueryConsumerOffsetResponseHeader", QueryConsumerOffsetResponse),
        typed!(UPDATE_CONSUMER_OFFSET, REQUEST, "UpdateConsumerOffsetRequestHeader", UpdateConsumerOffsetHeader),
        typed!(UPDATE_AND_CREATE_TOPIC, REQUEST, "CreateTopicRequestHeader", UpdateAndCreateTopicHeader),
        typed!(GET_BROKER_CONFIG, RESPONSE, "GetBrokerConfigResponseHeader", GetBrokerConfigResponse),
        typed!(SEARCH_OFFSET_BY_TIMESTAMP, REQUEST, "SearchOffsetRequestHeader", SearchOffsetByTimestampHeader),
        typed!(SEARCH_OFFSET_BY_TIMESTAMP, RESPONSE, "SearchOffsetResponseHeader", SearchOffsetByTimestampResponse),
        typed!(GET_MAX_OFFSET, REQUEST, "GetMaxOffsetRequestHeader", GetMaxOffsetHeader),
        typed!(GET_MAX_OFFSET, RESPONSE, "GetMaxOffsetResponseHeader", GetMaxOffsetResponse),
        typed!(GET_MIN_OFFSET, REQUEST, "GetMinOffsetRequestHeader", GetMinOffsetHeader),
        typed!(GET_MIN_OFFSET, RESPONSE, "GetMinOffsetResponseHeader", GetMinOffsetResponse),
        typed!(
            GET_EARLIEST_MSG_STORETIME,
            REQUEST,
            "GetEarliestMsgStoretimeRequestHeader",
            GetEarliestMsgStoretimeHeader
        ),
        typed!(
            GET_EARLIEST_MSG_STORETIME,
            RESPONSE,
            "GetEarliestMsgStoretimeResponseHeader",
            GetEarliestMsgStoretimeResponse
        ),
        typed!(VIEW_MESSAGE_BY_ID, REQUEST, "ViewMessageRequestHeader", ViewMessageByIdHeader),
        typed!(UNREGISTER_CLIENT, REQUEST, "UnregisterClientRequestHeader", UnregisterClientHeader),
        typed!(CONSUMER_SEND_MSG_BACK, REQUEST, "ConsumerSendMsgBackRequestHeader", ConsumerSendMsgBackHeader),
        typed!(END_TRANSACTION, REQUEST, "EndTransactionRequestHeader", EndTransactionHeader),
        typed!(
            GET_CONSUMER_LIST_BY_GROUP,
            REQUEST,
            "GetConsumerListByGroupRequestHeader",
            GetConsumerListByGroupHeader
        ),
        typed!(
            NOTIFY_CONSUMER_IDS_CHANGED,
            REQUEST,
            "NotifyConsumerIdsChangedRequestHeader",
            NotifyConsumerIdsChangedHeader
        ),
        typed!(PUT_KV_CONFIG, REQUEST, "namesrv.PutKVConfigRequestHeader", PutKvConfigHeader),
        typed!(GET_KV_CONFIG, REQUEST, "namesrv.GetKVConfigRequestHeader", GetKvConfigHeader),
        typed!(GET_KV_CONFIG, RESPONSE, "namesrv.GetKVConfigResponseHeader", GetKvConfigResponse),
        typed!(DELETE_KV_CONFIG, REQUEST, "namesrv.DeleteKVConfigRequestHeader", DeleteKvConfigHeader),
        typed!(REGISTER_BROKER, REQUEST, "namesrv.RegisterBrokerRequestHeader", RegisterBrokerHeader),
        typed!(REGISTER_BROKER, RESPONSE, "namesrv.RegisterBrokerResponseHeader", RegisterBrokerResponse),
        typed!(UNREGISTER_BROKER, REQUEST, "namesrv.UnRegisterBrokerRequestHeader", UnregisterBrokerHeader),
        typed!(GET_ROUTEINFO_BY_TOPIC, REQUEST, "namesrv.GetRouteInfoRequestHeader", GetRouteInfoHeader),
        typed!(GET_TOPIC_STATS_INFO, REQUEST, "GetTopicStatsInfoRequestHeader", GetTopicStatsInfoHeader),
        typed!(
            GET_CONSUMER_CONNECTION_LIST,
            REQUEST,
            "GetConsumerConnectionListRequestHeader",
            GetConsumerConnectionListHeader
        ),
        typed!(
            GET_PRODUCER_CONNECTION_LIST,
            REQUEST,
            "GetProducerConnectionListRequestHeader",
            GetProducerConnectionListHeader
        ),
        typed!(WIPE_WRITE_PERM_OF_BROKER, REQUEST, "namesrv.WipeWritePermOfBrokerRequestHeader", WipeWritePermHeader),
        typed!(
            WIPE_WRITE_PERM_OF_BROKER,
            RESPONSE,
            "namesrv.WipeWritePermOfBrokerResponseHeader",
            WipeWritePermResponse
        ),
        typed!(
            DELETE_SUBSCRIPTIONGROUP,
            REQUEST,
            "DeleteSubscriptionGroupRequestHeader",
            DeleteSubscriptionGroupHeader
        ),
        typed!(GET_CONSUME_STATS, REQUEST, "GetConsumeStatsRequestHeader", GetConsumeStatsHeader),
        typed!(DELETE_TOPIC_IN_BROKER, REQUEST, "DeleteTopicRequestHeader", DeleteTopicHeader),
        typed!(
            DELETE_TOPIC_IN_NAMESRV,
            REQUEST,
            "namesrv.DeleteTopicFromNamesrvRequestHeader",
            DeleteTopicInNamesrvHeader
        ),
        typed!(GET_KVLIST_BY_NAMESPACE, REQUEST, "namesrv.GetKVListByNamespaceRequestHeader", GetKvlistHeader),
        typed!(GET_TOPICS_BY_CLUSTER, REQUEST, "GetTopicsByClusterRequestHeader", GetTopicsByClusterHeader),
        typed!(
            QUERY_TOPIC_CONSUME_BY_WHO,
            REQUEST,
            "QueryTopicConsumeByWhoRequestHeader",
            QueryTopicConsumeByWhoHeader
        ),
        typed!(QUERY_DATA_VERSION, REQUEST, "namesrv.QueryDataVersionRequestHeader", QueryDataVersionHeader),
        typed!(QUERY_DATA_VERSION, RESPONSE, "namesrv.QueryDataVersionResponseHeader", QueryDataVersionResponse),
        typed!(ADD_WRITE_PERM_OF_BROKER, REQUEST, "namesrv.AddWritePermOfBrokerRequestHeader", AddWritePermHeader),
        typed!(ADD_WRITE_PERM_OF_BROKER, RESPONSE, "namesrv.AddWritePermOfBrokerResponseHeader", AddWritePermResponse),
    ]
}

/// The order in which Java writes the fields of such a header. `names` come in the typed header's order.
fn java_order<'a>(typed: &Typed, json: bool, names: &[&'a str]) -> Vec<&'a str> {
    let (by_hand, of_class): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| ADDED_BY_HAND.contains(name));
    if typed.fast && !json {
        return [of_class, iteration_order(by_hand)].concat();
    }
    let class_of = |name: &str| match name {
        "bname" => java_hash(BASE_CLASS),
        _ => java_hash(&format!("{PACKAGE}{}", typed.class)),
    };
    let declared: Vec<&str> = of_class.iter().copied().chain(typed.absent.iter().copied()).collect();
    let put = order_by_hash(declared, |name| class_of(name) ^ java_hash(name));
    iteration_order(by_hand.into_iter().chain(put.into_iter().filter(|name| names.contains(name))))
}

/// What came up while comparing, for judging the lists above.
#[derive(Default)]
struct Seen {
    ignored: BTreeSet<&'static str>,
    written_unasked: BTreeSet<(i32, &'static str)>,
}

fn check(typed: &Typed, frame: &Frame, command: &Command<'_>, seen: &mut Seen) {
    let name = &*frame.name;
    let written = (typed.again)(command).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(has_fields_member(&written), frame.json(), "{name}: as with any header class");
    let written = Command::decode(&written).unwrap_or_else(|error| panic!("{name}: {error}"));

    // Nothing is added, nothing is lost, but for what the lists say.
    let mut fields: Vec<_> = written.fields.iter().collect();
    fields.retain(|(key, value)| {
        let unasked = WRITTEN_UNASKED.iter().find(|(code, name, _)| (*code, *name) == (frame.code, &**key));
        let Some((code, name, default)) = unasked.filter(|_| command.fields.get(key).is_none()) else { return true };
        assert_eq!(value, default, "{name}");
        seen.written_unasked.insert((*code, name));
        false
    });
    for (key, value) in command.fields.iter() {
        if fields.iter().any(|(other, _)| *other == key) {
            continue;
        }
        let ignored = IGNORED.iter().find(|(ignored, _)| *ignored == key);
        let (ignored, _) = ignored.unwrap_or_else(|| panic!("{name}: field {key}={value} is lost"));
        seen.ignored.insert(ignored);
        fields.push((key, value));
    }

    let names: Vec<&str> = fields.iter().map(|(key, _)| &**key).collect();
    let order = java_order(typed, frame.json(), &names);
    assert_eq!(order.len(), fields.len(), "{name}: {order:?}");
    let again = again(command, |out| {
        out.open();
        for name in order {
            let (_, value) = fields.iter().find(|(key, _)| *key == name).expect("one of them");
            out.str(name, value);
        }
    });
    assert_same(name, &again, &frame.bytes);
}

#[test]
fn typed_headers_are_written_byte_for_byte_as_java_writes_them() {
    let all = all();
    let mut seen = Seen::default();
    let mut checked = BTreeSet::new();
    let mut untyped = BTreeSet::new();
    for frame in golden::frames() {
        let command = decode(&frame);
        let mut of_frame = all.iter().filter(|typed| (typed.code, typed.response) == (frame.code, frame.response));
        let Some(typed) = of_frame.next() else {
            for (key, value) in command.fields.iter() {
                let known = IGNORED.iter().any(|(ignored, _)| *ignored == key) || UNTYPED.contains(&frame.code);
                assert!(known && !frame.response, "{}: nobody reads {key}={value}", frame.name);
                untyped.insert(frame.code);
            }
            continue;
        };
        assert!(of_frame.next().is_none(), "{}", frame.name);
        // Java refuses without the fields of the answer, as with SUBSCRIPTION_NOT_LATEST to a pull.
        if command.is_response() && command.code != 0 && command.fields.is_empty() {
            continue;
        }
        check(typed, &frame, &command, &mut seen);
        checked.insert((typed.code, typed.response, frame.json()));
    }
    for typed in &all {
        for json in [true, false] {
            let way = if typed.response { "response" } else { "request" };
            assert!(checked.contains(&(typed.code, typed.response, json)), "no sample of {} {way}", typed.code);
        }
    }
    // No list holds more than is needed.
    assert_eq!(seen.ignored, IGNORED.map(|(name, _)| name).into());
    assert_eq!(seen.written_unasked, WRITTEN_UNASKED.map(|(code, name, _)| (code, name)).into());
    assert!(UNTYPED.iter().all(|code| untyped.contains(code)), "{untyped:?}");
}

#[test]
fn values_inside_headers_are_read() {
    for frame in golden::frames() {
        let Frame { name, code, response, .. } = &frame;
        let command = decode(&frame);
        match (*code, *response) {
            (code::SEND_MESSAGE, REQUEST) => {
                let header = header::SendMessageHeader::decode_v1(&command.fields).expect("whole");
                assert_eq!(properties::get(&*header.properties, "colour"), Some("blau"), "{name}");
            }
            (code::SEND_MESSAGE_V2, REQUEST) => {
                let header = header::SendMessageHeader::decode_v2(&command.fields).expect("whole");
                assert_eq!((&*header.topic, header.batch), ("GoldenTopic", false), "{name}");
                assert_eq!(properties::get(&*header.properties, "TAGS"), Some("TagA"), "{name}");
            }
            (code::REGISTER_BROKER, REQUEST) => {
                let header = header::RegisterBrokerHeader::decode(&command.fields).expect("whole");
                assert_eq!(i64::from(header.body_crc32), i64::from(crc32(command.body)), "{name}");
                assert!(!header.compressed, "{name}: compressed samples are those of the other test");
            }
            (code::GET_BROKER_CONFIG, RESPONSE) => {
                let header = header::GetBrokerConfigResponse::decode(&command.fields).expect("whole");
                assert!(DataVersion::from_json(header.version.as_bytes()).expect("JSON").timestamp > 0, "{name}");
            }
            (code::GET_KV_CONFIG, RESPONSE) if command.code == 0 => {
                let header = header::GetKvConfigResponse::decode(&command.fields).expect("whole");
                assert_eq!(header.value.as_deref(), Some("value: 值"), "{name}");
            }
            _ => {}
        }
    }
}
