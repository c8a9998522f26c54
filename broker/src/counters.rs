//! Counters of one shard, read by request 28.
//!
//! Each shard writes its own set, with plain relaxed stores; readers add them up. Rates over 10, 60
//! and 600 seconds come from samples the home shard takes every ten seconds, as Java's
//! StoreStatsService does.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one shard. All only rise.
#[derive(Debug, Default)]
pub struct ShardCounters {
    /// Messages stored.
    pub put: AtomicU64,
    /// Bytes of their bodies.
    pub put_bytes: AtomicU64,
    /// Sends refused or failed.
    pub put_failed: AtomicU64,
    /// Pulls that found messages.
    pub get_found: AtomicU64,
    /// Pulls that found none.
    pub get_miss: AtomicU64,
    /// Pulls whose messages a thread had to read from the disk first.
    pub get_cold: AtomicU64,
    /// Messages delivered.
    pub transferred: AtomicU64,
    /// Requests handled.
    pub requests: AtomicU64,
    /// Requests that hopped to another shard.
    pub hops: AtomicU64,
}

impl ShardCounters {
    /// Adds to a counter of the own shard: one writer, so load and store suffice.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }
}

/// Sums at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// When, ms.
    pub at_ms: i64,
    /// See [`ShardCounters`].
    pub put: u64,
    pub put_bytes: u64,
    pub put_failed: u64,
    pub get_found: u64,
    pub get_miss: u64,
    pub transferred: u64,
}

impl Totals {
    /// Adds all shards up.
    pub fn sum<'a>(at_ms: i64, shards: impl IntoIterator<Item = &'a std::sync::Arc<ShardCounters>>) -> Self {
        let mut totals = Totals { at_ms, ..Totals::default() };
        for shard in shards {
            totals.put += shard.put.load(Ordering::Relaxed);
            totals.put_bytes += shard.put_bytes.load(Ordering::Relaxed);
            totals.put_failed += shard.put_failed.load(Ordering::Relaxed);
            totals.get_found += shard.get_found.load(Ordering::Relaxed);
            totals.get_miss += shard.get_miss.load(Ordering::Relaxed);
            totals.transferred += shard.transferred.load(Ordering::Relaxed);
        }
        totals
    }
}

/// Samples of the last ten minutes, one every ten seconds, and the totals of the last midnights.
#[derive(Debug, Default)]
pub struct Samples {
    samples: VecDeque<Totals>,
    today: Totals,
    yesterday: Totals,
    day: i64,
}

const SAMPLES_MAX: usize = 61;

impl Samples {
    /// Takes a sample; `day` is the local day number.
    pub fn take(&mut self, totals: Totals, day: i64) {
        if day != self.day {
            self.yesterday = if self.day == 0 { totals } else { self.today };
            self.today = totals;
            self.day = day;
        }
        self.samples.push_back(totals);
        while self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// Totals at the last local midnight (or at start) and at the one before.
    pub fn mornings(&self) -> (Totals, Totals) {
        (self.today, self.yesterday)
    }

    /// Rates a second over the last 10, 60 and 600 seconds, as Java prints them: three numbers.
    pub fn rates(&self, now: Totals, of: impl Fn(&Totals) -> u64) -> String {
        let rate = |back: usize| {
            let Some(then) =
                self.samples.len().checked_sub(back).and_then(|at| self.samples.get(at)).or(self.samples.front())
            else {
                return 0.0;
            };
            let seconds = (now.at_ms - then.at_ms) as f64 / 1000.0;
            if seconds <= 0.0 { 0.0 } else { (of(&now).saturating_sub(of(then))) as f64 / seconds }
        };
        format!("{} {} {}", rate(1), rate(6), rate(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_look_back_ten_sixty_and_six_hundred_seconds() {
        let mut samples = Samples::default();
        for tick in 0..70 {
            samples.take(Totals { at_ms: tick * 10_000, put: tick as u64 * 100, ..Totals::default() }, 1);
        }
        let now = Totals { at_ms: 700_000, put: 8_000, ..Totals::default() };
        assert_eq!(samples.rates(now, |t| t.put), "110 26.666666666666668 11.666666666666666");
        assert_eq!(Samples::default().rates(now, |t| t.put), "0 0 0");
    }
}
