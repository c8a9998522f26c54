//! The checkpoint file: up to where log, consume queues and index are known durable.
//!
//! ```text
//! position  size  Java 4.x
//!    0        8   physicMsgTimestamp, ms: store time up to which the log is durable
//!    8        8   logicsMsgTimestamp, ms: the same for the consume queues
//!   16        8   indexMsgTimestamp, ms: end time of the last full index file that is durable
//!             own, in what Java leaves zero (Java keeps it when it writes its three numbers)
//!   64        8   "RINGMQ01"
//!   72       24   copy of the three timestamps
//!   96        8   dispatched: physical offset below which log and consume queues are durable
//!  104        8   flags: 1 = written by a clean stop, 2 = says nothing of consume queues
//!  112        8   digest of the names of queues with messages below `dispatched`
//!  120        8   digest of all queues with their max offsets (clean stop only)
//!  128        8   hash of the machine's boot id
//!  136        8   number of shards
//!  144        8   durable: physical offset below which the last recovery made the log durable; may lie behind `dispatched`
//!  152        4   CRC-32 of bytes 64..152
//! ```
//! The file has 4,096 bytes. The own part counts only if its CRC is right and its copy equals the head: else Java
//! wrote since, and Java's rule holds (timestamps − 3 s). Owns that one file; start, stop and the checkpoint thread.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::abort::remove_empty_dir;

/// Bytes of the file.
pub const CHECKPOINT_LEN: usize = 4096;
const EXTENSION_AT: usize = 64;
const EXTENSION_LEN: usize = 88;
const MAGIC: u64 = u64::from_be_bytes(*b"RINGMQ01");
const FLAG_CLEAN: u64 = 1;
const FLAG_LOG_ONLY: u64 = 2;

/// Java's three numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    /// Log, ms.
    pub physic: i64,
    /// Consume queues, ms.
    pub logics: i64,
    /// Index, ms.
    pub index: i64,
}

impl Timestamps {
    /// Java's bound for an abnormal start: the earlier of the first two, less three seconds, at least 0.
    pub fn bound(&self) -> i64 {
        self.physic.min(self.logics).saturating_sub(3000).max(0)
    }
}

/// The part that is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// Below this physical offset the log is durable and has its units in durable consume queues.
    pub dispatched: i64,
    /// Written by a clean stop.
    pub clean: bool,
    /// Consume queues were being built again or none were known: only what is said of the log and the boot counts.
    pub log_only: bool,
    /// Which queues had messages below `dispatched`.
    pub names: u64,
    /// All queues with their max offsets; of a clean stop.
    pub queues: u64,
    /// Of the boot it was written in.
    pub boot: u64,
    /// Shards that appended.
    pub shards: u64,
    /// Below this physical offset the log, with what damage it may hold, is durable: where the last recovery ended, or
    /// `dispatched`. What the end of a machine tears lies behind both.
    pub durable: i64,
}

/// A checkpoint as read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Java's part.
    pub timestamps: Timestamps,
    /// The own part, if it counts.
    pub extension: Option<Extension>,
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word))
}

