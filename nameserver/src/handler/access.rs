//! Who may change what: with `adminRemoteEnable=false`, requests of operators that change something are taken from this
//! machine only. Registrations of brokers and everything that only reads are open, as in Java.

use protocol::code::{request, response};

use super::answer::{Answer, Request};
use crate::namesrv::Namesrv;

/// Requests that tools send and that change the state.
const CHANGES: [i32; 6] = [
    request::PUT_KV_CONFIG,
    request::DELETE_KV_CONFIG,
    request::WIPE_WRITE_PERM_OF_BROKER,
    request::ADD_WRITE_PERM_OF_BROKER,
    request::DELETE_TOPIC_IN_NAMESRV,
    request::UPDATE_NAMESRV_CONFIG,
];

pub(super) fn check(namesrv: &Namesrv, request: &Request<'_>) -> Result<(), Answer> {
    let is_open = namesrv.options.settings.admin_remote_enable || request.peer.ip().to_canonical().is_loopback();
    if is_open || !CHANGES.contains(&request.command.code) {
        return Ok(());
    }
    tracing::warn!(code = request.command.code, peer = %request.peer, "change refused: adminRemoteEnable is false");
    let remark =
        "changes are taken from the name server's own machine only (adminRemoteEnable=false); run the command there";
    Err(Answer::refused(response::NO_PERMISSION, remark))
}
