//! PUT_KV_CONFIG (100): namespace, key, value. On the disk before it is answered.

use protocol::header::PutKvConfigHeader;

use super::answer::{Answer, Request};
use crate::namesrv::Namesrv;

pub(super) fn answer(namesrv: &mut Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let PutKvConfigHeader { namespace, key, value } = PutKvConfigHeader::decode(&request.command.fields)?;
    namesrv.kv.put(&namespace, &key, &value).map_err(|error| {
        tracing::error!(?namespace, ?key, peer = %request.peer, "key-value pair not stored: {error}");
        Answer::error(error.to_string())
    })?;
    tracing::info!(?namespace, ?key, ?value, peer = %request.peer, "key-value pair stored");
    Ok(Answer::success())
}
