//! String escapes, both ways. Pure functions.

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
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\') {
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

/// A decimal number, written without the heap.
pub(crate) struct Decimal {
    text: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn of(number: i64) -> Decimal {
        let mut decimal = Decimal { text: [0; 20], start: 20 };
        let mut rest = number.unsigned_abs();
        loop {
            decimal.push(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            decimal.push(b'-');
        }
        decimal
    }

    fn push(&mut self, byte: u8) {
        self.start -= 1;
        self.text[self.start] = byte;
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[self.start..]
    }
}

/// Appends a decimal number.
pub(crate) fn push_number(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(Decimal::of(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_undone_as_fastjson_does() {
        let check = |text: &str, want: &str| assert_eq!(unescape(text), want, "{text}");
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
        fn what_is_quoted_is_read_back(text in any::<String>(), number in any::<i64>()) {
            let mut out = Vec::new();
            push_quoted(&mut out, &text);
            let quoted = String::from_utf8(out).expect("UTF-8");
            prop_assert_eq!(&unescape(&quoted[1..quoted.len() - 1]), &text);
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).expect("JSON"), text);
            let mut out = Vec::new();
            push_number(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).expect("UTF-8"), number.to_string());
        }
    }
}
