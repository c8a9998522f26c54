//! ADD_WRITE_PERM_OF_BROKER (327): brokerName -> addTopicCount.

use protocol::header::AddWritePermHeader;

use super::answer::{Answer, Request};
use crate::namesrv::Namesrv;

pub(super) fn answer(namesrv: &mut Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let AddWritePermHeader { broker_name } = AddWritePermHeader::decode(&request.command.fields)?;
    let topics = namesrv.table.add_write_perm(&broker_name);
    tracing::info!(broker = &*broker_name, topics, peer = %request.peer, "write permission added");
    Ok(Answer::success().with("addTopicCount", topics))
}
