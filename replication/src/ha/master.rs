//! Decides for one link of a master: what is sent, what a slave's word counts, when the link ends.
//!
//! Owns the place of the next byte and what the slave has said. A state machine: time, the log's extent and the bytes
//! of the slave come in, effects go out. No I/O, no clock. Must not know what lies in the log, or of other links.

use std::time::{Duration, Instant};

use super::ending::MasterEnd;
use super::seam::LogExtent;
use super::wire::ReportReader;

/// What a session needs to know beforehand.
#[derive(Clone, Debug)]
pub struct Rules {
    /// A frame without a body is sent after this long without another.
    pub heartbeat: Duration,
    /// The link ends after this long without a report.
    pub housekeeping: Duration,
    /// Bytes of a body at most.
    pub batch: u32,
    /// Bytes of a commitlog file; no frame crosses from one into the next.
    pub file_size: u64,
    /// A mistake made on purpose, for the tests of the tests.
    #[cfg(feature = "planted-bug")]
    pub bug: Option<Bug>,
}

/// Mistakes that a simulation must find.
#[cfg(feature = "planted-bug")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Reports count as they come, as in Java before 4.9.3.
    BelievesAnyReport,
    /// Where a slave begins counts as if it had been sent and confirmed.
    CountsTheStart,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The slave sent bytes.
    Bytes(&'a [u8]),
    /// Where the log begins and ends now.
    Log(LogExtent),
    /// The frame asked for is with the kernel, wholly.
    Sent,
    /// Time passed.
    Tick,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The slave counts from now on; it claims the log below `start`, which is neither checked nor a confirmation.
    Up { start: i64 },
    /// The slave has all below this offset, of what this link sent.
    Ack(i64),
    /// Send a frame; nothing else is asked for until [`Input::Sent`].
    Frame { offset: i64, len: u32 },
    /// Close the link; nothing follows.
    Close(MasterEnd),
}

/// The link's state.
#[derive(Debug)]
pub struct Session {
    rules: Rules,
    reader: ReportReader,
    log: LogExtent,
    /// The first report as it came, and where sending began for it.
    first: Option<(i64, i64)>,
    /// The first byte not yet asked to be sent.
    next: i64,
    acked: i64,
    is_sending: bool,
    last_report: Instant,
    last_sent: Instant,
    has_ended: bool,
}

impl Session {
    /// A link that was just accepted.
    pub fn new(now: Instant, rules: Rules, log: LogExtent) -> Self {
        assert!(rules.file_size > 0 && rules.batch > 0);
        Self {
            rules,
            reader: ReportReader::default(),
            log,
            first: None,
            next: 0,
            acked: 0,
            is_sending: false,
            last_report: now,
            last_sent: now,
            has_ended: false,
        }
    }

    /// Takes one input and says what is to be done.
    pub fn step(&mut self, now: Instant, input: Input<'_>, effects: &mut Vec<Effect>) {
        if self.has_ended {
            return;
        }
        if let Err(end) = self.take(now, input, effects).and_then(|()| self.heard_lately(now)) {
            self.has_ended = true;
            effects.push(Effect::Close(end));
            return;
        }
        self.send_next(now, effects);
    }

    fn take(&mut self, now: Instant, input: Input<'_>, effects: &mut Vec<Effect>) -> Result<(), MasterEnd> {
        match input {
            Input::Bytes(mut bytes) => {
                let before = self.acked;
                let mut outcome = Ok(());
                while let Some(report) = self.reader.next(&mut bytes) {
                    self.last_report = now;
                    outcome = self.report(report, effects);
                    if outcome.is_err() {
                        break;
                    }
                }
                if self.acked > before && self.first.is_some_and(|(_, start)| self.acked > start) {
                    effects.push(Effect::Ack(self.acked));
                }
                outcome
            }
            Input::Log(log) => {
                self.log = log;
                Ok(())
            }
            Input::Sent => {
                self.is_sending = false;
                self.last_sent = now;
                Ok(())
            }
            Input::Tick => Ok(()),
        }
    }

