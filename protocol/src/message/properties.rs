//! The properties string: `name 0x01 value 0x02 name 0x01 value …`. Readers borrow, writers append; any core.

use crate::digits::push_number;
use crate::words::find;

/// Between a name and its value.
pub const NAME_VALUE_SEPARATOR: u8 = 1;
/// Between two properties. Java up to 4.9.0 also writes it after the last one, 4.9.1 and later do not.
pub const PROPERTY_SEPARATOR: u8 = 2;

/// The reserved names, as the Java client and broker spell them.
pub mod names {
    pub const KEYS: &str = "KEYS";
    pub const TAGS: &str = "TAGS";
    pub const WAIT: &str = "WAIT";
    pub const DELAY: &str = "DELAY";
    pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
    pub const REAL_TOPIC: &str = "REAL_TOPIC";
    pub const REAL_QID: &str = "REAL_QID";
    pub const TRAN_MSG: &str = "TRAN_MSG";
    pub const PGROUP: &str = "PGROUP";
    pub const MIN_OFFSET: &str = "MIN_OFFSET";
    pub const MAX_OFFSET: &str = "MAX_OFFSET";
    pub const BUYER_ID: &str = "BUYER_ID";
    pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
    pub const TRANSFER_FLAG: &str = "TRANSFER_FLAG";
    pub const CORRECTION_FLAG: &str = "CORRECTION_FLAG";
    pub const MQ2_FLAG: &str = "MQ2_FLAG";
    pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
    pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
    pub const MSG_REGION: &str = "MSG_REGION";
    pub const TRACE_ON: &str = "TRACE_ON";
    pub const UNIQ_KEY: &str = "UNIQ_KEY";
    pub const CONSUME_START_TIME: &str = "CONSUME_START_TIME";
    pub const TRAN_PREPARED_QUEUE_OFFSET: &str = "TRAN_PREPARED_QUEUE_OFFSET";
    pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
    pub const CHECK_IMMUNITY_TIME_IN_SECONDS: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
    pub const INSTANCE_ID: &str = "INSTANCE_ID";
    pub const CORRELATION_ID: &str = "CORRELATION_ID";
    pub const REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
    pub const TTL: &str = "TTL";
    pub const MSG_TYPE: &str = "MSG_TYPE";
    pub const ARRIVE_TIME: &str = "ARRIVE_TIME";
    pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
    pub const CLUSTER: &str = "CLUSTER";
    pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
    pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";
}

/// Walks the properties of a string. Fragments without a name or a value, and those that are not UTF-8, are passed
/// over, as the Java parser does with the former.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

/// The properties in the order they stand, duplicates included.
pub fn iter<T: AsRef<[u8]> + ?Sized>(properties: &T) -> Iter<'_> {
    Iter { rest: properties.as_ref() }
}

impl<'a> Iter<'a> {
    /// The next fragment, split, whether UTF-8 or not.
    fn next_raw(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        while !self.rest.is_empty() {
            let end = find(self.rest, PROPERTY_SEPARATOR).unwrap_or(self.rest.len());
            let fragment = self.rest.get(..end).unwrap_or_default();
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if let Some(pair) = split(fragment) {
                return Some(pair);
            }
        }
        None
    }
}

/// Name and value of one fragment; `None` when either is empty.
fn split(fragment: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = find(fragment, NAME_VALUE_SEPARATOR)?;
    let (name, value) = (fragment.get(..at)?, fragment.get(at + 1..)?);
    (!name.is_empty() && !value.is_empty()).then_some((name, value))
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, value) = self.next_raw()?;
            if let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) {
                return Some((name, value));
            }
        }
    }
}

/// The value of `name`; of duplicates the last one counts.
pub fn get<'a, T: AsRef<[u8]> + ?Sized>(properties: &'a T, name: &str) -> Option<&'a str> {
    let mut found = None;
    let mut walk = iter(properties);
    while let Some((key, value)) = walk.next_raw() {
        if key == name.as_bytes()
            && let Ok(value) = std::str::from_utf8(value)
        {
            found = Some(value);
        }
    }
    found
}

/// Adds one property, with a separator before it where one is needed and none after it (the 4.9.1 form).
/// An empty name or value is not written: no reader would see it.
pub fn append(out: &mut Vec<u8>, name: &str, value: &str) {
    if name.is_empty() || value.is_empty() {
        return;
    }
    separate(out);
    out.extend_from_slice(name.as_bytes());
    out.push(NAME_VALUE_SEPARATOR);
    out.extend_from_slice(value.as_bytes());
}

