//! Logs of the shape of a commitlog: records with size, magic and own offset, no record across the end of a file.
//! Contents are random, so that no two logs agree by chance.

use protocol::message::layout;

use super::random::Random;

/// Shortest record.
pub const RECORD_MIN: usize = layout::RECORD_LEN_MIN;

/// Appends a record of `len` bytes, with a blank before it where it does not fit; answers its end.
pub fn push(log: &mut Vec<u8>, base: i64, file_size: u64, len: usize, random: &mut Random) -> i64 {
    let end = base + log.len() as i64;
    let left = file_size as usize - (end as u64 % file_size) as usize;
    if len + layout::BLANK_LEN > left {
        let at = log.len();
        log.extend((0..left).map(|_| random.next() as u8));
        log[at..at + 4].copy_from_slice(&(left as u32).to_be_bytes());
        log[at + 4..at + 8].copy_from_slice(&layout::BLANK_MAGIC.to_be_bytes());
    }
    let at = log.len();
    let physical = base + at as i64;
    log.extend((0..len).map(|_| random.next() as u8));
    log[at..at + 4].copy_from_slice(&(len as u32).to_be_bytes());
    log[at + 4..at + 8].copy_from_slice(&layout::MESSAGE_MAGIC.to_be_bytes());
    log[at + layout::PHYSICAL_OFFSET..at + layout::PHYSICAL_OFFSET + 8].copy_from_slice(&physical.to_be_bytes());
    base + log.len() as i64
}

/// Bytes of the whole records at the beginning of `log`: what a recovery would keep.
pub fn whole(log: &[u8]) -> usize {
    let mut end = 0;
    while let Some(size) = log.get(end..end + 4).and_then(|bytes| bytes.first_chunk()) {
        let next = end + u32::from_be_bytes(*size) as usize;
        if next > log.len() || next == end {
            break;
        }
        end = next;
    }
    end
}
