//! Wall-clock time as the wire and the store write it. Any thread.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC, as Java's `System.currentTimeMillis()`. Follows the system clock, also backwards.
pub fn now_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn now_is_after_2020_and_does_not_jump() {
        let first = super::now_ms();
        let second = super::now_ms();
        assert!(first > 1_577_836_800_000, "{first}");
        assert!((0..60_000).contains(&(second - first)), "{first} {second}");
    }
}
