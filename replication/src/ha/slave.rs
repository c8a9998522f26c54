//! Decides for one link of a slave: what is compared, what is appended, what is reported, when the link ends.
//!
//! A link begins below the end of the slave's log, so that the master sends the last stretch again; it is compared
//! before a byte is appended. Owns the place of the next byte. A state machine: time and bytes come in, effects go out;
//! whoever carries them out stops at the first that fails. No I/O, no clock. Must not know what a record is.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::ending::SlaveEnd;
use super::plan::{Begin, Start};
use super::wire::{FrameReader, Part};

/// What a session needs to know beforehand.
#[derive(Clone, Debug)]
pub struct Rules {
    /// A report is repeated after this long without another.
    pub heartbeat: Duration,
    /// The link ends after this long without a byte of the master.
    pub housekeeping: Duration,
    /// Bytes of a frame's body at most.
    pub body_max: u32,
    /// Bytes of a commitlog file here.
    pub file_size: u64,
    /// A mistake made on purpose, for the tests of the tests.
    #[cfg(feature = "planted-bug")]
    pub bug: Option<Bug>,
}

/// Mistakes that a simulation must find.
#[cfg(feature = "planted-bug")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// What was received is reported, safe or not.
    ReportsReceived,
    /// What the master sends again is believed to be what is there.
    ComparesNothing,
    /// The offset of a frame is not looked at.
    BelievesFrameOffsets,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The link stands.
    Connected,
    /// The master sent bytes.
    Bytes(&'a [u8]),
    /// All effects so far were carried out; what is safe here now ends at `durable`.
    Stored { durable: i64 },
    /// Time passed.
    Tick,
}

/// What is to be done, in this order; `at` is a range of the bytes of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Let the empty log begin at this offset.
    Begin { offset: i64 },
    /// See that the log has these bytes at `offset`; if not, nothing that follows may be done.
    Compare { offset: i64, at: Range<usize> },
    /// Append these bytes at `offset`, the end of the log.
    Append { offset: i64, at: Range<usize> },
    /// Tell the master this offset.
    Report(i64),
    /// Close the link; nothing follows.
    Close(SlaveEnd),
}

/// The link's state.
#[derive(Debug)]
pub struct Session {
    rules: Rules,
    reader: FrameReader,
    start: Start,
    /// Offset of the next byte of the master; unknown while the log is empty and the master chooses.
    position: Option<i64>,
    reported: i64,
    durable: i64,
    /// Where the master's log ended when it had nothing more to send, while ours goes on.
    master_end: Option<i64>,
    last_received: Instant,
    last_report: Instant,
    has_ended: bool,
}

impl Session {
    /// A link that was planned and just connected.
    pub fn new(now: Instant, rules: Rules, start: Start) -> Self {
        assert!(rules.file_size > 0);
        let position = match start.begin {
            Begin::Compare => Some(start.report),
            Begin::At(offset) => Some(offset),
            Begin::WhereTheMasterSays => None,
        };
        Self {
            reader: FrameReader::new(rules.body_max),
            rules,
            position,
            reported: start.report,
            durable: start.durable,
            start,
            master_end: None,
            last_received: now,
            last_report: now,
            has_ended: false,
        }
    }

    /// Takes one input and says what is to be done.
    pub fn step(&mut self, now: Instant, input: Input<'_>, effects: &mut Vec<Effect>) {
        if self.has_ended {
            return;
        }
        if let Err(end) = self.take(now, input, effects) {
            self.has_ended = true;
            effects.push(Effect::Close(end));
        }
    }

    fn take(&mut self, now: Instant, input: Input<'_>, effects: &mut Vec<Effect>) -> Result<(), SlaveEnd> {
        match input {
            Input::Connected => self.report(now, self.reported, effects),
            Input::Bytes(bytes) => {
                self.last_received = now;
                self.bytes(bytes, effects)?;
            }
            Input::Stored { durable } => {
                self.durable = durable;
                let safe = self.safe();
                if safe > self.reported {
                    self.report(now, safe, effects);
                }
            }
            Input::Tick => {}
        }
        if now.saturating_duration_since(self.last_received) >= self.rules.housekeeping {
            return Err(SlaveEnd::Silent { limit: self.rules.housekeeping });
        }
        if now.saturating_duration_since(self.last_report) >= self.rules.heartbeat {
            self.report(now, self.reported, effects);
        }
        Ok(())
    }

