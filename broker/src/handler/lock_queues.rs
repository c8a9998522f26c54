//! LOCK_BATCH_MQ 41 and UNLOCK_BATCH_MQ 42: orderly consumers lock the queues they consume. Run on
//! the home shard.

use protocol::body::{Body, LockBatchRequestBody, LockBatchResponseBody};
use protocol::code::response;

use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;
use crate::home::Home;

fn body(call: &Call<'_>) -> Result<LockBatchRequestBody, Refusal> {
    LockBatchRequestBody::from_json(call.command.body)
        .map_err(|error| Refusal::new(response::SYSTEM_ERROR, format!("the request's body is damaged: {error}")))
}

/// Locks what is free and answers what the client now holds.
pub fn lock(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let body = body(call)?;
    let locked = home.locks.lock(core.now_ms, &body.consumer_group, &body.client_id, body.mq_set);
    let answer = LockBatchResponseBody { lock_ok_mq_set: locked }.to_json();
    core.reply_body(&call.to, response::SUCCESS, None, |_| {}, &answer);
    Ok(Next::Done)
}

/// Gives locks up.
pub fn unlock(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let body = body(call)?;
    home.locks.unlock(&body.consumer_group, &body.client_id, &body.mq_set);
    core.reply(&call.to, response::SUCCESS, None, |_| {});
    Ok(Next::Done)
}
