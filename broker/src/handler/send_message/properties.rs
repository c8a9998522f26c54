//! The properties of a message on its way in: what the broker must know of them, and what it stores.
//!
//! One pass over the text finds what matters; what is stored is the producer's text without WAIT
//! (Java since 4.9.1) and with what the broker adds.

use protocol::message::properties::{self as text, names};

/// A producer's properties, scanned.
#[derive(Debug)]
pub struct Sent<'a> {
    raw: &'a str,
    /// TAGS.
    pub tags: Option<&'a str>,
    /// DELAY; 0 when there is none.
    pub delay_level: i32,
    /// WAIT is not "false".
    pub wait: bool,
    /// TRAN_MSG is "true": the first half of a transaction.
    pub half: bool,
    has_delay: bool,
    has_wait: bool,
}

impl<'a> Sent<'a> {
    /// Finds what the broker must know.
    pub fn scan(raw: &'a str) -> Self {
        let mut sent =
            Sent { raw, tags: None, delay_level: 0, wait: true, half: false, has_delay: false, has_wait: false };
        for (name, value) in text::iter(raw) {
            match name {
                names::TAGS => sent.tags = Some(value),
                names::DELAY => {
                    sent.has_delay = true;
                    sent.delay_level = value.parse().unwrap_or(0);
                }
                names::WAIT => {
                    sent.has_wait = true;
                    sent.wait = !value.eq_ignore_ascii_case("false");
                }
                names::TRAN_MSG => sent.half = value.eq_ignore_ascii_case("true"),
                _ => {}
            }
        }
        sent
    }

    /// Writes what is stored: without WAIT, and with DELAY as `level` if the message is delayed.
    pub fn write(&self, out: &mut Vec<u8>, level: Option<usize>) {
        match (self.has_wait, self.has_delay && (level.is_some() || self.delay_level == 0)) {
            (false, false) => out.extend_from_slice(self.raw.as_bytes()),
            (_, false) => text::append_without(out, self.raw, &[names::WAIT]),
            (_, true) => text::append_without(out, self.raw, &[names::WAIT, names::DELAY]),
        }
        if let Some(level) = level {
            add(out, names::DELAY, &level.to_string());
        }
    }
}

/// Adds a property.
pub fn add(out: &mut Vec<u8>, name: &str, value: &str) {
    text::separate(out);
    text::append(out, name, value);
}

/// Adds CLUSTER, which the broker gives every producer's message since Java 4.6.
pub fn add_cluster(out: &mut Vec<u8>, cluster: &str) {
    match text::get(&out[..], names::CLUSTER) {
        Some(present) if present == cluster => return,
        // A message relayed from another cluster: ours counts, as in Java.
        Some(_) => {
            let sent = std::mem::take(out);
            text::append_without(out, &sent, &[names::CLUSTER]);
        }
        None => {}
    }
    add(out, names::CLUSTER, cluster);
}

/// Adds the header's properties to one message of a batch. A name that the message has itself wins:
/// 5.x clients repeat a UNIQ_KEY there that would give every message the same id.
pub fn add_missing(out: &mut Vec<u8>, header: &str) {
    let own = out.len();
    for (name, value) in text::iter(header) {
        if text::get(&out[..own], name).is_none() && name != names::WAIT {
            add(out, name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(raw: &str, level: Option<usize>) -> Vec<(String, String)> {
        let mut out = Vec::new();
        Sent::scan(raw).write(&mut out, level);
        add_cluster(&mut out, "C");
        let mut pairs: Vec<_> = text::iter(&out).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        pairs.sort();
        pairs
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect()
    }

    #[test]
    fn what_is_stored() {
        for (raw, level, want) in [
            ("", None, &[("CLUSTER", "C")][..]),
            ("KEYS\x01k\x02WAIT\x01true\x02", None, &[("CLUSTER", "C"), ("KEYS", "k")]),
            ("KEYS\x01k\x02WAIT\x01true", None, &[("CLUSTER", "C"), ("KEYS", "k")]),
            ("DELAY\x0199\x02A\x011", Some(18), &[("A", "1"), ("CLUSTER", "C"), ("DELAY", "18")]),
            ("DELAY\x010\x02A\x011", None, &[("A", "1"), ("CLUSTER", "C")]),
            ("CLUSTER\x01X\x02A\x011", None, &[("A", "1"), ("CLUSTER", "C")]),
        ] {
            assert_eq!(stored(raw, level), pairs(want), "{raw:?}");
        }
    }

    #[test]
    fn what_is_known() {
        let sent = Sent::scan("TAGS\x01a\x02WAIT\x01False\x02DELAY\x013\x02TRAN_MSG\x01true\x02");
        assert_eq!((sent.tags, sent.wait, sent.delay_level, sent.half), (Some("a"), false, 3, true));
    }

    #[test]
    fn a_messages_own_properties_win_over_the_batch() {
        let mut out = b"UNIQ_KEY\x01mine\x02".to_vec();
        add_missing(&mut out, "UNIQ_KEY\x01batch\x02K\x01v\x02WAIT\x01true");
        let pairs: Vec<_> = text::iter(&out).collect();
        assert_eq!(pairs, [("UNIQ_KEY", "mine"), ("K", "v")]);
    }
}
