//! UPDATE_AND_CREATE_TOPIC (17), tools to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// The whole configuration of a topic.
    UpdateAndCreateTopicHeader<'a> {
        topic: Cow<'a, str> = "topic",
        default_topic: Cow<'a, str> = "defaultTopic" or Cow::Borrowed(""),
        read_queue_nums: i32 = "readQueueNums",
        write_queue_nums: i32 = "writeQueueNums",
        /// 4 read, 2 write, 1 inherit.
        perm: i32 = "perm",
        /// SINGLE_TAG or MULTI_TAG.
        topic_filter_type: Cow<'a, str> = "topicFilterType" or Cow::Borrowed("SINGLE_TAG"),
        /// 1 unit, 2 has unit subscription.
        topic_sys_flag: i32 = "topicSysFlag" or 0,
        order: bool = "order",
    }
}
