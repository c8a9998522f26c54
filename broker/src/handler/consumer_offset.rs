//! QUERY_CONSUMER_OFFSET 14 and UPDATE_CONSUMER_OFFSET 15: a group's progress on one queue.
//!
//! Runs on the shard that owns the queue.

use protocol::body::ConsumerOffsetTable;
use protocol::code::response;
use protocol::header::{QueryConsumerOffsetHeader, UpdateConsumerOffsetHeader};

use super::at_owner;
use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;

/// Queue ids a commit may name.
pub const QUEUE_ID_MAX: i32 = 65_535;
/// Commits a shard remembers at most, over all groups.
const PROGRESS_MAX: usize = 1_000_000;

/// Names and number of a commit. consumerOffset.json is written whole, so nobody may fill it with invented names.
fn check(core: &Core, topic: &str, group: &str, queue_id: i32) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::new(response::SYSTEM_ERROR, format!("progress is refused: {why}")));
    if let Err(error) = protocol::topic::check_topic_name(topic) {
        return refuse(error.to_string());
    }
    if let Err(error) = protocol::topic::check_group_name(group) {
        return refuse(error.to_string());
    }
    if !(0..=QUEUE_ID_MAX).contains(&queue_id) {
        return refuse(format!("queueId {queue_id} is not a queue's"));
    }
    if core.progress.len() >= PROGRESS_MAX && core.progress.get(group, topic, queue_id).is_none() {
        return refuse(format!("this shard keeps {PROGRESS_MAX} commits and takes no new ones"));
    }
    Ok(())
}

/// Where does the group stand?
pub fn query(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = QueryConsumerOffsetHeader::decode(&call.command.fields)?;
    at_owner!(core, &header.topic, header.queue_id);
    let known = core.progress.get(&header.consumer_group, &header.topic, header.queue_id);
    let queue_offset = match known {
        Some(queue_offset) => Some(queue_offset),
        // A young queue, nothing deleted and all still near: a new group starts at 0 whatever it
        // says it wants, so that it misses nothing (Java 4.9.7).
        None => {
            let slot = u32::try_from(header.queue_id).ok().and_then(|id| core.store.queue_if_known(&header.topic, id));
            match slot {
                None => Some(0),
                Some(slot) if core.store.min_offset(slot) <= 0 && !first_is_far(core, slot) => Some(0),
                Some(_) => None,
            }
        }
    };
    match queue_offset {
        Some(queue_offset) => {
            core.reply(&call.to, response::SUCCESS, None, |fields| fields.i64("offset", queue_offset))
        }
        None => {
            return Err(Refusal::new(
                response::QUERY_NOT_FOUND,
                "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first",
            ));
        }
    }
    Ok(Next::Done)
}

fn first_is_far(core: &mut Core, slot: engine::QueueSlot) -> bool {
    let distance = core.env.options.memory_distance_bytes;
    match core.store.locate(slot, 0) {
        Some((physical_offset, _)) => core.env.store.log_max() - physical_offset > distance,
        None => false,
    }
}

/// The group has come this far.
pub fn update(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = UpdateConsumerOffsetHeader::decode(&call.command.fields)?;
    at_owner!(core, &header.topic, header.queue_id);
    check(core, &header.topic, &header.consumer_group, header.queue_id)?;
    let before = core.progress.commit(&header.consumer_group, &header.topic, header.queue_id, header.commit_offset);
    if core.env.options.is_slave() {
        let key = ConsumerOffsetTable::key(&header.topic, &header.consumer_group);
        core.env.own_commits.note(key, header.queue_id, header.commit_offset);
    }
    if let Some(before) = before.filter(|before| *before > header.commit_offset) {
        tracing::warn!(
            group = &*header.consumer_group, topic = &*header.topic, queue_id = header.queue_id, peer = %call.peer,
            before, now = header.commit_offset, "progress moves backwards"
        );
    }
    core.reply(&call.to, response::SUCCESS, None, |_| {});
    Ok(Next::Done)
}
