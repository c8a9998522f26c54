//! One-way sends have no acks: the broker's offsets say how many arrived.
//!
//! Owns the waiting for the last of them. Main thread, after the load.

use std::thread;
use std::time::{Duration, Instant};

use client::Broker;

use crate::queues::Queues;

/// Asks so often.
const PACE: Duration = Duration::from_millis(20);
/// Nothing new for so long: the rest was dropped.
const STILL: Duration = Duration::from_secs(2);

/// How many of `sent` messages were stored since the offsets added up to `before`: asks until it is all of them, or
/// no more come.
pub fn settle(queues: &Queues, broker: &mut Broker, before: u64, sent: u64) -> Result<u64, String> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let stored = queues.stored(broker)?.saturating_sub(before);
        if stored >= sent || (stored == last && since.elapsed() > STILL) {
            return Ok(stored);
        }
        if stored != last {
            (last, since) = (stored, Instant::now());
        }
        thread::sleep(PACE);
    }
}
