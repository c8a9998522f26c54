//! DELETE_TOPIC_IN_NAMESRV (216), tools to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Drops a topic's route.
    DeleteTopicInNamesrvHeader<'a> {
        /// Empty when missing: a nameserver of 4.9.7 deletes nothing then and answers success.
        topic: Cow<'a, str> = "topic" or Cow::Borrowed(""),
        /// Only the brokers of this cluster.
        cluster_name: Option<Cow<'a, str>> = "clusterName",
    }
}