impl Checkpoint {
    /// From the file's bytes; what is missing counts as zero.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut head = words(bytes).map(u64::cast_signed);
        let mut next = || head.next().unwrap_or(0);
        let timestamps = Timestamps { physic: next(), logics: next(), index: next() };
        let extension = bytes.get(EXTENSION_AT..).and_then(|bytes| decode_extension(bytes, timestamps));
        Self { timestamps, extension }
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(CHECKPOINT_LEN);
        let Timestamps { physic, logics, index } = self.timestamps;
        let head = [physic, logics, index];
        head.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
        if let Some(extension) = &self.extension {
            out.resize(EXTENSION_AT, 0);
            out.extend_from_slice(&MAGIC.to_be_bytes());
            head.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
            out.extend_from_slice(&extension.dispatched.to_be_bytes());
            let flag = |set, flag| if set { flag } else { 0 };
            let flags = flag(extension.clean, FLAG_CLEAN) | flag(extension.log_only, FLAG_LOG_ONLY);
            let Extension { names, queues, boot, shards, durable, .. } = *extension;
            for word in [flags, names, queues, boot, shards, durable.cast_unsigned()] {
                out.extend_from_slice(&word.to_be_bytes());
            }
            let crc = crc32fast::hash(out.get(EXTENSION_AT..).unwrap_or(&[]));
            out.extend_from_slice(&crc.to_be_bytes());
        }
        out.resize(CHECKPOINT_LEN, 0);
        out
    }

    /// Reads the file; a missing one is all zeros. An empty directory of that name is removed.
    pub fn read(path: &Path) -> io::Result<Self> {
        remove_empty_dir(path)?;
        match fs::read(path) {
            Ok(bytes) => Ok(Self::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes the file in place, durably. All that counts lies in the file's first sector, which a power cut leaves old
    /// or new; should it be torn all the same, the CRC of the own part is spoilt.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.write_all_at(&self.encode(), 0)?;
        if file.metadata()?.len() != CHECKPOINT_LEN as u64 {
            file.set_len(CHECKPOINT_LEN as u64)?;
        }
        file.sync_data()
    }
}

fn decode_extension(bytes: &[u8], head: Timestamps) -> Option<Extension> {
    let body = bytes.get(..EXTENSION_LEN)?;
    let crc = u32::from_be_bytes(*bytes.get(EXTENSION_LEN..)?.first_chunk::<4>()?);
    let mut words = words(body);
    let mut next = || words.next().unwrap_or(0);
    let magic = next();
    let copy = Timestamps { physic: next().cast_signed(), logics: next().cast_signed(), index: next().cast_signed() };
    if magic != MAGIC || crc != crc32fast::hash(body) || copy != head {
        return None;
    }
    let dispatched = next().cast_signed();
    let flags = next();
    let (clean, log_only) = (flags & FLAG_CLEAN != 0, flags & FLAG_LOG_ONLY != 0);
    let [names, queues, boot, shards, durable] = [(); 5].map(|()| next());
    let durable = durable.cast_signed();
    Some(Extension { dispatched, clean, log_only, names, queues, boot, shards, durable })
}

/// A hash of the machine's boot id; 0 if it has none, which equals no boot.
pub fn boot_hash() -> u64 {
    fs::read("/proc/sys/kernel/random/boot_id").map_or(0, |id| fnv1a(FNV_START, &id))
}

/// Start value of [`fnv1a`].
pub const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits: a stable hash for digests, not against malice.
pub fn fnv1a(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TempDir;

    fn sample() -> Checkpoint {
        Checkpoint {
            timestamps: Timestamps { physic: 5000, logics: 4000, index: 3 },
            extension: Some(Extension {
                dispatched: 77,
                clean: true,
                log_only: true,
                names: 1,
                queues: 2,
                boot: 3,
                shards: 4,
                durable: 99,
            }),
        }
    }

    #[test]
    fn java_reads_its_numbers_and_zeros_where_it_expects_them() {
        let bytes = sample().encode();
        assert_eq!(bytes.len(), CHECKPOINT_LEN);
        assert_eq!(bytes[..24], [5000i64, 4000, 3].map(i64::to_be_bytes).concat());
        assert!(bytes[24..EXTENSION_AT].iter().all(|byte| *byte == 0));
        assert_eq!(Checkpoint::decode(&bytes), sample());
        assert_eq!(sample().timestamps.bound(), 1000);
        assert_eq!(Timestamps { physic: 1, logics: 9000, index: 0 }.bound(), 0);
        assert_eq!(Timestamps { physic: i64::MIN, logics: 0, index: 0 }.bound(), 0);
    }

    #[test]
    fn any_change_to_the_own_part_or_to_javas_numbers_voids_it() {
        let whole = sample().encode();
        for at in (0..24).chain(EXTENSION_AT..EXTENSION_AT + EXTENSION_LEN + 4) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert_eq!(Checkpoint::decode(&bytes).extension, None, "byte {at}");
        }
        for len in [0, 7, 24, EXTENSION_AT, EXTENSION_AT + EXTENSION_LEN + 3] {
            assert_eq!(Checkpoint::decode(&whole[..len]).extension, None, "{len} bytes");
        }
    }

    #[test]
    fn a_directory_in_its_place_is_replaced() {
        let dir = TempDir::new("checkpoint");
        let path = dir.path().join("checkpoint");
        fs::create_dir(&path).expect("made");
        assert_eq!(Checkpoint::read(&path).expect("read"), Checkpoint::default());
        sample().write(&path).expect("written");
        fs::write(&path, [sample().encode(), vec![1; 10]].concat()).expect("longer");
        sample().write(&path).expect("written again");
        assert_eq!(Checkpoint::read(&path).expect("read"), sample());
        assert_eq!(fs::metadata(&path).expect("there").len(), CHECKPOINT_LEN as u64);
    }
}
