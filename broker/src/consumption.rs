//! How fast groups consume: what their progress moved in the last minute.
//!
//! Owns, for each `topic@group` that moved lately, six sums of ten seconds. Lives on the home shard, which is told of
//! progress once a second. No I/O, no clock. Progress that moves back counts nothing; progress that an operator moves
//! ahead counts as consumption, since the broker cannot tell the two apart.

use std::collections::HashMap;

use protocol::body::ConsumerOffsetTable;

const SLOT_MS: i64 = 10_000;
const SLOTS: usize = 6;

/// Sums of the last slots; the newest is the one of its slot number.
#[derive(Debug, Default)]
struct Sums {
    slot: i64,
    sums: [u64; SLOTS],
}

impl Sums {
    /// Moves on to a slot: what is older than a minute is forgotten.
    fn advance(&mut self, slot: i64) {
        let steps = usize::try_from(slot.saturating_sub(self.slot)).unwrap_or(0).min(SLOTS);
        if steps > 0 {
            self.sums.rotate_right(steps);
            self.sums.iter_mut().take(steps).for_each(|sum| *sum = 0);
            self.slot = slot;
        }
    }
}

/// What all groups consumed in the last minute.
#[derive(Debug, Default)]
pub struct Consumption {
    moved: HashMap<String, Sums>,
}

impl Consumption {
    /// A group's progress on a queue of `topic@group` moved.
    pub fn moved(&mut self, key: &str, before: i64, after: i64, now_ms: i64) {
        let messages = u64::try_from(after.saturating_sub(before)).unwrap_or(0);
        if messages == 0 {
            return;
        }
        let slot = now_ms.div_euclid(SLOT_MS);
        if !self.moved.contains_key(key) {
            self.moved.insert(key.to_owned(), Sums { slot, ..Sums::default() });
        }
        if let Some(sums) = self.moved.get_mut(key) {
            sums.advance(slot);
            sums.sums[0] = sums.sums[0].saturating_add(messages);
        }
    }

    /// Forgets those that have not moved for a minute.
    pub fn sweep(&mut self, now_ms: i64) {
        let oldest = now_ms.div_euclid(SLOT_MS).saturating_sub(SLOTS as i64);
        self.moved.retain(|_, sums| sums.slot > oldest);
    }

    /// Messages a second over the last 50 to 60 seconds.
    pub fn rate(&self, group: &str, topic: &str, now_ms: i64) -> f64 {
        let Some(sums) = self.moved.get(&ConsumerOffsetTable::key(topic, group)) else { return 0.0 };
        let slot = now_ms.div_euclid(SLOT_MS);
        let age = usize::try_from(slot.saturating_sub(sums.slot)).unwrap_or(0);
        let messages: u64 = sums.sums.iter().take(SLOTS.saturating_sub(age)).sum();
        let ms = (SLOTS as i64 - 1) * SLOT_MS + now_ms.rem_euclid(SLOT_MS);
        messages as f64 * 1000.0 / ms as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_counts() {
        let mut consumption = Consumption::default();
        for (before, after, at_ms) in
            [(0, 100, 1_005_000), (100, 600, 1_012_000), (600, 90, 1_013_000), (90, 90, 1_013_500)]
        {
            consumption.moved("T@g", before, after, at_ms);
        }
        for (at_ms, expected) in [
            (1_015_000, 600.0 / 55.0),
            (1_050_000, 600.0 / 50.0),
            (1_059_999, 600.0 / 59.999),
            (1_060_000, 500.0 / 50.0),
            (1_070_000, 0.0),
            (9_000_000, 0.0),
        ] {
            assert_eq!(consumption.rate("g", "T", at_ms), expected, "{at_ms}");
        }
        assert_eq!(consumption.rate("g", "U", 1_015_000), 0.0);
        consumption.moved("T@g", 90, 140, 1_061_000);
        assert_eq!(consumption.rate("g", "T", 1_065_000), 550.0 / 55.0);
        consumption.moved("T@g", i64::MIN, i64::MAX, 1_900_000);
        consumption.moved("U@g", 0, 7, 1_840_000);
        consumption.sweep(1_900_000);
        assert_eq!(consumption.moved.len(), 1, "what has not moved for a minute is forgotten");
    }
}
