//! DELETE_KV_CONFIG (102): namespace, key. On the disk before it is answered; deleting what is not there succeeds.

use protocol::header::DeleteKvConfigHeader;

use super::answer::{Answer, Request};
use crate::namesrv::Namesrv;

pub(super) fn answer(namesrv: &mut Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let DeleteKvConfigHeader { namespace, key } = DeleteKvConfigHeader::decode(&request.command.fields)?;
    namesrv.kv.delete(&namespace, &key).map_err(|error| {
        tracing::error!(?namespace, ?key, peer = %request.peer, "key-value pair not deleted: {error}");
        Answer::error(error.to_string())
    })?;
    tracing::info!(?namespace, ?key, peer = %request.peer, "key-value pair deleted");
    Ok(Answer::success())
}
