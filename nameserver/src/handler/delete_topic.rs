//! DELETE_TOPIC_IN_NAMESRV (216): topic, clusterName?. Sent to every name server after the brokers dropped the topic.

use protocol::header::DeleteTopicInNamesrvHeader;

use super::answer::{Answer, Request};
use crate::namesrv::Namesrv;

pub(super) fn answer(namesrv: &mut Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let DeleteTopicInNamesrvHeader { topic, cluster_name } =
        DeleteTopicInNamesrvHeader::decode(&request.command.fields)?;
    let cluster = cluster_name.filter(|cluster| !cluster.is_empty());
    if namesrv.table.delete_topic(&topic, cluster.as_deref(), request.now_ms) {
        let cluster = cluster.as_deref().unwrap_or("every");
        tracing::info!(topic = &*topic, cluster, peer = %request.peer, "topic deleted");
    }
    Ok(Answer::success())
}
