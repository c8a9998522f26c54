//! Typed headers: round trips, what may be missing, what must not.

use std::borrow::Cow;

use super::*;
use crate::field_writer::FieldWriter;
use crate::{Command, Head, HeaderForm, write_command};

/// Fields as `name=value` pairs separated by `;`, in a frame of each form.
fn frames(pairs: &str) -> [Vec<u8>; 2] {
    [HeaderForm::Json, HeaderForm::Rocketmq].map(|form| {
        let mut out = Vec::new();
        let fields = |out: &mut FieldWriter<'_>| {
            for pair in pairs.split(';').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').expect("a pair");
                out.str(name, value);
            }
        };
        write_command(&mut out, &Head { form, ..Head::request(0, 0) }, fields, 0);
        out
    })
}

/// What `encode` writes, as the same pairs.
fn written(encode: impl FnOnce(&mut FieldWriter<'_>)) -> String {
    let mut out = Vec::new();
    write_command(&mut out, &Head::request(0, 0), encode, 0);
    let command = Command::decode(&out).expect("readable");
    command.fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(";")
}

/// Reads `pairs` in both forms and writes them again; `want` when that is something else.
macro_rules! check {
    ($header:ty, $pairs:expr) => {
        check!($header, $pairs, $pairs)
    };
    ($header:ty, $pairs:expr, $want:expr) => {
        for frame in frames($pairs) {
            let command = Command::decode(&frame).expect("readable");
            let header = <$header>::decode(&command.fields).unwrap_or_else(|error| panic!("{}: {error}", $pairs));
            assert_eq!(written(|out| header.encode(out)), $want);
        }
    };
}

/// The message with which `pairs` are refused.
macro_rules! refused {
    ($pairs:expr, $decode:path, $want:expr $(,)?) => {
        let [json, _] = frames($pairs);
        let command = Command::decode(&json).expect("readable");
        assert_eq!($decode(&command.fields).expect_err("refused").to_string(), $want);
    };
}

const V1: &str = "producerGroup=P;topic=T;defaultTopic=TBW102;defaultTopicQueueNums=4;queueId=1;sysFlag=0;\
    bornTimestamp=1700000000000;flag=3;properties=TAGS\u{1}a;reconsumeTimes=2;unitMode=true;maxReconsumeTimes=16;batch=true";
const V2: &str = "a=P;b=T;c=TBW102;d=4;e=1;f=0;g=1700000000000;h=3;i=TAGS\u{1}a;j=2;k=true;l=16;m=true";

#[test]
fn both_spellings_of_a_send_are_the_same() {
    for (v1, v2) in frames(V1).iter().zip(&frames(V2)) {
        let (v1, v2) = (Command::decode(v1).expect("readable"), Command::decode(v2).expect("readable"));
        let header = SendMessageHeader::decode_v1(&v1.fields).expect("whole");
        assert_eq!(SendMessageHeader::decode_v2(&v2.fields).expect("whole"), header);
        let want = SendMessageHeader {
            producer_group: Cow::Borrowed("P"),
            topic: Cow::Borrowed("T"),
            default_topic: Cow::Borrowed("TBW102"),
            default_topic_queue_nums: 4,
            queue_id: 1,
            sys_flag: 0,
            born_timestamp: 1_700_000_000_000,
            flag: 3,
            properties: Cow::Borrowed("TAGS\u{1}a"),
            reconsume_times: Some(2),
            unit_mode: true,
            max_reconsume_times: Some(16),
            batch: true,
        };
        assert_eq!(header, want);
        assert_eq!(written(|out| header.encode_v1(out)), V1);
        assert_eq!(written(|out| header.encode_v2(out)), V2);
    }
}

#[test]
fn sends_with_little_in_them_are_taken() {
    let [json, binary] = frames("b=T;e=0;n=broker-a;zz=1;i=");
    for frame in [json, binary] {
        let command = Command::decode(&frame).expect("readable");
        let header = SendMessageHeader::decode_v2(&command.fields).expect("enough");
        assert_eq!((&*header.topic, header.queue_id, header.default_topic_queue_nums), ("T", 0, 4));
        assert_eq!((&*header.properties, header.reconsume_times, header.batch), ("", None, false));
    }
    refused!("a=P;e=1", SendMessageHeader::decode_v2, "missing field topic");
    refused!("b=T", SendMessageHeader::decode_v2, "missing field queueId");
    refused!("b=T;e=x", SendMessageHeader::decode_v2, "field queueId: \"x\" is not an integer");
    refused!(
        "topic=T;queueId=1;bornTimestamp=1e3",
        SendMessageHeader::decode_v1,
        "field bornTimestamp: \"1e3\" is not a long integer",
    );
}

#[test]
fn a_pull_of_any_client_is_taken() {
    let java = "consumerGroup=G;topic=T;queueId=3;queueOffset=15;maxMsgNums=32;sysFlag=7;commitOffset=15;suspendTimeoutMillis=15000;subscription=*;subVersion=1700000000000;expressionType=TAG";
    check!(PullMessageHeader, java);
    let sparse = "consumerGroup=G;topic=T;queueId=3;queueOffset=15";
    check!(
        PullMessageHeader,
        sparse,
        "consumerGroup=G;topic=T;queueId=3;queueOffset=15;maxMsgNums=32;sysFlag=0;commitOffset=0;suspendTimeoutMillis=0;subVersion=0"
    );
    check!(PullMessageHeader, &format!("maxMsgBytes=1;bname=b;{java};requestSource=0"), java);
    refused!("topic=T;queueId=3;queueOffset=1", PullMessageHeader::decode, "missing field consumerGroup");
    check!(PullMessageResponse, "suggestWhichBrokerId=0;nextBeginOffset=16;minOffset=0;maxOffset=16");
}

#[test]
fn every_other_header_goes_both_ways() {
    let queue = "topic=T;queueId=2";
    check!(SendMessageResponse<'_>, "msgId=7F;queueId=1;queueOffset=9;MSG_REGION=DefaultRegion;TRACE_ON=true");
    check!(QueryMessageHeader<'_>, "topic=T;key=k;maxNum=64;beginTimestamp=0;endTimestamp=9;_UNIQUE_KEY_QUERY=true");
    check!(QueryMessageResponse, "indexLastUpdateTimestamp=1;indexLastUpdatePhyoffset=2");
    check!(ViewMessageByIdHeader, "offset=4096");
    check!(QueryConsumerOffsetHeader<'_>, "consumerGroup=G;topic=T;queueId=0");
    check!(QueryConsumerOffsetResponse, "offset=-1");
    check!(UpdateConsumerOffsetHeader<'_>, "consumerGroup=G;topic=T;queueId=0;commitOffset=7");
    check!(SearchOffsetByTimestampHeader<'_>, "topic=T;queueId=2;timestamp=-1");
    check!(SearchOffsetByTimestampResponse, "offset=3");
    check!(GetMaxOffsetHeader<'_>, queue);
    check!(GetMaxOffsetResponse, "offset=3");
    check!(GetMinOffsetHeader<'_>, queue);
    check!(GetMinOffsetResponse, "offset=3");
    check!(GetEarliestMsgStoretimeHeader<'_>, queue);
    check!(GetEarliestMsgStoretimeResponse, "timestamp=3");
    check!(UnregisterClientHeader<'_>, "clientID=c@1;consumerGroup=G");
    check!(
        ConsumerSendMsgBackHeader<'_>,
        "offset=1;group=G;delayLevel=0;originMsgId=M;originTopic=T;unitMode=false;maxReconsumeTimes=16"
    );
    check!(GetConsumerListByGroupHeader<'_>, "consumerGroup=G");
    check!(NotifyConsumerIdsChangedHeader<'_>, "consumerGroup=G");
    check!(
        UpdateAndCreateTopicHeader<'_>,
        "topic=T;defaultTopic=TBW102;readQueueNums=8;writeQueueNums=8;perm=6;topicFilterType=SINGLE_TAG;topicSysFlag=0;order=false"
    );
    check!(DeleteTopicHeader<'_>, "topic=T");
    check!(DeleteSubscriptionGroupHeader<'_>, "groupName=G;removeOffset=true");
    check!(GetTopicConfigHeader<'_>, "topic=T");
    check!(GetSubscriptionGroupConfigHeader<'_>, "group=G");
    check!(
        EndTransactionHeader<'_>,
        "producerGroup=P;tranStateTableOffset=1;commitLogOffset=2;commitOrRollback=8;fromTransactionCheck=false;msgId=M"
    );
    check!(
        RegisterBrokerHeader<'_>,
        "brokerName=b;brokerAddr=1.1.1.1:10911;clusterName=C;haServerAddr=1.1.1.1:10912;brokerId=0;compressed=false;bodyCrc32=7"
    );
    check!(RegisterBrokerResponse<'_>, "");
    check!(RegisterBrokerResponse<'_>, "haServerAddr=a;masterAddr=b");
    check!(UnregisterBrokerHeader<'_>, "brokerName=b;brokerAddr=1.1.1.1:10911;clusterName=C;brokerId=1");
    check!(GetRouteInfoHeader<'_>, "topic=T", "topic=T;acceptStandardJsonOnly=false");
    check!(GetRouteInfoHeader<'_>, "topic=T;acceptStandardJsonOnly=TRUE", "topic=T;acceptStandardJsonOnly=true");
    check!(PutKvConfigHeader<'_>, "namespace=ORDER_TOPIC_CONFIG;key=T;value=b:4");
    check!(GetKvConfigHeader<'_>, "namespace=N;key=T");
    check!(GetKvConfigResponse<'_>, "value=V");
    check!(DeleteKvConfigHeader<'_>, "namespace=N;key=T");
    check!(GetKvlistHeader<'_>, "namespace=N");
    check!(WipeWritePermHeader<'_>, "brokerName=b");
    check!(WipeWritePermResponse, "wipeTopicCount=3");
    check!(AddWritePermHeader<'_>, "brokerName=b");
    check!(AddWritePermResponse, "addTopicCount=3");
    check!(DeleteTopicInNamesrvHeader<'_>, "topic=T");
    check!(GetTopicsByClusterHeader<'_>, "cluster=C");
    check!(QueryDataVersionHeader<'_>, "brokerName=b;brokerAddr=a;clusterName=C;brokerId=0");
    check!(QueryDataVersionResponse, "changed=true");
    check!(GetBrokerConfigResponse<'_>, "version={\"counter\":1,\"timestamp\":2}");
    check!(GetTopicStatsInfoHeader<'_>, "topic=T");
    check!(GetConsumeStatsHeader<'_>, "consumerGroup=G;topic=T");
    check!(GetConsumerConnectionListHeader<'_>, "consumerGroup=G");
    check!(GetProducerConnectionListHeader<'_>, "producerGroup=P");
    check!(QueryTopicConsumeByWhoHeader<'_>, "topic=T");
}

#[test]
fn an_empty_number_is_none() {
    let [json, _] = frames("offset=1;group=G;delayLevel=0;maxReconsumeTimes=");
    let command = Command::decode(&json).expect("readable");
    assert_eq!(ConsumerSendMsgBackHeader::decode(&command.fields).expect("enough").max_reconsume_times, None);
    refused!("topic=T;queueId=", GetMaxOffsetHeader::decode, "missing field queueId");
}
