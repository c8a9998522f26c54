//! VIEW_MESSAGE_BY_ID 33: the record at a physical offset. Any shard can answer.

use protocol::code::response;
use protocol::header::ViewMessageByIdHeader;

use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;

/// Handles a look-up by offset message id, whose offset the client has taken out of it.
pub fn handle(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = ViewMessageByIdHeader::decode(&call.command.fields)?;
    let Some(range) = core.env.store.record(header.offset) else {
        let (min, max) = (core.env.store.log_min(), core.env.store.readable());
        return Err(Refusal::new(
            response::SYSTEM_ERROR,
            format!("can not find message by the offset, {} (the log holds {min} to {max})", header.offset),
        ));
    };
    core.ranges.clear();
    core.ranges.push(range);
    core.reply_ranges(&call.to, response::SUCCESS, None, true, |_| {});
    Ok(Next::Done)
}
