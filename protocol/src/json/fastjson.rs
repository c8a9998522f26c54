//! Writing JSON as fastjson 1.2.69 does where readers depend on it: integer keys stand bare (`{0:"a"}`), and a map
//! keyed by message queues has the objects themselves for keys (`{{"brokerName":…}:…}`). Neither is standard JSON.
//! Pure functions, any core.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

/// How the text of a message queue in key position begins: see [`crate::body::message_queue`].
const OBJECT_KEY: &str = "{\"brokerName\":";

/// Writes compact text in fastjson's form.
///
/// # Panics
/// When the type has maps whose keys cannot be strings, which none of [`crate::body`] has.
pub fn write<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let mut serializer = Serializer::with_formatter(&mut out, KeyFormatter::default());
    value.serialize(&mut serializer).expect("bodies have keys that are strings or integers");
    out
}

/// Compact, with keys gathered until it is known what they are.
#[derive(Default)]
struct KeyFormatter {
    in_key: bool,
    integer: bool,
    key: String,
}

impl Formatter for KeyFormatter {
    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.in_key = true;
        self.integer = false;
        self.key.clear();
        if first { Ok(()) } else { writer.write_all(b",") }
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.in_key = false;
        Ok(())
    }

    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.in_key { Ok(()) } else { writer.write_all(b"\"") }
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if !self.in_key {
            return writer.write_all(b"\"");
        }
        if self.integer || self.key.starts_with(OBJECT_KEY) {
            return writer.write_all(self.key.as_bytes());
        }
        let mut quoted = Vec::with_capacity(self.key.len() + 2);
        super::escape::push_quoted(&mut quoted, &self.key);
        writer.write_all(&quoted)
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if self.in_key {
            self.key.push_str(fragment);
            return Ok(());
        }
        writer.write_all(fragment.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        let character = match escape {
            CharEscape::Quote => '"',
            CharEscape::ReverseSolidus => '\\',
            CharEscape::Solidus => '/',
            CharEscape::Backspace => '\u{8}',
            CharEscape::FormFeed => '\u{c}',
            CharEscape::LineFeed => '\n',
            CharEscape::CarriageReturn => '\r',
            CharEscape::Tab => '\t',
            CharEscape::AsciiControl(byte) => char::from(byte),
        };
        if self.in_key {
            self.key.push(character);
            return Ok(());
        }
        let mut quoted = Vec::with_capacity(8);
        super::escape::push_quoted(&mut quoted, character.encode_utf8(&mut [0; 4]));
        writer.write_all(quoted.get(1..quoted.len() - 1).unwrap_or_default())
    }

    fn write_i32<W: ?Sized + Write>(&mut self, writer: &mut W, value: i32) -> io::Result<()> {
        self.write_i64(writer, i64::from(value))
    }

    fn write_i64<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        if self.in_key {
            self.integer = true;
            self.key = value.to_string();
            return Ok(());
        }
        write!(writer, "{value}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    #[test]
    fn integer_keys_stand_bare_and_others_do_not() {
        let table = BTreeMap::from([(0i64, "a\"\n\u{1}"), (-1, "b")]);
        assert_eq!(super::write(&table), br#"{-1:"b",0:"a\"\n\u0001"}"#);
        let table = BTreeMap::from([("0\"\n", BTreeMap::from([(1i32, 5i64)]))]);
        assert_eq!(super::write(&table), br#"{"0\"\n":{1:5}}"#);
        assert_eq!(super::write(&BTreeMap::from([("{x", 1)])), br#"{"{x":1}"#);
    }
}
