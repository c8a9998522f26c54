//! What the broker adds to a message's properties, beside what `SentProperties` does for every message.

use protocol::message::properties::{self as text, names};

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
    text::append(out, names::CLUSTER, cluster);
}

/// Adds the header's properties to one message of a batch. A name that the message has itself wins:
/// 5.x clients repeat a UNIQ_KEY there that would give every message the same id.
pub fn add_missing(out: &mut Vec<u8>, header: &str) {
    let own = out.len();
    for (name, value) in text::iter(header) {
        if text::get(&out[..own], name).is_none() && name != names::WAIT {
            text::append(out, name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_messages_own_properties_win_over_the_batch() {
        let mut out = b"UNIQ_KEY\x01mine\x02".to_vec();
        add_missing(&mut out, "UNIQ_KEY\x01batch\x02K\x01v\x02WAIT\x01true");
        let pairs: Vec<_> = text::iter(&out).collect();
        assert_eq!(pairs, [("UNIQ_KEY", "mine"), ("K", "v")]);
    }
}
