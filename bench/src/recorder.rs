//! What one thread saw: latencies, counts and errors, and their sum over the threads.
//!
//! Owns the counting, and the rule what counts: a message by the instant of its ack or receipt, a latency by the
//! instant the message was due. Must not know how messages travel.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use protocol::code::response;

use crate::histogram;
use crate::phases::Phases;
use crate::series::SeriesPart;

/// Kinds of errors told apart; more count as one.
const ERROR_KINDS_MAX: usize = 64;

/// Counts that add up over threads.
#[derive(Debug)]
pub struct Tally {
    /// Nanoseconds from the instant a message was due, of those due inside the measured time.
    pub latency: Histogram<u64>,
    /// Nanoseconds from the instant a message was due to its writing (open loop).
    pub lateness: Histogram<u64>,
    /// Messages and body bytes that came inside the measured time.
    pub messages: u64,
    pub bytes: u64,
    /// Messages over the whole run, warm-up and tail included.
    pub all: u64,
    errors: BTreeMap<Failure, u64>,
    /// The first error in words.
    pub first_error: Option<String>,
}

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The broker's answer.
    Code(i32),
    /// None came until the end.
    NoAnswer,
    /// Due, and not written until the end: the broker did not take it.
    NotSent,
    /// The connection broke.
    Connection,
    /// A message came back changed, or not where it belongs.
    Damaged,
    /// One-way: sent and not stored.
    NotStored,
    /// Acked and not received until the end.
    NotReceived,
    /// Anything past the kinds told apart.
    Other,
}

impl Failure {
    /// As the result names it.
    pub fn name(self) -> String {
        match self {
            Failure::Code(code) => match response::name(code) {
                Some(name) => format!("{code}: {name}"),
                None => code.to_string(),
            },
            Failure::NoAnswer => "no answer".into(),
            Failure::NotSent => "not sent".into(),
            Failure::Connection => "connection lost".into(),
            Failure::Damaged => "damaged".into(),
            Failure::NotStored => "not stored".into(),
            Failure::NotReceived => "not received".into(),
            Failure::Other => "other".into(),
        }
    }
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            latency: histogram::new(3),
            lateness: histogram::new(3),
            messages: 0,
            bytes: 0,
            all: 0,
            errors: BTreeMap::new(),
            first_error: None,
        }
    }
}

impl Tally {
    /// A failure of so many requests.
    pub fn fail(&mut self, failure: Failure, count: u64, words: impl FnOnce() -> String) {
        let is_known = self.errors.contains_key(&failure) || self.errors.len() < ERROR_KINDS_MAX;
        *self.errors.entry(if is_known { failure } else { Failure::Other }).or_default() += count;
        self.first_error.get_or_insert_with(words);
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Tally) {
        // Same bounds: these cannot fail.
        let _ = self.latency.add(&other.latency);
        let _ = self.lateness.add(&other.lateness);
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.all += other.all;
        for (failure, count) in &other.errors {
            *self.errors.entry(*failure).or_default() += count;
        }
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
    }

    /// Requests that failed.
    pub fn bad(&self) -> u64 {
        self.errors.values().sum()
    }

    /// How often this failure came.
    pub fn count(&self, failure: Failure) -> u64 {
        self.errors.get(&failure).copied().unwrap_or(0)
    }

    /// How often each failure came, by its name.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.iter().map(|(failure, count)| (failure.name(), *count)).collect()
    }
}

/// A thread's tally with its part of the series.
#[derive(Debug)]
pub struct Recorder<'a> {
    pub tally: Tally,
    series: Option<SeriesPart<'a>>,
    phases: &'a Phases,
    /// Of the instant the next messages came.
    now: u64,
    is_now_measured: bool,
}

impl<'a> Recorder<'a> {
    /// Nothing yet.
    pub fn new(phases: &'a Phases, series: Option<SeriesPart<'a>>) -> Recorder<'a> {
        Recorder { tally: Tally::default(), series, phases, now: 0, is_now_measured: false }
    }

    /// The instant the next messages came.
    pub fn at(&mut self, now: u64) {
        self.now = now;
        self.is_now_measured = self.phases.covers(now);
    }

    /// Messages that came now (of one request), due then.
    pub fn came(&mut self, due: u64, messages: u64, bytes: u64) {
        let latency = self.now.saturating_sub(due);
        self.count(messages, bytes);
        if self.is_now_measured
            && let Some(series) = &mut self.series
        {
            series.latency(latency);
        }
        if self.phases.covers(due) {
            self.tally.latency.saturating_record(latency);
        }
    }

    /// Messages were given to a socket now, and nothing will come back.
    pub fn sent(&mut self, messages: u64, bytes: u64) {
        self.count(messages, bytes);
    }

    fn count(&mut self, messages: u64, bytes: u64) {
        self.tally.all += messages;
        if self.is_now_measured {
            self.tally.messages += messages;
            self.tally.bytes += bytes;
            if let Some(series) = &mut self.series {
                series.count(self.now - self.phases.begin, messages);
            }
        }
    }

    /// The loader wrote a message that was due then, and could be written from `possible` on.
    pub fn wrote(&mut self, due: u64, possible: u64, written: u64) {
        if self.phases.covers(due) {
            self.tally.lateness.saturating_record(written.saturating_sub(possible));
        }
    }

    /// The thread's tally; its last second goes into the series.
    pub fn finish(self) -> Tally {
        if let Some(series) = self.series {
            series.finish(self.phases.end().saturating_sub(self.phases.begin));
        }
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Series;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn messages_count_when_they_come_and_latencies_when_they_were_due() {
        let phases = Phases::new(1, 2);
        let series = Series::new(1);
        let mut recorder = Recorder::new(&phases, Some(series.part()));
        for (now, due) in [
            (SECOND / 2, SECOND / 4),
            (SECOND + 1, SECOND - 1),
            (2 * SECOND, SECOND + 5),
            (4 * SECOND, 3 * SECOND - 1),
            (4 * SECOND, 3 * SECOND),
        ] {
            recorder.at(now);
            recorder.came(due, 1, 10);
        }
        let tally = recorder.finish();
        assert_eq!((tally.messages, tally.bytes, tally.latency.len(), tally.all), (2, 20, 2, 5));
        // The message that came late counts with all its wait.
        assert!(tally.latency.max() >= SECOND);
        let seconds = series.into_seconds();
        assert_eq!(seconds.iter().map(|second| second.messages).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn errors_are_named_and_counted() {
        let mut tally = Tally::default();
        tally.fail(Failure::Code(2), 1, || "first".into());
        tally.fail(Failure::Code(2), 2, || "second".into());
        tally.fail(Failure::Code(4711), 1, || "third".into());
        let mut sum = Tally::default();
        sum.fail(Failure::NoAnswer, 5, || "before".into());
        sum.add(&tally);
        assert_eq!((sum.bad(), sum.count(Failure::Code(2)), sum.count(Failure::Damaged)), (9, 3, 0));
        assert_eq!(sum.first_error.as_deref(), Some("before"));
        let wanted = [("2: SYSTEM_BUSY", 3), ("4711", 1), ("no answer", 5)];
        assert_eq!(sum.errors(), wanted.map(|(name, count)| (name.to_owned(), count)).into());
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let mut tally = Tally::default();
        for code in 0..1000 {
            tally.fail(Failure::Code(code), 1, String::new);
        }
        assert_eq!(tally.bad(), 1000);
        assert!(tally.errors().len() <= ERROR_KINDS_MAX + 1);
    }
}
