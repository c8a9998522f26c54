//! The requests answered with a TopicList: 206 all, 224 by cluster, 304 system, 311 unit, 312 unit-subscribed,
//! 313 unit-subscribed but of no unit.

use protocol::header::GetTopicsByClusterHeader;
use serde::Serialize;

use super::answer::{Answer, Request};
use crate::namesrv::Namesrv;

/// TopicList: `{"brokerAddr":"host:port","topicList":["T"]}`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TopicList<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    broker_addr: Option<&'a str>,
    topic_list: Vec<&'a str>,
}

fn list(topic_list: Vec<&str>) -> Result<Answer, Answer> {
    Ok(Answer::json(&TopicList { broker_addr: None, topic_list }))
}

pub(super) fn all(namesrv: &Namesrv) -> Result<Answer, Answer> {
    list(namesrv.table.topics())
}

pub(super) fn by_cluster(namesrv: &Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let GetTopicsByClusterHeader { cluster } = GetTopicsByClusterHeader::decode(&request.command.fields)?;
    list(namesrv.table.topics_of_cluster(&cluster))
}

/// The client asks `brokerAddr` for the broker's own system topics (305) and merges.
pub(super) fn system(namesrv: &Namesrv) -> Result<Answer, Answer> {
    let system = namesrv.table.system_topics();
    Ok(Answer::json(&TopicList { broker_addr: system.broker_address, topic_list: system.names }))
}

pub(super) fn unit(namesrv: &Namesrv) -> Result<Answer, Answer> {
    list(namesrv.table.unit_topics())
}

pub(super) fn unit_sub(namesrv: &Namesrv) -> Result<Answer, Answer> {
    list(namesrv.table.unit_sub_topics())
}

pub(super) fn unit_sub_ununit(namesrv: &Namesrv) -> Result<Answer, Answer> {
    list(namesrv.table.unit_sub_ununit_topics())
}
