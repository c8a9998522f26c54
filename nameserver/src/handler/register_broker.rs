//! REGISTER_BROKER (103): brokerName, brokerAddr, clusterName, haServerAddr, brokerId, compressed, bodyCrc32?; body see
//! [`crate::register_body`] -> a slave gets masterAddr and haServerAddr; body = the ordered topics, if there are any.

use protocol::header::RegisterBrokerHeader;
use protocol::message::crc32;

use super::answer::{Answer, Request};
use super::get_kv_list::KvTable;
use crate::kv_config::ORDER_TOPIC_CONFIG;
use crate::namesrv::Namesrv;
use crate::register_body::{self, INFLATED_MAX};
use crate::route_table::{Registered, Registration};

pub(super) fn answer(namesrv: &mut Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let header = RegisterBrokerHeader::decode(&request.command.fields)?;
    let refused = |cause: String| {
        tracing::warn!(broker = &*header.broker_name, id = header.broker_id, address = &*header.broker_addr, peer = %request.peer,
            "registration refused: {cause}");
        Answer::error(cause)
    };

    check_crc(header.body_crc32, request.command.body).map_err(refused)?;
    let body = register_body::parse(request.command.body, header.compressed, INFLATED_MAX)
        .map_err(|error| refused(error.to_string()))?;
    if body.malformed > 0 {
        tracing::warn!(
            broker = &*header.broker_name,
            topics = body.malformed,
            "topic lines of another shape were skipped"
        );
    }

    let registration = Registration {
        cluster: &header.cluster_name,
        broker_name: &header.broker_name,
        broker_address: &header.broker_addr,
        broker_id: header.broker_id,
        ha_server_address: &header.ha_server_addr,
        connection: request.connection,
        version: body.version,
        topics: &body.topics,
        filter_servers: body.filter_servers.as_deref(),
    };
    let registered =
        namesrv.table.register(&registration, request.now_ms).map_err(|error| refused(error.to_string()))?;
    log(&registration, &registered, request);
    if let Some(left_out) = &registered.left_out {
        return Err(refused(left_out.to_string()));
    }

    let mut answer = match namesrv.kv.namespace(ORDER_TOPIC_CONFIG) {
        Some(table) => Answer::json(&KvTable { table }),
        None => Answer::success(),
    };
    if let Some(ha_server_address) = registered.ha_server_address {
        answer = answer.with("haServerAddr", ha_server_address);
    }
    if let Some(master_address) = registered.master_address {
        answer = answer.with("masterAddr", master_address);
    }
    Ok(answer)
}

/// 0 or no field: the broker did not compute it.
fn check_crc(expected: i32, body: &[u8]) -> Result<(), String> {
    let found = crc32(body);
    if expected == 0 || u32::try_from(expected) == Ok(found) {
        return Ok(());
    }
    Err(format!("crc32 not match: the header says {expected}, the body of {} bytes has {found}", body.len()))
}

fn log(registration: &Registration<'_>, registered: &Registered, request: &Request<'_>) {
    let (name, id, address) = (registration.broker_name, registration.broker_id, registration.broker_address);
    if registered.is_new {
        let (cluster, topics) = (registration.cluster, registered.topics_written);
        tracing::info!(broker = name, id, address, cluster, topics, peer = %request.peer, "broker registered");
        if let Some(other) = &registered.other_cluster {
            tracing::warn!(
                broker = name,
                cluster,
                "this broker name is already part of cluster {other}; give each \
                cluster its own broker names"
            );
        }
    }
    if let Some(displaced) = &registered.displaced {
        tracing::warn!(
            broker = name,
            id,
            "{address} took the place of {displaced}, which is still alive: two brokers \
            have the same brokerName and brokerId; change one of them"
        );
    }
    if let Some((count, first)) = &registered.misnamed {
        tracing::warn!(broker = name, count, first = first.as_str(), "topics with unusable names were not taken");
    }
}
