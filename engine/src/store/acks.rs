//! Who is told what, when: acks whose promise is kept, and messages that became visible.
//!
//! Part of [`ShardStore`], on its thread. Three queues in the order of the log, so a turn costs what is due, not what
//! waits: acks that wait for the watermark, acks that wait for the flusher, arrivals.

use std::collections::VecDeque;
use std::time::Instant;

use super::ShardStore;
use super::types::{PutOutcome, PutStatus, QueueSlot};
use crate::options::FlushMode;
use crate::progress::Counters;

/// Takes the first element if it is due.
fn pop_if<T>(queue: &mut VecDeque<T>, due: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(due) { queue.pop_front() } else { None }
}

impl<A> ShardStore<A> {
    /// Gives out the acks that are decided, each kind in the order of the log: written ones, then flushed ones, then
    /// those whose time ran out. Call after `commit`, after every wake, and at least every 10 ms or so for the
    /// time-outs.
    pub fn take_acks(&mut self, now: Instant, mut f: impl FnMut(A, PutOutcome)) {
        self.acks_refused.drain(..).for_each(|(ack, outcome)| f(ack, outcome));
        let core = &self.core;
        loop {
            if core.progress.is_failed() {
                let units = self.batch.units.drain(..).map(|unit| {
                    let (queue_offset, physical_offset, store_timestamp) = (0, 0, 0);
                    (
                        unit.ack,
                        PutOutcome {
                            status: PutStatus::Failed,
                            queue_offset,
                            physical_offset,
                            store_timestamp,
                            more: None,
                        },
                    )
                });
                let pending = self.acks_written.drain(..).chain(self.acks_flushed.drain(..));
                let pending =
                    pending.map(|pending| (pending.ack, PutOutcome { status: PutStatus::Failed, ..pending.outcome }));
                pending.chain(units).for_each(|(ack, outcome)| f(ack, outcome));
                return;
            }
            let (watermark, flushed) = (core.tail.watermark(), core.progress.flushed());
            for (queue, end) in [(&mut self.acks_written, watermark), (&mut self.acks_flushed, flushed)] {
                while let Some(pending) = pop_if(queue, |pending| pending.end <= end) {
                    f(pending.ack, pending.outcome);
                }
                while let Some(pending) = pop_if(queue, |pending| pending.deadline <= now) {
                    Counters::add(&core.progress.counters.flush_timeouts, 1);
                    f(pending.ack, PutOutcome { status: PutStatus::FlushTimeout, ..pending.outcome });
                }
            }
            // A failure that was latched in between has woken nobody yet.
            let failed_since = self.core.progress.is_failed() && self.has_acks();
            if self.is_settled_after_wanting(watermark, flushed) && !failed_since {
                return;
            }
        }
    }

    /// Gives out the messages that became visible, in the order of the log, and makes them visible to `get`: queue,
    /// queue offset, tags code. Call after `take_acks`.
    pub fn take_arrivals(&mut self, mut f: impl FnMut(QueueSlot, i64, i64)) {
        loop {
            let (watermark, flushed) = (self.core.tail.watermark(), self.core.progress.flushed());
            let readable = match self.core.options.flush {
                FlushMode::Async => watermark,
                FlushMode::Sync => flushed,
            };
            while let Some(arriving) = pop_if(&mut self.arriving, |arriving| arriving.end <= readable) {
                match self.queues.get_mut(arriving.slot) {
                    Some(queue) if !queue.deleted => queue.visible = arriving.queue_offset + 1,
                    _ => continue,
                }
                f(arriving.slot, arriving.queue_offset, arriving.tags_code);
            }
            if self.is_settled_after_wanting(watermark, flushed) {
                return;
            }
        }
    }

    /// Asks to be woken for what is still pending, and looks whether something moved before that was asked.
    fn is_settled_after_wanting(&self, watermark: i64, flushed: i64) -> bool {
        let progress = &self.core.progress;
        let sync = self.core.options.flush == FlushMode::Sync;
        let wants_watermark = !self.acks_written.is_empty() || (!sync && !self.arriving.is_empty());
        let wants_flushed = !self.acks_flushed.is_empty() || (sync && !self.arriving.is_empty());
        progress.want(self.shard, wants_watermark, wants_flushed);
        (!wants_watermark || self.core.tail.watermark() == watermark)
            && (!wants_flushed || progress.flushed() == flushed)
    }

    fn has_acks(&self) -> bool {
        !self.acks_written.is_empty() || !self.acks_flushed.is_empty()
    }

    /// Puts whose outcome was not given out yet.
    pub fn pending_acks(&self) -> usize {
        self.batch.units.len() + self.acks_written.len() + self.acks_flushed.len() + self.acks_refused.len()
    }
}
