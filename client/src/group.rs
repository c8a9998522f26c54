//! Membership of a group: HEART_BEAT (34), UNREGISTER_CLIENT (35), GET_CONSUMER_LIST_BY_GROUP (38), LOCK_BATCH_MQ (41)
//! and UNLOCK_BATCH_MQ (42).
//!
//! Owns these requests and their bodies. Must not allot queues to members. One thread.

use protocol::code::{request, response};
use protocol::json::lenient;

use crate::broker::Broker;
use crate::connection::refused;
use crate::error::Error;
use crate::json_text::{list, missing, quoted};
use crate::send::now_ms;

/// What a consumer wants of a topic.
#[derive(Clone, Debug)]
pub struct Subscription<'a> {
    pub topic: &'a str,
    /// `*`, or tags joined by `||`.
    pub expression: &'a str,
}

/// A client as its group sees it.
#[derive(Clone, Debug)]
pub struct GroupMember<'a> {
    pub client_id: &'a str,
    pub group: &'a str,
    pub is_broadcasting: bool,
    pub subscriptions: &'a [Subscription<'a>],
}

/// One queue of a broker, as locks name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedQueue {
    pub topic: String,
    pub broker_name: String,
    pub queue_id: i32,
}

impl Broker {
    /// Says that a producer of this group lives on this connection.
    pub fn heartbeat_producer(&mut self, client_id: &str, group: &str) -> Result<(), Error> {
        let body = format!(
            r#"{{"clientID":{},"consumerDataSet":[],"producerDataSet":[{{"groupName":{}}}]}}"#,
            quoted(client_id),
            quoted(group)
        );
        self.connection.call(request::HEART_BEAT, |_| {}, body.as_bytes()).map(drop)
    }

    /// Says that a push consumer of this group lives on this connection, and what it subscribes to.
    pub fn heartbeat_consumer(&mut self, member: &GroupMember<'_>) -> Result<(), Error> {
        let version = now_ms();
        let subscriptions =
            list(member.subscriptions.iter().map(|subscription| subscription_json(subscription, version)));
        let body = format!(
            r#"{{"clientID":{},"consumerDataSet":[{{"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":{},"messageModel":"{}","subscriptionDataSet":{},"unitMode":false}}],"producerDataSet":[]}}"#,
            quoted(member.client_id),
            quoted(member.group),
            if member.is_broadcasting { "BROADCASTING" } else { "CLUSTERING" },
            subscriptions,
        );
        self.connection.call(request::HEART_BEAT, |_| {}, body.as_bytes()).map(drop)
    }

    /// Leaves; an empty group name is left out.
    pub fn unregister(&mut self, client_id: &str, producer_group: &str, consumer_group: &str) -> Result<(), Error> {
        self.connection
            .call(
                request::UNREGISTER_CLIENT,
                |fields| {
                    fields.str("clientID", client_id);
                    if !producer_group.is_empty() {
                        fields.str("producerGroup", producer_group);
                    }
                    if !consumer_group.is_empty() {
                        fields.str("consumerGroup", consumer_group);
                    }
                },
                &[],
            )
            .map(drop)
    }

    /// The client ids of a group, sorted; none when nobody is there (code 1).
    pub fn consumer_list(&mut self, group: &str) -> Result<Vec<String>, Error> {
        let code = request::GET_CONSUMER_LIST_BY_GROUP;
        let timeout = self.connection.timeout();
        let answer = self.connection.ask(code, |fields| fields.str("consumerGroup", group), &[], timeout)?;
        let command = answer.command();
        match command.code {
            response::SUCCESS => {}
            response::SYSTEM_ERROR => return Ok(Vec::new()),
            _ => return Err(refused(code, &answer)),
        }
        let body = lenient::parse(command.body).map_err(|error| Error::malformed(code, error.to_string()))?;
        let ids = body.get("consumerIdList").and_then(|ids| ids.as_array());
        let ids = ids.ok_or_else(|| missing(code, "consumerIdList"))?;
        let mut ids: Vec<String> = ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
        ids.sort();
        Ok(ids)
    }

    /// Locks queues for one member of a group; answers those it holds now.
    pub fn lock(&mut self, group: &str, client_id: &str, queues: &[LockedQueue]) -> Result<Vec<LockedQueue>, Error> {
        let code = request::LOCK_BATCH_MQ;
        let answer = self.connection.call(code, |_| {}, lock_body(group, client_id, queues).as_bytes())?;
        let body = lenient::parse(answer.command().body).map_err(|error| Error::malformed(code, error.to_string()))?;
        let held = body.get("lockOKMQSet").and_then(|held| held.as_array());
        let held = held.ok_or_else(|| missing(code, "lockOKMQSet"))?;
        held.iter()
            .map(|queue| {
                let text = |member: &str| queue.get(member).and_then(|value| value.as_str()).map(str::to_owned);
                Some(LockedQueue {
                    topic: text("topic")?,
                    broker_name: text("brokerName")?,
                    queue_id: i32::try_from(queue.get("queueId")?.as_i64()?).ok()?,
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| missing(code, "whole queue in lockOKMQSet"))
    }

    /// Gives locks back.
    pub fn unlock(&mut self, group: &str, client_id: &str, queues: &[LockedQueue]) -> Result<(), Error> {
        self.connection.call(request::UNLOCK_BATCH_MQ, |_| {}, lock_body(group, client_id, queues).as_bytes()).map(drop)
    }
}

fn subscription_json(subscription: &Subscription<'_>, version: i64) -> String {
    let tags: Vec<&str> = match subscription.expression {
        "*" => Vec::new(),
        expression => expression.split("||").map(str::trim).filter(|tag| !tag.is_empty()).collect(),
    };
    format!(
        r#"{{"classFilterMode":false,"codeSet":{},"expressionType":"TAG","subString":{},"subVersion":{version},"tagsSet":{},"topic":{}}}"#,
        list(tags.iter().map(|tag| protocol::message::java_hash(tag).to_string())),
        quoted(subscription.expression),
        list(tags.iter().map(|tag| quoted(tag))),
        quoted(subscription.topic),
    )
}

fn lock_body(group: &str, client_id: &str, queues: &[LockedQueue]) -> String {
    let queues = list(queues.iter().map(|queue| {
        format!(
            r#"{{"brokerName":{},"queueId":{},"topic":{}}}"#,
            quoted(&queue.broker_name),
            queue.queue_id,
            quoted(&queue.topic)
        )
    }));
    format!(r#"{{"clientId":{},"consumerGroup":{},"mqSet":{queues}}}"#, quoted(client_id), quoted(group))
}
