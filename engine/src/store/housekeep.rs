//! A shard's work between requests: consume queue files, checkpoint rounds, expiry, and the last call.
//!
//! Part of [`ShardStore`], on its thread, in small bounded steps.

use std::time::{Duration, Instant};

use super::ShardStore;
use super::queue_table::Queue;
use super::types::QueueSlot;
use crate::error::PutRefused;
use crate::io::is_out_of_space;
use crate::progress::Refuser;

/// How old unwritten units get before they are written to their files.
const WRITE_BACK_AGE: Duration = Duration::from_secs(1);
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
        let (round, bound) = self.core.rounds.round();
        if round != self.round {
            self.write_back(true);
            if !self.write_back_failed {
                self.round = round;
                let paths = self.paths_to_sync();
                self.core.rounds.report(self.queues.digest(bound), paths);
            }
        } else {
            let old = self.last_write_back.is_none_or(|last| now.saturating_duration_since(last) >= WRITE_BACK_AGE);
            if old {
                self.last_write_back = Some(now);
                self.warm.cool(&mut self.queues);
            }
            if !self.dirty.is_empty() {
                self.write_back(old);
            }
        }
        self.expire();
    }

    /// Writes unwritten units to their files; without `all` only where enough wait.
    fn write_back(&mut self, all: bool) {
        let mut failed = None;
        let mut at = 0;
        while let Some(slot) = self.dirty.get(at).copied() {
            let Some(Queue { units: Some(units), dirty, .. }) = self.queues.get_mut(slot) else {
                self.dirty.swap_remove(at);
                continue;
            };
            if !all && !units.needs_write_back() {
                at += 1;
                continue;
            }
            match units.write_back() {
                Ok(()) => {
                    if self.warm.is_crowded() {
                        units.release();
                    }
                    *dirty = false;
                    self.dirty.swap_remove(at);
                }
                Err(error) => {
                    failed = Some((units.dir().to_path_buf(), error));
                    at += 1;
                }
            }
        }
        self.write_back_failed = failed.is_some();
        let refusal = failed.as_ref().map(|(path, error)| {
            if is_out_of_space(error) {
                self.core.disk_full("storePathConsumeQueue")
            } else {
                PutRefused::NotWritable(format!("consume queue {} cannot be written: {error}", path.display()))
            }
        });
        if self.core.progress.refuse(Refuser::Queues, refusal) {
            match failed {
                Some((path, error)) => {
                    tracing::error!(path = %path.display(), %error, "a consume queue cannot be written; its units stay in memory and no message is taken until it can")
                }
                None => tracing::info!("consume queues are written again"),
            }
        }
    }

    fn paths_to_sync(&mut self) -> Vec<std::path::PathBuf> {
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
