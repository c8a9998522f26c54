//! Who is told what, when: acks whose promise is kept, and messages that became visible.
//!
//! Part of [`ShardStore`], on its thread. Four queues in the order of the log, so a turn costs what is due, not what
//! waits: acks that wait for the watermark, acks that wait for the flusher, acks that wait for a slave, too, arrivals.

use std::collections::VecDeque;
use std::time::Instant;

use super::ShardStore;
use super::promise::{LINK_GRACE, Now};
use super::types::{PutOutcome, PutStatus, QueueSlot};
use crate::options::{FlushMode, Replication, StoreRole};
use crate::progress::Counters;

/// Takes the first element if it is due.
fn pop_if<T>(queue: &mut VecDeque<T>, due: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(due) { queue.pop_front() } else { None }
}

/// The offsets a step went by. The ends are read before what is undecided below them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    watermark: i64,
    flushed: i64,
    /// 0 unless acks wait for slaves.
    acknowledged: i64,
    /// Everything is decided unless acks wait for slaves.
    undecided: i64,
}

impl<A> ShardStore<A> {
    fn is_replicated(&self) -> bool {
        self.core.options.replication != Replication::Async
    }

    fn see(&self) -> Seen {
        let (watermark, flushed) = (self.core.tail.watermark(), self.core.progress.flushed());
        if !self.is_replicated() {
            return Seen { watermark, flushed, acknowledged: 0, undecided: i64::MAX };
        }
        let acknowledged = self.core.slaves.acknowledged();
        Seen { watermark, flushed, acknowledged, undecided: self.core.progress.undecided() }
    }

    /// Up to where the flush mode's promise is kept.
    fn durable(&self, seen: &Seen) -> i64 {
        match self.core.options.flush {
            FlushMode::Async => seen.watermark,
            FlushMode::Sync => seen.flushed,
        }
    }

    /// Gives out the acks that are decided, each kind in the order of the log: written ones, then flushed ones, then
    /// those whose time ran out, then those that waited for a slave. Call after `commit`, after every wake, and at
    /// least every 10 ms or so for the time-outs.
    pub fn take_acks(&mut self, now: Instant, mut f: impl FnMut(A, PutOutcome)) {
        self.acks_refused.drain(..).for_each(|(ack, outcome)| f(ack, outcome));
        loop {
            if self.core.progress.is_failed() {
                self.fail_acks(f);
                return;
            }
            let seen = self.see();
            let core = &self.core;
            for (queue, end) in [(&mut self.acks_written, seen.watermark), (&mut self.acks_flushed, seen.flushed)] {
                while let Some(pending) = pop_if(queue, |pending| pending.end <= end) {
                    f(pending.ack, pending.outcome);
                }
                while let Some(pending) = pop_if(queue, |pending| pending.deadline <= now) {
                    let mut outcome = pending.outcome;
                    // That there was no slave says more.
                    if outcome.status == PutStatus::Ok {
                        Counters::add(&core.progress.counters.flush_timeouts, 1);
                        outcome.status = PutStatus::FlushTimeout;
                    }
                    f(pending.ack, outcome);
                }
            }
            if !self.acks_slave.is_empty() {
                self.take_slave_acks(now, &seen, &mut f);
            }
            // A failure that was latched in between has woken nobody yet.
            let failed_since = self.core.progress.is_failed() && self.has_acks();
            if self.is_settled_after_wanting(&seen) && !failed_since {
                return;
            }
        }
    }

    fn take_slave_acks(&mut self, time: Instant, seen: &Seen, f: &mut impl FnMut(A, PutOutcome)) {
        let (durable, stopping) = (self.durable(seen), self.core.is_stopping());
        let alone = self.core.slaves.are_gone_since(time, LINK_GRACE);
        let now = Now { time, durable, acknowledged: seen.acknowledged, alone, stopping };
        while let Some(status) = self.acks_slave.front().and_then(|pending| pending.promise.outcome(&now)) {
            let Some(pending) = self.acks_slave.pop_front() else { break };
            let counters = &self.core.progress.counters;
            match status {
                PutStatus::FlushTimeout => Counters::add(&counters.flush_timeouts, 1),
                PutStatus::SlaveTimeout => Counters::add(&counters.slave_timeouts, 1),
                _ => {}
            }
            f(pending.ack, PutOutcome { status, ..pending.outcome });
        }
        self.tell_undecided();
    }

