//! The properties of a message on its way in: one walk finds all that a broker must know, and where it stands, so that
//! what is stored is copied and not walked again. Pure functions, any core.

use std::ops::Range;

use super::properties::{self, NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR, names};
use crate::words::Marks;

/// A producer's properties, walked once. Of duplicates the last one counts.
#[derive(Clone, Debug)]
pub struct SentProperties<'a> {
    raw: &'a str,
    /// TAGS.
    pub tags: Option<&'a str>,
    /// KEYS.
    pub keys: Option<&'a str>,
    /// UNIQ_KEY.
    pub unique_key: Option<&'a str>,
    /// CLUSTER.
    pub cluster: Option<&'a str>,
    /// DELAY; 0 when there is none or it is no number.
    pub delay_level: i32,
    /// There is a DELAY, be it a number or not.
    pub has_delay: bool,
    /// WAIT is not "false".
    pub wait: bool,
    /// There is a WAIT.
    pub has_wait: bool,
    /// TRAN_MSG is "true": the first half of a transaction.
    pub half: bool,
    /// Where WAIT stands, its separators included, when it stands there once and everything else is in order.
    plain_wait: Option<Range<usize>>,
}

impl<'a> SentProperties<'a> {
    /// Walks the properties.
    pub fn scan(raw: &'a str) -> Self {
        let mut sent = SentProperties {
            raw,
            tags: None,
            keys: None,
            unique_key: None,
            cluster: None,
            delay_level: 0,
            has_delay: false,
            wait: true,
            has_wait: false,
            half: false,
            plain_wait: None,
        };
        let mut in_order = true;
        let bytes = raw.as_bytes();
        let mut marks = Marks::<NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR>::of(bytes);
        let mut start = 0;
        while start < bytes.len() {
            let middle = marks.next();
            let mut end = middle;
            while bytes.get(end) == Some(&NAME_VALUE_SEPARATOR) {
                end = marks.next();
            }
            // Without a name or a value it is no property; such texts are stored as `append_without` stores them.
            if start < middle && middle + 1 < end {
                let value = || raw.get(middle + 1..end).unwrap_or_default();
                match bytes.get(start..middle).unwrap_or_default() {
                    b"TAGS" => sent.tags = Some(value()),
                    b"KEYS" => sent.keys = Some(value()),
                    b"UNIQ_KEY" => sent.unique_key = Some(value()),
                    b"CLUSTER" => sent.cluster = Some(value()),
                    b"DELAY" => {
                        sent.has_delay = true;
                        sent.delay_level = value().parse().unwrap_or(0);
                    }
                    b"WAIT" => {
                        in_order &= !sent.has_wait;
                        sent.has_wait = true;
                        sent.wait = !value().eq_ignore_ascii_case("false");
                        sent.plain_wait = Some(start..end + 1);
                    }
                    b"TRAN_MSG" => sent.half = value().eq_ignore_ascii_case("true"),
                    _ => {}
                }
            } else {
                in_order = false;
            }
            start = end + 1;
        }
        if !in_order {
            sent.plain_wait = None;
        }
        sent
    }

    /// Appends what is stored: without WAIT, and with DELAY as `level` if the message is delayed.
    pub fn write(&self, out: &mut Vec<u8>, level: Option<usize>) {
        let raw = self.raw.as_bytes();
        match (self.has_wait, self.has_delay && (level.is_some() || self.delay_level == 0)) {
            (false, false) => out.extend_from_slice(raw),
            (true, false) => match &self.plain_wait {
                Some(wait) if out.is_empty() => {
                    let (before, behind) = (raw.get(..wait.start), raw.get(wait.end..));
                    out.extend_from_slice(before.unwrap_or_default());
                    out.extend_from_slice(behind.unwrap_or_default());
                    if out.last() == Some(&PROPERTY_SEPARATOR) {
                        out.pop();
                    }
                }
                _ => properties::append_without(out, raw, &[names::WAIT]),
            },
            (_, true) => properties::append_without(out, raw, &[names::WAIT, names::DELAY]),
        }
        if let Some(level) = level {
            properties::append_number(out, names::DELAY, level as i64);
        }
    }

