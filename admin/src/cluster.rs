//! Who is in a cluster: GET_BROKER_CLUSTER_INFO (106), read and looked through.
//!
//! Owns the choice of brokers by cluster. Must not ask brokers. Any thread.

use std::collections::BTreeSet;

use protocol::body::ClusterInfo;
use protocol::code::request;

use crate::context::{Context, read};
use crate::failure::Failure;

/// One broker as nameservers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub cluster: String,
    pub broker_name: String,
    /// 0 is the master.
    pub broker_id: i64,
    /// `host:port`
    pub address: String,
}

/// All brokers of one cluster, or of all: by cluster, name and id.
pub fn members(context: &mut Context<'_>, cluster: Option<&str>) -> Result<Vec<Member>, Failure> {
    let code = request::GET_BROKER_CLUSTER_INFO;
    let (namesrv, body) = context.ask_namesrv(code, &[])?;
    let info: ClusterInfo = read(&namesrv, code, &body)?;
    if let Some(wanted) = cluster
        && !info.cluster_addr_table.contains_key(wanted)
    {
        let known: Vec<&str> = info.cluster_addr_table.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "no cluster at all".to_owned() } else { known.join(", ") };
        return Err(Failure::Failed(format!("nameserver {namesrv} knows no cluster {wanted}; it knows {known}")));
    }
    let mut members = Vec::new();
    for (name, brokers) in &info.cluster_addr_table {
        if cluster.is_some_and(|wanted| wanted != name) {
            continue;
        }
        for broker in brokers.iter().filter_map(|broker| info.broker_addr_table.get_key_value(broker)) {
            let (broker_name, data) = broker;
            members.extend(data.broker_addrs.iter().map(|(id, address)| Member {
                cluster: name.clone(),
                broker_name: broker_name.clone(),
                broker_id: *id,
                address: address.clone(),
            }));
        }
    }
    Ok(members)
}

/// The addresses of a cluster's masters. A broker name that has none now is named in a note.
pub fn masters(context: &mut Context<'_>, cluster: &str) -> Result<Vec<String>, Failure> {
    let members = members(context, Some(cluster))?;
    let headed: BTreeSet<&str> =
        members.iter().filter(|member| member.broker_id == 0).map(|member| member.broker_name.as_str()).collect();
    for slave in members.iter().filter(|member| !headed.contains(member.broker_name.as_str())) {
        context.notes.push(format!(
            "{} has no master now; its slave {} at {} is asked with -b {}",
            slave.broker_name, slave.broker_id, slave.address, slave.address
        ));
    }
    let masters: Vec<String> =
        members.into_iter().filter(|member| member.broker_id == 0).map(|member| member.address).collect();
    if masters.is_empty() {
        return Err(Failure::Failed(format!("cluster {cluster} has no master now; clusterList shows who is there")));
    }
    Ok(masters)
}
