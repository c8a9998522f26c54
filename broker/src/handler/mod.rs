//! What each request means: one file a request, or one a noun where the requests are twins.
//!
//! Handlers are synchronous: they check, do, and answer, or leave the answer to an ack. They run on
//! the shard that owns what they touch and pass a request on when that is another one.

pub mod client_manage;
pub mod consume_stats;
pub mod consumer_offset;
pub mod copy_tables;
pub mod group_admin;
pub mod ha_status;
pub mod lock_queues;
pub mod pull_message;
pub mod query_message;
pub mod queue_offset;
pub mod runtime_info;
pub mod send_back;
pub mod send_message;
pub mod topic_admin;
pub mod topic_stats;
pub mod view_message;

use std::sync::Arc;

use protocol::body::TopicConfig;
use protocol::code::response;

use crate::call::{Call, Next, Refusal};
use crate::core::Core;

/// A topic as this shard knows it. One that is missing here may be known at home: the request goes
/// there, and what home publishes reaches the owner before the request does.
fn topic(core: &Core, call: &Call<'_>, name: &str) -> Result<Result<Arc<TopicConfig>, Next>, Refusal> {
    if let Some(topic) = core.topics.get(name) {
        return Ok(Ok(topic.clone()));
    }
    if let Some(next) = ask_home(core, call) {
        return Ok(Err(next));
    }
    Err(Refusal::new(
        response::TOPIC_NOT_EXIST,
        format!("topic[{name}] not exist on broker {}, apply first please!", core.env.options.name),
    ))
}

/// Before a refusal from a shard's copy of the tables: home may have answered a change that is still on its way here.
/// What home sends on comes behind it.
fn ask_home(core: &Core, call: &Call<'_>) -> Option<Next> {
    (core.id != 0 && call.hops < 2).then_some(Next::Forward(0))
}

/// The shard that owns a queue.
fn owner(core: &Core, topic: &str, queue_id: i32) -> usize {
    engine::owner(topic, queue_id as u32, core.env.shards())
}

/// Passes the request on unless this shard owns the queue.
macro_rules! at_owner {
    ($core:expr, $topic:expr, $queue_id:expr) => {
        let owner = $crate::handler::owner($core, $topic, $queue_id);
        if owner != $core.id {
            return Ok($crate::call::Next::Forward(owner));
        }
    };
}
use at_owner;
