//! The offsets of a store in a row, its failure latch, why it refuses writes, and whom to wake when something moved.
//!
//! `flushed ≤ watermark ≤ reserved end`; none goes back, but where a slave's log is cut. The flusher alone moves `flushed`, shards move the watermark
//! (see `commitlog::tail`). Any thread.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::error::{PutRefused, StoreFailed};

/// Who says that no message is taken; each takes back only its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuser {
    /// The watch over free space.
    Watch = 0,
    /// The roll: no next file could be made.
    Room = 1,
    /// A write that found no space and waits for it.
    Write = 2,
    /// Consume queues cannot be written.
    Queues = 3,
    /// The store is closing.
    Closing = 4,
}

const REFUSERS: usize = 5;

type Wake = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct ShardWake {
    wants_watermark: AtomicBool,
    wants_flushed: AtomicBool,
    wants_replicated: AtomicBool,
    wants_decided: AtomicBool,
    wake: RwLock<Option<Wake>>,
}

impl ShardWake {
    fn call(&self) {
        if let Some(wake) = &*self.wake.read().unwrap_or_else(PoisonError::into_inner) {
            wake();
        }
    }
}

/// Numbers for runtime information; counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages appended.
    pub messages: AtomicU64,
    /// Bytes appended, blanks left out.
    pub bytes: AtomicU64,
    /// Write calls (one a batch and file).
    pub batches: AtomicU64,
    /// Completed flushes.
    pub flushes: AtomicU64,
    /// Of these, flushes a shard made by itself.
    pub inline_flushes: AtomicU64,
    /// Microseconds the last flush took.
    pub last_flush_us: AtomicU64,
    /// Microseconds a flush takes: the median of the last hundred.
    pub median_flush_us: AtomicU64,
    /// Microseconds the slowest flush took.
    pub slowest_flush_us: AtomicU64,
    /// Segments made by a shard because the next one was not ready.
    pub inline_segments: AtomicU64,
    /// Segments made ready in time.
    pub prepared_segments: AtomicU64,
    /// Segments deleted by retention.
    pub deleted_segments: AtomicU64,
    /// Puts answered FLUSH_DISK_TIMEOUT.
    pub flush_timeouts: AtomicU64,
    /// Puts answered FLUSH_SLAVE_TIMEOUT.
    pub slave_timeouts: AtomicU64,
    /// Pull answers of which a range was not resident.
    pub cold_gets: AtomicU64,
    /// Checkpoints written.
    pub checkpoints: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    /// A counter's value.
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// Nothing of a shard waits for a slave.
const ALL_DECIDED: i64 = i64::MAX;

/// See the module's head.
pub struct Progress {
    flushed: AtomicI64,
    failed: AtomicBool,
    failure: OnceLock<StoreFailed>,
    refusing: AtomicU8,
    /// Shards with a batch that waits for space.
    writes_waiting: AtomicUsize,
    refusals: Mutex<[Option<PutRefused>; REFUSERS]>,
    wakes: Box<[ShardWake]>,
    /// For each shard the first byte of its first message whose outcome waits for a slave.
    undecided: Box<[AtomicI64]>,
    /// For each shard of a slave, up to where it has followed the log.
    followed: Box<[AtomicI64]>,
    /// Numbers for runtime information.
    pub counters: Counters,
}

impl Progress {
    /// For `shards` shards, everything up to `flushed` being durable.
    pub fn new(shards: usize, flushed: i64) -> Self {
        Self {
            flushed: AtomicI64::new(flushed),
            failed: AtomicBool::new(false),
            failure: OnceLock::new(),
            refusing: AtomicU8::new(0),
            writes_waiting: AtomicUsize::new(0),
            refusals: Mutex::default(),
            wakes: (0..shards).map(|_| ShardWake::default()).collect(),
            followed: (0..shards).map(|_| AtomicI64::new(flushed)).collect(),
            undecided: (0..shards).map(|_| AtomicI64::new(ALL_DECIDED)).collect(),
            counters: Counters::default(),
        }
    }

    /// The durable end.
    pub fn flushed(&self) -> i64 {
        self.flushed.load(Ordering::SeqCst)
    }

    /// Moves the durable end and wakes the shards that wait for it. It never goes back: at a stop two may flush.
    pub(crate) fn publish_flushed(&self, end: i64) {
        self.flushed.fetch_max(end, Ordering::SeqCst);
        for shard in &self.wakes {
            if shard.wants_flushed.swap(false, Ordering::SeqCst) {
                shard.call();
            }
        }
    }

