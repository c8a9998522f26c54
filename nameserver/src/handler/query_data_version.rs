//! QUERY_DATA_VERSION (322): brokerName, brokerAddr, clusterName, brokerId; body DataVersion -> changed; body = the
//! DataVersion known here. Brokers with forceRegister=false ask before they register; "unchanged" counts as a refresh.

use protocol::header::QueryDataVersionHeader;
use serde::Serialize;

use super::answer::{Answer, Request};
use crate::namesrv::Namesrv;
use crate::register_body;

#[derive(Serialize)]
struct DataVersionBody {
    counter: i64,
    timestamp: i64,
}

pub(super) fn answer(namesrv: &mut Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let QueryDataVersionHeader { broker_addr, .. } = QueryDataVersionHeader::decode(&request.command.fields)?;
    let version =
        register_body::parse_version(request.command.body).map_err(|error| Answer::error(error.to_string()))?;
    let is_changed = namesrv.table.is_changed(&broker_addr, version, request.now_ms);
    let answer = match namesrv.table.data_version(&broker_addr) {
        Some(known) => Answer::json(&DataVersionBody { counter: known.counter, timestamp: known.timestamp }),
        None => Answer::success(),
    };
    Ok(answer.with("changed", is_changed))
}
