//! WIPE_WRITE_PERM_OF_BROKER (205): brokerName -> wipeTopicCount. mqadmin sends it to every name server.

use protocol::header::WipeWritePermHeader;

use super::answer::{Answer, Request};
use crate::namesrv::Namesrv;

pub(super) fn answer(namesrv: &mut Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let WipeWritePermHeader { broker_name } = WipeWritePermHeader::decode(&request.command.fields)?;
    let topics = namesrv.table.wipe_write_perm(&broker_name);
    tracing::info!(broker = &*broker_name, topics, peer = %request.peer, "write permission wiped");
    Ok(Answer::success().with("wipeTopicCount", topics))
}
