//! The fields of a header in place: slices of the header bytes, looked up in a line, undone on access.
//!
//! Owns no bytes. Up to 32 fields take no heap. Any core.

use std::borrow::Cow;
use std::fmt;

use crate::frame::{FIELDS_MAX, FrameError};
use crate::json::escape::unescape;

const INLINE: usize = 32;

/// A string inside a header, still in its written form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) escaped: bool,
}

impl<'a> Text<'a> {
    /// The string. Borrowed unless it holds escapes; bytes that are not UTF-8 become U+FFFD, as in Java.
    pub fn get(&self) -> Cow<'a, str> {
        match std::str::from_utf8(self.raw) {
            Ok(text) if !self.escaped => Cow::Borrowed(text),
            Ok(text) => Cow::Owned(unescape(text)),
            Err(_) => self.get_lossy(),
        }
    }

    #[cold]
    fn get_lossy(&self) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(self.raw);
        if self.escaped { Cow::Owned(unescape(&text)) } else { text }
    }

    /// Whether it is the empty string.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The bytes of the string, for comparing.
    #[inline]
    pub(crate) fn bytes(&self) -> Cow<'a, [u8]> {
        match self.plain() {
            Some(plain) => Cow::Borrowed(plain),
            None => Cow::Owned(self.get().into_owned().into_bytes()),
        }
    }

    /// The bytes as written; `None` when they hold escapes.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.raw)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.get())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.get(), f)
    }
}

/// Where a field stands in the header. 16 bytes, so that 32 of them stay within eight cache lines.
#[derive(Clone, Copy, Default)]
struct Slot {
    key_at: u32,
    value_at: u32,
    value_len: u32,
    key_len: u16,
    key_escaped: bool,
    value_escaped: bool,
}

const _: () = assert!(size_of::<Slot>() == 16);

/// The fields of one header ("extFields"), in the order they stand.
#[derive(Clone)]
pub struct Fields<'a> {
    header: &'a [u8],
    inline: [Slot; INLINE],
    len: usize,
    more: Vec<Slot>,
}

/// A place inside the header: start, length, and whether escapes are in it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub at: usize,
    pub len: usize,
    pub escaped: bool,
}

impl<'a> Fields<'a> {
    /// No fields.
    pub fn empty() -> Fields<'static> {
        Fields::over(&[])
    }

    /// No fields yet, of this header.
    pub(crate) fn over(header: &'a [u8]) -> Fields<'a> {
        Fields { header, inline: [Slot::default(); INLINE], len: 0, more: Vec::new() }
    }

    #[inline]
    pub(crate) fn push(&mut self, key: Place, value: Place) -> Result<(), FrameError> {
        if self.len >= FIELDS_MAX {
            return Err(FrameError::TooManyFields);
        }
        let too_long = FrameError::HeaderTooLong { len: self.header.len(), max: usize::from(u16::MAX) };
        let slot = Slot {
            key_at: u32::try_from(key.at).map_err(|_| too_long)?,
            value_at: u32::try_from(value.at).map_err(|_| too_long)?,
            value_len: u32::try_from(value.len).map_err(|_| too_long)?,
            key_len: u16::try_from(key.len).map_err(|_| too_long)?,
            key_escaped: key.escaped,
            value_escaped: value.escaped,
        };
        match self.inline.get_mut(self.len) {
            Some(free) => *free = slot,
            None => self.more.push(slot),
        }
        self.len += 1;
        Ok(())
    }

    /// How many fields there are, duplicates counted.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn slots(&self) -> impl DoubleEndedIterator<Item = &Slot> {
        self.inline.iter().take(self.len.min(INLINE)).chain(&self.more)
    }

    fn text(&self, at: u32, len: usize, escaped: bool) -> Text<'a> {
        let at = at as usize;
        Text { raw: self.header.get(at..at.saturating_add(len)).unwrap_or_default(), escaped }
    }

    fn pair(&self, slot: &Slot) -> (Text<'a>, Text<'a>) {
        let key = self.text(slot.key_at, usize::from(slot.key_len), slot.key_escaped);
        (key, self.text(slot.value_at, slot.value_len as usize, slot.value_escaped))
    }

    /// The fields as they are written.
    pub fn texts(&self) -> impl Iterator<Item = (Text<'a>, Text<'a>)> {
        self.slots().map(|slot| self.pair(slot))
    }

    /// The value of `key`; of duplicates the last one counts. An empty string is a value (JSON form only: the binary
    /// form cannot tell it from none).
    pub fn get(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get_text(key).map(|text| text.get())
    }

    /// Like [`Fields::get`], in written form.
    pub fn get_text(&self, key: &str) -> Option<Text<'a>> {
        self.slots().rev().find_map(|slot| {
            let (name, value) = self.pair(slot);
            let same = match name.plain() {
                Some(plain) => plain == key.as_bytes(),
                None => name.get() == key,
            };
            same.then_some(value)
        })
    }

    /// All fields, undone.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.texts().map(|(key, value)| (key.get(), value.get()))
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.texts()).finish()
    }
}
