//! A shard's work between requests: consume queue files, checkpoint rounds, expiry, and the last call.
//!
//! Part of [`ShardStore`], on its thread, in small bounded steps.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::ShardStore;
use super::queue_table::Queue;
use super::types::QueueSlot;
use crate::error::PutRefused;
use crate::io::is_out_of_space;
use crate::progress::Refuser;

/// How old unwritten units get before they are written to their files.
const WRITE_BACK_AGE: Duration = Duration::from_secs(1);
/// Queues written in one housekeeping.
const WRITE_SLICE: usize = 128;
/// Bytes a slave's shard follows at a time before its last call.
const FOLLOW_STEP: usize = 64 << 20;
/// How long it may write before requests get their turn: making a queue's first file takes a hundred times as long as
/// writing to an open one.
const WRITE_TIME: Duration = Duration::from_millis(2);
/// Queues looked at for expired files in one housekeeping.
const EXPIRE_SLICE: usize = 16;

impl<A> ShardStore<A> {
    /// Work that is not a request's: writes consume queues back (every second, or sooner when 4 KiB wait), reports to
    /// checkpoint rounds, expires consume queue files, retries a write that found no space. Call every 10 ms or so.
    pub fn housekeep(&mut self, now: Instant) {
        self.view.refresh(&self.core.segments);
        if self.batch.write_again.is_some() {
            let _ = self.commit();
        }
        if self.writing.is_empty() && self.writing_round.is_none() {
            let (round, bound) = self.core.rounds.round();
            let old = self.last_write_back.is_none_or(|last| now.saturating_duration_since(last) >= WRITE_BACK_AGE);
            let is_due = round != self.round && self.has_followed(bound);
            if is_due {
                self.writing_round = Some((round, bound));
            }
            if old {
                self.last_write_back = Some(now);
                self.warm.cool(&mut self.queues);
            }
            if old || is_due {
                self.writing.extend_from_slice(&self.dirty);
            }
        }
        self.write_back();
        if self.writing.is_empty()
            && let Some((round, bound)) = self.writing_round.take()
        {
            self.round = round;
            let paths = self.paths_to_sync();
            self.core.rounds.report(round, self.queues.digest(bound), paths);
        }
        self.expire();
    }

    /// Writes some queues' unwritten units to their files: those whose turn it is, else those where enough wait.
    fn write_back(&mut self) {
        let mut written = 0;
        let mut failed = None;
        let turn = !self.writing.is_empty();
        let mut at = 0;
        let begun = Instant::now();
        while written < WRITE_SLICE && failed.is_none() && begun.elapsed() < WRITE_TIME {
            let next = if turn { self.writing.pop() } else { self.dirty.get(at).copied() };
            let Some(slot) = next else { break };
            at += 1;
            let Some(Queue { units: Some(units), dirty: dirty @ true, .. }) = self.queues.get_mut(slot) else {
                continue;
            };
            if !turn && !units.needs_write_back() {
                continue;
            }
            match units.write_back() {
                Ok(()) => {
                    if self.warm.is_crowded() {
                        units.release();
                    }
                    *dirty = false;
                    written += 1;
                }
                Err(error) => failed = Some((units.dir().to_path_buf(), error)),
            }
        }
        if written > 0 {
            let queues = &self.queues;
            self.dirty.retain(|slot| queues.get(*slot).is_some_and(|queue| queue.dirty && !queue.deleted));
        }
        self.tell_write_back(failed);
    }

    /// Refuses puts while a consume queue cannot be written, because its units stay in memory.
    fn tell_write_back(&mut self, failed: Option<(PathBuf, io::Error)>) {
        match failed {
            Some((path, error)) => {
                // The pass, and the round it was for, begin again at the next call.
                self.writing.clear();
                self.writing_round = None;
                self.write_back_failed = true;
                let refusal = if is_out_of_space(&error) {
                    self.core.disk_full("storePathConsumeQueue")
                } else {
                    PutRefused::NotWritable(format!("consume queue {} cannot be written: {error}", path.display()))
                };
                if self.core.progress.refuse(Refuser::Queues, Some(refusal)) {
                    tracing::error!(path = %path.display(), %error, "a consume queue cannot be written; its units stay in memory and no message is taken until it can");
                }
                self.last_write_back = None;
            }
            // After a failure every queue gets its turn again; that there was none left to write is a good end, too.
            None if self.write_back_failed && self.writing.is_empty() => {
                self.write_back_failed = false;
                if self.core.progress.refuse(Refuser::Queues, None) {
                    tracing::info!("consume queues are written again");
                }
            }
            None => {}
        }
    }

    fn paths_to_sync(&mut self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for queue in self.queues.all_mut() {
            if let Some(units) = &mut queue.units {
                paths.append(&mut units.paths_to_sync());
            }
        }
        paths
    }

    /// Corrects min offsets and removes files behind the log's first byte, some queues a call.
    fn expire(&mut self) {
        let log_min = self.core.segments.log_min();
        if self.expire_from == 0 {
            if log_min == self.expired_log_min {
                return;
            }
            self.expired_log_min = log_min;
        }
        let until = self.queues.len().min(self.expire_from + EXPIRE_SLICE);
        for number in self.expire_from..until {
            let slot = QueueSlot(u32::try_from(number).unwrap_or(u32::MAX));
            let Some(Queue { units: Some(units), .. }) = self.queues.get_mut(slot) else { continue };
            if let Err(error) = units.delete_expired(self.expired_log_min) {
                tracing::warn!(dir = %units.dir().display(), %error, "expired consume queue files stay for now");
            }
        }
        self.expire_from = if until == self.queues.len() { 0 } else { until };
    }

    /// The last call: commits, makes the consume queues durable and takes no more puts. Blocks on the disk. Under
    /// SYNC_FLUSH acks may still be pending: `Shared::stop` flushes, then `take_acks` gives them out.
    pub fn shutdown(&mut self) {
        if self.closed {
            return;
        }
        while self.follow(FOLLOW_STEP) {}
        self.closed = true;
        let mut clean = self.commit().is_ok() && self.batch.write_again.is_none();
        for queue in self.queues.all_mut() {
            if let Some(units) = &mut queue.units
                && let Err(error) = units.sync()
            {
                tracing::error!(dir = %units.dir().display(), %error, "a consume queue could not be made durable; the next start rebuilds it");
                clean = false;
            }
        }
        self.core.rounds.close(self.queues.digest(i64::MAX), clean);
    }
}