    /// Adds CLUSTER to what [`SentProperties::write`] wrote, alone into `out`: every producer's message has it since
    /// Java 4.6. Of a message relayed from another cluster ours counts.
    pub fn write_cluster(&self, out: &mut Vec<u8>, cluster: &str) {
        match self.cluster {
            Some(present) if present == cluster => return,
            Some(_) => {
                let sent = std::mem::take(out);
                properties::append_without(out, &sent, &[names::CLUSTER]);
            }
            None => {}
        }
        properties::append(out, names::CLUSTER, cluster);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What one walk over the parts would say and store.
    fn check(raw: &str, level: Option<usize>) {
        let last = |name| properties::get(raw, name);
        let sent = SentProperties::scan(raw);
        assert_eq!(sent.tags, last(names::TAGS), "{raw:?}");
        assert_eq!(sent.keys, last(names::KEYS), "{raw:?}");
        assert_eq!(sent.unique_key, last(names::UNIQ_KEY), "{raw:?}");
        assert_eq!(sent.cluster, last(names::CLUSTER), "{raw:?}");
        assert_eq!(sent.delay_level, last(names::DELAY).and_then(|level| level.parse().ok()).unwrap_or(0), "{raw:?}");
        assert_eq!(sent.wait, !last(names::WAIT).is_some_and(|wait| wait.eq_ignore_ascii_case("false")), "{raw:?}");
        assert_eq!(sent.half, last(names::TRAN_MSG).is_some_and(|half| half.eq_ignore_ascii_case("true")), "{raw:?}");
        assert_eq!((sent.has_wait, sent.has_delay), (last(names::WAIT).is_some(), last(names::DELAY).is_some()));

        let mut want = Vec::new();
        let drops_delay = sent.has_delay && (level.is_some() || sent.delay_level == 0);
        match (sent.has_wait, drops_delay) {
            (false, false) => want.extend_from_slice(raw.as_bytes()),
            (_, false) => properties::append_without(&mut want, raw, &[names::WAIT]),
            (_, true) => properties::append_without(&mut want, raw, &[names::WAIT, names::DELAY]),
        }
        if let Some(level) = level {
            properties::append(&mut want, names::DELAY, &level.to_string());
        }
        let mut out = Vec::new();
        sent.write(&mut out, level);
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&want), "{raw:?}");

        if properties::get(&want, names::CLUSTER) != Some("C") {
            if sent.cluster.is_some() {
                let before = std::mem::take(&mut want);
                properties::append_without(&mut want, &before, &[names::CLUSTER]);
            }
            properties::append(&mut want, names::CLUSTER, "C");
        }
        sent.write_cluster(&mut out, "C");
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&want), "{raw:?}");
    }

    #[test]
    fn what_one_walk_finds_and_writes() {
        for raw in [
            "",
            "TAGS\x01a",
            "KEYS\x01k\x02WAIT\x01true\x02TAGS\x01TagA",
            "KEYS\x01k\x02WAIT\x01true\x02",
            "WAIT\x01False\x02KEYS\x01k\x02\x02",
            "WAIT\x01true\x02WAIT\x01false\x02A\x011",
            "DELAY\x013\x02UNIQ_KEY\x01u\x02WAIT\x01true\x02TRAN_MSG\x01true",
            "DELAY\x01x\x02CLUSTER\x01other\x02A\x01b\x01c",
            "CLUSTER\x01C\x02WAIT\x01true",
            "\x01\x02WAIT\x01\x02WAIT",
            "WAIT\x01true",
            "WAIT\x01true\x02\x02",
        ] {
            check(raw, None);
            check(raw, Some(7));
        }
    }

    proptest! {
        #[test]
        fn one_walk_agrees_with_many(
            raw in "((TAGS|KEYS|WAIT|DELAY|CLUSTER|TRAN_MSG|UNIQ_KEY|[A-Z]{0,2})[\u{1}]{0,2}(true|false|FALSE|C|[0-9]{1,2}|中|[a-z]{0,70})[\u{2}]{0,2}){0,6}",
            level in prop::option::of(1usize..19),
        ) {
            check(&raw, level);
        }
    }
}
