//! One thread of the load: its own epoll instance, its own connections, nothing shared but counters.
//!
//! Owns the waiting, and when the thread is done. All else is in its two halves.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::epoll::{Epoll, sharpen_timers};
use crate::phases::Phases;
use crate::reader::{Reader, Receiving};
use crate::recorder::{Failure, Recorder, Tally};
use crate::sender::{Sender, Sending};
use crate::series::Series;
use crate::stop;
use crate::verify::Acks;

/// Waits so long after the end for the last acks and messages.
const TAIL: Duration = Duration::from_secs(15);
/// The same after a signal.
const TAIL_STOPPED: Duration = Duration::from_secs(2);
/// Looks at the clock and the counters at least so often.
const TICK: Duration = Duration::from_millis(50);
const TICK_ENDING: Duration = Duration::from_millis(2);
const REAL_TIME_PRIORITY: i32 = 10;

/// What the threads tell each other.
#[derive(Debug, Default)]
pub struct Shared {
    /// Threads that send no more and know all their acks.
    senders_done: AtomicU32,
    acked: AtomicU64,
    received: AtomicU64,
    /// A thread cannot go on: the run is over.
    pub failed: AtomicBool,
    /// Threads that got real-time priority.
    pub real_time: AtomicU32,
}

/// What a run is made of; read-only.
pub struct Parts<'a> {
    pub phases: &'a Phases,
    pub shared: &'a Shared,
    pub sending: &'a Sending<'a>,
    pub receiving: Option<&'a Receiving<'a>>,
    /// Of the receipts if `is_series_of_receipts`, else of the acks.
    pub series: &'a Series,
    pub is_series_of_receipts: bool,
    /// Acks each thread keeps, 0 without `--verify`.
    pub acks_max: usize,
}

/// What a thread found.
#[derive(Debug)]
pub struct Findings {
    pub sends: Tally,
    pub receipts: Option<Tally>,
    pub pulls: u64,
    pub acks: Option<Acks>,
    /// Messages this thread gave a sequence to.
    pub sequences: u64,
}

/// One thread's load.
pub struct Worker<'a> {
    parts: &'a Parts<'a>,
    epoll: Epoll,
    sender: Sender<'a>,
    reader: Option<Reader<'a>>,
}

impl<'a> Worker<'a> {
    /// Connects.
    pub fn connect(parts: &'a Parts<'a>, number: u32) -> Result<Self, String> {
        let epoll = Epoll::new().map_err(|error| error.to_string())?;
        let series = |is_wanted: bool| is_wanted.then(|| parts.series.part());
        let recorder = Recorder::new(parts.phases, series(!parts.is_series_of_receipts));
        let acks = (parts.acks_max > 0).then(|| Acks::new(parts.acks_max));
        let sender = Sender::connect(parts.sending, parts.phases, number, &epoll, acks, recorder)?;
        let reader = match parts.receiving {
            Some(receiving) => {
                let recorder = Recorder::new(parts.phases, series(parts.is_series_of_receipts));
                let first = sender.links() as u64;
                Some(Reader::connect(receiving, parts.phases, number, &epoll, first, recorder)?)
            }
            None => None,
        };
        Ok(Worker { parts, epoll, sender, reader })
    }

    /// Runs the load to its end. A broken connection ends it early and counts as a failure.
    pub fn run(mut self) -> Findings {
        sharpen_timers();
        if self.parts.sending.load.fifo && become_real_time() {
            self.parts.shared.real_time.fetch_add(1, Ordering::Relaxed);
        }
        if let Err(words) = self.turn() {
            self.sender.recorder.tally.fail(Failure::Connection, 1, || words);
            self.parts.shared.failed.store(true, Ordering::Relaxed);
            self.parts.phases.end_now();
        }
        let (recorder, acks, sequences) = self.sender.finish();
        let (receipts, pulls) =
            self.reader.map(Reader::finish).map_or((None, 0), |(r, pulls)| (Some(r.finish()), pulls));
        Findings { sends: recorder.finish(), receipts, pulls, acks, sequences }
    }

    fn turn(&mut self) -> Result<(), String> {
        let (phases, shared) = (self.parts.phases, self.parts.shared);
        let is_spinning = self.parts.sending.load.spin;
        let mut ready: Vec<u64> = Vec::with_capacity(256);
        let mut is_done_sending = false;
        let mut counted = 0;
        if let Some(reader) = &mut self.reader {
            reader.begin(&self.epoll)?;
        }
        loop {
            let (now, end) = (phases.now(), phases.end());
            // What was due before the end and could not be written is still sent, and counts with all its wait.
            let is_sending = now < end || (!is_done_sending && self.sender.is_behind(end));
            if is_sending {
                self.sender.pump(now, end, &self.epoll)?;
            }
            if let Some(reader) = &mut self.reader {
                reader.pump(now, &self.epoll)?;
                let received = reader.received();
                shared.received.fetch_add(received - counted, Ordering::Relaxed);
                counted = received;
            }
            if now >= end {
                let tail = if stop::is_asked() { TAIL_STOPPED } else { TAIL };
                let is_late = now > end.saturating_add(tail.as_nanos() as u64) || shared.failed.load(Ordering::Relaxed);
                if !is_done_sending && (is_late || !(self.sender.is_behind(end) || self.sender.is_busy())) {
                    is_done_sending = true;
                    self.sender.give_up(end, &format!("in {tail:?}"));
                    shared.acked.fetch_add(self.sender.acked(), Ordering::Relaxed);
                    shared.senders_done.fetch_add(1, Ordering::Release);
                }
                if is_late || (is_done_sending && self.is_all_received()) {
                    return Ok(());
                }
            }
            let limit = if is_spinning { Duration::ZERO } else { self.limit(now, is_sending) };
            self.epoll.wait(limit, |token| ready.push(token)).map_err(|error| error.to_string())?;
            let links = self.sender.links();
            for token in ready.drain(..) {
                let link = token as usize;
                if link < links {
                    self.sender.ready(link, &self.epoll)?;
                } else if let Some(reader) = &mut self.reader {
                    reader.ready(link - links, &self.epoll)?;
                }
            }
        }
    }

    /// How long to wait for answers.
    fn limit(&self, now: u64, is_sending: bool) -> Duration {
        let tick = if is_sending { TICK } else { TICK_ENDING };
        let due = if is_sending { self.sender.next_due() } else { None };
        let retry = self.reader.as_ref().and_then(Reader::next_due);
        match due.into_iter().chain(retry).min() {
            // The clock anew: the sends before took their time.
            Some(due) if due > now => Duration::from_nanos(due.saturating_sub(self.parts.phases.now())).min(tick),
            Some(_) => Duration::ZERO,
            None => tick,
        }
    }

    /// Whether every group has what was acked, as far as all threads know.
    fn is_all_received(&self) -> bool {
        let (Some(receiving), shared) = (self.parts.receiving, self.parts.shared) else { return true };
        shared.senders_done.load(Ordering::Acquire) >= self.parts.sending.threads
            && shared.received.load(Ordering::Relaxed)
                >= shared.acked.load(Ordering::Relaxed).saturating_mul(u64::from(receiving.groups))
    }
}

/// Whether this thread now goes before all others.
fn become_real_time() -> bool {
    let parameters = libc::sched_param { sched_priority: REAL_TIME_PRIORITY };
    // SAFETY: the parameters live through the call; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) == 0 }
}