    fn report(&mut self, now: Instant, offset: i64, effects: &mut Vec<Effect>) {
        self.reported = offset;
        self.last_report = now;
        effects.push(Effect::Report(offset));
    }

    /// What may be reported: nothing new before all that was here is compared, then what is safe of what the master
    /// sent.
    fn safe(&self) -> i64 {
        let Some(position) = self.position else { return self.reported };
        if position < self.start.end {
            return self.reported;
        }
        #[cfg(feature = "planted-bug")]
        if self.rules.bug == Some(Bug::ReportsReceived) {
            return position;
        }
        self.durable.min(position)
    }

    fn bytes(&mut self, bytes: &[u8], effects: &mut Vec<Effect>) -> Result<(), SlaveEnd> {
        let mut done = 0;
        while let Some(part) = self.reader.next(bytes, &mut done).map_err(SlaveEnd::BadFrame)? {
            match part {
                Part::Header { offset, len } => self.header(offset, len, effects)?,
                Part::Body { offset, at } => self.body(offset, at, effects),
            }
        }
        Ok(())
    }

    fn header(&mut self, offset: i64, len: u32, effects: &mut Vec<Effect>) -> Result<(), SlaveEnd> {
        let file_size = self.rules.file_size;
        let in_file = offset.unsigned_abs() % file_size;
        let expected = match self.position {
            Some(expected) => expected,
            // The master of an empty log says 0 until it has something.
            None if len == 0 => return Ok(()),
            None if in_file != 0 => return Err(SlaveEnd::FileSize { offset, len, file_size }),
            None => offset,
        };
        #[cfg(feature = "planted-bug")]
        let expected = if self.rules.bug == Some(Bug::BelievesFrameOffsets) { offset } else { expected };
        if offset != expected {
            return Err(SlaveEnd::WrongOffset { found: offset, expected });
        }
        if len == 0 {
            if offset < self.start.end {
                self.master_end = Some(offset);
            }
            return Ok(());
        }
        if in_file.saturating_add(u64::from(len)) > file_size {
            return Err(SlaveEnd::FileSize { offset, len, file_size });
        }
        if !matches!(self.start.begin, Begin::Compare) {
            self.start.begin = Begin::Compare;
            self.start.end = offset;
            self.durable = offset;
            effects.push(Effect::Begin { offset });
        }
        self.position = Some(offset);
        Ok(())
    }

    fn body(&mut self, offset: i64, at: Range<usize>, effects: &mut Vec<Effect>) {
        self.master_end = None;
        let len = at.len() as u64;
        self.position = Some(offset.saturating_add_unsigned(len));
        let known = usize::try_from(self.start.end.saturating_sub(offset).max(0)).unwrap_or(usize::MAX).min(at.len());
        let middle = at.start + known;
        if known > 0 {
            #[cfg(feature = "planted-bug")]
            let is_compared = self.rules.bug != Some(Bug::ComparesNothing);
            #[cfg(not(feature = "planted-bug"))]
            let is_compared = true;
            if is_compared {
                effects.push(Effect::Compare { offset, at: at.start..middle });
            }
        }
        if middle < at.end {
            effects.push(Effect::Append { offset: offset.saturating_add_unsigned(known as u64), at: middle..at.end });
        }
    }

    /// When [`Input::Tick`] is due, unless something else comes before.
    pub fn deadline(&self) -> Instant {
        (self.last_received + self.rules.housekeeping).min(self.last_report + self.rules.heartbeat)
    }

    /// Whether what was here before the link is still to be compared with the master's.
    pub fn is_comparing(&self) -> bool {
        matches!(self.start.begin, Begin::Compare) && self.position.is_some_and(|position| position < self.start.end)
    }

    /// Where the master's log ends, when that is short of ours.
    pub fn master_end(&self) -> Option<i64> {
        self.master_end
    }

    /// What was last reported.
    pub fn reported(&self) -> i64 {
        self.reported
    }
}
