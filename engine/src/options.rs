//! What a store is opened with. Plain values; the configuration's keys stand beside each field.
//!
//! Defaults are those of Java 4.9.7 unless said otherwise. Checked once, by `open`; any thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::OpenError;
use crate::io::{Disk, SpaceProbe};

/// When a message counts as stored (`flushDiskType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMode {
    /// `ASYNC_FLUSH`: when it is in the page cache.
    Async,
    /// `SYNC_FLUSH`: when fdatasync returned.
    Sync,
}

/// Who calls fdatasync (`flushWay`). The write itself is the same in each: one pwritev into the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushWay {
    /// A task on shard 0, through its ring: the broker runs [`crate::flush::run_on_ring`] there.
    Ring,
    /// A thread of the store (the default: io-wq workers inherit the shard's pinning, a thread does not).
    Thread,
    /// Under SYNC_FLUSH the shard that wrote, in the same turn: nothing else runs on it meanwhile. The thread does the
    /// rest: what nobody waits for, what is written while another shard syncs, and all of ASYNC_FLUSH.
    Inline,
    /// `Inline` while the disk has shown to be fast, otherwise `Thread`.
    Auto,
}

/// What an acknowledged message waits for besides the flush (`brokerRole`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// `ASYNC_MASTER`: nothing.
    Async,
    /// `SYNC_MASTER`: that one slave has it.
    Sync {
        /// `slaveTimeout`: so long, then the outcome is [`crate::PutStatus::SlaveTimeout`].
        timeout: Duration,
        /// `haSlaveFallbehindMax`, bytes: with every slave at least so far behind a message's end nobody waits and the
        /// outcome is [`crate::PutStatus::SlaveNotAvailable`].
        fall_behind_max: u64,
    },
}

/// Who appends to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreRole {
    /// The shards.
    Master,
    /// A [`crate::Receiver`], with a master's bytes; puts are refused.
    Slave,
}

/// How the next segment is made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreparePolicy {
    /// Space and zeros by O_DIRECT, `slice_bytes` every `pause`, so that no later fdatasync touches metadata.
    Zeroed { slice_bytes: usize, pause: Duration },
    /// Space only.
    Allocated,
}

/// Limits of one pull answer.
#[derive(Clone, Copy, Debug)]
pub struct TransferLimits {
    /// `maxTransferBytesOnMessageInMemory`
    pub memory_bytes: usize,
    /// `maxTransferCountOnMessageInMemory`
    pub memory_count: usize,
    /// `maxTransferBytesOnMessageInDisk`
    pub disk_bytes: usize,
    /// `maxTransferCountOnMessageInDisk`
    pub disk_count: usize,
    /// Bytes behind the log's end that count as in memory: physical memory × `accessMessageInMemoryMaxRatio`.
    pub memory_distance_bytes: i64,
    /// Bytes behind the log's end that are taken as resident without asking the kernel, if this process wrote them.
    pub hot_distance_bytes: i64,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 262_144,
            memory_count: 32,
            disk_bytes: 65_536,
            disk_count: 8,
            memory_distance_bytes: crate::io::physical_memory_bytes() / 100 * 40,
            hot_distance_bytes: 64 << 20,
        }
    }
}

/// What is deleted when.
#[derive(Clone)]
pub struct RetentionOptions {
    /// `fileReservedTime`: files younger than this stay.
    pub file_reserved: Duration,
    /// `deleteWhen`: hours of the day, local time, 0..=23.
    pub delete_when_hours: Vec<u8>,
    /// `diskMaxUsedSpaceRatio`, percent, clamped to 10..=95: above it expired files go at any hour.
    pub disk_max_used_percent: u32,
    /// `rocketmq.broker.diskSpaceCleanForciblyRatio`, percent: above it unexpired files go too.
    pub clean_forcibly_percent: u32,
    /// `rocketmq.broker.diskSpaceWarningLevelRatio`, percent: above it sends are refused.
    pub warning_percent: u32,
    /// `cleanFileForciblyEnable`
    pub clean_forcibly: bool,
    /// `cleanResourceInterval`
    pub interval: Duration,
    /// How often the disk is looked at while sends are refused.
    pub interval_when_full: Duration,
    /// `deleteCommitLogFilesInterval`: pause between two files.
    pub delete_pause: Duration,
    /// Bytes given back at a time, so that one large unlink does not stall the disk.
    pub delete_slice_bytes: u64,
    /// Hours east of Greenwich in minutes; `None` asks the system.
    pub utc_offset_minutes: Option<i32>,
    /// Where free space is learnt from; tests put their own here.
    pub space: SpaceProbe,
}

