//! VIEW_MESSAGE_BY_ID 33: the record at a physical offset. Any shard can answer; the record may be anywhere in the log,
//! so a thread that may wait for the disk looks for it.

use protocol::code::response;
use protocol::command::write_command;
use protocol::header::ViewMessageByIdHeader;

use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;
use crate::mesh::{Reply, ToShard};

/// Handles a look-up by offset message id, whose offset the client has taken out of it.
pub fn handle(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = ViewMessageByIdHeader::decode(&call.command.fields)?;
    let (offset, to) = (header.offset, call.to);
    let store = core.env.store.clone();
    let inbox = core.env.inboxes[to.conn.shard()].clone();
    let accepted = core.env.offload.run(move || {
        let mut bytes = Vec::with_capacity(256);
        let ranges = match store.record(offset) {
            Some(range) => {
                range.warm();
                write_command(&mut bytes, &to.head(response::SUCCESS, None), |_| {}, range.len);
                vec![range]
            }
            None => {
                let (min, max) = (store.log_min(), store.readable());
                let remark = format!("can not find message by the offset, {offset} (the log holds {min} to {max})");
                write_command(&mut bytes, &to.head(response::SYSTEM_ERROR, Some(&remark)), |_| {}, 0);
                Vec::new()
            }
        };
        if !to.oneway {
            inbox.post(ToShard::Reply(Reply { conn: to.conn, bytes, ranges }));
        }
    });
    if accepted {
        Ok(Next::Done)
    } else {
        Err(Refusal::new(response::SYSTEM_BUSY, "[OVERLOAD]system busy: too many reads wait for the disk"))
    }
}
