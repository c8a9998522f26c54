//! Cutting what lies behind the log's end, durably: zeros over it. Otherwise a later recovery could find records there
//! that this one cut, between newer ones.

use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::abort;
use crate::commitlog::segment::Segment;
use crate::error::OpenError;
use crate::io::next_data;
use crate::options::StoreOptions;

const CHUNK: usize = 1 << 20;
static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// Zeroes everything behind `end`. A later file that is all zeros is kept as one made ahead; one that is not holds
/// nothing that counts (the caller searched it) and is removed with all behind it. Makes a file for the end if there is
/// none. Answers with the bytes that were not zero, counted up to the last such byte. Looks `search_bytes` behind the end:
/// nothing after a clean stop or in a new store, what can have been in flight after a killed process, else everything.
pub(super) fn cut_behind(
    options: &StoreOptions,
    segments: &mut Vec<Arc<Segment>>,
    end: i64,
    search_bytes: i64,
) -> Result<u64, OpenError> {
    let mut cut = 0u64;
    let mut doomed = Vec::new();
    let mut keep = Vec::with_capacity(segments.len());
    for segment in segments.drain(..) {
        let zero_from = if segment.base() >= end { 0 } else { segment.position(end).unwrap_or(segment.size()) };
        let looked_at = segment.base().max(end).saturating_sub(end) < search_bytes;
        if !doomed.is_empty() {
            doomed.push(segment);
            continue;
        }
        if !looked_at || zero_from >= segment.size() {
            keep.push(segment);
            continue;
        }
        let wrap = |error| OpenError::io("cut the end of", segment.path(), error);
        let until = end.saturating_add(search_bytes).saturating_sub(segment.base());
        let until = u64::try_from(until).unwrap_or(0).min(segment.size());
        let last = last_nonzero(&segment, zero_from, until).map_err(wrap)?;
        let Some(last) = last else {
            keep.push(segment);
            continue;
        };
        cut = cut.saturating_add(last + 1 - zero_from);
        if segment.base() >= end && !keep.is_empty() {
            doomed.push(segment);
            continue;
        }
        zero(options, &segment, zero_from, last + 1).map_err(wrap)?;
        keep.push(segment);
    }
    // Newest first, each durably: a crash in between leaves no gap, with which no start would succeed.
    for segment in doomed.iter().rev() {
        remove(segment)?;
        let dir = &options.commitlog_dir;
        options.disk.sync_dir(dir).map_err(|error| {
            abort::leave_failure(&options.abort_path);
            OpenError::io("make durable the directory", dir, error)
        })?;
    }
    *segments = keep;
    Ok(cut)
}

fn remove(segment: &Segment) -> Result<(), OpenError> {
    tracing::warn!(path = %segment.path().display(), "a commitlog file behind the log's end is removed");
    fs::remove_file(segment.path()).map_err(|error| OpenError::io("remove", segment.path(), error))
}

/// Position of the last byte in `from..until` that is not zero. Reads by pread: a mapping would count the whole file as
/// this process's memory.
fn last_nonzero(segment: &Segment, from: u64, until: u64) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; CHUNK];
    let mut last = None;
    let mut at = from;
    while at < until {
        let Some(data) = next_data(segment.file(), at)?.filter(|data| *data < until) else { break };
        let data = data.max(at);
        let len = usize::try_from(until - data).unwrap_or(CHUNK).min(CHUNK);
        let Some(bytes) = buffer.get_mut(..len) else { break };
        segment.file().read_exact_at(bytes, data)?;
        if *bytes != ZEROS[..len]
            && let Some(place) = bytes.iter().rposition(|byte| *byte != 0)
        {
            last = Some(data + place as u64);
        }
        at = data + len as u64;
    }
    Ok(last)
}

fn zero(options: &StoreOptions, segment: &Segment, from: u64, to: u64) -> io::Result<()> {
    let disk = &options.disk;
    let mut at = from;
    while at < to {
        let len = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
        disk.write_all_at(segment.file(), &mut [IoSlice::new(ZEROS.get(..len).unwrap_or(&[]))], at)?;
        at += len as u64;
    }
    disk.sync_data(segment.file()).inspect_err(|_| abort::leave_failure(&options.abort_path))
}