impl Default for RetentionOptions {
    fn default() -> Self {
        Self {
            file_reserved: Duration::from_secs(72 * 3600),
            delete_when_hours: vec![4],
            disk_max_used_percent: 75,
            clean_forcibly_percent: 85,
            warning_percent: 90,
            clean_forcibly: true,
            interval: Duration::from_secs(10),
            interval_when_full: Duration::from_millis(500),
            delete_pause: Duration::from_millis(100),
            delete_slice_bytes: 64 << 20,
            utc_offset_minutes: None,
            space: SpaceProbe::system(),
        }
    }
}

/// The message index.
#[derive(Clone, Copy, Debug)]
pub struct IndexConfig {
    /// `messageIndexEnable`
    pub enable: bool,
    /// `maxHashSlotNum`
    pub slots: u32,
    /// `maxIndexNum`
    pub entries: u32,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self { enable: true, slots: 5_000_000, entries: 20_000_000 }
    }
}

/// What is told of the log's failure.
pub type OnFailure = Arc<dyn Fn(&crate::StoreFailed) + Send + Sync>;

/// Everything a store is opened with. Start from [`StoreOptions::at`].
#[derive(Clone)]
pub struct StoreOptions {
    /// `storePathRootDir`
    pub root: PathBuf,
    /// `storePathCommitLog`
    pub commitlog_dir: PathBuf,
    /// Where `consumequeue` lies (`storePathConsumeQueue`).
    pub consume_queue_dir: PathBuf,
    /// `storePathIndex`
    pub index_dir: PathBuf,
    /// `storeCheckpoint`
    pub checkpoint_path: PathBuf,
    /// `abortFile`
    pub abort_path: PathBuf,
    /// `mappedFileSizeCommitLog`, bytes.
    pub segment_size: u64,
    /// `mappedFileSizeConsumeQueue`, bytes; rounded up to a multiple of 20 as Java does.
    pub consume_queue_file_size: u64,
    /// `flushDiskType`
    pub flush: FlushMode,
    /// Who calls fdatasync. On a slave it is always the thread.
    pub flush_way: FlushWay,
    /// Who appends.
    pub role: StoreRole,
    /// What an ack waits for besides the flush; a slave's store has no acks.
    pub replication: Replication,
    /// `flushIntervalCommitLog`: under ASYNC_FLUSH all that is dirty is flushed this often (Java waits for
    /// `flushCommitLogLeastPages`, up to 10 s).
    pub flush_interval: Duration,
    /// Under ASYNC_FLUSH a flush starts early once this much is dirty.
    pub flush_step_bytes: u64,
    /// After a sync the flush thread looks for the next request for about a sync's time before it parks, at most for
    /// this long, and only where there are more cores than shards.
    pub flush_spin: Duration,
    /// `syncFlushTimeout`
    pub sync_flush_timeout: Duration,
    /// `maxMessageSize`: bytes of one body, or of all bodies of a batch.
    pub max_body_size: usize,
    /// Number of shards that append.
    pub shards: usize,
    /// How the next segment is made ready.
    pub prepare: PreparePolicy,
    /// `messageDelayLevel` as milliseconds, level 1 first; see [`delay_levels`].
    pub delay_levels_ms: Vec<i64>,
    /// How often consume queues are synced and the checkpoint moves (Java: 60 s). An abnormal start reads the log from
    /// the last checkpoint on.
    pub checkpoint_interval: Duration,
    /// `checkCRCOnRecover`
    pub check_crc_on_recover: bool,
    /// Limits of a pull answer.
    pub transfer: TransferLimits,
    /// Retention and the watch over free space.
    pub retention: RetentionOptions,
    /// The message index.
    pub index: IndexConfig,
    /// Called once, on any thread, when the commitlog failed: the process has to end with a non-zero code.
    pub on_failure: Option<OnFailure>,
    /// The disk; tests inject faults here.
    pub disk: Disk,
}

