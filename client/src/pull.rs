//! PULL_MESSAGE (11).
//!
//! Owns the pull header, its flag bits and the reading of the answer. Must not keep offsets: the caller does. One
//! thread.

use std::time::Duration;

use protocol::code::{request, response};

use crate::broker::Broker;
use crate::connection::{number, refused};
use crate::error::Error;
use crate::message::Message;

const COMMIT_OFFSET: i32 = 1;
const SUSPEND: i32 = 2;
const SUBSCRIPTION: i32 = 4;

/// Waits this much longer than the broker was asked to hold: it looks at expired holds every 5 s only.
const HOLD_GRACE: Duration = Duration::from_secs(10);

/// What to pull.
#[derive(Clone, Debug)]
pub struct Pull<'a> {
    pub group: &'a str,
    pub topic: &'a str,
    pub queue_id: i32,
    pub queue_offset: i64,
    pub max_messages: i32,
    /// How long the broker may hold the request when there is nothing new; `None`: it answers at once.
    pub suspend: Option<Duration>,
    /// Committed along with the pull.
    pub commit_offset: Option<i64>,
    /// The expression sent along; `None`: the one of the group's heartbeat.
    pub subscription: Option<&'a str>,
    /// `TAG` or `SQL92`.
    pub expression_type: &'a str,
    pub sub_version: i64,
}

impl<'a> Pull<'a> {
    /// Everything of a queue from here, 32 messages, without waiting.
    pub fn from(group: &'a str, topic: &'a str, queue_id: i32, queue_offset: i64) -> Self {
        Pull {
            group,
            topic,
            queue_id,
            queue_offset,
            max_messages: 32,
            suspend: None,
            commit_offset: None,
            subscription: Some("*"),
            expression_type: "TAG",
            sub_version: 0,
        }
    }
}

/// What the broker said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullOutcome {
    /// Code 0.
    Found,
    /// Code 19: nothing new.
    NotFound,
    /// Code 20: scanned, nothing matched.
    RetryImmediately,
    /// Code 21: the offset is outside the queue; go on at `next_begin_offset`.
    OffsetMoved,
}

/// The answer to a pull.
#[derive(Clone, Debug)]
pub struct Pulled {
    pub outcome: PullOutcome,
    pub next_begin_offset: i64,
    pub min_offset: i64,
    pub max_offset: i64,
    pub suggest_which_broker_id: i64,
    pub messages: Vec<Message>,
}

impl Broker {
    /// Pulls. Codes 0, 19, 20 and 21 are outcomes, all others errors.
    pub fn pull(&mut self, pull: &Pull<'_>) -> Result<Pulled, Error> {
        let code = request::PULL_MESSAGE;
        let mut sys_flag = 0;
        sys_flag |= if pull.commit_offset.is_some() { COMMIT_OFFSET } else { 0 };
        sys_flag |= if pull.suspend.is_some() { SUSPEND } else { 0 };
        sys_flag |= if pull.subscription.is_some() { SUBSCRIPTION } else { 0 };
        let suspend = pull.suspend.unwrap_or_default();
        let timeout = self.connection.timeout().max(if suspend.is_zero() { suspend } else { suspend + HOLD_GRACE });
        let answer = self.connection.ask(
            code,
            |fields| {
                fields.str("consumerGroup", pull.group);
                fields.str("topic", pull.topic);
                fields.i32("queueId", pull.queue_id);
                fields.i64("queueOffset", pull.queue_offset);
                fields.i32("maxMsgNums", pull.max_messages);
                fields.i32("sysFlag", sys_flag);
                fields.i64("commitOffset", pull.commit_offset.unwrap_or(0));
                fields.i64("suspendTimeoutMillis", i64::try_from(suspend.as_millis()).unwrap_or(i64::MAX));
                if let Some(subscription) = pull.subscription {
                    fields.str("subscription", subscription);
                }
                fields.i64("subVersion", pull.sub_version);
                fields.str("expressionType", pull.expression_type);
            },
            &[],
            timeout,
        )?;
        let outcome = match answer.command().code {
            response::SUCCESS => PullOutcome::Found,
            response::PULL_NOT_FOUND => PullOutcome::NotFound,
            response::PULL_RETRY_IMMEDIATELY => PullOutcome::RetryImmediately,
            response::PULL_OFFSET_MOVED => PullOutcome::OffsetMoved,
            _ => return Err(refused(code, &answer)),
        };
        let messages = if outcome == PullOutcome::Found {
            Message::read_all(answer.command().body).map_err(|error| Error::malformed(code, error.to_string()))?
        } else {
            Vec::new()
        };
        Ok(Pulled {
            outcome,
            next_begin_offset: number(code, &answer, "nextBeginOffset")?,
            min_offset: number(code, &answer, "minOffset")?,
            max_offset: number(code, &answer, "maxOffset")?,
            suggest_which_broker_id: number(code, &answer, "suggestWhichBrokerId")?,
            messages,
        })
    }
}
