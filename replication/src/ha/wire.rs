//! The bytes of a replication link: reports from slave to master, frames from master to slave.
//!
//! Owns the two layouts and the readers that find them in a stream cut anywhere. No I/O, no clock, any thread. Must not
//! know what an offset means to either end.
//!
//! ```text
//! slave -> master   | i64 end of the slave's log |                                  all numbers big-endian
//! master -> slave   | i64 physical offset | i32 body length | body ... |            length 0: a sign of life
//! ```

use std::fmt;
use std::ops::Range;

/// Bytes of a report.
pub const REPORT_LEN: usize = 8;
/// Bytes of a frame before its body.
pub const HEADER_LEN: usize = 12;

/// A report as bytes.
pub fn report(offset: i64) -> [u8; REPORT_LEN] {
    offset.to_be_bytes()
}

/// The beginning of a frame as bytes; `len` is at most `i32::MAX`, what is beyond cannot be said and is cut off.
pub fn header(offset: i64, len: u32) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes[8..].copy_from_slice(&i32::try_from(len).unwrap_or(i32::MAX).to_be_bytes());
    bytes
}

/// Why a frame cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// The offset is below zero.
    Offset(i64),
    /// The length is below zero or above what this end accepts.
    Length { found: i32, max: u32 },
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(offset) => write!(f, "a frame at offset {offset}"),
            Self::Length { found, max } => write!(f, "a frame of {found} bytes, 0 to {max} are accepted"),
        }
    }
}

/// Collects a fixed number of bytes from pieces.
#[derive(Clone, Copy, Debug)]
struct Fixed<const N: usize> {
    bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Fixed<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], filled: 0 }
    }

    /// Takes from the front of `input` what is missing; the whole once it is there.
    fn take(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        let (missing, rest) = input.split_at((N - self.filled).min(input.len()));
        self.bytes[self.filled..self.filled + missing.len()].copy_from_slice(missing);
        self.filled += missing.len();
        *input = rest;
        if self.filled < N {
            return None;
        }
        self.filled = 0;
        Some(self.bytes)
    }
}

/// Finds reports in what a slave sends. Holds at most seven bytes.
#[derive(Clone, Copy, Debug)]
pub struct ReportReader(Fixed<REPORT_LEN>);

impl Default for ReportReader {
    fn default() -> Self {
        Self(Fixed::new())
    }
}

impl ReportReader {
    /// The next report, taken from the front of `input`; `None` when the rest was too short and has been kept.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<i64> {
        self.0.take(input).map(i64::from_be_bytes)
    }
}

/// What is found in the stream of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A frame begins; its body of `len` bytes follows.
    Header { offset: i64, len: u32 },
    /// Bytes of the body, as a range of the input given; they belong at `offset`.
    Body { offset: i64, at: Range<usize> },
}

/// Finds frames in what a master sends. Bodies pass through in the pieces they come in, so a frame of any length needs
/// no more memory than the reads of its receiver.
#[derive(Clone, Copy, Debug)]
pub struct FrameReader {
    header: Fixed<HEADER_LEN>,
    body_max: u32,
    offset: i64,
    left: u32,
}

impl FrameReader {
    /// A reader that accepts bodies of up to `body_max` bytes.
    pub fn new(body_max: u32) -> Self {
        Self { header: Fixed::new(), body_max, offset: 0, left: 0 }
    }

    /// The next part of `input` from `*done` on, which moves past it; `None` when all was used.
    pub fn next(&mut self, input: &[u8], done: &mut usize) -> Result<Option<Part>, BadFrame> {
        let mut rest = input.get(*done..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        if self.left > 0 {
            let len = rest.len().min(self.left as usize);
            let part = Part::Body { offset: self.offset, at: *done..*done + len };
            *done += len;
            self.left -= u32::try_from(len).unwrap_or(self.left);
            self.offset = self.offset.saturating_add_unsigned(len as u64);
            return Ok(Some(part));
        }
        let found = self.header.take(&mut rest);
        *done = input.len() - rest.len();
        let Some(header) = found else { return Ok(None) };
        let [o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3] = header;
        let offset = i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
        let found = i32::from_be_bytes([l0, l1, l2, l3]);
        if offset < 0 {
            return Err(BadFrame::Offset(offset));
        }
        let len = u32::try_from(found)
            .ok()
            .filter(|len| *len <= self.body_max)
            .ok_or(BadFrame::Length { found, max: self.body_max })?;
        (self.offset, self.left) = (offset, len);
        Ok(Some(Part::Header { offset, len }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `stream` in pieces of `piece` bytes; headers and the bodies put together again.
    #[track_caller]
    fn frames(stream: &[u8], piece: usize, body_max: u32) -> Result<Vec<(i64, Vec<u8>)>, BadFrame> {
        let mut reader = FrameReader::new(body_max);
        let mut found: Vec<(i64, Vec<u8>)> = Vec::new();
        for input in stream.chunks(piece) {
            let mut done = 0;
            while let Some(part) = reader.next(input, &mut done)? {
                match part {
                    Part::Header { offset, .. } => found.push((offset, Vec::new())),
                    Part::Body { offset, at } => {
                        let (begun, body) = found.last_mut().expect("a body has a header");
                        assert_eq!(offset, *begun + body.len() as i64);
                        body.extend_from_slice(&input[at]);
                    }
                }
            }
            assert_eq!(done, input.len());
        }
        Ok(found)
    }

    #[test]
    fn frames_are_found_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        stream.extend(header(0, 5));
        stream.extend(b"hello");
        stream.extend(header(5, 0));
        stream.extend(header(5, 1));
        stream.extend(b"!");
        let whole = vec![(0, b"hello".to_vec()), (5, Vec::new()), (5, b"!".to_vec())];
        for piece in 1..=stream.len() {
            assert_eq!(frames(&stream, piece, 5), Ok(whole.clone()), "pieces of {piece}");
        }
    }

    #[test]
    fn frames_that_cannot_be_are_refused() {
        let mut negative = header(7, 0);
        negative[8..].copy_from_slice(&(-1_i32).to_be_bytes());
        for (bytes, want) in [
            (header(-1, 0), BadFrame::Offset(-1)),
            (header(i64::MIN, 0), BadFrame::Offset(i64::MIN)),
            (header(0, 101), BadFrame::Length { found: 101, max: 100 }),
            (header(0, u32::MAX), BadFrame::Length { found: i32::MAX, max: 100 }),
            (negative, BadFrame::Length { found: -1, max: 100 }),
        ] {
            assert_eq!(frames(&bytes, 12, 100), Err(want));
            assert_eq!(frames(&bytes, 1, 100), Err(want));
        }
    }

    #[test]
    fn reports_are_found_however_the_stream_is_cut() {
        let values = [0, 1, -1, i64::MAX, i64::MIN, 4711];
        let stream: Vec<u8> = values.iter().flat_map(|value| report(*value)).collect();
        for piece in 1..=stream.len() {
            let mut reader = ReportReader::default();
            let mut found = Vec::new();
            for mut input in stream.chunks(piece) {
                while let Some(value) = reader.next(&mut input) {
                    found.push(value);
                }
            }
            assert_eq!(found, values, "pieces of {piece}");
        }
    }
}
