//! The outer frame: a length word, a word of header form and header length, the header, the body.
//!
//! Owns the frame's limits and the error type of everything that reads a frame. Pure functions, any core.
//!
//! ```text
//! size  field            position
//!   4   length           0          bytes that follow this word
//!   1   header form      4          0 JSON, 1 ROCKETMQ
//!   3   header length h  5
//!   h   header           8
//!   n   body             8 + h
//! ```

use std::fmt;

use crate::command::HeaderForm;

/// Largest frame Java accepts by default, the length word included (`com.rocketmq.remoting.frameMaxLength`).
pub const FRAME_MAX: usize = 16 * 1024 * 1024;
/// Largest header read unless the caller allows more. Java sets no limit of its own; real headers take up to some
/// 40 KiB, when a message comes with properties of the greatest length.
pub const HEADER_MAX: usize = 64 * 1024;
/// Largest number of fields in a header.
pub const FIELDS_MAX: usize = 256;
/// Bytes before the header.
pub const PREFIX_LEN: usize = 8;
/// Largest header the 24-bit length can tell.
pub const HEADER_LEN_MAX: usize = 0x00ff_ffff;

/// Why bytes are not a frame. The connection they came from is out of step and has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The length word says fewer bytes than the form and header length take.
    Length(i32),
    /// Longer than allowed, the length word included.
    TooLong { len: usize, max: usize },
    /// The bytes handed in are not exactly one frame.
    NotOneFrame { have: usize },
    /// Neither JSON (0) nor ROCKETMQ (1).
    Form(u8),
    /// The header is longer than its frame.
    HeaderLength { header: usize, frame: usize },
    /// The header is longer than allowed.
    HeaderTooLong { len: usize, max: usize },
    /// More fields than allowed.
    TooManyFields,
    /// The header cannot be read: what is wrong, and at which of its bytes.
    Header { form: HeaderForm, at: usize, problem: &'static str },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(len) => write!(f, "frame length {len} is less than the 4 bytes every frame has"),
            Self::TooLong { len, max } => write!(f, "frame of {len} bytes, at most {max} are allowed"),
            Self::NotOneFrame { have } => write!(f, "{have} bytes are not exactly one frame"),
            Self::Form(form) => write!(f, "header form {form} is neither JSON (0) nor ROCKETMQ (1)"),
            Self::HeaderLength { header, frame } => {
                write!(f, "header of {header} bytes does not fit into its frame of {frame} bytes")
            }
            Self::HeaderTooLong { len, max } => write!(f, "header of {len} bytes, at most {max} are allowed"),
            Self::TooManyFields => write!(f, "header with more than {FIELDS_MAX} fields"),
            Self::Header { form, at, problem } => write!(f, "{form:?} header, byte {at}: {problem}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Length of the frame that starts at `buf[0]`, its length word included; `None` while the length word is not whole.
/// The frame itself may be still incomplete: compare with `buf.len()`. Only lengths up to `max` are accepted.
pub fn frame_len(buf: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(word) = buf.first_chunk::<4>() else { return Ok(None) };
    let word = i32::from_be_bytes(*word);
    let len = usize::try_from(word).ok().filter(|len| *len >= 4).ok_or(FrameError::Length(word))?;
    let len = len.saturating_add(4);
    if len > max { Err(FrameError::TooLong { len, max }) } else { Ok(Some(len)) }
}

/// Form, header and body of a whole frame.
pub(crate) fn split(frame: &[u8], header_max: usize) -> Result<(HeaderForm, &[u8], &[u8]), FrameError> {
    if frame_len(frame, usize::MAX)? != Some(frame.len()) {
        return Err(FrameError::NotOneFrame { have: frame.len() });
    }
    let Some((prefix, rest)) = frame.split_first_chunk::<PREFIX_LEN>() else {
        return Err(FrameError::NotOneFrame { have: frame.len() });
    };
    let [_, _, _, _, form, high, middle, low] = *prefix;
    let form = match form {
        0 => HeaderForm::Json,
        1 => HeaderForm::Rocketmq,
        other => return Err(FrameError::Form(other)),
    };
    let len = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    if len > header_max {
        return Err(FrameError::HeaderTooLong { len, max: header_max });
    }
    let (header, body) =
        rest.split_at_checked(len).ok_or(FrameError::HeaderLength { header: len, frame: frame.len() })?;
    Ok((form, header, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_word_is_checked() {
        let check = |bytes: &[u8], max: usize, want| assert_eq!(frame_len(bytes, max), want, "{bytes:?}");
        check(&[], 100, Ok(None));
        check(&[0, 0, 0], 100, Ok(None));
        check(&[0, 0, 0, 4], 100, Ok(Some(8)));
        check(&[0, 0, 0, 96], 100, Ok(Some(100)));
        check(&[0, 0, 0, 97], 100, Err(FrameError::TooLong { len: 101, max: 100 }));
        check(&[0, 0, 0, 3], 100, Err(FrameError::Length(3)));
        check(&[0xff; 4], 100, Err(FrameError::Length(-1)));
        check(&[0x7f, 0xff, 0xff, 0xff], FRAME_MAX, Err(FrameError::TooLong { len: 0x8000_0003, max: FRAME_MAX }));
    }

    #[test]
    fn a_frame_is_split_where_it_says() {
        let check = |bytes: &[u8], want| assert_eq!(split(bytes, 10), want, "{bytes:?}");
        check(&[0, 0, 0, 7, 1, 0, 0, 2, 8, 9, 7], Ok((HeaderForm::Rocketmq, &[8, 9][..], &[7][..])));
        check(&[0, 0, 0, 7, 0, 0, 0, 4, 8, 9, 7], Err(FrameError::HeaderLength { header: 4, frame: 11 }));
        check(&[0, 0, 0, 7, 0, 0, 0, 11, 8, 9, 7], Err(FrameError::HeaderTooLong { len: 11, max: 10 }));
        check(&[0, 0, 0, 7, 2, 0, 0, 2, 8, 9, 7], Err(FrameError::Form(2)));
        check(&[0, 0, 0, 7, 0, 0, 0, 2, 8, 9], Err(FrameError::NotOneFrame { have: 10 }));
        check(&[0, 0], Err(FrameError::NotOneFrame { have: 2 }));
    }
}