    /// Publishes from where on outcomes of this shard wait for a slave.
    pub(super) fn tell_undecided(&self) {
        let first = self.acks_slave.front().map(|pending| pending.outcome.physical_offset);
        self.core.progress.set_undecided(self.shard, first);
    }

    /// The log failed: nothing is promised to anybody.
    fn fail_acks(&mut self, mut f: impl FnMut(A, PutOutcome)) {
        let status = PutStatus::Failed;
        let pending = self.acks_written.drain(..).chain(self.acks_flushed.drain(..));
        pending.for_each(|pending| f(pending.ack, PutOutcome { status, ..pending.outcome }));
        // They stay undecided, and so unread.
        self.acks_slave.drain(..).for_each(|pending| f(pending.ack, PutOutcome { status, ..pending.outcome }));
        for unit in self.batch.units.drain(..) {
            let (queue_offset, physical_offset, store_timestamp) = (0, 0, 0);
            f(unit.ack, PutOutcome { status, queue_offset, physical_offset, store_timestamp, more: None });
        }
    }

    /// Gives out the messages that became visible, in the order of the log, and makes them visible to `get`: queue,
    /// queue offset, tags code. Call after `take_acks`.
    pub fn take_arrivals(&mut self, mut f: impl FnMut(QueueSlot, i64, i64)) {
        loop {
            let seen = self.see();
            let readable = self.durable(&seen).min(seen.undecided);
            while let Some(arriving) = pop_if(&mut self.arriving, |arriving| arriving.end <= readable) {
                match self.queues.get_mut(arriving.slot) {
                    Some(queue) if !queue.deleted => queue.visible = arriving.queue_offset + 1,
                    _ => continue,
                }
                f(arriving.slot, arriving.queue_offset, arriving.tags_code);
            }
            if self.is_settled_after_wanting(&seen) {
                return;
            }
        }
    }

    /// Asks to be woken for what is still pending, and looks whether something moved before that was asked.
    fn is_settled_after_wanting(&self, seen: &Seen) -> bool {
        let progress = &self.core.progress;
        let sync = self.core.options.flush == FlushMode::Sync;
        let waits = !self.arriving.is_empty() || !self.acks_slave.is_empty();
        let wants_watermark = !self.acks_written.is_empty() || (!sync && waits);
        let wants_flushed = !self.acks_flushed.is_empty() || (sync && waits);
        let follows = self.core.options.role == StoreRole::Slave;
        progress.want(self.shard, wants_watermark || follows, wants_flushed);
        if follows {
            self.look_behind();
        }
        let (wants_acknowledged, wants_decided) = (!self.acks_slave.is_empty(), !self.arriving.is_empty());
        if self.is_replicated() {
            progress.want_replica(self.shard, wants_acknowledged, wants_decided);
        }
        if !(wants_watermark || wants_flushed || wants_acknowledged || wants_decided) {
            return true;
        }
        let now = self.see();
        (!wants_watermark || now.watermark == seen.watermark)
            && (!wants_flushed || now.flushed == seen.flushed)
            && (!wants_acknowledged || now.acknowledged == seen.acknowledged)
            && (!wants_decided || now.undecided == seen.undecided)
    }

    fn has_acks(&self) -> bool {
        !self.acks_written.is_empty() || !self.acks_flushed.is_empty() || !self.acks_slave.is_empty()
    }

    /// Puts whose outcome was not given out yet.
    pub fn pending_acks(&self) -> usize {
        let waiting = self.acks_written.len() + self.acks_flushed.len() + self.acks_slave.len();
        self.batch.units.len() + waiting + self.acks_refused.len()
    }
}
