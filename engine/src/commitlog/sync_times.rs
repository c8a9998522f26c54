//! How long syncs take here, and what follows from it: how long to spin, whether a shard may sync by itself, whether
//! the disk is too slow for that.
//!
//! Pure: no I/O and no clock; the flusher tells it times. Used under the lock of [`super::flush_inline`].

use std::time::Duration;

/// Syncs looked back at.
const WINDOW: usize = 100;
/// Syncs after which the median is taken anew.
const STEP: u64 = 8;
/// Syncs before anything is concluded.
const ENOUGH: u64 = 24;

/// The last syncs' times.
#[derive(Debug)]
pub(crate) struct SyncTimes {
    last_us: Vec<u32>,
    seen: u64,
    median_us: u32,
}

impl SyncTimes {
    pub(crate) fn new() -> Self {
        Self { last_us: Vec::with_capacity(WINDOW), seen: 0, median_us: 0 }
    }

    /// A sync took this long.
    pub(crate) fn add(&mut self, took: Duration) {
        let took_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let at = usize::try_from(self.seen % WINDOW as u64).unwrap_or(0);
        match self.last_us.get_mut(at) {
            Some(slot) => *slot = took_us,
            None => self.last_us.push(took_us),
        }
        self.seen += 1;
        if self.seen <= STEP || self.seen.is_multiple_of(STEP) {
            let mut sorted = self.last_us.clone();
            sorted.sort_unstable();
            self.median_us = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        }
    }

    /// The median of the last syncs, at most eight syncs old.
    pub(crate) fn median(&self) -> Duration {
        Duration::from_micros(u64::from(self.median_us))
    }

    /// The median, once there were enough syncs to believe it.
    pub(crate) fn settled(&self) -> Option<Duration> {
        (self.seen >= ENOUGH).then(|| self.median())
    }

    /// Whether a whole window of syncs was seen.
    pub(crate) fn is_full(&self) -> bool {
        self.seen >= WINDOW as u64
    }
}

/// Below this median a shard syncs by itself.
const INLINE_BELOW: Duration = Duration::from_micros(300);
/// From this median on it no longer does.
const INLINE_UNTIL: Duration = Duration::from_micros(500);
/// A sync this long is a stall.
const STALL: Duration = Duration::from_millis(5);
/// How long a stall is remembered.
const STALL_REMEMBERED: Duration = Duration::from_secs(2);

/// Who syncs under `flushWay=auto`: the thread, until the disk has shown that it is fast enough for shards to wait for
/// it themselves; the thread again when it no longer is, or for two seconds after a stall.
#[derive(Debug, Default)]
pub(crate) struct Chooser {
    inline: bool,
    stalled_until: Option<Duration>,
}

impl Chooser {
    /// A sync that ended at `now` (since any fixed moment) took `took`; `times` knows it. Whether shards sync by
    /// themselves from now on.
    pub(crate) fn synced(&mut self, now: Duration, took: Duration, times: &SyncTimes) -> bool {
        if took > STALL {
            self.stalled_until = Some(now.saturating_add(STALL_REMEMBERED));
        }
        if self.stalled_until.is_some_and(|until| now >= until) {
            self.stalled_until = None;
        }
        self.inline = match times.settled() {
            _ if self.stalled_until.is_some() => false,
            None => false,
            Some(median) if self.inline => median < INLINE_UNTIL,
            Some(median) => median < INLINE_BELOW,
        };
        self.inline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn the_median_is_that_of_the_last_hundred() {
        let mut times = SyncTimes::new();
        assert_eq!((times.median(), times.settled()), (Duration::ZERO, None));
        times.add(7 * US);
        assert_eq!((times.median(), times.settled()), (7 * US, None));
        (0..100).for_each(|n| times.add((100 + n) * US));
        times.add(Duration::MAX);
        assert!(times.is_full());
        assert!((140 * US..=151 * US).contains(&times.median()), "{:?}", times.median());
        (0..104).for_each(|_| times.add(9 * US));
        assert_eq!(times.settled(), Some(9 * US));
        assert_eq!(times.last_us.len(), WINDOW);
    }

    /// Runs of (syncs, µs each, ms between two) and whether shards sync by themselves after each run.
    fn check(runs: &[(u32, u32, u32, bool)]) {
        let (mut times, mut chooser) = (SyncTimes::new(), Chooser::default());
        let mut now = Duration::ZERO;
        for (number, &(count, took_us, pause_ms, expected)) in runs.iter().enumerate() {
            let mut inline = false;
            for _ in 0..count {
                now += pause_ms * Duration::from_millis(1);
                times.add(took_us * US);
                inline = chooser.synced(now, took_us * US, &times);
            }
            assert_eq!(inline, expected, "run {number} of {runs:?}");
        }
    }

    #[test]
    fn a_fast_disk_is_waited_for_and_a_slow_one_is_not() {
        check(&[(23, 100, 1, false), (1, 100, 1, true)]);
        check(&[(200, 301, 1, false)]);
        // Between the two bounds it stays as it is.
        check(&[
            (200, 400, 1, false),
            (200, 100, 1, true),
            (200, 400, 1, true),
            (200, 501, 1, false),
            (200, 400, 1, false),
        ]);
    }

    #[test]
    fn a_stall_is_remembered_for_two_seconds() {
        check(&[(100, 100, 1, true), (1, 5001, 1, false), (99, 100, 20, false), (1, 100, 20, true)]);
        // Each stall counts anew; exactly the bound is none.
        check(&[
            (100, 100, 1, true),
            (1, 5001, 1, false),
            (1, 6000, 1800, false),
            (9, 100, 200, false),
            (1, 100, 200, true),
        ]);
        check(&[(100, 100, 1, true), (1, 5000, 1, true)]);
    }
}
