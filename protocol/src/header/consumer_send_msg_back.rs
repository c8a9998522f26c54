//! CONSUMER_SEND_MSG_BACK (36), consumer to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// A message that could not be consumed goes to the retry topic.
    ConsumerSendMsgBackHeader<'a> {
        /// Bytes in the log of the broker that stored it.
        offset: i64 = "offset",
        group: Cow<'a, str> = "group",
        /// 0 lets the broker choose, negative sends it to the dead letter queue.
        delay_level: i32 = "delayLevel",
        origin_msg_id: Option<Cow<'a, str>> = "originMsgId",
        origin_topic: Option<Cow<'a, str>> = "originTopic",
        unit_mode: bool = "unitMode",
        /// Counts from client version 3.4.9 on.
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
    }
}
