//! GET_KV_CONFIG (101): namespace, key -> value; 22 when there is none.

use protocol::code::response;
use protocol::header::GetKvConfigHeader;

use super::answer::{Answer, Request};
use crate::namesrv::Namesrv;

pub(super) fn answer(namesrv: &Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let GetKvConfigHeader { namespace, key } = GetKvConfigHeader::decode(&request.command.fields)?;
    match namesrv.kv.get(&namespace, &key) {
        Some(value) => Ok(Answer::success().with("value", value)),
        None => Err(Answer::refused(
            response::QUERY_NOT_FOUND,
            format!("No config item, Namespace: {namespace} Key: {key}"),
        )),
    }
}
