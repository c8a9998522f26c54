//! Time as the name server needs it: a clock that never steps, and a moment written for people.
//!
//! Owns no state but the clock's anchor. Any thread.

use std::fmt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use protocol::calendar::civil;

/// Milliseconds since 1970 that run steadily from the moment of creation. A wall clock set forward by two minutes would
/// otherwise expire every broker at once.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    start_ms: i64,
    start: Instant,
}

impl SteadyClock {
    /// Anchored at the wall clock's present value.
    #[allow(clippy::new_without_default)]
    pub fn new() -> SteadyClock {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SteadyClock { start_ms: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX), start: Instant::now() }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.start_ms.saturating_add(i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

/// Milliseconds since 1970, written as `2026-11-21T11:07:30Z`.
#[derive(Clone, Copy, Debug)]
pub struct Utc(pub i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_utc() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_799_999, "2000-02-29T23:59:59Z"),
            (1_795_259_250_000, "2026-11-21T11:07:30Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Utc(ms).to_string(), text);
        }
    }
}
