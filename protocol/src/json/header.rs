//! The JSON header, scanned in one pass without building a tree.
//!
//! Knows the members of a header and nothing of what requests mean. Unknown members, white space, nulls and numbers or
//! booleans in the place of strings are taken as fastjson takes them. Any core.

use crate::command::{Command, HeaderForm};
use crate::fields::{Place, Text};
use crate::frame::FrameError;
use crate::json::escape::escape_len;
use crate::json::flat;
use crate::language::Language;
use crate::words::{equal, first, word_at};

/// Reads a header into a command that has its defaults and fields over this header.
pub(crate) fn read<'a>(header: &'a [u8], command: &mut Command<'a>) -> Result<(), FrameError> {
    if flat::read(header, command).is_some() {
        return Ok(());
    }
    flat::forget(command);
    read_any(header, command)
}

/// Reads a header of any shape, without trying the usual one first.
pub(crate) fn read_any<'a>(header: &'a [u8], command: &mut Command<'a>) -> Result<(), FrameError> {
    let mut scan = Scan { bytes: header, at: 0 };
    scan.object(|scan, key| {
        match scan.plain(key) {
            Some(b"code") => command.code = scan.integer()?,
            Some(b"flag") => command.flag = scan.integer()?,
            Some(b"opaque") => command.opaque = scan.integer()?,
            Some(b"version") => command.version = scan.integer()?,
            Some(b"language") => {
                if let Some(name) = scan.value()? {
                    command.language = Language::from_name(&scan.text(name).bytes());
                }
            }
            Some(b"remark") => command.remark = scan.value()?.map(|place| scan.text(place)),
            Some(b"extFields") => {
                if scan.peek()? == b'{' {
                    scan.object(|scan, key| match scan.value()? {
                        Some(value) => command.fields.push(key, value),
                        None => Ok(()),
                    })?;
                } else if scan.value()?.is_some() {
                    return Err(scan.error("extFields is not an object"));
                }
            }
            _ => {
                scan.value()?;
            }
        }
        Ok(())
    })?;
    if scan.skip_space().is_some() { Err(scan.error("bytes after the end of the header")) } else { Ok(()) }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    #[cold]
    fn error(&self, problem: &'static str) -> FrameError {
        FrameError::Header { form: HeaderForm::Json, at: self.at, problem }
    }

    fn text(&self, place: Place) -> Text<'a> {
        let raw = self.bytes.get(place.at..place.at.saturating_add(place.len)).unwrap_or_default();
        Text::unchecked(raw, place.escaped)
    }

    fn plain(&self, place: Place) -> Option<&'a [u8]> {
        self.text(place).plain()
    }

    /// The next byte that is not white space; `None` at the end.
    #[inline]
    fn skip_space(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    #[inline]
    fn peek(&mut self) -> Result<u8, FrameError> {
        match self.skip_space() {
            Some(byte) => Ok(byte),
            None => Err(self.error("header ends too early")),
        }
    }

    #[inline]
    fn expect(&mut self, wanted: u8, problem: &'static str) -> Result<(), FrameError> {
        if self.peek()? != wanted {
            return Err(self.error(problem));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads an object; `member` is called behind each colon and must consume the value.
    fn object(&mut self, mut member: impl FnMut(&mut Self, Place) -> Result<(), FrameError>) -> Result<(), FrameError> {
        self.expect(b'{', "expected an object")?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek()? != b'"' {
                return Err(self.error("expected a member name"));
            }
            let key = self.string()?;
            self.expect(b':', "expected a colon")?;
            member(self, key)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.error("expected a comma or the end of an object")),
            }
        }
    }

    /// Reads a string; stands on its opening quote.
    #[inline]
    fn string(&mut self) -> Result<Place, FrameError> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_run(self.bytes.get(self.at..).unwrap_or_default());
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let place = Place { at: start, len: self.at - start, escaped };
                    self.at += 1;
                    return Ok(place);
                }
                Some(_) => {
                    escaped = true;
                    let rest = self.bytes.get(self.at..).unwrap_or_default();
                    self.at += escape_len(rest).ok_or_else(|| self.error("unknown escape in a string"))?;
                }
                None => return Err(self.error("string without an end")),
            }
        }
    }

    /// Reads any value: a string without its quotes, anything else as it is written; `None` for null.
    fn value(&mut self) -> Result<Option<Place>, FrameError> {
        match self.peek()? {
            b'"' => self.string().map(Some),
            b'{' | b'[' => self.nested().map(Some),
            _ => {
                let start = self.at;
                while let Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.') = self.bytes.get(self.at) {
                    self.at += 1;
                }
                let place = Place { at: start, len: self.at - start, escaped: false };
                match self.plain(place).unwrap_or_default() {
                    [] => Err(self.error("expected a value")),
                    b"null" => Ok(None),
                    b"true" | b"false" => Ok(Some(place)),
                    [b'0'..=b'9' | b'-' | b'+' | b'.', ..] => Ok(Some(place)),
                    _ => Err(self.error("unknown word in the place of a value")),
                }
            }
        }
    }

    /// Passes over an object or array by counting brackets; what is inside is not checked further.
    fn nested(&mut self) -> Result<Place, FrameError> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(Place { at: start, len: self.at - start, escaped: false });
            }
        }
    }

    /// Reads an integer of 32 bits, quoted or not; null counts as 0.
    fn integer(&mut self) -> Result<i32, FrameError> {
        let Some(place) = self.value()? else { return Ok(0) };
        let digits = self.plain(place).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| self.error("not an integer of 32 bits"))
    }
}

/// Bytes before the next quote or backslash. Eight at a time: headers are mostly long plain strings.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = word_at(bytes, at) {
        let found = equal(word, b'"') | equal(word, b'\\');
        if found != 0 {
            return at + first(found);
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| *byte == b'"' || *byte == b'\\').unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_runs_end_at_the_first_quote_or_backslash() {
        for len in 0..40usize {
            for end in [b'"', b'\\'] {
                let mut bytes = vec![b'x'; len];
                bytes.extend_from_slice(&[end, b'"', b'\\', 1, 0x80, 0xff, b'"', 0]);
                assert_eq!(plain_run(&bytes), len);
            }
            assert_eq!(plain_run(&vec![0xa2; len]), len);
        }
    }
}
