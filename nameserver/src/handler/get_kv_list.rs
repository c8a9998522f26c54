//! GET_KVLIST_BY_NAMESPACE (219): namespace -> KVTable; 22 when there is no such namespace.

use protocol::code::response;
use protocol::header::GetKvlistHeader;
use serde::Serialize;

use super::answer::{Answer, Request};
use crate::kv_config::Namespace;
use crate::namesrv::Namesrv;

/// KVTable: `{"table":{"key":"value"}}`.
#[derive(Serialize)]
pub(super) struct KvTable<'a> {
    pub table: &'a Namespace,
}

pub(super) fn answer(namesrv: &Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let GetKvlistHeader { namespace } = GetKvlistHeader::decode(&request.command.fields)?;
    match namesrv.kv.namespace(&namespace) {
        Some(table) => Ok(Answer::json(&KvTable { table })),
        None => Err(Answer::refused(response::QUERY_NOT_FOUND, format!("No config item, Namespace: {namespace}"))),
    }
}
