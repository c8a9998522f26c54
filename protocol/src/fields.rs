//! The fields of a header in place: slices of the header bytes, looked up in a line, undone on access.
//!
//! Owns no bytes. Up to 32 fields take no heap. Any core.

use std::borrow::Cow;
use std::fmt;

use crate::frame::{FIELDS_MAX, FrameError};
use crate::json::escape::{unescape, unescape_into};

const INLINE: usize = 32;

/// A string inside a header, still in its written form.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    written: Written<'a>,
    escaped: bool,
}

/// The bytes of a text.
#[derive(Clone, Copy)]
enum Written<'a> {
    /// A piece of a header that is UTF-8 as a whole. Cut out when asked for: most fields are numbers, of which nobody
    /// wants a `str`.
    Within { header: &'a str, at: u32, len: u32 },
    /// Not looked at yet.
    Bytes(&'a [u8]),
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw() && self.escaped == other.escaped
    }
}

impl Eq for Text<'_> {}

impl<'a> Text<'a> {
    /// Bytes that nobody has looked at yet.
    pub(crate) fn unchecked(raw: &'a [u8], escaped: bool) -> Text<'a> {
        Text { written: Written::Bytes(raw), escaped }
    }

    #[inline(always)]
    pub(crate) fn raw(&self) -> &'a [u8] {
        match self.written {
            Written::Within { header, at, len } => {
                let (at, len) = (at as usize, len as usize);
                header.as_bytes().get(at..at.saturating_add(len)).unwrap_or_default()
            }
            Written::Bytes(raw) => raw,
        }
    }

    #[inline(always)]
    fn utf8(&self) -> Option<&'a str> {
        match self.written {
            Written::Within { header, at, len } => header.get(at as usize..(at as usize).saturating_add(len as usize)),
            Written::Bytes(raw) => std::str::from_utf8(raw).ok(),
        }
    }

    /// The string if it stands in the header as it is.
    #[inline(always)]
    pub(crate) fn borrowed(&self) -> Option<&'a str> {
        if self.escaped { None } else { self.utf8() }
    }

    /// The string. Borrowed unless it holds escapes; bytes that are not UTF-8 become U+FFFD, as in Java.
    #[inline]
    pub fn get(&self) -> Cow<'a, str> {
        match self.utf8() {
            Some(text) if !self.escaped => Cow::Borrowed(text),
            Some(text) => Cow::Owned(unescape(text)),
            None => self.get_lossy(),
        }
    }

    /// Like [`Text::get`], with `room` for the string if it holds escapes: what the room held is gone then. Takes no
    /// heap once the room has grown to what is needed.
    pub fn get_in(&self, room: &'a mut String) -> Cow<'a, str> {
        match self.utf8() {
            Some(text) if !self.escaped => Cow::Borrowed(text),
            Some(text) => {
                let mut bytes = std::mem::take(room).into_bytes();
                unescape_into(text, &mut bytes);
                match String::from_utf8(bytes) {
                    Ok(undone) => *room = undone,
                    Err(_) => return Cow::Owned(unescape(text)),
                }
                Cow::Borrowed(room)
            }
            None => self.get_lossy(),
        }
    }

    #[cold]
    fn get_lossy(&self) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(self.raw());
        if self.escaped { Cow::Owned(unescape(&text)) } else { text }
    }

    /// Whether it is the empty string.
    pub fn is_empty(&self) -> bool {
        self.raw().is_empty()
    }

    /// The bytes of the string, for comparing.
    #[inline]
    pub(crate) fn bytes(&self) -> Cow<'a, [u8]> {
        match self.plain() {
            Some(plain) => Cow::Borrowed(plain),
            None => self.undone_bytes(),
        }
    }

    #[cold]
    fn undone_bytes(&self) -> Cow<'a, [u8]> {
        Cow::Owned(self.get().into_owned().into_bytes())
    }

    /// The bytes as written; `None` when they hold escapes.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.raw())
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
pub(crate) struct Slot {
    pub key_at: u32,
    pub value_at: u32,
    pub value_len: u32,
    pub key_len: u16,
    pub key_escaped: bool,
    pub value_escaped: bool,
}

