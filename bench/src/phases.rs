//! The clock of a run and the bounds of the measured time on it.
//!
//! Owns the start instant and the end, which a signal may bring forward. All threads read it; the main thread alone
//! moves the end.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Times are nanoseconds since the start of the load.
#[derive(Debug)]
pub struct Phases {
    start: OnceLock<(Instant, u64)>,
    /// The measured time begins here: the end of the warm-up.
    pub begin: u64,
    end: AtomicU64,
}

impl Phases {
    /// So many seconds of warm-up, then so many measured. The clock stands until [`Phases::start`].
    pub fn new(warm: u64, seconds: u64) -> Phases {
        let begin = Duration::from_secs(warm).as_nanos() as u64;
        let end = begin.saturating_add(Duration::from_secs(seconds).as_nanos() as u64);
        Phases { start: OnceLock::new(), begin, end: AtomicU64::new(end) }
    }

    /// Starts the clock; a second call changes nothing.
    pub fn start(&self) {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let _ = self.start.set((Instant::now(), wall));
    }

    /// Now; 0 before the start.
    pub fn now(&self) -> u64 {
        self.start.get().map_or(0, |(start, _)| start.elapsed().as_nanos() as u64)
    }

    /// Milliseconds since 1970 at an instant of this clock.
    pub fn wall_ms(&self, now: u64) -> u64 {
        self.start.get().map_or(0, |(_, wall)| (wall + now) / 1_000_000)
    }

    /// Where sending ends.
    pub fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    /// Ends the load now, if it has not ended.
    pub fn end_now(&self) {
        self.end.fetch_min(self.now(), Ordering::Relaxed);
    }

    /// Length of the measured time in seconds; 0 when it was cut off before its begin.
    pub fn measured_seconds(&self) -> f64 {
        self.end().saturating_sub(self.begin) as f64 / 1e9
    }

    /// Whether an instant lies in the measured time.
    pub fn covers(&self, instant: u64) -> bool {
        instant >= self.begin && instant < self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_end_shortens_the_measured_time() {
        let phases = Phases::new(0, 100);
        assert!(phases.covers(0) && !phases.covers(100_000_000_000));
        phases.start();
        phases.end_now();
        assert!(phases.measured_seconds() < 50.0);
        assert!(!phases.covers(99_000_000_000));
        let phases = Phases::new(5, 1);
        phases.start();
        phases.end_now();
        assert_eq!(phases.measured_seconds(), 0.0);
    }
}
