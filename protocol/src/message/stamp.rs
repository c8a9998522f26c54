//! The three fields of an encoded record that are only known once its place is decided. Pure function, any core.

use super::layout;
use super::sys_flag;

/// Writes the queue offset, the physical offset (bytes in the log) and the store timestamp (ms) into a record that
/// [`super::encode()`] made.
///
/// # Panics
/// When `record` is shorter than a record can be: the caller handed something else in.
pub fn stamp(record: &mut [u8], queue_offset: i64, physical_offset: i64, store_timestamp: i64) {
    assert!(record.len() >= layout::RECORD_LEN_MIN, "{} bytes are no record", record.len());
    let flag = record[layout::SYS_FLAG..].first_chunk::<4>().map_or(0, |bytes| i32::from_be_bytes(*bytes));
    let at = layout::store_timestamp(sys_flag::is_born_host_v6(flag));
    record[layout::QUEUE_OFFSET..][..8].copy_from_slice(&queue_offset.to_be_bytes());
    record[layout::PHYSICAL_OFFSET..][..8].copy_from_slice(&physical_offset.to_be_bytes());
    record[at..][..8].copy_from_slice(&store_timestamp.to_be_bytes());
}
