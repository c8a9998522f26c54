//! QUERY_MESSAGE 12: messages by key or by the producer's unique id, through the index files.
//!
//! The search reads index files and records that may be cold, so it runs on a thread of its own and
//! its answer comes back as a letter.

use protocol::code::response;
use protocol::command::write_command;
use protocol::header::QueryMessageHeader;

use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;
use crate::mesh::{Reply, ToShard};

/// Handles a query.
pub fn handle(core: &mut Core, call: &Call<'_>) -> Handled {
    let header = QueryMessageHeader::decode(&call.command.fields)?;
    let options = &core.env.options;
    let unique = call.command.fields.get("_UNIQUE_KEY_QUERY").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let asked = if unique { options.unique_query_max } else { usize::try_from(header.max_num).unwrap_or(0) };
    let max = asked.min(options.query_max);
    let (topic, key) = (header.topic.into_owned(), header.key.into_owned());
    let (begin, end, to) = (header.begin_timestamp, header.end_timestamp, call.to);
    let store = core.env.store.clone();
    let inbox = core.env.inboxes[call.to.conn.shard()].clone();
    let accepted = core.env.offload.run(move || {
        let found = store.query(&topic, &key, max, begin, end);
        for range in &found.ranges {
            range.warm();
        }
        let len: usize = found.ranges.iter().map(|range| range.len).sum();
        let (code, remark) = if found.ranges.is_empty() {
            (response::QUERY_NOT_FOUND, Some("can not find message, maybe time range not correct"))
        } else {
            (response::SUCCESS, None)
        };
        let mut bytes = Vec::with_capacity(256);
        let fields = |fields: &mut protocol::FieldWriter<'_>| {
            fields.i64("indexLastUpdatePhyoffset", found.index_last_update_physical_offset);
            fields.i64("indexLastUpdateTimestamp", found.index_last_update_timestamp);
        };
        write_command(&mut bytes, &to.head(code, remark), fields, len);
        if !to.oneway {
            let reply = Reply { conn: to.conn, bytes, ranges: found.ranges };
            inbox.post(ToShard::Reply(reply));
        }
    });
    if accepted {
        Ok(Next::Done)
    } else {
        Err(Refusal::new(response::SYSTEM_BUSY, "[OVERLOAD]system busy: too many queries wait"))
    }
}
