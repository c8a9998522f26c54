//! UNREGISTER_BROKER (104): brokerName, brokerAddr, clusterName, brokerId. An unknown broker is no error.

use protocol::header::UnregisterBrokerHeader;

use super::answer::{Answer, Request};
use crate::namesrv::Namesrv;

pub(super) fn answer(namesrv: &mut Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let UnregisterBrokerHeader { broker_name, broker_addr, broker_id, .. } =
        UnregisterBrokerHeader::decode(&request.command.fields)?;
    if let Some(gone) = namesrv.table.unregister(&broker_name, &broker_addr, broker_id, request.now_ms) {
        tracing::info!(
            broker = &*broker_name,
            id = broker_id,
            address = &*broker_addr,
            topics_lost = gone.topics_lost,
            "broker unregistered"
        );
    }
    Ok(Answer::success())
}