impl StoreOptions {
    /// Java's defaults with every path below `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            commitlog_dir: root.join("commitlog"),
            consume_queue_dir: root.join("consumequeue"),
            index_dir: root.join("index"),
            checkpoint_path: root.join("checkpoint"),
            abort_path: root.join("abort"),
            root,
            segment_size: 1 << 30,
            consume_queue_file_size: 6_000_000,
            flush: FlushMode::Async,
            flush_way: FlushWay::Thread,
            role: StoreRole::Master,
            replication: Replication::Async,
            flush_interval: Duration::from_millis(500),
            flush_step_bytes: 16 << 20,
            flush_spin: Duration::from_micros(200),
            sync_flush_timeout: Duration::from_secs(5),
            max_body_size: 4 << 20,
            shards: 1,
            prepare: PreparePolicy::Zeroed { slice_bytes: 1 << 20, pause: Duration::from_millis(5) },
            delay_levels_ms: DEFAULT_DELAY_LEVELS_S.iter().map(|seconds| seconds * 1000).collect(),
            checkpoint_interval: Duration::from_secs(3),
            check_crc_on_recover: true,
            transfer: TransferLimits::default(),
            retention: RetentionOptions::default(),
            index: IndexConfig::default(),
            on_failure: None,
            disk: Disk::system(),
        }
    }

    /// `mappedFileSizeConsumeQueue` rounded up to whole units, as Java does.
    pub fn consume_queue_file_bytes(&self) -> u64 {
        self.consume_queue_file_size.max(1).div_ceil(20).saturating_mul(20)
    }

    /// Milliseconds of a delay level; levels above the table take its last entry, as Java's dispatch does.
    pub fn delay_ms(&self, level: i32) -> Option<i64> {
        let index = usize::try_from(level).ok()?.checked_sub(1)?;
        self.delay_levels_ms.get(index).or(self.delay_levels_ms.last()).copied()
    }

    /// Checks values and paths; the first problem found is the answer.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let bad =
            |key, value: String, problem: &str| Err(OpenError::Option { key, value, problem: problem.to_string() });
        if self.segment_size < SEGMENT_SIZE_MIN || self.segment_size > i64::from(i32::MAX) as u64 {
            return bad(
                "mappedFileSizeCommitLog",
                self.segment_size.to_string(),
                "a commitlog file has 4096 to 2147483647 bytes",
            );
        }
        if self.consume_queue_file_size < 20 || self.consume_queue_file_size > i64::from(i32::MAX) as u64 {
            let value = self.consume_queue_file_size.to_string();
            return bad("mappedFileSizeConsumeQueue", value, "a consume queue file has 20 to 2147483647 bytes");
        }
        if self.shards == 0 || self.shards > SHARDS_MAX {
            return bad("shardNums", self.shards.to_string(), "1 to 1024 shards can be run");
        }
        if self.max_body_size == 0 {
            return bad("maxMessageSize", "0".to_string(), "no message could be stored");
        }
        self.check_paths()
    }

    /// The storePath keys must name different things, and none may lie inside a directory whose files are another's.
    fn check_paths(&self) -> Result<(), OpenError> {
        let dirs = [
            ("storePathCommitLog", &self.commitlog_dir),
            ("storePathConsumeQueue", &self.consume_queue_dir),
            ("storePathIndex", &self.index_dir),
        ];
        let files = [("storeCheckpoint", &self.checkpoint_path), ("abortFile", &self.abort_path)];
        let same = |first_key, second_key, path: &Path, problem| {
            Err(OpenError::Paths { first_key, second_key, path: path.to_path_buf(), problem })
        };
        for (at, (key, dir)) in dirs.iter().enumerate() {
            let dir = normal(dir);
            let root = normal(&self.root);
            if root.starts_with(&dir) {
                let problem = "the root holds the lock and the other directories, so it cannot lie in one of them";
                return same("storePathRootDir", key, &dir, problem);
            }
            for (other_key, other) in dirs.iter().skip(at + 1) {
                let other = normal(other);
                if dir.starts_with(&other) || other.starts_with(&dir) {
                    return same(key, other_key, &dir, "their files would mix");
                }
            }
            for (file_key, file) in files {
                if normal(file).starts_with(&dir) {
                    return same(key, file_key, &dir, "a foreign file would lie among its files");
                }
            }
        }
        let [(first_key, first), (second_key, second)] = files;
        if normal(first) == normal(second) {
            return same(first_key, second_key, first, "they are two files");
        }
        Ok(())
    }
}

