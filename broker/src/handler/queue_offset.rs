//! SEARCH_OFFSET_BY_TIMESTAMP 29, GET_MAX_OFFSET 30, GET_MIN_OFFSET 31 and
//! GET_EARLIEST_MSG_STORETIME 32: questions about one queue. Run on the shard that owns it.

use engine::QueueSlot;
use protocol::code::response;
use protocol::header::{
    GetEarliestMsgStoretimeHeader, GetMaxOffsetHeader, GetMinOffsetHeader, SearchOffsetByTimestampHeader,
};

use super::at_owner;
use crate::call::{Call, Handled, Next};
use crate::core::Core;

fn slot(core: &Core, topic: &str, queue_id: i32) -> Option<QueueSlot> {
    core.store.queue_if_known(topic, u32::try_from(queue_id).ok()?)
}

fn answer(core: &mut Core, call: &Call<'_>, name: &'static str, value: i64) -> Handled {
    core.reply(&call.to, response::SUCCESS, None, |fields| fields.i64(name, value));
    Ok(Next::Done)
}

/// The offset of the message stored nearest to a time.
pub fn search(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = SearchOffsetByTimestampHeader::decode(&call.command.fields)?;
    at_owner!(core, &header.topic, header.queue_id);
    let slot = slot(core, &header.topic, header.queue_id);
    let offset = slot.map_or(0, |slot| core.store.offset_by_time(slot, header.timestamp));
    answer(core, call, "offset", offset)
}

/// One past the last message a consumer may read; 0 for a queue without messages.
pub fn max(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = GetMaxOffsetHeader::decode(&call.command.fields)?;
    at_owner!(core, &header.topic, header.queue_id);
    let offset = slot(core, &header.topic, header.queue_id).map_or(0, |slot| core.store.max_offset(slot));
    answer(core, call, "offset", offset)
}

/// The first message that is still there.
pub fn min(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = GetMinOffsetHeader::decode(&call.command.fields)?;
    at_owner!(core, &header.topic, header.queue_id);
    let offset = slot(core, &header.topic, header.queue_id).map_or(0, |slot| core.store.min_offset(slot));
    answer(core, call, "offset", offset)
}

/// When the first message that is still there was stored; −1 when there is none.
pub fn earliest_store_time(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = GetEarliestMsgStoretimeHeader::decode(&call.command.fields)?;
    at_owner!(core, &header.topic, header.queue_id);
    let time = slot(core, &header.topic, header.queue_id).and_then(|slot| {
        let first = core.store.min_offset(slot);
        core.store.store_time(slot, first)
    });
    answer(core, call, "timestamp", time.unwrap_or(-1))
}
