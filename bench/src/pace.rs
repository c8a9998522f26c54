//! When messages are due: an even rate, dealt out to the threads.
//!
//! Owns the counting of instants. Must not read a clock or sleep: the instants do not depend on what happens, so that
//! a stall counts for every message that waits in it. One a thread.

/// The instants of one thread, in nanoseconds since the start of the load.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Nanoseconds between two instants of this thread.
    gap: f64,
    /// Fraction of the gap before the first: threads do not send all at once.
    shift: f64,
    count: u64,
}

impl Pace {
    /// `rate` instants a second over all `threads`; this is thread `number` of them.
    pub fn new(rate: f64, number: u32, threads: u32) -> Pace {
        let threads = threads.max(1);
        Pace { gap: 1e9 * f64::from(threads) / rate.max(1e-9), shift: f64::from(number) / f64::from(threads), count: 0 }
    }

    /// The next instant.
    pub fn due(&self) -> u64 {
        // Counted anew from the start each time: no error adds up.
        ((self.count as f64 + self.shift) * self.gap) as u64
    }

    /// The instant after it is the next one now.
    pub fn advance(&mut self) {
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instants(pace: &mut Pace, until: u64) -> Vec<u64> {
        let mut instants = Vec::new();
        while pace.due() < until {
            instants.push(pace.due());
            pace.advance();
        }
        instants
    }

    #[test]
    fn a_rate_is_kept_exactly_over_a_long_time() {
        for rate in [1.0, 3.0, 999.0, 5_000.0, 333_333.0] {
            let seconds = 20;
            let count = instants(&mut Pace::new(rate, 0, 1), seconds * 1_000_000_000).len() as f64;
            assert!((count - rate * seconds as f64).abs() <= 1.0, "{rate}: {count}");
        }
    }

    #[test]
    fn threads_share_the_rate_and_take_turns() {
        let mut all: Vec<u64> =
            (0..4).flat_map(|number| instants(&mut Pace::new(1000.0, number, 4), 1_000_000_000)).collect();
        all.sort_unstable();
        assert_eq!(all.len(), 1000);
        for pair in all.windows(2) {
            assert!((pair[1] - pair[0]).abs_diff(1_000_000) <= 1, "{pair:?}");
        }
    }

    #[test]
    fn instants_do_not_wait_for_anyone() {
        let mut pace = Pace::new(1e6, 0, 1);
        for _ in 0..1000 {
            pace.advance();
        }
        assert_eq!(pace.due(), 1_000_000);
    }
}