    /// Takes the durable end back: on a slave whose log is cut, with every flusher held off.
    pub(crate) fn reset_flushed(&self, end: i64) {
        self.flushed.store(end, Ordering::SeqCst);
    }

    /// Up to where every shard of a slave has followed the log.
    pub(crate) fn followed(&self) -> i64 {
        self.followed.iter().map(|end| end.load(Ordering::SeqCst)).min().unwrap_or(i64::MAX)
    }

    /// Up to where a shard of a slave has followed the log; before its first step that is where recovery ended.
    pub(crate) fn followed_by(&self, shard: usize) -> i64 {
        self.followed.get(shard).map_or(0, |end| end.load(Ordering::SeqCst))
    }

    /// A shard of a slave has followed the log up to `end`.
    pub(crate) fn set_followed(&self, shard: usize, end: i64) {
        if let Some(followed) = self.followed.get(shard) {
            followed.store(end, Ordering::SeqCst);
        }
    }

    /// Wakes one shard.
    pub(crate) fn wake(&self, shard: usize) {
        if let Some(shard) = self.wakes.get(shard) {
            shard.call();
        }
    }

    /// Wakes the shards that wait for the watermark, but not the one that moved it.
    pub(crate) fn watermark_moved(&self, by_shard: Option<usize>) {
        for (number, shard) in self.wakes.iter().enumerate() {
            if Some(number) != by_shard && shard.wants_watermark.swap(false, Ordering::SeqCst) {
                shard.call();
            }
        }
    }

    /// Sets what a shard waits for. Look at the offsets once more afterwards: what moved before this call wakes nobody.
    pub(crate) fn want(&self, shard: usize, watermark: bool, flushed: bool) {
        if let Some(shard) = self.wakes.get(shard) {
            shard.wants_watermark.store(watermark, Ordering::SeqCst);
            shard.wants_flushed.store(flushed, Ordering::SeqCst);
        }
    }

    /// Wakes the shards that wait for a slave.
    pub(crate) fn replicated_moved(&self) {
        for shard in &self.wakes {
            if shard.wants_replicated.swap(false, Ordering::SeqCst) {
                shard.call();
            }
        }
    }

    /// First byte of the first message whose outcome waits for a slave; behind everything when none does.
    pub(crate) fn undecided(&self) -> i64 {
        self.undecided.iter().map(|from| from.load(Ordering::SeqCst)).min().unwrap_or(ALL_DECIDED)
    }

    /// Says from where on a shard's outcomes wait for a slave, before those messages are completed. Wakes the other
    /// shards with messages that become readable by it.
    pub(crate) fn set_undecided(&self, shard: usize, from: Option<i64>) {
        let Some(undecided) = self.undecided.get(shard) else { return };
        let from = from.unwrap_or(ALL_DECIDED);
        if undecided.swap(from, Ordering::SeqCst) >= from {
            return;
        }
        for (number, other) in self.wakes.iter().enumerate() {
            if number != shard && other.wants_decided.swap(false, Ordering::SeqCst) {
                other.call();
            }
        }
    }

    /// As [`Progress::want`], for what a slave decides.
    pub(crate) fn want_replica(&self, shard: usize, replicated: bool, decided: bool) {
        if let Some(shard) = self.wakes.get(shard) {
            shard.wants_replicated.store(replicated, Ordering::SeqCst);
            shard.wants_decided.store(decided, Ordering::SeqCst);
        }
    }

    /// Registers how a shard is woken.
    pub(crate) fn on_progress(&self, shard: usize, wake: Wake) {
        if let Some(shard) = self.wakes.get(shard) {
            *shard.wake.write().unwrap_or_else(PoisonError::into_inner) = Some(wake);
        }
    }

    /// Wakes every shard.
    pub(crate) fn wake_all(&self) {
        self.wakes.iter().for_each(ShardWake::call);
    }

    /// Latches a failure. `true` for the first one, which is the one kept.
    pub(crate) fn fail(&self, reason: String) -> bool {
        let first = self.failure.set(StoreFailed { reason }).is_ok();
        self.failed.store(true, Ordering::SeqCst);
        first
    }

    /// Whether the log failed.
    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Why the log failed.
    pub fn failure(&self) -> Option<&StoreFailed> {
        self.failure.get()
    }

