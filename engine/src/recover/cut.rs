//! Cutting what lies behind the log's end, durably: zeros over it. Otherwise a later recovery could find records there
//! that this one cut, between newer ones.

use std::fs;
use std::io::{self, IoSlice};
use std::sync::Arc;

use crate::commitlog::segment::Segment;
use crate::error::OpenError;
use crate::io::{Disk, next_data};
use crate::options::StoreOptions;

const CHUNK: usize = 1 << 20;
static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// Zeroes everything behind `end`. A later file that is all zeros is kept as one made ahead; one that is not holds
/// nothing valid (the caller searched it) and is removed with all behind it. Makes a file for the end if there is none.
/// Answers with the bytes that were not zero, counted up to the last such byte. After a clean stop of ours only the
/// page at the end is looked at.
pub(super) fn cut_behind(
    options: &StoreOptions,
    segments: &mut Vec<Arc<Segment>>,
    end: i64,
    trusts_zeros: bool,
) -> Result<u64, OpenError> {
    let mut cut = 0u64;
    let mut removed = false;
    let mut keep = Vec::with_capacity(segments.len());
    for segment in segments.drain(..) {
        let zero_from = if segment.base() >= end { 0 } else { segment.position(end).unwrap_or(segment.size()) };
        if trusts_zeros || removed || zero_from >= segment.size() {
            if !removed {
                keep.push(segment);
            } else {
                remove(&segment)?;
            }
            continue;
        }
        let wrap = |error| OpenError::io("cut the end of", segment.path(), error);
        let last = last_nonzero(&segment, zero_from).map_err(wrap)?;
        let Some(last) = last else {
            keep.push(segment);
            continue;
        };
        cut = cut.saturating_add(last + 1 - zero_from);
        if segment.base() >= end && !keep.is_empty() {
            remove(&segment)?;
            removed = true;
            continue;
        }
        zero(&options.disk, &segment, zero_from, last + 1).map_err(wrap)?;
        keep.push(segment);
    }
    if removed {
        let dir = &options.commitlog_dir;
        options.disk.sync_dir(dir).map_err(|error| OpenError::io("make durable the directory", dir, error))?;
    }
    *segments = keep;
    Ok(cut)
}

fn remove(segment: &Segment) -> Result<(), OpenError> {
    tracing::warn!(path = %segment.path().display(), "a commitlog file behind the log's end holds no valid record and is removed");
    fs::remove_file(segment.path()).map_err(|error| OpenError::io("remove", segment.path(), error))
}

/// Position of the last byte from `from` on that is not zero.
fn last_nonzero(segment: &Segment, from: u64) -> io::Result<Option<u64>> {
    let mut last = None;
    let mut at = from;
    while let Some(data) = next_data(segment.file(), at)?.filter(|data| *data < segment.size()) {
        let data = data.max(at);
        let len = usize::try_from(segment.size() - data).unwrap_or(CHUNK).min(CHUNK);
        let bytes = segment.bytes(data, len);
        if let Some(place) = bytes.iter().rposition(|byte| *byte != 0) {
            last = Some(data + place as u64);
        }
        at = data + len as u64;
        if at >= segment.size() {
            break;
        }
    }
    Ok(last)
}

fn zero(disk: &Disk, segment: &Segment, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let len = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
        disk.write_all_at(segment.file(), &mut [IoSlice::new(ZEROS.get(..len).unwrap_or(&[]))], at)?;
        at += len as u64;
    }
    disk.sync_data(segment.file())
}
