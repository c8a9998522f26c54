//! String escapes, both ways. Pure functions.

use crate::words::{below, equal, first, word_at};

/// Length of a `\` sequence at the start of `rest` (which begins with the backslash), when it is one fastjson knows.
pub(crate) fn escape_len(rest: &[u8]) -> Option<usize> {
    let hex =
        |range: std::ops::Range<usize>| rest.get(range).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    match rest.get(1)? {
        b'u' => hex(2..6).then_some(6),
        b'x' => hex(2..4).then_some(4),
        b'"' | b'\'' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'F' | b'0'..=b'7' => Some(2),
        _ => None,
    }
}

/// The character of a `\u00` sequence at `at` that stands for one of ASCII: of all escapes the one that properties are
/// full of. The word is the one at `at`.
#[inline(always)]
pub(crate) fn short_unicode(word: u64) -> Option<u8> {
    const START: u64 = u64::from_le_bytes(*b"\\u00\0\0\0\0");
    const SEPARATOR: u64 = u64::from_le_bytes(*b"\\u000\0\0\0");
    // The separators of properties first.
    let last = ((word >> 40) as u8).wrapping_sub(b'0');
    if word & 0xff_ffff_ffff == SEPARATOR && last < 10 {
        return Some(last);
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    if word & 0xffff_ffff != START {
        return None;
    }
    // Two digits in hex.
    let high = digit((word >> 32) as u8).filter(|high| *high < 8)?;
    Some(high << 4 | digit((word >> 40) as u8)?)
}

/// Like [`unescape`], into a buffer whose room is used again.
pub(crate) fn unescape_into(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    // No escape stands for more bytes than it takes. Words are copied before they are looked at, hence the slack.
    out.clear();
    out.resize(bytes.len() + 8, 0);
    let (mut from, mut to) = (0, 0);
    while let Some(word) = word_at(bytes, from) {
        let Some(free) = out.get_mut(to..).and_then(|rest| rest.first_chunk_mut::<8>()) else { break };
        *free = word.to_le_bytes();
        let plain = first(equal(word, b'\\'));
        from += plain;
        to += plain;
        if plain < 8 {
            let escape = word_at(bytes, from).and_then(short_unicode);
            match (escape, out.get_mut(to)) {
                (Some(byte), Some(free)) => {
                    *free = byte;
                    from += 6;
                    to += 1;
                }
                _ => {
                    let (character, len) = one(text.get(from..).unwrap_or_default());
                    to += put_char(out, to, character);
                    from += len;
                }
            }
        }
    }
    out.truncate(to);
    // Fewer than eight bytes, which may begin inside a character: as bytes then.
    while let Some(byte) = bytes.get(from) {
        if *byte == b'\\' {
            let (character, len) = one(text.get(from..).unwrap_or_default());
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            from += len;
        } else {
            out.push(*byte);
            from += 1;
        }
    }
}

/// Writes a character over what stands at `at` and tells its length.
fn put_char(out: &mut [u8], at: usize, character: char) -> usize {
    let mut utf8 = [0; 4];
    let utf8 = character.encode_utf8(&mut utf8).as_bytes();
    if let Some(free) = out.get_mut(at..).and_then(|rest| rest.get_mut(..utf8.len())) {
        free.copy_from_slice(utf8);
    }
    utf8.len()
}

/// Undoes the escapes fastjson reads. A surrogate without its partner becomes U+FFFD; what is no escape stays.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let (decoded, len) = one(escape);
        out.push(decoded);
        rest = escape.get(len..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The character of the sequence at the start of `text`, and the bytes it takes.
fn one(text: &str) -> (char, usize) {
    let Some(len) = escape_len(text.as_bytes()) else { return ('\\', 1) };
    let hex = |from: usize| text.get(from..from + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let character = match text.as_bytes().get(1) {
        Some(b'u') => {
            let unit = hex(2).unwrap_or(0xfffd);
            let is_low = |unit: &u32| (0xdc00..0xe000).contains(unit);
            if (0xd800..0xdc00).contains(&unit)
                && text.get(6..8) == Some("\\u")
                && let Some(low) = hex(8).filter(is_low)
            {
                let astral = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return (char::from_u32(astral).unwrap_or('\u{fffd}'), 12);
            }
            char::from_u32(unit).unwrap_or('\u{fffd}')
        }
        Some(b'x') => {
            text.get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map_or('\u{fffd}', char::from)
        }
        Some(b'b') => '\u{8}',
        Some(b'f' | b'F') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'v') => '\u{b}',
        Some(digit @ b'0'..=b'7') => char::from(digit - b'0'),
        Some(other) => char::from(*other),
        None => '\\',
    };
    (character, len)
}

/// Appends `text` between quotes. Quotes, backslashes and control characters are escaped, everything else stays
/// UTF-8.
pub(crate) fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = first_unfit(rest) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        if let Some((byte, after)) = from.split_first() {
            push_escape(out, *byte);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Place of the first byte that cannot stand between quotes as it is.
#[inline]
fn first_unfit(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = word_at(bytes, at) {
        let hits = below(word, 0x20) | equal(word, b'"') | equal(word, b'\\');
        if hits != 0 {
            return Some(at + first(hits));
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let unfit = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
    unfit.map(|place| at + place)
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        8 => b'b',
        9 => b't',
        10 => b'n',
        12 => b'f',
        13 => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            for digit in [byte >> 4, byte & 15] {
                out.push(if digit < 10 { b'0' + digit } else { b'A' + digit - 10 });
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_undone_as_fastjson_does() {
        let check = |text: &str, want: &str| {
            assert_eq!(unescape(text), want, "{text}");
            let mut out = b"old".to_vec();
            unescape_into(text, &mut out);
            assert_eq!(String::from_utf8(out).as_deref(), Ok(want), "{text}");
        };
        check("plain 中", "plain 中");
        check(r#"a\"b\\c\/d"#, "a\"b\\c/d");
        check(r"\b\f\n\r\t\v\0\7", "\u{8}\u{c}\n\r\t\u{b}\u{0}\u{7}");
        check(r"TAGS\u0001a\u0002", "TAGS\u{1}a\u{2}");
        check(r"\x41\'", "A'");
        check(r"\u4e2d\u6587", "中文");
        check(r"\ud83d\ude00!", "😀!");
        check(r"\ud83d", "\u{fffd}");
        check(r"\ude00\ud83dx", "\u{fffd}\u{fffd}x");
        check(r"\ud83d\u0041", "\u{fffd}A");
        check(r"\u00zz\", "\\u00zz\\");
        check(r"\中", "\\中");
    }

    proptest! {
        #[test]
        fn both_ways_of_undoing_agree(text in r#"([a-z中😀]{0,9}|\\u00[0-9a-fA-F]{2}|\\u[0-9d][0-9a-f]{3}|\\[nrx"'u\\]|\\ud83d\\ude00){0,9}"#) {
            let mut out = Vec::new();
            unescape_into(&text, &mut out);
            prop_assert_eq!(String::from_utf8(out).expect("UTF-8"), unescape(&text));
        }

        #[test]
        fn what_is_quoted_is_read_back(text in any::<String>()) {
            let mut out = Vec::new();
            push_quoted(&mut out, &text);
            let quoted = String::from_utf8(out).expect("UTF-8");
            prop_assert_eq!(&unescape(&quoted[1..quoted.len() - 1]), &text);
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).expect("JSON"), text);
        }
    }
}