    fn refusals(&self) -> MutexGuard<'_, [Option<PutRefused>; REFUSERS]> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says, or takes back, that no message is taken. `true` if that is news.
    pub(crate) fn refuse(&self, who: Refuser, refusal: Option<PutRefused>) -> bool {
        let bit = 1u8 << who as u8;
        if refusal.is_none() && self.refusing.load(Ordering::Acquire) & bit == 0 {
            return false;
        }
        let mut refusals = self.refusals();
        let set = refusal.is_some();
        let before = match refusals.get_mut(who as usize) {
            Some(slot) => std::mem::replace(slot, refusal),
            None => None,
        };
        if set {
            self.refusing.fetch_or(bit, Ordering::Release);
        } else {
            self.refusing.fetch_and(!bit, Ordering::Release);
        }
        before.is_some() != set
    }

    /// A shard's write found no space, for the first time if `is_new`. `true` if that nobody can write is news.
    pub(crate) fn write_waits(&self, is_new: bool, refusal: PutRefused) -> bool {
        if is_new {
            self.writes_waiting.fetch_add(1, Ordering::SeqCst);
        }
        self.refuse(Refuser::Write, Some(refusal))
    }

    /// A shard's waiting write is done. The last one takes the refusal back; a shard that began to wait just now says
    /// it again at its next try, and takes nothing itself until then.
    pub(crate) fn write_found_space(&self) {
        if self.writes_waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.refuse(Refuser::Write, None);
        }
    }

    /// Whether this one refuses.
    pub(crate) fn refuses(&self, who: Refuser) -> bool {
        self.refusing.load(Ordering::Acquire) & (1u8 << who as u8) != 0
    }

    /// Why no message is taken, if so.
    pub fn refused(&self) -> Option<PutRefused> {
        if self.is_failed() {
            return Some(PutRefused::Failed);
        }
        if self.refusing.load(Ordering::Acquire) == 0 {
            return None;
        }
        let refusals = self.refusals();
        // Closing says more than a full disk.
        refusals.iter().rev().flatten().next().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn each_refuser_takes_back_its_own_word() {
        let progress = Progress::new(1, 0);
        let queues = PutRefused::NotWritable("x".to_string());
        assert_eq!(progress.refused(), None);
        assert!(progress.refuse(Refuser::Queues, Some(queues.clone())));
        assert!(!progress.refuse(Refuser::Queues, Some(queues.clone())));
        assert!(!progress.refuse(Refuser::Watch, None));
        assert_eq!(progress.refused(), Some(queues));
        assert!(progress.refuse(Refuser::Closing, Some(PutRefused::ShuttingDown)));
        assert!(progress.refuse(Refuser::Queues, None));
        assert_eq!(progress.refused(), Some(PutRefused::ShuttingDown));
        assert!(progress.fail("a".to_string()));
        assert!(!progress.fail("b".to_string()));
        assert_eq!(progress.refused(), Some(PutRefused::Failed));
        assert_eq!(progress.failure().map(|failure| failure.reason.as_str()), Some("a"));
    }

    #[test]
    fn the_last_write_that_found_space_takes_the_refusal_back() {
        let progress = Progress::new(2, 0);
        let full = || PutRefused::NotWritable("full".to_string());
        assert!(progress.write_waits(true, full()));
        assert!(!progress.write_waits(false, full()), "the same shard's second try");
        assert!(!progress.write_waits(true, full()), "the other shard");
        progress.write_found_space();
        assert_eq!(progress.refused(), Some(full()));
        progress.write_found_space();
        assert_eq!(progress.refused(), None);
    }

    #[test]
    fn only_shards_that_wait_are_woken() {
        let progress = Progress::new(2, 0);
        let calls = Arc::new(AtomicU64::new(0));
        for shard in 0..2 {
            let calls = calls.clone();
            progress.on_progress(shard, Box::new(move || Counters::add(&calls, 1 << (8 * shard))));
        }
        progress.publish_flushed(10);
        assert_eq!(Counters::get(&calls), 0);
        progress.want(0, false, true);
        progress.want(1, true, false);
        progress.publish_flushed(20);
        progress.publish_flushed(30);
        assert_eq!(Counters::get(&calls), 1);
        progress.watermark_moved(Some(1));
        assert_eq!(Counters::get(&calls), 1, "a shard does not wake itself");
        progress.watermark_moved(Some(0));
        progress.watermark_moved(Some(0));
        assert_eq!(Counters::get(&calls), 257);
    }
}
