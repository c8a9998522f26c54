//! The text of a `.properties` file: entries with their places, and rewriting one key without touching the rest.
//!
//! Owns the syntax as `java.util.Properties.load` reads it (JDK 8): comments, separators, continuation lines, escapes.
//! Knows no key and no meaning. Pure: bytes in, entries out. Differences from Java, all wanted by files in the field:
//! UTF-8 instead of Latin-1, a byte order mark is skipped, trailing blanks of a value are cut, and a separator line
//! such as `-----------------` is not an entry.

use std::fmt;
use std::ops::Range;

/// A place in a file: both numbers start at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One `key=value` of the file, escapes undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    /// Trailing blanks are cut; leading ones never belong to a value.
    pub value: String,
    pub key_place: Place,
    /// Where the value starts, or would start when it is empty.
    pub value_place: Place,
    /// The bytes of the value in the file, continuation lines included.
    value_span: Range<usize>,
    /// False for a key that stands alone on its line.
    separated: bool,
}

/// Something in the text that is no valid entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    pub place: Place,
    pub text: String,
}

/// A parsed file, still holding its bytes.
#[derive(Debug, Clone, Default)]
pub struct Properties {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    errors: Vec<SyntaxError>,
}

impl Properties {
    /// Reads the whole file. Never fails: what could not be read stands in [`Properties::errors`].
    pub fn parse(bytes: &[u8]) -> Properties {
        let mut reader = Reader::new(bytes);
        let mut entries = Vec::new();
        while let Some(entry) = reader.entry() {
            let separator_line = !entry.key.chars().any(char::is_alphanumeric);
            if !separator_line {
                entries.push(entry);
            }
        }
        Properties { bytes: bytes.to_vec(), entries, errors: reader.errors }
    }

    /// All entries in file order, duplicates included; the last one of a key counts, as in Java.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn errors(&self) -> &[SyntaxError] {
        &self.errors
    }

    /// The value that counts for `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.last(key).map(|entry| entry.value.as_str())
    }

    /// The file as it is now.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Changes one key and leaves every other byte as it was, comments included. A key that is not there yet is
    /// appended on a line of its own. What is written reads the same in Java: all but ASCII is escaped.
    pub fn set(&mut self, key: &str, value: &str) {
        let mut bytes = self.bytes.clone();
        match self.last(key) {
            Some(entry) => {
                let separator = if entry.separated { "" } else { "=" };
                let text = format!("{separator}{}", escape(value, false));
                bytes.splice(entry.value_span.clone(), text.into_bytes());
            }
            None => {
                if bytes.last().is_some_and(|&last| last != b'\n') {
                    bytes.push(b'\n');
                }
                // A last line that ends in a backslash would swallow the new one.
                if bytes.trim_ascii_end().ends_with(b"\\") {
                    bytes.push(b'\n');
                }
                bytes.extend_from_slice(format!("{}={}\n", escape(key, true), escape(value, false)).as_bytes());
            }
        }
        *self = Properties::parse(&bytes);
    }

    fn last(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }
}

/// Text as `Properties.store` would write it, so that reading gives it back.
fn escape(text: &str, is_key: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, unit) in text.encode_utf16().enumerate() {
        let ascii = u8::try_from(unit).ok().filter(u8::is_ascii).map(char::from);
        match ascii {
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(' ') if is_key || index == 0 => out.push_str("\\ "),
            Some(c @ ('=' | ':' | '#' | '!')) if is_key || index == 0 => {
                out.push('\\');
                out.push(c);
            }
            Some(c) if !c.is_ascii_control() => out.push(c),
            _ => out.push_str(&format!("\\u{unit:04X}")),
        }
    }
    out
}

/// Walks the bytes once and keeps the current line and column.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    place: Place,
    errors: Vec<SyntaxError>,
}

/// Text being collected: UTF-8 bytes of the file and UTF-16 units of `\u` escapes meet here.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    high_surrogate: Option<u16>,
}

impl Text {
    fn push(&mut self, byte: u8) {
        self.flush_surrogate();
        self.bytes.push(byte);
    }

    fn push_unit(&mut self, unit: u16) {
        if let Some(high) = self.high_surrogate.take() {
            if let Some(Ok(c)) = char::decode_utf16([high, unit]).next() {
                self.push_char(c);
                return;
            }
            self.push_char(char::REPLACEMENT_CHARACTER);
        }
        match char::from_u32(u32::from(unit)) {
            Some(c) => self.push_char(c),
            None if unit < 0xdc00 => self.high_surrogate = Some(unit),
            None => self.push_char(char::REPLACEMENT_CHARACTER),
        }
    }

