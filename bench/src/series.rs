//! What happened in each second of the measured time.
//!
//! Each thread keeps the second it is in; once over, it goes into the sum under a lock, once a second and thread.
//! Owns the seconds; memory does not grow with the rate, and with the length by 40 bytes a second.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

use crate::histogram;
use crate::result::Second;

const SECOND_NS: u64 = 1_000_000_000;
const DIGITS: u8 = 2;

/// The seconds of all threads.
#[derive(Debug)]
pub struct Series {
    threads: u32,
    seconds: Mutex<Seconds>,
}

#[derive(Debug, Default)]
struct Seconds {
    done: Vec<Second>,
    /// The seconds behind `done` that some threads have left and others have not.
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    messages: u64,
    latency: Histogram<u64>,
    reports: u32,
}

/// One thread's part in a [`Series`].
#[derive(Debug)]
pub struct SeriesPart<'a> {
    series: &'a Series,
    second: u64,
    messages: u64,
    latency: Histogram<u64>,
}

impl Series {
    /// For so many threads, each with one [`SeriesPart`].
    pub fn new(threads: u32) -> Series {
        Series { threads, seconds: Mutex::default() }
    }

    /// A thread's part.
    pub fn part(&self) -> SeriesPart<'_> {
        SeriesPart { series: self, second: 0, messages: 0, latency: histogram::new(DIGITS) }
    }

    /// All seconds, once the parts are finished; those of a thread that died count without it.
    pub fn into_seconds(self) -> Vec<Second> {
        let mut seconds = self.seconds.into_inner().unwrap_or_else(PoisonError::into_inner);
        while let Some(open) = seconds.open.pop_front() {
            seconds.finish(&open);
        }
        seconds.done
    }

    fn lock(&self) -> MutexGuard<'_, Seconds> {
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seconds {
    fn report(&mut self, second: u64, messages: u64, latency: &Histogram<u64>, threads: u32) {
        let Some(index) = second.checked_sub(self.done.len() as u64) else { return };
        while self.open.len() as u64 <= index {
            self.open.push_back(Open { messages: 0, latency: histogram::new(DIGITS), reports: 0 });
        }
        if let Some(open) = self.open.get_mut(index as usize) {
            open.messages += messages;
            open.reports += 1;
            // Same bounds: this cannot fail.
            let _ = open.latency.add(latency);
        }
        while self.open.front().is_some_and(|open| open.reports >= threads)
            && let Some(open) = self.open.pop_front()
        {
            self.finish(&open);
        }
    }

    fn finish(&mut self, open: &Open) {
        self.done.push(Second {
            second: self.done.len() as u64,
            messages: open.messages,
            p50_us: histogram::at(&open.latency, 0.5),
            p99_us: histogram::at(&open.latency, 0.99),
            max_us: open.latency.max() as f64 / 1e3,
        });
    }
}

impl SeriesPart<'_> {
    /// Messages that are there `since_begin` nanoseconds after the begin of the measured time.
    pub fn count(&mut self, since_begin: u64, messages: u64) {
        if since_begin >= (self.second + 1) * SECOND_NS {
            self.reach(since_begin / SECOND_NS);
        }
        self.messages += messages;
    }

    /// A latency of the second of the last [`SeriesPart::count`].
    pub fn latency(&mut self, nanos: u64) {
        self.latency.saturating_record(nanos);
    }

    fn reach(&mut self, second: u64) {
        let mut seconds = self.series.lock();
        while self.second < second {
            seconds.report(self.second, self.messages, &self.latency, self.series.threads);
            self.second += 1;
            self.messages = 0;
            self.latency.reset();
        }
    }

    /// Reports what is left; the measured time was this long, in nanoseconds.
    pub fn finish(mut self, measured: u64) {
        let seconds = measured.div_ceil(SECOND_NS);
        self.reach(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_counts_in_its_second() {
        let series = Series::new(2);
        let (mut one, mut two) = (series.part(), series.part());
        one.count(0, 1);
        one.latency(1_000_000);
        one.count(2_500_000_000, 3);
        one.latency(5_000_000);
        two.count(999_999_999, 1);
        two.latency(3_000_000);
        two.count(1_000_000_000, 7);
        two.finish(4 * SECOND_NS);
        one.finish(4 * SECOND_NS);
        let seconds = series.into_seconds();
        let messages: Vec<(u64, u64)> = seconds.iter().map(|second| (second.second, second.messages)).collect();
        assert_eq!(messages, [(0, 2), (1, 7), (2, 3), (3, 0)]);
        assert!((seconds[0].max_us / 3000.0 - 1.0).abs() < 0.02, "{:?}", seconds[0]);
        assert!((seconds[0].p50_us / 1000.0 - 1.0).abs() < 0.02, "{:?}", seconds[0]);
        assert!((seconds[2].p99_us / 5000.0 - 1.0).abs() < 0.02, "{:?}", seconds[2]);
        assert_eq!(seconds[3].max_us, 0.0);
    }

    #[test]
    fn a_cut_off_last_second_is_there() {
        let series = Series::new(1);
        let mut part = series.part();
        part.count(1_100_000_000, 4);
        part.finish(1_200_000_000);
        assert_eq!(series.into_seconds().iter().map(|second| second.messages).collect::<Vec<_>>(), [0, 4]);
    }

    #[test]
    fn a_thread_that_died_does_not_hide_the_others() {
        let series = Series::new(2);
        let mut part = series.part();
        part.count(0, 4);
        part.finish(SECOND_NS);
        assert_eq!(series.into_seconds().len(), 1);
    }
}
