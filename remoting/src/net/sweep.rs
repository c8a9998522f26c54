//! Time-outs of all connections of a shard, by one look in a quarter of a second instead of a timer each.
//!
//! Owns no state but the fact that it runs; it reads the marks the connections keep and closes those that are over time.

use std::cell::Cell;
use std::time::Duration;

use super::connection::{self, Connection};
use super::counters::count;

const INTERVAL: Duration = Duration::from_millis(250);

/// A connection quiet for this long gives its larger read buffer back.
const SHRINK_AFTER_MS: u64 = 1_000;

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Starts the sweep on this shard at the first call.
pub(crate) fn ensure_running() {
    if !RUNNING.get() {
        RUNNING.set(shard::tick::every(INTERVAL, sweep));
    }
}

fn sweep() {
    let now_ms = shard::tick::coarse_ms();
    for connection in connection::all() {
        look(&connection, now_ms);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn look(connection: &Connection, now_ms: u64) {
    if connection.closed.get() {
        return;
    }
    let over =
        |since: Option<u64>, limit: Duration| since.is_some_and(|since| now_ms.saturating_sub(since) >= millis(limit));
    let options = &connection.options;
    let (reason, counted): (_, fn(&super::counters::Local) -> &std::sync::atomic::AtomicU64) =
        if over(connection.stalled_ms.get(), options.write_stall_timeout) {
            ("the peer takes no bytes", |c| &c.closed_stalled)
        } else if over(connection.frame_began_ms.get(), options.started_frame_timeout) {
            ("a frame that began did not end", |c| &c.closed_slow_frame)
        } else if over(Some(connection.active_ms.get()), options.idle_timeout) {
            ("nothing was read or written", |c| &c.closed_idle)
        } else {
            if now_ms.saturating_sub(connection.active_ms.get()) >= SHRINK_AFTER_MS
                && let Ok(mut input) = connection.input.try_borrow_mut()
            {
                input.shrink_idle();
            }
            return;
        };
    count(counted, 1);
    tracing::debug!(peer = %connection.peer, pending_bytes = connection.pending_bytes(), reason, "closing the connection, time is over");
    connection.close();
}