    fn push_char(&mut self, c: char) {
        self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn flush_surrogate(&mut self) {
        if self.high_surrogate.take().is_some() {
            self.push_char(char::REPLACEMENT_CHARACTER);
        }
    }
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Reader<'a> {
        let at = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Reader { bytes, at, place: Place { line: 1, column: 1 }, errors: Vec::new() }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Takes one byte; a line end (LF, CR or CRLF) is taken whole and counted once.
    fn take(&mut self) {
        match self.peek() {
            None => return,
            Some(b'\r') if self.bytes.get(self.at + 1) == Some(&b'\n') => {
                self.at += 2;
                self.next_line();
                return;
            }
            Some(b'\r' | b'\n') => self.next_line(),
            // A continuation byte of UTF-8 is not a column of its own.
            Some(byte) if byte & 0xc0 == 0x80 => {}
            Some(_) => self.place.column = self.place.column.saturating_add(1),
        }
        self.at += 1;
    }

    fn next_line(&mut self) {
        self.place = Place { line: self.place.line.saturating_add(1), column: 1 };
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | 0x0c)) {
            self.take();
        }
    }

    /// A backslash before a line end joins the next line, whose leading blanks do not count.
    fn skip_continuation(&mut self) -> bool {
        let joins =
            self.peek() == Some(b'\\') && matches!(self.bytes.get(self.at + 1), None | Some(b'\r') | Some(b'\n'));
        if joins {
            self.take();
            self.take();
            self.skip_blanks();
        }
        joins
    }

    fn skip_blanks_and_continuations(&mut self) {
        self.skip_blanks();
        while self.skip_continuation() {}
    }

    fn at_line_end(&self) -> bool {
        matches!(self.peek(), None | Some(b'\r' | b'\n'))
    }

    /// The next entry; comments and blank lines are passed over.
    fn entry(&mut self) -> Option<Entry> {
        loop {
            self.skip_blanks();
            match self.peek()? {
                b'\r' | b'\n' => self.take(),
                b'#' | b'!' => {
                    while !self.at_line_end() {
                        self.take();
                    }
                }
                b'\\' if self.skip_continuation() => {}
                _ => break,
            }
        }
        let key_place = self.place;
        let key = self.text(true);
        let key_end = self.at;
        let key = self.decode(key, key_place, "key");
        self.skip_blanks_and_continuations();
        if matches!(self.peek(), Some(b'=' | b':')) {
            self.take();
            self.skip_blanks_and_continuations();
        }
        let value_place = self.place;
        let start = self.at;
        let value = self.text(false);
        let value = self.decode(value, value_place, "value").trim_end().to_owned();
        let value_span = start..self.at;
        let between = self.bytes.get(key_end..start).unwrap_or_default();
        let separated = between.iter().any(|byte| matches!(byte, b'=' | b':' | b' ' | b'\t' | 0x0c));
        self.take();
        Some(Entry { key, value, key_place, value_place, value_span, separated })
    }

    /// Collects a key (up to a separator) or a value (up to the line end) and undoes escapes.
    fn text(&mut self, is_key: bool) -> Text {
        let mut text = Text::default();
        while let Some(byte) = self.peek() {
            match byte {
                b'\r' | b'\n' => break,
                b'=' | b':' | b' ' | b'\t' | 0x0c if is_key => break,
                b'\\' if self.skip_continuation() => {}
                b'\\' => self.escape(&mut text),
                _ => {
                    text.push(byte);
                    self.take();
                }
            }
        }
        text.flush_surrogate();
        text
    }

    /// `\t \n \r \f \uXXXX`; any other escaped character stands for itself, as in Java.
    fn escape(&mut self, text: &mut Text) {
        let place = self.place;
        self.take();
        let Some(byte) = self.peek() else { return };
        self.take();
        match byte {
            b't' => text.push(b'\t'),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b'f' => text.push(0x0c),
            b'u' => match self.unit() {
                Some(unit) => text.push_unit(unit),
                None => {
                    let text = "\\u wants four hex digits, as in \\u4e2d".to_owned();
                    self.errors.push(SyntaxError { place, text });
                }
            },
            other => text.push(other),
        }
    }

    fn unit(&mut self) -> Option<u16> {
        let digits = self.bytes.get(self.at..self.at.checked_add(4)?)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let unit = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        for _ in 0..4 {
            self.take();
        }
        Some(unit)
    }

    fn decode(&mut self, text: Text, place: Place, what: &str) -> String {
        match String::from_utf8(text.bytes) {
            Ok(text) => text,
            Err(error) => {
                let text = format!("the {what} is not UTF-8; save the file as UTF-8 or write \\uXXXX escapes");
                self.errors.push(SyntaxError { place, text });
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let parsed = Properties::parse(text.as_bytes());
        let found: Vec<_> = parsed.entries().iter().map(|e| (e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(found, expected, "in {text:?}");
        assert_eq!(parsed.errors(), &[], "in {text:?}");
    }

    #[test]
    fn reads_what_java_reads() {
        check("a=1\nb:2\nc 3\nd\t=\t4\n", &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        check("# no\n! no\n  # no\n\na=#yes\n", &[("a", "#yes")]);
        check("a = b = c", &[("a", "b = c")]);
        check("a==b", &[("a", "=b")]);
        check("a : = b", &[("a", "= b")]);
        check("a\nb=", &[("a", ""), ("b", "")]);
        check("a=one,\\\n   two,\\\r\n\tthree\nb=4", &[("a", "one,two,three"), ("b", "4")]);
        check("fruit\\\n  s=x", &[("fruits", "x")]);
        check("a\\ b\\=c=d\\te\\\\f\\z", &[("a b=c", "d\te\\fz")]);
        check("a=\\u4e2d\\u6587 \\uD83D\\uDE00", &[("a", "中文 😀")]);
        check("a=\\uD83Dx", &[("a", "\u{fffd}x")]);
        check("a=1\\", &[("a", "1")]);
        check("# comment \\\na=1", &[("a", "1")]);
    }

    #[test]
    fn tolerates_what_files_in_the_field_hold() {
        check("\u{feff}a=1\r\nb=2 \t\r\n", &[("a", "1"), ("b", "2")]);
        check("-----------------\na=1\n=====\n***** 集群 *****", &[("a", "1")]);
        check("a=1\rb=2\r", &[("a", "1"), ("b", "2")]);
        check("#集群名\nbrokerClusterName=集群\n", &[("brokerClusterName", "集群")]);
    }

    #[test]
    fn a_comment_in_another_encoding_is_no_error() {
        let parsed = Properties::parse(b"#\xbc\xaf\xc8\xba\na=1");
        assert_eq!((parsed.get("a"), parsed.errors().len()), (Some("1"), 0));
    }

    #[test]
    fn broken_text_is_named_with_its_place() {
        for (bytes, place, text) in [
            (&b"a=1\nb=x\\u12g4"[..], "2:4", "four hex digits"),
            (b"\n\nname=\xbc\xaf", "3:6", "value is not UTF-8"),
            (b" \xbc\xaf=1", "1:2", "key is not UTF-8"),
        ] {
            let parsed = Properties::parse(bytes);
            let [error] = parsed.errors() else { panic!("{:?}", parsed.errors()) };
            assert_eq!(error.place.to_string(), place);
            assert!(error.text.contains(text), "{}", error.text);
        }
    }

    #[test]
    fn places_count_lines_and_characters() {
        let parsed = Properties::parse("# 注释\r\n  key = 值\nk\\\n  2=\\\n  v".as_bytes());
        let places: Vec<_> =
            parsed.entries().iter().map(|e| (e.key_place.to_string(), e.value_place.to_string())).collect();
        assert_eq!(places, [("2:3".into(), "2:9".into()), ("3:1".into(), "5:3".into())]);
    }

    #[test]
    fn set_changes_one_value_only() {
        for (before, key, value, after) in [
            ("# c\na = 1 \nb=2\n", "a", "9", "# c\na = 9\nb=2\n"),
            ("a=1\na=2\n", "a", "3", "a=1\na=3\n"),
            ("a=x\\\n  y\nb=1", "a", "z", "a=z\nb=1"),
            ("a=1", "b", "2", "a=1\nb=2\n"),
            ("a\nb=1\n", "a", "x", "a=x\nb=1\n"),
            ("a=\r\nb=1\r\n", "a", "x", "a=x\r\nb=1\r\n"),
            ("", "中", " a\\b ", "\\u4E2D=\\ a\\\\b \n"),
        ] {
            let mut properties = Properties::parse(before.as_bytes());
            properties.set(key, value);
            assert_eq!(String::from_utf8_lossy(properties.bytes()), after, "from {before:?}");
            assert_eq!(properties.get(key), Some(value.trim_end()));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let parsed = Properties::parse(&bytes);
            prop_assert!(parsed.entries().len() <= bytes.len());
        }

        #[test]
        fn what_set_wrote_is_read_back(text in "[a-z=:\\\\ \n\r#]{0,40}", key in "[a-z0-9][ -~中]{0,10}", value in "[^ \t]?\\PC{0,20}[!-~]") {
            let mut properties = Properties::parse(text.as_bytes());
            let others: Vec<_> = properties.entries().iter().filter(|e| e.key != key).cloned().collect();
            properties.set(&key, &value);
            prop_assert_eq!(properties.get(&key), Some(value.as_str()));
            let left: Vec<_> = properties.entries().iter().filter(|e| e.key != key).cloned().collect();
            prop_assert_eq!(left.len(), others.len());
            for (left, other) in left.iter().zip(&others) {
                prop_assert_eq!((&left.key, &left.value), (&other.key, &other.value));
            }
        }
    }
}
