//! Waiting for a state by asking for it, with an end.
//!
//! Owns the pace of asking. Must not be used to let time pass.

use std::thread;
use std::time::{Duration, Instant};

/// Asks until `state` answers `Some`, every 5 ms; `None` after `limit`.
pub fn until<T>(limit: Duration, mut state: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = state() {
            return Some(found);
        }
        if begun.elapsed() >= limit {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
