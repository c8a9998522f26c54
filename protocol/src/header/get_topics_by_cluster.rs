//! GET_TOPICS_BY_CLUSTER (224), tools to nameserver.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// Asks for the topics of a cluster.
    GetTopicsByClusterHeader<'a> {
        cluster: Cow<'a, str> = "cluster",
    }
}
