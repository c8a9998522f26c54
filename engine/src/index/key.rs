//! From a record to the hashes it is indexed under.
//!
//! Owns the choice of keys and the key hash. Pure; used by the follower for records and by queries for their key.

use protocol::message::properties::{self, names};
use protocol::message::{Record, sys_flag};

/// One key of one record, ready for an index file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub hash: u32,
    pub physical_offset: i64,
    pub store_timestamp: i64,
}

/// Java's `String.hashCode` continued over `text`: over UTF-16 units, wrapping.
fn extend(hash: i32, text: &str) -> i32 {
    if text.is_ascii() {
        text.bytes().fold(hash, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)))
    } else {
        text.encode_utf16().fold(hash, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
    }
}

/// The absolute value as Java 4.x takes it: the one number without a positive twin becomes 0.
fn absolute(hash: i32) -> u32 {
    hash.checked_abs().unwrap_or(0).unsigned_abs()
}

/// Hash of `topic#key`.
pub(super) fn hash(topic: &str, key: &str) -> u32 {
    absolute(extend(extend(extend(0, topic), "#"), key))
}

/// Appends the keys of `record` to `out`: UNIQ_KEY, then every space-separated word of KEYS, duplicates included.
/// A rolled-back transaction has none (Java 4.x).
pub(super) fn collect(record: &Record<'_>, out: &mut Vec<Key>) {
    if sys_flag::transaction(record.sys_flag) == sys_flag::TRANSACTION_ROLLBACK {
        return;
    }
    let (mut unique, mut keys) = ("", "");
    // Of duplicate properties the last one counts.
    for (name, value) in properties::iter(record.properties) {
        match name {
            names::UNIQ_KEY => unique = value,
            names::KEYS => keys = value,
            _ => {}
        }
    }
    let prefix = extend(extend(0, record.topic), "#");
    for key in std::iter::once(unique).chain(keys.split(' ')).filter(|key| !key.is_empty()) {
        out.push(Key {
            hash: absolute(extend(prefix, key)),
            physical_offset: record.physical_offset,
            store_timestamp: record.store_timestamp,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_java_s() {
        // Second column: Math.abs("…".hashCode()) computed by the definition for short strings.
        for (topic, key, expected) in [("a", "b", 97 * 961 + 35 * 31 + 98), ("", "", 35), ("T", "", 84 * 31 + 35)] {
            assert_eq!(hash(topic, key), expected, "{topic}#{key}");
        }
        for text in ["", "polygenelubricants", "Ärger#😀", "topic#key with words", "\u{10FFFF}"] {
            assert_eq!(extend(0, text), protocol::message::java_hash(text), "{text}");
        }
        assert_eq!(extend(0, "polygenelubricants"), i32::MIN);
        assert_eq!((absolute(i32::MIN), absolute(-5), absolute(i32::MAX)), (0, 5, i32::MAX as u32));
    }
}
