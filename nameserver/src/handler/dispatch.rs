//! One match from request code to handler.

use protocol::code::{request, response};

use super::answer::{Answer, Request};
use super::{
    access, add_write_perm, delete_kv_config, delete_topic, get_cluster_info, get_kv_config, get_kv_list,
    get_namesrv_config, get_route_info, get_topic_list, put_kv_config, query_data_version, register_broker,
    unregister_broker, update_namesrv_config, wipe_write_perm,
};
use crate::namesrv::Namesrv;

/// Answers one request. An unknown code is answered, too: Java's name server stays silent, and its callers wait until
/// their timeout.
pub fn answer(namesrv: &mut Namesrv, request: &Request<'_>) -> Answer {
    if let Err(refused) = access::check(namesrv, request) {
        return refused;
    }
    let answer = match request.command.code {
        request::PUT_KV_CONFIG => put_kv_config::answer(namesrv, request),
        request::GET_KV_CONFIG => get_kv_config::answer(namesrv, request),
        request::DELETE_KV_CONFIG => delete_kv_config::answer(namesrv, request),
        request::REGISTER_BROKER => register_broker::answer(namesrv, request),
        request::UNREGISTER_BROKER => unregister_broker::answer(namesrv, request),
        request::GET_ROUTEINFO_BY_TOPIC => get_route_info::answer(namesrv, request),
        request::GET_BROKER_CLUSTER_INFO => get_cluster_info::answer(namesrv),
        request::WIPE_WRITE_PERM_OF_BROKER => wipe_write_perm::answer(namesrv, request),
        request::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => get_topic_list::all(namesrv),
        request::DELETE_TOPIC_IN_NAMESRV => delete_topic::answer(namesrv, request),
        request::GET_KVLIST_BY_NAMESPACE => get_kv_list::answer(namesrv, request),
        request::GET_TOPICS_BY_CLUSTER => get_topic_list::by_cluster(namesrv, request),
        request::GET_SYSTEM_TOPIC_LIST_FROM_NS => get_topic_list::system(namesrv),
        request::GET_UNIT_TOPIC_LIST => get_topic_list::unit(namesrv),
        request::GET_HAS_UNIT_SUB_TOPIC_LIST => get_topic_list::unit_sub(namesrv),
        request::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST => get_topic_list::unit_sub_ununit(namesrv),
        request::UPDATE_NAMESRV_CONFIG => update_namesrv_config::answer(namesrv, request),
        request::GET_NAMESRV_CONFIG => get_namesrv_config::answer(namesrv),
        request::QUERY_DATA_VERSION => query_data_version::answer(namesrv, request),
        request::ADD_WRITE_PERM_OF_BROKER => add_write_perm::answer(namesrv, request),
        code => {
            Err(Answer::refused(response::REQUEST_CODE_NOT_SUPPORTED, format!(" request type {code} not supported")))
        }
    };
    answer.unwrap_or_else(|refused| refused)
}