/// Adds a property whose value is a decimal number.
pub fn append_number(out: &mut Vec<u8>, name: &str, value: i64) {
    if name.is_empty() {
        return;
    }
    separate(out);
    out.extend_from_slice(name.as_bytes());
    out.push(NAME_VALUE_SEPARATOR);
    push_number(out, value);
}

/// Ends what stands in `out` with a separator unless it is empty or has one.
pub fn separate(out: &mut Vec<u8>) {
    if out.last().is_some_and(|last| *last != PROPERTY_SEPARATOR) {
        out.push(PROPERTY_SEPARATOR);
    }
}

/// Appends all of `properties` but those whose name is in `without`, each once in its place.
pub fn append_without<T: AsRef<[u8]> + ?Sized>(out: &mut Vec<u8>, properties: &T, without: &[&str]) {
    let mut walk = iter(properties);
    while let Some((name, value)) = walk.next_raw() {
        if without.iter().any(|unwanted| unwanted.as_bytes() == name) {
            continue;
        }
        separate(out);
        out.extend_from_slice(name);
        out.push(NAME_VALUE_SEPARATOR);
        out.extend_from_slice(value);
    }
}

/// Whether a name or value can stand in a properties string at all.
pub fn is_writable(text: &str) -> bool {
    !text.bytes().any(|byte| byte == NAME_VALUE_SEPARATOR || byte == PROPERTY_SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, want: &[(&str, &str)]) {
        assert_eq!(iter(text).collect::<Vec<_>>(), want, "{text:?}");
        assert_eq!(iter(text.as_bytes()).collect::<Vec<_>>(), want, "{text:?}");
    }

    #[test]
    fn reads_what_java_reads() {
        check("", &[]);
        check("TAGS\u{1}a", &[("TAGS", "a")]);
        check("TAGS\u{1}a\u{2}", &[("TAGS", "a")]);
        check("TAGS\u{1}a\u{2}KEYS\u{1}k1 k2\u{2}", &[("TAGS", "a"), ("KEYS", "k1 k2")]);
        check("\u{1}a\u{2}b\u{1}\u{2}nothing\u{2}\u{2}c\u{1}d", &[("c", "d")]);
        check("a\u{1}b\u{1}c", &[("a", "b\u{1}c")]);
    }

    #[test]
    fn the_last_of_duplicates_counts() {
        let text = "a\u{1}1\u{2}b\u{1}2\u{2}a\u{1}3";
        assert_eq!(get(text, "a"), Some("3"));
        assert_eq!(get(text, "b"), Some("2"));
        assert_eq!(get(text, "c"), None);
        assert_eq!(get(&b"a\x01\xff\x02b\x01x"[..], "a"), None);
    }

    #[test]
    fn append_separates_when_needed() {
        for start in ["A\u{1}1", "A\u{1}1\u{2}"] {
            let mut out = start.as_bytes().to_vec();
            append(&mut out, "B", "2");
            append(&mut out, "", "x");
            append(&mut out, "C", "");
            append_number(&mut out, "", 3);
            assert_eq!(out, b"A\x011\x02B\x012");
            append_number(&mut out, "D", -4);
            assert_eq!(out, b"A\x011\x02B\x012\x02D\x01-4");
        }
        let mut out = Vec::new();
        append_without(&mut out, "A\u{1}1\u{2}WAIT\u{1}true\u{2}B\u{1}2\u{2}", &[names::WAIT]);
        assert_eq!(out, b"A\x011\x02B\x012");
    }

    proptest! {
        #[test]
        fn what_is_appended_is_read_back(pairs in prop::collection::vec(("[^\u{1}\u{2}]{1,9}", "[^\u{1}\u{2}]{1,9}"), 0..8)) {
            let mut out = Vec::new();
            for (name, value) in &pairs {
                append(&mut out, name, value);
            }
            let back: Vec<_> = iter(&out).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(&back, &pairs);
            if let Some((name, _)) = pairs.first() {
                let last = pairs.iter().rfind(|(other, _)| other == name).map(|(_, value)| value.as_str());
                prop_assert_eq!(get(&out, name), last);
            }
        }
    }
}
