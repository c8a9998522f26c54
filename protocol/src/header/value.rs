//! The types a header field can have, and what can be wrong with one. Pure functions, any core.

use std::borrow::Cow;
use std::fmt;

use crate::field_writer::FieldWriter;
use crate::fields::Text;

/// A field that is missing or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderError {
    /// Its name on the wire.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is not there.
    Missing,
    /// It should be an integer of 32 bits and is this (shortened).
    NotInteger(String),
    /// It should be an integer of 64 bits and is this (shortened).
    NotLong(String),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Missing => write!(f, "missing field {}", self.field),
            Problem::NotInteger(found) => write!(f, "field {}: {found:?} is not an integer", self.field),
            Problem::NotLong(found) => write!(f, "field {}: {found:?} is not a long integer", self.field),
        }
    }
}

impl std::error::Error for HeaderError {}

/// A type a field can have.
pub(crate) trait Value<'a>: Sized {
    /// Reads it; `None` when the text counts as absent.
    fn read(text: Text<'a>) -> Result<Option<Self>, Problem>;
    /// What a missing field counts as.
    fn absent() -> Option<Self> {
        None
    }
    /// Writes it unless it is absent.
    fn write(&self, out: &mut FieldWriter<'_>, key: &str);
}

pub(crate) fn read<'a, V: Value<'a>>(field: &'static str, text: Text<'a>) -> Result<Option<V>, HeaderError> {
    V::read(text).map_err(|problem| HeaderError { field, problem })
}

pub(crate) fn absent<'a, V: Value<'a>>(field: &'static str) -> Result<V, HeaderError> {
    V::absent().ok_or(HeaderError { field, problem: Problem::Missing })
}

pub(crate) fn write<'a, V: Value<'a>>(value: &V, out: &mut FieldWriter<'_>, key: &str) {
    value.write(out, key);
}

impl<'a> Value<'a> for Cow<'a, str> {
    fn read(text: Text<'a>) -> Result<Option<Self>, Problem> {
        Ok(Some(text.get()))
    }

    fn write(&self, out: &mut FieldWriter<'_>, key: &str) {
        out.str(key, self);
    }
}

/// The first characters of what was found: enough to see what went wrong, never a whole header.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A decimal integer as `Long.parseLong` takes it; `None` for anything else, also what does not fit.
fn integer(digits: &[u8]) -> Option<i64> {
    let (negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, digits),
    };
    // Summed up below zero, where there is room for one more than above.
    let sum = digits.iter().try_fold(0i64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_sub(digit)
    })?;
    match (digits.is_empty(), negative) {
        (true, _) => None,
        (false, true) => Some(sum),
        (false, false) => sum.checked_neg(),
    }
}

/// One to eighteen digits and nothing else, as nearly all numbers are: nothing can overflow.
#[inline(always)]
fn plain_integer(digits: &[u8]) -> Option<i64> {
    if let [digit] = digits {
        return digit.is_ascii_digit().then(|| i64::from(digit - b'0'));
    }
    if !(1..=18).contains(&digits.len()) {
        return None;
    }
    let mut sum = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum = sum.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    Some(sum)
}

/// A number in its plainest form; `None` says nothing about the others.
#[inline(always)]
pub(crate) fn plain_i64(text: Text<'_>) -> Option<i64> {
    plain_integer(text.raw())
}

/// Like [`plain_i64`].
#[inline(always)]
pub(crate) fn plain_i32(text: Text<'_>) -> Option<i32> {
    plain_integer(text.raw()).and_then(|number| i32::try_from(number).ok())
}

/// Like [`plain_i64`].
#[inline(always)]
pub(crate) fn plain_bool(text: Text<'_>) -> Option<bool> {
    match text.raw() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

#[inline(always)]
fn number<T: TryFrom<i64>>(text: Text<'_>, problem: fn(String) -> Problem) -> Result<Option<T>, Problem> {
    match plain_integer(text.raw()).and_then(|number| T::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => odd_number(text, problem),
    }
}

#[inline(never)]
fn odd_number<T: TryFrom<i64>>(text: Text<'_>, problem: fn(String) -> Problem) -> Result<Option<T>, Problem> {
    // An empty number is none: Java fails to parse it and leaves the field null.
    if text.is_empty() {
        return Ok(None);
    }
    match integer(&text.bytes()).and_then(|number| T::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(problem(shortened(&text.get()))),
    }
}

impl<'a> Value<'a> for i32 {
    fn read(text: Text<'a>) -> Result<Option<Self>, Problem> {
        number(text, Problem::NotInteger)
    }

    fn write(&self, out: &mut FieldWriter<'_>, key: &str) {
        out.i32(key, *self);
    }
}

impl<'a> Value<'a> for i64 {
    fn read(text: Text<'a>) -> Result<Option<Self>, Problem> {
        number(text, Problem::NotLong)
    }

    fn write(&self, out: &mut FieldWriter<'_>, key: &str) {
        out.i64(key, *self);
    }
}

/// As Java: "true" in any case is true, everything else false.
impl<'a> Value<'a> for bool {
    fn read(text: Text<'a>) -> Result<Option<Self>, Problem> {
        Ok(Some(plain_bool(text).unwrap_or_else(|| text.bytes().eq_ignore_ascii_case(b"true"))))
    }

    fn absent() -> Option<Self> {
        Some(false)
    }

    fn write(&self, out: &mut FieldWriter<'_>, key: &str) {
        out.bool(key, *self);
    }
}

impl<'a, V: Value<'a>> Value<'a> for Option<V> {
    fn read(text: Text<'a>) -> Result<Option<Self>, Problem> {
        V::read(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn write(&self, out: &mut FieldWriter<'_>, key: &str) {
        if let Some(value) = self {
            value.write(out, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{integer, plain_integer};
    use proptest::prelude::*;

    #[test]
    fn integers_are_parsed_as_rust_parses_them() {
        let edges = ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809"];
        let odd = ["", "-", "+", "+5", "-0", "007", "--1", "1-", " 1", "1 ", "1.0", "0x1", "９"];
        for text in edges.iter().chain(&odd) {
            assert_eq!(integer(text.as_bytes()), text.parse().ok(), "{text}");
            assert!(plain_integer(text.as_bytes()).is_none_or(|number| Ok(number) == text.parse()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_and_noise_are_parsed_alike(number in any::<i64>(), noise in "[-+0-9a]{0,20}") {
            prop_assert_eq!(integer(number.to_string().as_bytes()), Some(number));
            prop_assert_eq!(integer(noise.as_bytes()), noise.parse().ok());
        }
    }
}