/// Smallest commitlog file; real ones are far larger, tests use small ones.
pub const SEGMENT_SIZE_MIN: u64 = 4096;
/// Most shards a store is opened with.
pub const SHARDS_MAX: usize = 1024;

/// `messageDelayLevel` of Java 4.9.7 in seconds.
const DEFAULT_DELAY_LEVELS_S: [i64; 18] =
    [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];

/// Reads `messageDelayLevel` ("1s 5s 10m 2h 1d") as milliseconds.
pub fn delay_levels(text: &str) -> Result<Vec<i64>, String> {
    text.split_whitespace()
        .map(|word| {
            let unit_ms = match word.as_bytes().last() {
                Some(b's') => 1000,
                Some(b'm') => 60_000,
                Some(b'h') => 3_600_000,
                Some(b'd') => 86_400_000,
                _ => return Err(format!("messageDelayLevel: {word:?} has no unit, use s, m, h or d")),
            };
            let number = word.get(..word.len().saturating_sub(1)).unwrap_or("");
            let number: i64 =
                number.parse().map_err(|_| format!("messageDelayLevel: {word:?} does not begin with a number"))?;
            number.checked_mul(unit_ms).ok_or_else(|| format!("messageDelayLevel: {word:?} is too long"))
        })
        .collect()
}

/// The path without `.`, doubled slashes and, where they can be resolved by text alone, `..`.
fn normal(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for component in std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_levels_are_read_as_java_writes_them() {
        let check = |text: &str, want: Result<&[i64], &str>| match (delay_levels(text), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{text}"),
            (Err(got), Err(want)) => assert!(got.contains(want), "{text}: {got}"),
            (got, want) => panic!("{text}: {got:?}, wanted {want:?}"),
        };
        check("1s 5m 2h 1d", Ok(&[1000, 300_000, 7_200_000, 86_400_000]));
        check("", Ok(&[]));
        check("5", Err("no unit"));
        check("xs", Err("begin with a number"));
        check("9223372036854775807d", Err("too long"));
    }

    #[test]
    fn paths_that_would_mix_are_refused() {
        type Change = fn(&mut StoreOptions);
        let check = |change: Change, want: &str| {
            let mut options = StoreOptions::at("/s");
            change(&mut options);
            let got = options.check().map_err(|error| error.to_string());
            match got {
                Ok(()) => assert_eq!(want, ""),
                Err(text) => assert!(!want.is_empty() && text.contains(want), "{text}"),
            }
        };
        check(|_| (), "");
        check(|o| o.commitlog_dir = "/s".into(), "storePathRootDir and storePathCommitLog");
        check(|o| o.commitlog_dir = "/s/consumequeue/x/..".into(), "storePathCommitLog and storePathConsumeQueue");
        check(|o| o.index_dir = "/s/commitlog/index".into(), "storePathCommitLog and storePathIndex");
        check(|o| o.abort_path = "/s/commitlog/abort".into(), "abortFile");
        check(|o| o.abort_path = "/s/checkpoint".into(), "storeCheckpoint and abortFile");
        check(|o| o.segment_size = 100, "mappedFileSizeCommitLog=100");
        check(|o| o.shards = 0, "shardNums=0");
    }
}
