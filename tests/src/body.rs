//! Bodies that say who sent them: `RMQ!`, producer, seq, then bytes that follow from both.
//!
//! Owns that form. A body too short to hold the uid leaves it to the KEYS property, which every test message carries.

use checker::Uid;
use client::{Message, Properties};
use protocol::message::properties::names;

use crate::rng::Rng;

const MARK: &[u8; 4] = b"RMQ!";
/// Bytes of mark, producer and seq.
pub const HEAD_LEN: usize = 16;

/// A body of `size` bytes.
pub fn make(uid: Uid, size: usize) -> Vec<u8> {
    let mut body = vec![0; size];
    let mut rng = Rng::new(u64::from(uid.producer) << 40 ^ uid.seq);
    match body.split_first_chunk_mut::<HEAD_LEN>() {
        Some((head, rest)) => {
            head[..4].copy_from_slice(MARK);
            head[4..8].copy_from_slice(&uid.producer.to_be_bytes());
            head[8..].copy_from_slice(&uid.seq.to_be_bytes());
            rng.fill(rest);
        }
        None => rng.fill(&mut body),
    }
    body
}

/// The properties of every test message: the uid as key.
pub fn properties(uid: Uid) -> Properties {
    Properties::new().with(names::KEYS, &uid.to_string()).with(names::TAGS, tag(uid))
}

/// The tag of every test message.
pub fn tag(uid: Uid) -> &'static str {
    if uid.seq.is_multiple_of(2) { "even" } else { "odd" }
}

/// Who sent it; `None` when body and key say nothing or differ.
pub fn uid(message: &Message) -> Option<Uid> {
    let key: Uid = message.property(names::KEYS)?.parse().ok()?;
    if let Some((head, _)) = message.body.split_first_chunk::<HEAD_LEN>() {
        let producer = u32::from_be_bytes(head[4..8].try_into().ok()?);
        let seq = u64::from_be_bytes(head[8..].try_into().ok()?);
        if &head[..4] != MARK || key != (Uid { producer, seq }) {
            return None;
        }
    }
    Some(key)
}
