//! GET_ALL_CONSUMER_OFFSET 43 and GET_ALL_DELAY_OFFSET 45: what slaves copy besides topics (21) and
//! groups (201).
//!
//! In fastjson's form: a Java slave puts the text of 45 into its own delayOffset.json. Progress is
//! gathered on the home shard; a thread renders it, since it may be long.

use std::sync::atomic::Ordering;

use protocol::body::{Body, ConsumerOffsetTable, DelayOffsetTable};
use protocol::code::response;

use crate::call::{Call, Handled, Next};
use crate::core::Core;
use crate::home::Home;

/// Progress of all groups, at most a second old.
pub fn progress(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    home.progress_changed(core.progress.export());
    let progress = home.progress.clone();
    core.reply_rendered(&call.to, move || {
        ConsumerOffsetTable { offset_table: std::sync::Arc::unwrap_or_clone(progress) }.to_fastjson()
    });
    Ok(Next::Done)
}

/// Next offset of each delay level.
pub fn delay(core: &mut Core, call: &Call<'_>) -> Handled {
    let offsets = core.env.delay_offsets.iter().zip(1..);
    let offset_table = offsets.map(|(offset, level)| (level, offset.load(Ordering::Relaxed))).collect();
    let body = DelayOffsetTable { offset_table }.to_fastjson();
    core.reply_body(&call.to, response::SUCCESS, None, |_| {}, &body);
    Ok(Next::Done)
}
