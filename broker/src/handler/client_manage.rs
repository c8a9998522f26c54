//! HEART_BEAT 34, UNREGISTER_CLIENT 35, GET_CONSUMER_LIST_BY_GROUP 38, CHECK_CLIENT_CONFIG 46, and
//! the broker's own NOTIFY_CONSUMER_IDS_CHANGED 40. Run on the home shard.

use std::sync::atomic::{AtomicI32, Ordering};

use protocol::body::{Body, ConsumerListByGroup, HeartbeatData};
use protocol::code::{request, response};
use protocol::command::{Head, write_command};
use protocol::header::{GetConsumerListByGroupHeader, UnregisterClientHeader};

use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;
use crate::home::Home;

/// Consumer and producer groups one client may name.
const GROUPS_MAX: usize = 4096;

/// A client says who it is and what it subscribes.
pub fn heartbeat(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let data = HeartbeatData::from_json(call.command.body)
        .map_err(|error| Refusal::new(response::SYSTEM_ERROR, format!("the heartbeat's body is damaged: {error}")))?;
    if data.client_id.is_empty() {
        return Err(Refusal::new(response::SYSTEM_ERROR, "the heartbeat names no clientID"));
    }
    if data.consumer_data_set.len() + data.producer_data_set.len() > GROUPS_MAX {
        return Err(Refusal::new(response::SYSTEM_ERROR, format!("more than {GROUPS_MAX} groups in one heartbeat")));
    }
    for consumer in &data.consumer_data_set {
        protocol::topic::check_group_name(&consumer.group_name)
            .map_err(|error| Refusal::new(response::SYSTEM_ERROR, format!("the consumer group is refused: {error}")))?;
    }
    let language = call.command.language.0;
    let changes = home.clients.heartbeat(core.now_ms, call.to.conn, language, call.command.version, &data);
    home.groups_changed(core, changes);
    // Answered at once, as in Java: clients that share a connection race their own start against this answer. A group
    // or retry topic that is not on disk yet is made again by the next heartbeat.
    make_groups(core.now_ms, home, &data);
    core.reply(&call.to, response::SUCCESS, None, |_| {});
    Ok(Next::Done)
}

/// Makes the groups and retry topics of a heartbeat's consumers.
fn make_groups(now_ms: i64, home: &mut Home, data: &HeartbeatData) {
    for consumer in &data.consumer_data_set {
        let name = &consumer.group_name;
        // A group that may not be made is registered all the same; its pulls are refused (Java 4.9.7).
        if home.group(now_ms, name).is_some() {
            home.retry_topic(now_ms, name, consumer.unit_mode);
        }
    }
}

/// A client leaves a group.
pub fn unregister(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let header = UnregisterClientHeader::decode(&call.command.fields)?;
    let changes =
        home.clients.unregister(call.to.conn, header.producer_group.as_deref(), header.consumer_group.as_deref());
    home.groups_changed(core, changes);
    core.reply(&call.to, response::SUCCESS, None, |_| {});
    Ok(Next::Done)
}

/// Who consumes in a group.
pub fn consumer_list(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let header = GetConsumerListByGroupHeader::decode(&call.command.fields)?;
    let Some(group) = home.clients.consumer_group(&header.consumer_group) else {
        return Err(Refusal::new(
            response::SYSTEM_ERROR,
            format!("no consumer for this group, {}", header.consumer_group),
        ));
    };
    let consumer_id_list = group.members.values().map(|member| member.client_id.clone()).collect();
    let body = ConsumerListByGroup { consumer_id_list }.to_json();
    core.reply_body(&call.to, response::SUCCESS, None, |_| {}, &body);
    Ok(Next::Done)
}

/// A client asks whether its subscription can be served. Tags always can; SQL92 is refused by the
/// pull itself until filters join this broker.
pub fn check_config(core: &mut Core, call: &Call<'_>) -> Handled {
    let body = protocol::json::lenient::parse(call.command.body)
        .map_err(|error| Refusal::new(response::SYSTEM_ERROR, format!("the request's body is damaged: {error}")))?;
    let expression_type = body["subscriptionData"]["expressionType"].as_str().unwrap_or("TAG");
    if !matches!(expression_type, "" | "TAG") {
        return Err(Refusal::new(
            response::SYSTEM_ERROR,
            format!("The broker does not support consumer to filter message by {expression_type}"),
        ));
    }
    core.reply(&call.to, response::SUCCESS, None, |_| {});
    Ok(Next::Done)
}

/// The frame that tells a member to rebalance.
pub fn consumer_ids_changed(group: &str) -> Vec<u8> {
    // Opaque ids of the broker's own requests; clients keep them apart from their own.
    static OPAQUE: AtomicI32 = AtomicI32::new(1);
    let head = Head::oneway(request::NOTIFY_CONSUMER_IDS_CHANGED, OPAQUE.fetch_add(1, Ordering::Relaxed));
    let mut bytes = Vec::with_capacity(192);
    write_command(&mut bytes, &head, |fields| fields.str("consumerGroup", group), 0);
    bytes
}
