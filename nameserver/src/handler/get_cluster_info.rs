//! GET_BROKER_CLUSTER_INFO (106) -> ClusterInfo: every broker's addresses, and the brokers of every cluster.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::Answer;
use super::get_route_info::BrokerData;
use crate::namesrv::Namesrv;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterInfo<'a> {
    broker_addr_table: BTreeMap<&'a str, BrokerData<'a>>,
    cluster_addr_table: BTreeMap<&'a str, Vec<&'a str>>,
}

pub(super) fn answer(namesrv: &Namesrv) -> Result<Answer, Answer> {
    Ok(Answer::json(&ClusterInfo {
        broker_addr_table: namesrv
            .table
            .brokers()
            .map(|broker| (broker.broker_name, BrokerData::new(&broker)))
            .collect(),
        cluster_addr_table: namesrv.table.clusters(),
    }))
}