const _: () = assert!(size_of::<Slot>() == 16);

/// The fields of one header ("extFields"), in the order they stand.
#[derive(Clone)]
pub struct Fields<'a> {
    header: &'a [u8],
    /// The header again, once it is known to be UTF-8 as a whole; else empty.
    text: &'a str,
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
        Fields { header, text: "", inline: [Slot::default(); INLINE], len: 0, more: Vec::new() }
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

    /// Starts anew over the same header, of which `text` is known to be UTF-8.
    pub(crate) fn restart(&mut self, text: &'a str) {
        (self.text, self.len) = (text, 0);
        self.more.clear();
    }

    /// Adds a field to those that have room in line; false when there is none.
    #[inline(always)]
    pub(crate) fn push_inline(&mut self, slot: Slot) -> bool {
        match self.inline.get_mut(self.len) {
            Some(free) if self.more.is_empty() => {
                *free = slot;
                self.len += 1;
                true
            }
            _ => false,
        }
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

    #[inline(always)]
    fn text(&self, at: u32, len: u32, escaped: bool) -> Text<'a> {
        let written = if self.text.is_empty() {
            let at = at as usize;
            Written::Bytes(self.header.get(at..at.saturating_add(len as usize)).unwrap_or_default())
        } else {
            Written::Within { header: self.text, at, len }
        };
        Text { written, escaped }
    }

    #[inline(always)]
    fn pair(&self, slot: &Slot) -> (Text<'a>, Text<'a>) {
        let key = self.text(slot.key_at, u32::from(slot.key_len), slot.key_escaped);
        (key, self.text(slot.value_at, slot.value_len, slot.value_escaped))
    }

    /// The fields as they are written.
    pub fn texts(&self) -> impl Iterator<Item = (Text<'a>, Text<'a>)> {
        self.slots().map(|slot| self.pair(slot))
    }

    /// Like [`Fields::texts`], from within: for those who decode every header there is.
    #[inline(always)]
    pub(crate) fn try_each<E>(&self, mut take: impl FnMut(Text<'a>, Text<'a>) -> Result<(), E>) -> Result<(), E> {
        for slot in self.inline.iter().take(self.len) {
            let (key, value) = self.pair(slot);
            take(key, value)?;
        }
        for slot in &self.more {
            let (key, value) = self.pair(slot);
            take(key, value)?;
        }
        Ok(())
    }

    /// All fields whose name is a single byte.
    #[inline(always)]
    pub(crate) fn try_letters<E>(&self, mut take: impl FnMut(u8, Text<'a>) -> Result<(), E>) -> Result<(), E> {
        let letter = |slot: &Slot| match slot {
            Slot { key_len: 1, key_escaped: false, .. } => self.header.get(slot.key_at as usize).copied(),
            Slot { key_escaped: false, .. } => None,
            _ => match *self.pair(slot).0.bytes() {
                [letter] => Some(letter),
                _ => None,
            },
        };
        let header = self.text;
        if header.is_empty() || !self.more.is_empty() {
            for slot in self.inline.iter().take(self.len).chain(&self.more) {
                if let Some(letter) = letter(slot) {
                    take(letter, self.text(slot.value_at, slot.value_len, slot.value_escaped))?;
                }
            }
            return Ok(());
        }
        // The same once more, with what is known of the texts decided outside of the loop.
        for slot in self.inline.iter().take(self.len) {
            if let Some(letter) = letter(slot) {
                let written = Written::Within { header, at: slot.value_at, len: slot.value_len };
                take(letter, Text { written, escaped: slot.value_escaped })?;
            }
        }
        Ok(())
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
