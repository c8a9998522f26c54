//! GET_ROUTEINFO_BY_TOPIC (105): topic, acceptStandardJsonOnly? -> TopicRouteData; 17 with the cause when there is none.
//!
//! Always standard JSON with quoted keys: RocketMQ 4.9.7 writes `{0:"ip:port"}` for requesters before 4.9.4, but every
//! client from 4.3 on reads the quoted form as well. Both spellings of the topic's flags are written (`topicSynFlag` up
//! to 4.8), and `enableActingMaster`, without which the 5.x Rust client reads nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::code::response;
use protocol::header::GetRouteInfoHeader;
use serde::Serialize;

use super::answer::{Answer, Request};
use crate::kv_config::ORDER_TOPIC_CONFIG;
use crate::namesrv::Namesrv;
use crate::route_table::{BrokerRoute, QueueData};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TopicRouteData<'a> {
    broker_datas: Vec<BrokerData<'a>>,
    filter_server_table: BTreeMap<&'a str, &'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_topic_conf: Option<&'a str>,
    queue_datas: Vec<QueueDataOfBroker<'a>>,
}

/// BrokerData, as in ClusterInfo.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BrokerData<'a> {
    broker_addrs: BTreeMap<i64, &'a str>,
    broker_name: &'a str,
    cluster: &'a str,
    enable_acting_master: bool,
}

impl<'a> BrokerData<'a> {
    pub(super) fn new(broker: &BrokerRoute<'a>) -> BrokerData<'a> {
        let address = |(id, address): (&i64, &'a Arc<str>)| (*id, &**address);
        BrokerData {
            broker_addrs: broker.addresses.iter().map(address).collect(),
            broker_name: broker.broker_name,
            cluster: broker.cluster,
            enable_acting_master: false,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueDataOfBroker<'a> {
    broker_name: &'a str,
    perm: i32,
    read_queue_nums: i32,
    topic_syn_flag: i32,
    topic_sys_flag: i32,
    write_queue_nums: i32,
}

impl<'a> QueueDataOfBroker<'a> {
    fn new(&(broker_name, queue_data): &(&'a str, QueueData)) -> QueueDataOfBroker<'a> {
        QueueDataOfBroker {
            broker_name,
            perm: queue_data.perm,
            read_queue_nums: queue_data.read_queue_nums,
            topic_syn_flag: queue_data.topic_sys_flag,
            topic_sys_flag: queue_data.topic_sys_flag,
            write_queue_nums: queue_data.write_queue_nums,
        }
    }
}

pub(super) fn answer(namesrv: &Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let GetRouteInfoHeader { topic, .. } = GetRouteInfoHeader::decode(&request.command.fields)?;
    let route = namesrv.table.route(&topic).map_err(|absent| {
        let remark = format!("No topic route info in name server for the topic: {topic}; {absent}");
        Answer::refused(response::TOPIC_NOT_EXIST, remark)
    })?;
    let order_topic_conf =
        namesrv.options.settings.order_message_enable.then(|| namesrv.kv.get(ORDER_TOPIC_CONFIG, &topic)).flatten();
    let answer = Answer::json(&TopicRouteData {
        broker_datas: route.brokers.iter().map(BrokerData::new).collect(),
        order_topic_conf,
        queue_datas: route.queues.iter().map(QueueDataOfBroker::new).collect(),
        filter_server_table: route.filter_servers.clone(),
    });
    if route.is_usable() {
        return Ok(answer);
    }
    Ok(answer.with_remark(format!("topic {topic} has brokers, but none permits reading or writing it (perm)")))
}
