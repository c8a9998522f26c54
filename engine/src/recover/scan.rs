//! Reading the log while nobody writes: what is at a place, and where the next valid record is. No writes.

use std::path::PathBuf;
use std::sync::Arc;

use protocol::message::layout::{BLANK_LEN, MESSAGE_MAGIC};
use protocol::message::{Peek, Record, RecordError, peek};

use super::Files;
use crate::commitlog::segment::Segment;
use crate::io::next_data;
use crate::options::StoreOptions;

/// What is at a physical offset.
pub(super) enum Found<'a> {
    /// A record whose magic, offset, sizes and CRC agree.
    Record(Record<'a>),
    /// The blank that ends a file; the log goes on at `next`.
    Blank { next: i64 },
    /// Zeros where a record would begin.
    Nothing,
    /// Neither.
    Bad,
    /// Behind the last file.
    End,
    /// A record of the format's second version.
    SecondVersion { path: PathBuf, position: u64 },
}

/// The log's files.
pub(super) struct Log<'a> {
    pub(super) files: &'a Files,
    pub(super) segment_size: i64,
    check_crc: bool,
}

/// Bytes looked at together when zeros are skipped.
const CHUNK: usize = 4096;

/// The CRC covers the body only. A write cut behind the body leaves zeros up to the record's end and behind it: a topic
/// with a zero, or properties that end with one although nothing follows (the store never writes such properties).
fn is_torn(record: &Record<'_>, bytes: &[u8]) -> bool {
    let ends_in_zero = record.properties.last() == Some(&0);
    let nothing_follows = || bytes.get(record.total_size as usize..).is_none_or(|rest| peek(rest) == Peek::Nothing);
    record.topic.contains('\0') || (ends_in_zero && nothing_follows())
}

impl<'a> Log<'a> {
    pub(super) fn new(files: &'a Files, options: &StoreOptions) -> Self {
        let segment_size = i64::try_from(options.segment_size).unwrap_or(i64::MAX);
        Self { files, segment_size, check_crc: options.check_crc_on_recover }
    }

    pub(super) fn min(&self) -> i64 {
        self.files.first().map_or(0, |file| file.base())
    }

    pub(super) fn room_end(&self) -> i64 {
        self.files.last().map_or(0, |file| file.end())
    }

    fn file(&self, physical: i64) -> Option<&'a Arc<Segment>> {
        let index = physical.checked_sub(self.min())?.checked_div_euclid(self.segment_size)?;
        self.files.get(usize::try_from(index).ok()?)
    }

    /// Bytes from a physical offset to the end of its file.
    fn rest(&self, physical: i64) -> Option<&'a [u8]> {
        let file = self.file(physical)?;
        let len = usize::try_from(file.end().checked_sub(physical)?).ok()?;
        Some(file.bytes(file.position(physical)?, len))
    }

    pub(super) fn at(&self, physical: i64) -> Found<'a> {
        let Some(bytes) = self.rest(physical) else { return Found::End };
        self.look(physical, bytes, self.check_crc)
    }

    fn look(&self, physical: i64, bytes: &'a [u8], check_crc: bool) -> Found<'a> {
        match peek(bytes) {
            Peek::Record { .. } => match Record::decode(bytes) {
                // Every record leaves room for the blank behind it; one that does not is a product of chance.
                Ok(record)
                    if record.physical_offset == physical
                        && !is_torn(&record, bytes)
                        && bytes.len() - record.total_size as usize >= BLANK_LEN
                        && (!check_crc || record.body_crc_ok()) =>
                {
                    Found::Record(record)
                }
                _ => Found::Bad,
            },
            Peek::Blank { remaining } if remaining as usize == bytes.len() => {
                Found::Blank { next: physical.saturating_add(i64::from(remaining)) }
            }
            Peek::Nothing => Found::Nothing,
            _ => self.second_version(physical, bytes).unwrap_or(Found::Bad),
        }
    }

    /// A record of version 2 that knows its own place is no damage.
    fn second_version(&self, physical: i64, bytes: &[u8]) -> Option<Found<'a>> {
        let own = bytes.get(protocol::message::layout::PHYSICAL_OFFSET..)?.first_chunk::<8>()?;
        let is_it = Record::decode(bytes) == Err(RecordError::SecondVersion) && i64::from_be_bytes(*own) == physical;
        let file = self.file(physical).filter(|_| is_it)?;
        Some(Found::SecondVersion { path: file.path().to_path_buf(), position: file.position(physical)? })
    }

    /// The first valid record that begins in `[from, limit)`. Its CRC is always looked at: what begins at an arbitrary
    /// byte has to prove itself.
    pub(super) fn next_valid(&self, from: i64, limit: i64) -> Option<i64> {
        let mut from = from;
        while from < limit.min(self.room_end()) {
            let file = self.file(from)?;
            if let Some(found) = self.next_valid_in(file, from, limit) {
                return Some(found);
            }
            from = file.end();
        }
        None
    }

    fn next_valid_in(&self, file: &'a Segment, from: i64, limit: i64) -> Option<i64> {
        let magic = MESSAGE_MAGIC.to_be_bytes();
        let mut at = file.position(from)?;
        // No hole holds a magic, nor does a chunk of zeros, not even in part: none of its bytes is zero.
        while let Ok(Some(data)) = next_data(file.file(), at) {
            let data = data.max(at);
            let chunk_end = (data / CHUNK as u64 + 1).saturating_mul(CHUNK as u64).min(file.size());
            if data >= file.size() || file.base().saturating_add_unsigned(data) >= limit.saturating_add(CHUNK as i64) {
                return None;
            }
            let mut next = data;
            let mut end = chunk_end;
            while next < file.size() {
                let chunk = file.bytes(next, usize::try_from(end - next).unwrap_or(0));
                if chunk.iter().any(|byte| *byte != 0) {
                    // A magic may begin in the chunk and end in the next one.
                    let reach = usize::try_from((end + 3).min(file.size()) - next).unwrap_or(0);
                    let window = file.bytes(next, reach);
                    for (offset, _) in window.windows(4).enumerate().filter(|(_, bytes)| *bytes == magic) {
                        let magic_at = file.base().saturating_add_unsigned(next + offset as u64);
                        let physical = magic_at - 4;
                        if physical < from || physical >= limit {
                            continue;
                        }
                        let Some(bytes) = self.rest(physical) else { continue };
                        if let Found::Record(_) = self.look(physical, bytes, true) {
                            return Some(physical);
                        }
                    }
                }
                next = end;
                end = (end + CHUNK as u64).min(file.size());
                // Ask for holes now and then only: the call costs more than looking at a chunk.
                if next % (CHUNK as u64 * 256) == 0 {
                    break;
                }
                if file.base().saturating_add_unsigned(next) >= limit {
                    return None;
                }
            }
            at = next;
            if at >= file.size() {
                return None;
            }
        }
        None
    }

    /// Store time of the first record of a file, if a valid one begins it.
    pub(super) fn first_store_time(&self, file: &Segment) -> Option<i64> {
        match self.at(file.base()) {
            Found::Record(record) => Some(record.store_timestamp),
            _ => None,
        }
    }
}
