//! Bytes a second, for operators. A value, no clock of its own.

use std::time::{Duration, Instant};

/// Counts bytes in windows of at least this long.
const WINDOW: Duration = Duration::from_secs(2);

/// See the module's head.
#[derive(Debug)]
pub(super) struct Rate {
    since: Instant,
    bytes: u64,
    last: u64,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0, last: 0 }
    }

    /// Counts bytes and answers with the last whole window's rate, or this one's while it is the first.
    pub(super) fn add(&mut self, now: Instant, bytes: u64) -> u64 {
        self.bytes = self.bytes.saturating_add(bytes);
        let passed = now.saturating_duration_since(self.since);
        let rate = |bytes: u64| u64::try_from(u128::from(bytes) * 1000 / passed.as_millis().max(1)).unwrap_or(u64::MAX);
        if passed >= WINDOW {
            self.last = rate(self.bytes);
            (self.since, self.bytes) = (now, 0);
        } else if self.last == 0 && passed >= WINDOW / 4 {
            return rate(self.bytes);
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_window() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        assert_eq!(rate.add(start, 1000), 0);
        assert_eq!(rate.add(start + Duration::from_secs(1), 1000), 2000);
        assert_eq!(rate.add(start + Duration::from_secs(2), 2000), 2000);
        assert_eq!(rate.add(start + Duration::from_secs(3), 9000), 2000);
        assert_eq!(rate.add(start + Duration::from_secs(4), 1000), 5000);
    }
}
