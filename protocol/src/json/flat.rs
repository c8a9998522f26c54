//! The JSON header in the shape every usual client writes it: no white space, whole numbers bare, fields a flat object
//! of strings, the whole of it UTF-8. One pass, each byte looked at once, UTF-8 checked once for all.
//!
//! Gives up on anything else, sound or not; [`super::header`] then reads from the start and alone decides what is
//! wrong. What this accepts that one accepts too, with the same outcome. Any core.

use crate::command::Command;
use crate::fields::{Fields, Slot, Text};
use crate::json::escape::{escape_len, short_unicode};
use crate::language::Language;
use crate::words::{Marks, word_at};

/// Reads a header into a command that has its defaults; `None` when it has not the usual shape, and then the command is
/// half written.
pub(super) fn read<'a>(header: &'a [u8], command: &mut Command<'a>) -> Option<()> {
    // Places within are 16 bits then.
    if header.len() > usize::from(u16::MAX) {
        return None;
    }
    let text = std::str::from_utf8(header).ok()?;
    command.fields.restart(text);
    let mut scan = Scan { bytes: header, at: 0, marks: Marks::of(header) };
    scan.byte(b'{')?;
    loop {
        let key = scan.string()?;
        scan.byte(b':')?;
        if key.escaped {
            return None;
        }
        match header.get(key.from..key.to)? {
            b"code" => command.code = scan.number()?,
            b"flag" => command.flag = scan.number()?,
            b"opaque" => command.opaque = scan.number()?,
            b"version" => command.version = scan.number()?,
            b"extFields" => {
                scan = scan.fields(&mut command.fields)?;
                if let Some([flag, opaque, version]) = scan.java_end() {
                    (command.flag, command.opaque, command.version) = (flag, opaque, version);
                    command.language = Language::JAVA;
                    return Some(());
                }
            }
            b"language" => {
                let name = scan.string()?;
                if name.escaped {
                    return None;
                }
                command.language = match header.get(name.from..name.to)? {
                    b"JAVA" => Language::JAVA,
                    other => Language::from_name(other),
                };
            }
            b"remark" => {
                let place = scan.string()?;
                command.remark = Some(Text::unchecked(header.get(place.from..place.to)?, place.escaped));
            }
            _ => {
                scan.string()?;
            }
        }
        match scan.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    (scan.at == header.len()).then_some(())
}

/// Takes back what [`read`] wrote before it gave up.
#[cold]
pub(super) fn forget(command: &mut Command<'_>) {
    command.fields.restart("");
    (command.code, command.flag, command.opaque, command.version) = (0, 0, 0, 0);
    command.language = Language::JAVA;
    command.remark = None;
}

/// A string without its quotes.
struct Found {
    from: usize,
    to: usize,
    escaped: bool,
}

type Quotes<'a> = Marks<'a, b'"', b'\\'>;

/// The end of a string whose first backslash stands at `at`, and the marks behind it.
#[inline(never)]
fn escaped<'a>(bytes: &[u8], mut marks: Quotes<'a>, mut at: usize) -> Option<(Quotes<'a>, usize)> {
    loop {
        if word_at(bytes, at).and_then(short_unicode).is_none() {
            escape_len(bytes.get(at..)?)?;
            // A mark that is itself escaped says nothing.
            if let Some(b'"' | b'\\') = bytes.get(at + 1) {
                marks.next();
            }
        }
        at = marks.next();
        if *bytes.get(at)? == b'"' {
            return Some((marks, at));
        }
    }
}

/// Stands between two tokens; all marks before `at` are used up. Handed on by value, never by reference: so it stays in
/// registers.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    marks: Quotes<'a>,
}

impl<'a> Scan<'a> {
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    #[inline(always)]
    fn byte(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// A string, quotes included.
    #[inline(always)]
    fn string(&mut self) -> Option<Found> {
        let open = self.marks.next();
        if open != self.at || *self.bytes.get(open)? != b'"' {
            return None;
        }
        let end = self.marks.next();
        let found = match *self.bytes.get(end)? {
            b'"' => Found { from: open + 1, to: end, escaped: false },
            _ => {
                let to;
                (self.marks, to) = escaped(self.bytes, self.marks, end)?;
                Found { from: open + 1, to, escaped: true }
            }
        };
        self.at = found.to + 1;
        Some(found)
    }

    /// A whole number that fits.
    #[inline(always)]
    fn number(&mut self) -> Option<i32> {
        let negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let start = self.at;
        let mut number = 0i64;
        while let Some(digit) = self.bytes.get(self.at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10)
        {
            number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
            self.at += 1;
        }
        if !(1..=10).contains(&(self.at - start)) {
            return None;
        }
        i32::try_from(if negative { -number } else { number }).ok()
    }

    /// Flag, opaque and version, when the rest is what Java writes behind the fields of a command without a remark.
    #[inline(always)]
    fn java_end(&self) -> Option<[i32; 3]> {
        let mut end = Scan { ..*self };
        end.text(b",\"flag\":")?;
        let flag = end.number()?;
        end.text(b",\"language\":\"JAVA\",\"opaque\":")?;
        let opaque = end.number()?;
        end.text(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":")?;
        let version = end.number()?;
        (self.bytes.get(end.at..)? == b"}").then_some([flag, opaque, version])
    }

    #[inline(always)]
    fn text<const N: usize>(&mut self, wanted: &[u8; N]) -> Option<()> {
        let found = self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        (found == wanted).then_some(())
    }

    /// An object of strings.
    #[inline(never)]
    fn fields(mut self, fields: &mut Fields<'a>) -> Option<Self> {
        self.byte(b'{')?;
        if self.bytes.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Some(self);
        }
        loop {
            let key = self.string()?;
            self.byte(b':')?;
            let value = self.string()?;
            let slot = Slot {
                key_at: key.from as u32,
                value_at: value.from as u32,
                value_len: (value.to - value.from) as u32,
                key_len: (key.to - key.from) as u16,
                key_escaped: key.escaped,
                value_escaped: value.escaped,
            };
            if !fields.push_inline(slot) {
                return None;
            }
            match self.next()? {
                b',' => {}
                b'}' => return Some(self),
                _ => return None,
            }
        }
    }
}