    /// A report counts only between where the link began and what it sent: a slave cannot have got more from here, and
    /// what it had before nobody compared.
    fn report(&mut self, report: i64, effects: &mut Vec<Effect>) -> Result<(), MasterEnd> {
        #[cfg(feature = "planted-bug")]
        if self.rules.bug == Some(Bug::BelievesAnyReport) && self.first.is_some() {
            self.acked = report;
            return Ok(());
        }
        if report < 0 {
            return Err(MasterEnd::NegativeReport { report });
        }
        let LogExtent { min, max } = self.log;
        let Some((first, _)) = self.first else {
            if report > max {
                return Err(MasterEnd::BeyondEnd { report, max });
            }
            // An empty slave of Java begins with the last file; whoever wants more asks for it by an offset.
            let file_size = i64::try_from(self.rules.file_size).unwrap_or(i64::MAX);
            let start = if report == 0 { max - max % file_size } else { report };
            if start < min {
                return Err(MasterEnd::BelowMin { report, min });
            }
            self.first = Some((report, start));
            self.next = start;
            self.acked = start;
            effects.push(Effect::Up { start });
            #[cfg(feature = "planted-bug")]
            if self.rules.bug == Some(Bug::CountsTheStart) {
                effects.push(Effect::Ack(start));
            }
            return Ok(());
        };
        if report > max {
            return Err(MasterEnd::BeyondEnd { report, max });
        }
        if report > self.next {
            return Err(MasterEnd::BeyondSent { report, sent: self.next });
        }
        if report < self.acked {
            // The first report again is a sign of life of a slave that got nothing since.
            let start = self.first.map_or(0, |(_, start)| start);
            if report == first && self.acked == start {
                return Ok(());
            }
            return Err(MasterEnd::Backwards { report, before: self.acked });
        }
        self.acked = report;
        Ok(())
    }

    fn heard_lately(&self, now: Instant) -> Result<(), MasterEnd> {
        if now.saturating_duration_since(self.last_report) < self.rules.housekeeping {
            return Ok(());
        }
        Err(MasterEnd::Silent { had_reported: self.first.is_some(), limit: self.rules.housekeeping })
    }

    fn send_next(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.is_sending || self.first.is_none() {
            return;
        }
        let file_size = i64::try_from(self.rules.file_size).unwrap_or(i64::MAX);
        let left_of_file = file_size - self.next % file_size;
        let len = (self.log.max - self.next).min(left_of_file).min(i64::from(self.rules.batch));
        let offset = self.next;
        match u32::try_from(len) {
            Ok(len) if len > 0 => {
                self.next += i64::from(len);
                self.is_sending = true;
                effects.push(Effect::Frame { offset, len });
            }
            _ if now.saturating_duration_since(self.last_sent) >= self.rules.heartbeat => {
                self.is_sending = true;
                effects.push(Effect::Frame { offset, len: 0 });
            }
            _ => {}
        }
    }

    /// When [`Input::Tick`] is due, unless something else comes before.
    pub fn deadline(&self) -> Instant {
        let silence = self.last_report + self.rules.housekeeping;
        if self.first.is_none() || self.is_sending {
            return silence;
        }
        silence.min(self.last_sent + self.rules.heartbeat)
    }

    /// Whether all of the known log was sent: the time to ask to be woken for more.
    pub fn is_idle(&self) -> bool {
        !self.is_sending && (self.first.is_none() || self.next >= self.log.max)
    }

    /// Where the slave began, once it has said so.
    pub fn start(&self) -> Option<i64> {
        self.first.map(|(_, start)| start)
    }

    /// The first byte not yet sent.
    pub fn sent(&self) -> i64 {
        self.next
    }

    /// What the slave confirmed; its start until then.
    pub fn acked(&self) -> i64 {
        self.acked
    }

    /// The log as last told.
    pub fn log(&self) -> LogExtent {
        self.log
    }
}
