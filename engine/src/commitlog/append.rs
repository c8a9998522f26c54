//! Writing a shard's placed batch: one pwritev a piece, with the blank that ends a file and the padding to the page.
//!
//! Owns nothing. Runs on the shard; a write goes into the page cache and returns in microseconds, unless it ends inside
//! a page that is on disk but not in the cache: then the kernel reads that page first, on the shard. So a batch ends
//! with zeros up to the page's end. Only a single shard may pad: with several, those bytes may be another's already,
//! and there is only what the preparing thread brought into the cache before (see `ahead`).

use std::io::{self, IoSlice};
use std::path::PathBuf;

use protocol::message::layout::BLANK_MAGIC;

use super::segments::SegmentsView;
use super::tail::Piece;
use crate::io::{PAGE, ZERO_PAGE};
use crate::progress::Counters;
use crate::store::core::Core;

/// A write that failed, and where.
#[derive(Debug)]
pub(crate) struct WriteError {
    pub(crate) error: io::Error,
    pub(crate) path: PathBuf,
    pub(crate) position: u64,
}

/// Writes `bytes`, the units of all pieces one behind the other. May be called again for the same pieces after an
/// error: nobody else writes there.
pub(crate) fn write(core: &Core, view: &mut SegmentsView, bytes: &[u8], pieces: &[Piece]) -> Result<(), WriteError> {
    let single = core.options.shards == 1;
    let mut rest = bytes;
    for piece in pieces {
        let segment = view.find(&core.segments, piece.offset).cloned();
        let len = usize::try_from(piece.data).unwrap_or(usize::MAX);
        let (Some(segment), Some((data, behind))) = (segment, rest.split_at_checked(len)) else {
            // Only room that has a file is given out, and pieces are made from the very units in `bytes`.
            let error = io::Error::other("no file for a reserved place");
            return Err(WriteError { error, path: core.options.commitlog_dir.clone(), position: piece.offset as u64 });
        };
        rest = behind;
        let position = segment.position(piece.offset).unwrap_or(0);
        let blank = blank_head(piece.blank);
        let blank = if piece.blank > 0 { &blank[..] } else { &[] };
        let end = position + (data.len() + blank.len()) as u64;
        let pad = if single { padding(end, segment.size()) } else { &[] };
        let mut parts = [IoSlice::new(data), IoSlice::new(blank), IoSlice::new(pad)];
        core.options.disk.write_all_at(segment.file(), &mut parts, position).map_err(|error| WriteError {
            error,
            path: segment.path().to_path_buf(),
            position,
        })?;
        Counters::add(&core.progress.counters.batches, 1);
        core.ahead.moved(piece.end());
    }
    Ok(())
}

/// The eight bytes of a blank that mean something.
fn blank_head(remaining: i64) -> [u8; 8] {
    let remaining = u32::try_from(remaining).unwrap_or(0);
    ((u64::from(remaining) << 32) | u64::from(BLANK_MAGIC)).to_be_bytes()
}

/// Zeros from `end` to the end of its page, or of the file: a page that is written to its end need not be read first.
pub(crate) fn padding(end: u64, size: u64) -> &'static [u8] {
    let page_end = end.next_multiple_of(PAGE as u64).min(size);
    let len = usize::try_from(page_end.saturating_sub(end)).unwrap_or(0);
    ZERO_PAGE.get(..len).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::message::{Peek, peek};

    #[test]
    fn a_blank_is_read_back_as_one() {
        assert_eq!(peek(&blank_head(1234)), Peek::Blank { remaining: 1234 });
    }

    #[test]
    fn padding_ends_at_the_page_or_the_file() {
        let check = |end: u64, size: u64, want: usize| assert_eq!(padding(end, size).len(), want, "{end} of {size}");
        check(1, 65536, 4095);
        check(4096, 65536, 0);
        check(65535, 65536, 1);
        check(5000, 5001, 1);
        check(5001, 5001, 0);
    }
}
