//! Looking for records among received bytes. Pure but for the file looked at; any thread.

use protocol::message::layout::{BLANK_LEN, MESSAGE_MAGIC};
use protocol::message::{Peek, Record, peek};

use super::Unsound;
use crate::commitlog::segment::Segment;

/// Bytes before an offset in which a record's beginning is looked for first.
const NEAR_BYTES: i64 = 64 << 10;

/// What a look at received bytes gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advance {
    /// End of the last whole, sound record, blank included.
    pub(super) watermark: i64,
    /// Of the newest record passed, ms; 0 without one.
    pub(super) store_timestamp: i64,
    /// What is wrong with the bytes at the watermark.
    pub(super) unsound: Option<Unsound>,
}

/// Goes over the records in `bytes`, which lie at `physical` in a file that ends at `file_end`. What is not whole yet
/// is left for later.
pub(super) fn advance(bytes: &[u8], physical: i64, file_end: i64) -> Advance {
    let mut result = Advance { watermark: physical, store_timestamp: 0, unsound: None };
    let mut rest = bytes;
    while rest.len() >= BLANK_LEN {
        let at = result.watermark;
        let left = usize::try_from(file_end.saturating_sub(at)).unwrap_or(0);
        match look(rest, at, left) {
            Ok(Some((len, store_timestamp))) => {
                let Some(behind) = rest.get(len..) else { break };
                rest = behind;
                result.watermark = at.saturating_add(i64::try_from(len).unwrap_or(i64::MAX));
                result.store_timestamp = result.store_timestamp.max(store_timestamp);
            }
            Ok(None) => break,
            Err(problem) => {
                result.unsound = Some(Unsound { physical: at, problem });
                break;
            }
        }
    }
    result
}

/// Length and store time of what begins at `bytes`, with `left` bytes to the file's end; none while it is not whole.
fn look(bytes: &[u8], physical: i64, left: usize) -> Result<Option<(usize, i64)>, String> {
    match peek(bytes) {
        Peek::Record { total_size } => {
            let size = total_size as usize;
            // Every record leaves room for the blank behind it.
            if size.saturating_add(BLANK_LEN) > left {
                return Err(format!("a record of {size} bytes does not fit into the {left} bytes left of its file"));
            }
            let Some(bytes) = bytes.get(..size) else { return Ok(None) };
            let record = Record::decode(bytes).map_err(|error| error.to_string())?;
            if record.physical_offset != physical {
                return Err(format!("the record says that it lies at {}", record.physical_offset));
            }
            if !record.body_crc_ok() {
                return Err("the body does not fit its checksum".to_string());
            }
            Ok(Some((size, record.store_timestamp)))
        }
        Peek::Blank { remaining } => {
            let remaining = remaining as usize;
            if remaining != left {
                return Err(format!("a blank of {remaining} bytes, but {left} are left of the file"));
            }
            Ok((bytes.len() >= remaining).then_some((remaining, 0)))
        }
        Peek::Nothing => Err("zeros".to_string()),
        Peek::Bad => match Record::decode(bytes) {
            Err(error) => Err(error.to_string()),
            Ok(_) => Err("a record of an impossible size".to_string()),
        },
    }
}

/// The last record boundary at or below `at` that is reached from the boundary `from` by sound steps.
fn walk(segment: &Segment, from: i64, at: i64) -> i64 {
    let mut boundary = from;
    while boundary < at {
        let left = usize::try_from(segment.end().saturating_sub(boundary)).unwrap_or(0);
        let Some(position) = segment.position(boundary) else { break };
        let bytes = segment.bytes(position, left);
        let len = match peek(bytes) {
            Peek::Record { total_size } => total_size,
            Peek::Blank { remaining } if remaining as usize == left => remaining,
            _ => break,
        };
        let next = boundary.saturating_add(i64::from(len));
        if next > at {
            break;
        }
        boundary = next;
    }
    boundary
}

/// The last record boundary at or below `at`, from the file's first byte on. Reads a page of every record before it.
pub(super) fn boundary(segment: &Segment, at: i64) -> i64 {
    walk(segment, segment.base(), at)
}

/// A record boundary at or below `at`, found by looking at the bytes near it.
pub(super) fn boundary_near(segment: &Segment, at: i64) -> i64 {
    let mut near = NEAR_BYTES;
    loop {
        let from = at.saturating_sub(near).max(segment.base());
        if from == segment.base() {
            return boundary(segment, at);
        }
        if let Some(found) = first_record(segment, from, at) {
            return walk(segment, found, at);
        }
        near = near.saturating_mul(8);
    }
}

/// The first sound record that begins in `[from, to)` and ends at or before `to`.
fn first_record(segment: &Segment, from: i64, to: i64) -> Option<i64> {
    let magic = MESSAGE_MAGIC.to_be_bytes();
    let len = usize::try_from(to.checked_sub(from)?).ok()?;
    let bytes = segment.bytes(segment.position(from)?, len);
    let starts = bytes.windows(magic.len()).enumerate().filter(|(_, window)| *window == magic);
    for start in starts.filter_map(|(place, _)| place.checked_sub(protocol::message::layout::MAGIC)) {
        let physical = from.saturating_add(i64::try_from(start).ok()?);
        let left = usize::try_from(segment.end().saturating_sub(physical)).ok()?;
        if let Ok(Some(_)) = look(bytes.get(start..)?, physical, left) {
            return Some(physical);
        }
    }
    None
}
