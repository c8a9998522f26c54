//! What a body says of itself: which run, worker and message it is, and when it was due.
//!
//! ```text
//! size  field (big endian)
//!   4   magic
//!   8   run
//!   4   worker
//!   8   sequence        of the worker, from 0
//!   8   due             ns since the loader's start
//!   4   body length     with this stamp
//!   4   crc32           of the 36 bytes before
//!   n   filler          the same bytes in every body of a run
//! ```
//!
//! Owns these bytes. A body is whole when the stamp's checksum fits and the filler is the run's, byte by byte: that is
//! cheaper than a checksum over all of it, and stricter. Plain functions, any thread.

use crate::random::Random;

const MAGIC: u32 = 0x4d51_4231;
/// Bytes of a stamp; stamped bodies have at least these.
pub const STAMP_LEN: usize = 40;

/// A message's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub run: u64,
    pub worker: u32,
    pub sequence: u64,
    /// Nanoseconds since the loader's start.
    pub due_ns: u64,
}

/// What a body turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A message of this run, whole.
    Whole(Stamp),
    /// No stamp, or one of another run.
    Foreign,
    /// A stamp that does not match its checksum, or a filler that is not the run's.
    Damaged,
}

/// The bytes all bodies of a run are cut from.
pub fn filler(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Writes the stamp over the first bytes of a body, which has at least [`STAMP_LEN`].
pub fn write(stamp: &Stamp, body: &mut [u8]) {
    let len = body.len() as u32;
    body[0..4].copy_from_slice(&MAGIC.to_be_bytes());
    body[4..12].copy_from_slice(&stamp.run.to_be_bytes());
    body[12..16].copy_from_slice(&stamp.worker.to_be_bytes());
    body[16..24].copy_from_slice(&stamp.sequence.to_be_bytes());
    body[24..32].copy_from_slice(&stamp.due_ns.to_be_bytes());
    body[32..36].copy_from_slice(&len.to_be_bytes());
    let crc = crc32fast::hash(&body[..36]);
    body[36..40].copy_from_slice(&crc.to_be_bytes());
}

/// Judges a body that came back.
pub fn check(body: &[u8], run: u64, filler: &[u8]) -> Found {
    let word = |at: usize| body.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
    let long = |at: usize| body.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_be_bytes);
    let Some(head) = body.get(..36) else { return Found::Foreign };
    let (Some(magic), Some(crc)) = (word(0), word(36)) else { return Found::Foreign };
    if magic != MAGIC {
        return Found::Foreign;
    }
    if crc32fast::hash(head) != crc {
        return Found::Damaged;
    }
    let (Some(of), Some(worker), Some(sequence), Some(due_ns), Some(len)) =
        (long(4), word(12), long(16), long(24), word(32))
    else {
        return Found::Damaged;
    };
    if of != run {
        return Found::Foreign;
    }
    if len as usize != body.len() || body.get(STAMP_LEN..) != filler.get(STAMP_LEN..body.len()) {
        return Found::Damaged;
    }
    Found::Whole(Stamp { run, worker, sequence, due_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { run: 7, worker: 2, sequence: 1 << 40, due_ns: 123_456_789_012 };

    fn body(len: usize, filler: &[u8]) -> Vec<u8> {
        let mut body = filler[..len].to_vec();
        write(&STAMP, &mut body);
        body
    }

    #[test]
    fn a_stamped_body_reads_as_written() {
        let filler = filler(3, 2000);
        for len in [40, 41, 1024, 2000] {
            assert_eq!(check(&body(len, &filler), 7, &filler), Found::Whole(STAMP), "{len}");
        }
    }

    #[test]
    fn any_changed_bit_is_seen() {
        let filler = filler(3, 64);
        let whole = body(64, &filler);
        for at in 0..64 {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            // Without its magic a body says nothing of itself.
            let wanted = if at < 4 { Found::Foreign } else { Found::Damaged };
            assert_eq!(check(&changed, 7, &filler), wanted, "byte {at}");
        }
    }

    #[test]
    fn cut_off_long_and_foreign_bodies_are_seen() {
        let filler = filler(3, 64);
        let whole = body(50, &filler);
        let mut longer = whole.clone();
        longer.push(filler[50]);
        for (bytes, run, wanted) in [
            (&whole[..49], 7, Found::Damaged),
            (&longer[..], 7, Found::Damaged),
            (&whole[..39], 7, Found::Foreign),
            (&[][..], 7, Found::Foreign),
            (&whole[..], 8, Found::Foreign),
            (&filler[..], 7, Found::Foreign),
        ] {
            assert_eq!(check(bytes, run, &filler), wanted, "{} bytes", bytes.len());
        }
    }
}
