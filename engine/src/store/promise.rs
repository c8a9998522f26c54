//! What decides the outcome of a put that waits for a slave: pure, told the time and the offsets.
//!
//! Two promises, each kept, broken when its time is up, or open; the outcome is known when neither is open. As in Java
//! 4.9.7 a slave's silence says more than the disk's. A promise that is kept after its time while the other is still
//! open counts as kept: it is true by then. When no slave is left the slave's promise is broken at once: the time is for
//! one that is there and slow.

use std::time::{Duration, Instant};

use super::types::PutStatus;

/// How long there may be no link before those who wait for a slave are told that there is none. A slave whose
/// connection broke is back within some tens of milliseconds and then costs nobody a worse answer; and all consumers
/// stand still meanwhile, because nothing behind an undecided message is read.
pub(crate) const LINK_GRACE: Duration = Duration::from_millis(500);

/// What a put waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    /// One past the last byte of its messages.
    pub(crate) end: i64,
    /// `sync_flush_timeout` after the write.
    pub(crate) flush_deadline: Instant,
    /// `slaveTimeout` after the write.
    pub(crate) slave_deadline: Instant,
}

/// Where things are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) time: Instant,
    /// Up to where the flush mode's promise is kept.
    pub(crate) durable: i64,
    /// Up to where a slave has acknowledged.
    pub(crate) acknowledged: i64,
    /// No link has lived for [`LINK_GRACE`].
    pub(crate) alone: bool,
    /// No slave will be heard any more.
    pub(crate) stopping: bool,
}

impl Promise {
    /// The outcome, once it is known.
    pub(crate) fn outcome(&self, now: &Now) -> Option<PutStatus> {
        let flushed = now.durable >= self.end;
        let replicated = now.acknowledged >= self.end;
        let flush_open = !flushed && now.time < self.flush_deadline;
        let slave_open = !replicated && now.time < self.slave_deadline && !now.alone && !now.stopping;
        if flush_open || slave_open {
            return None;
        }
        Some(match (flushed, replicated) {
            (_, false) if now.alone => PutStatus::SlaveNotAvailable,
            (_, false) => PutStatus::SlaveTimeout,
            (false, true) => PutStatus::FlushTimeout,
            (true, true) => PutStatus::Ok,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const END: i64 = 1000;

    /// A put written at 0 ms, 5 s for the flush and 3 s for a slave.
    fn outcome(ms: u64, durable: i64, acknowledged: i64, alone: bool, stopping: bool) -> Option<PutStatus> {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let promise = Promise { end: END, flush_deadline: at(5000), slave_deadline: at(3000) };
        promise.outcome(&Now { time: at(ms), durable, acknowledged, alone, stopping })
    }

    #[test]
    fn both_promises_decide() {
        let (none, all, more) = (END - 1, END, END + 500);
        let check = |ms: u64, durable: i64, acknowledged: i64, want: Option<PutStatus>| {
            assert_eq!(outcome(ms, durable, acknowledged, false, false), want, "{ms} ms, {durable}, {acknowledged}");
        };
        check(0, none, none, None);
        check(0, all, none, None);
        check(0, none, all, None);
        check(0, all, all, Some(PutStatus::Ok));
        check(0, more, more, Some(PutStatus::Ok));
        // The slave's time is up first; the flush is still open.
        check(2999, all, none, None);
        check(3000, all, none, Some(PutStatus::SlaveTimeout));
        check(3000, none, none, None);
        check(4000, more, none, Some(PutStatus::SlaveTimeout));
        check(4999, none, all, None);
        check(5000, none, all, Some(PutStatus::FlushTimeout));
        check(5000, none, none, Some(PutStatus::SlaveTimeout));
        // Late and true all the same.
        check(9000, all, all, Some(PutStatus::Ok));
    }

    #[test]
    fn a_stopping_store_waits_for_its_flush_only() {
        assert_eq!(outcome(0, END - 1, 0, false, true), None);
        assert_eq!(outcome(0, END, 0, false, true), Some(PutStatus::SlaveTimeout));
        assert_eq!(outcome(0, END, END, false, true), Some(PutStatus::Ok));
    }

    #[test]
    fn without_any_slave_left_only_the_flush_is_waited_for() {
        let (none, all) = (END - 1, END);
        let check = |ms: u64, durable: i64, acknowledged: i64, stopping: bool, want: Option<PutStatus>| {
            let got = outcome(ms, durable, acknowledged, true, stopping);
            assert_eq!(got, want, "{ms} ms, {durable}, {acknowledged}, {stopping}");
        };
        check(0, all, none, false, Some(PutStatus::SlaveNotAvailable));
        check(0, none, none, false, None);
        // The slave's time may be up by the time the flush is done: there is none all the same.
        check(4000, none, none, false, None);
        check(4000, all, none, false, Some(PutStatus::SlaveNotAvailable));
        check(5000, none, none, false, Some(PutStatus::SlaveNotAvailable));
        check(0, all, none, true, Some(PutStatus::SlaveNotAvailable));
        // It was acknowledged before the last one went.
        check(0, all, all, false, Some(PutStatus::Ok));
        check(0, none, all, false, None);
        check(5000, none, all, false, Some(PutStatus::FlushTimeout));
    }
}
