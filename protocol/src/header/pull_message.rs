//! PULL_MESSAGE (11), consumer to broker.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// A pull. Requests of old and third-party clients lack what they do not use.
    PullMessageHeader<'a> {
        consumer_group: Cow<'a, str> = "consumerGroup",
        topic: Cow<'a, str> = "topic",
        queue_id: i32 = "queueId",
        /// Place in the queue to read from.
        queue_offset: i64 = "queueOffset",
        /// Greatest number of messages wanted.
        max_msg_nums: i32 = "maxMsgNums" or 32,
        /// See the `PULL_` constants of [`crate::header`].
        sys_flag: i32 = "sysFlag" or 0,
        /// Offset to commit when the flag says so.
        commit_offset: i64 = "commitOffset" or 0,
        /// How long the request may be held, ms.
        suspend_timeout_millis: i64 = "suspendTimeoutMillis" or 0,
        /// Expression; counts only when the flag says so.
        subscription: Option<Cow<'a, str>> = "subscription",
        /// Version of the subscription the client pulls with.
        sub_version: i64 = "subVersion" or 0,
        /// TAG or SQL92; none means TAG.
        expression_type: Option<Cow<'a, str>> = "expressionType",
    }
}

header! {
    /// Carried by every answer that says what was found, whatever its code. Java's refusals (SUBSCRIPTION_NOT_LATEST and
    /// the like) come without fields.
    PullMessageResponse {
        suggest_which_broker_id: i64 = "suggestWhichBrokerId" or 0,
        next_begin_offset: i64 = "nextBeginOffset",
        min_offset: i64 = "minOffset" or 0,
        max_offset: i64 = "maxOffset" or 0,
    }
}
