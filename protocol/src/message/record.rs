//! Reading a record without copying it. Any core; bytes come from disk or network and are not trusted.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::crc::crc32;
use super::id::{MsgId, offset_msg_id};
use super::layout;
use super::properties;
use super::sys_flag;

/// A record in place. See [`layout`] for the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Bytes of the whole record.
    pub total_size: u32,
    /// Checksum as stored, 31 bits.
    pub body_crc: u32,
    /// Queue of the topic.
    pub queue_id: i32,
    /// The application's flag.
    pub flag: i32,
    /// Place in the queue.
    pub queue_offset: i64,
    /// Bytes in the log where the record starts.
    pub physical_offset: i64,
    /// See [`sys_flag`].
    pub sys_flag: i32,
    /// When the producer made it, ms.
    pub born_timestamp: i64,
    /// Where it came from. Of the stored port only the low 16 bits are kept.
    pub born_host: SocketAddr,
    /// When the broker stored it, ms.
    pub store_timestamp: i64,
    /// The broker's address. Of the stored port only the low 16 bits are kept.
    pub store_host: SocketAddr,
    /// How often it was sent back by consumers.
    pub reconsume_times: i32,
    /// Bytes in the log of the half message of a committed transaction, else 0.
    pub prepared_transaction_offset: i64,
    /// Body as stored.
    pub body: &'a [u8],
    /// Topic.
    pub topic: &'a str,
    /// Properties string, see [`properties`].
    pub properties: &'a [u8],
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Fewer bytes than the record says it has.
    CutOff { have: usize, need: usize },
    /// Not a record: neither magic.
    Magic(u32),
    /// A record of the second version, which some 5.x brokers write for topics over 127 bytes.
    SecondVersion,
    /// The total size is not the sum of the parts.
    Size { total_size: u32, parts: usize },
    /// A negative body, topic or properties length.
    Length { what: &'static str, len: i32 },
    /// The topic is not UTF-8.
    Topic,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff { have, need } => write!(f, "record cut off: {have} bytes of {need}"),
            Self::Magic(magic) => write!(f, "no record here: magic {magic:#010x}"),
            Self::SecondVersion => {
                f.write_str("record of version 2 (written by a 5.x broker for a topic over 127 bytes), not supported")
            }
            Self::Size { total_size, parts } => {
                write!(f, "record size {total_size} differs from the {parts} bytes of its parts")
            }
            Self::Length { what, len } => write!(f, "record with {what} length {len}"),
            Self::Topic => f.write_str("record whose topic is not UTF-8"),
        }
    }
}

impl std::error::Error for RecordError {}

/// What the first bytes say is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek {
    /// The head of a record of `total_size` bytes; the rest is unchecked.
    Record { total_size: u32 },
    /// The blank that ends a file; the next record is in the next file.
    Blank { remaining: u32 },
    /// Zeros: nothing was written here.
    Nothing,
    /// Anything else, also fewer than 8 bytes.
    Bad,
}

/// Looks at the first 8 bytes.
pub fn peek(bytes: &[u8]) -> Peek {
    let Some(word) = bytes.first_chunk::<8>() else { return Peek::Bad };
    let word = u64::from_be_bytes(*word);
    let size = (word >> 32) as u32;
    let magic = word as u32;
    match magic {
        layout::MESSAGE_MAGIC if (layout::RECORD_LEN_MIN as u32..=i32::MAX as u32).contains(&size) => {
            Peek::Record { total_size: size }
        }
        layout::BLANK_MAGIC if (layout::BLANK_LEN as u32..=i32::MAX as u32).contains(&size) => {
            Peek::Blank { remaining: size }
        }
        0 if size == 0 => Peek::Nothing,
        _ => Peek::Bad,
    }
}

/// Takes fields off the front; running out of bytes is an error with the missing length.
struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or_else(|| self.cut_off(len))?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.cut_off(N))?;
        self.rest = tail;
        Ok(*head)
    }

    fn cut_off(&self, len: usize) -> RecordError {
        let used = self.whole - self.rest.len();
        RecordError::CutOff { have: self.whole, need: used.saturating_add(len) }
    }

    fn i32(&mut self) -> Result<i32, RecordError> {
        self.array().map(i32::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, RecordError> {
        self.array().map(u32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, RecordError> {
        self.array().map(i64::from_be_bytes)
    }

    fn host(&mut self, v6: bool) -> Result<SocketAddr, RecordError> {
        let ip =
            if v6 { Ipv6Addr::from(self.array::<16>()?).into() } else { Ipv4Addr::from(self.array::<4>()?).into() };
        let port = self.u32()? as u16;
        Ok(SocketAddr::new(ip, port))
    }
}

fn length(what: &'static str, len: i32) -> Result<usize, RecordError> {
    usize::try_from(len).map_err(|_| RecordError::Length { what, len })
}

impl<'a> Record<'a> {
    /// Reads the record that starts at `bytes[0]`; more bytes may follow it. The body checksum is not looked at,
    /// see [`Record::body_crc_ok`].
    pub fn decode(bytes: &'a [u8]) -> Result<Record<'a>, RecordError> {
        let mut reader = Reader { rest: bytes, whole: bytes.len() };
        let total_size = reader.u32()?;
        match reader.u32()? {
            layout::MESSAGE_MAGIC => {}
            layout::MESSAGE_MAGIC_V2 => return Err(RecordError::SecondVersion),
            other => return Err(RecordError::Magic(other)),
        }
        let need = usize::try_from(total_size).unwrap_or(usize::MAX);
        let bytes = bytes.get(..need).ok_or(RecordError::CutOff { have: bytes.len(), need })?;
        // From here on the record ends where it says it ends, so parts that reach further are its own fault.
        let short = |error| match error {
            RecordError::CutOff { need, .. } => RecordError::Size { total_size, parts: need },
            other => other,
        };
        let record = Self::parts(bytes, total_size).map_err(short)?;
        let parts = layout::head_len(record.born_host.is_ipv6(), record.store_host.is_ipv6())
            + layout::TAIL_LEN
            + record.body.len()
            + record.topic.len()
            + record.properties.len();
        if parts == need { Ok(record) } else { Err(RecordError::Size { total_size, parts }) }
    }

    fn parts(bytes: &'a [u8], total_size: u32) -> Result<Record<'a>, RecordError> {
        let mut reader = Reader { rest: bytes, whole: bytes.len() };
        reader.bytes(layout::BODY_CRC)?;
        let body_crc = reader.u32()?;
        let queue_id = reader.i32()?;
        let flag = reader.i32()?;
        let queue_offset = reader.i64()?;
        let physical_offset = reader.i64()?;
        let sys_flag = reader.i32()?;
        let born_timestamp = reader.i64()?;
        let born_host = reader.host(sys_flag::is_born_host_v6(sys_flag))?;
        let store_timestamp = reader.i64()?;
        let store_host = reader.host(sys_flag::is_store_host_v6(sys_flag))?;
        let reconsume_times = reader.i32()?;
        let prepared_transaction_offset = reader.i64()?;
        let body_len = length("body", reader.i32()?)?;
        let body = reader.bytes(body_len)?;
        let topic_len = length("topic", i32::from(i8::from_be_bytes(reader.array()?)))?;
        let topic = std::str::from_utf8(reader.bytes(topic_len)?).map_err(|_| RecordError::Topic)?;
        let properties_len = length("properties", i32::from(i16::from_be_bytes(reader.array()?)))?;
        let properties = reader.bytes(properties_len)?;
        Ok(Record {
            total_size,
            body_crc,
            queue_id,
            flag,
            queue_offset,
            physical_offset,
            sys_flag,
            born_timestamp,
            born_host,
            store_timestamp,
            store_host,
            reconsume_times,
            prepared_transaction_offset,
            body,
            topic,
            properties,
        })
    }

    /// Whether the stored checksum fits the body. Java compares the stored word as it is, so a set sign bit is wrong.
    pub fn body_crc_ok(&self) -> bool {
        crc32(self.body) == self.body_crc
    }

    /// The value of a property; of duplicates the last one counts.
    pub fn property(&self, name: &str) -> Option<&'a str> {
        properties::get(self.properties, name)
    }

    /// The id a broker answers a send with.
    pub fn offset_msg_id(&self) -> MsgId {
        offset_msg_id(self.store_host, self.physical_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EncodeError, NewRecord, encode, encoded_len, stamp};
    use super::*;
    use proptest::prelude::*;

    fn sample<'a>(body: &'a [u8], properties: &'a [&'a [u8]]) -> NewRecord<'a> {
        NewRecord {
            topic: "TopicTest",
            queue_id: 3,
            flag: 7,
            sys_flag: sys_flag::COMPRESSED | sys_flag::STORE_HOST_V6,
            born_timestamp: 1_700_000_000_000,
            born_host: SocketAddr::from(([10, 0, 0, 1], 40_000)),
            store_host: SocketAddr::from(([127, 0, 0, 1], 10_911)),
            reconsume_times: 2,
            prepared_transaction_offset: 99,
            body,
            properties,
        }
    }

    #[test]
    fn a_record_has_the_documented_bytes() {
        let mut out = Vec::new();
        let new = sample(b"hi", &[b"TAGS\x01a", b"\x02K\x01v"]);
        let size = encode(&new, &mut out).expect("fits");
        stamp(&mut out, 5, 4096, 1_700_000_000_001);
        let want: Vec<u8> = [
            &112u32.to_be_bytes()[..],
            &[0xda, 0xa3, 0x20, 0xa7],
            &crc32(b"hi").to_be_bytes(),
            &3u32.to_be_bytes(),
            &7u32.to_be_bytes(),
            &5u64.to_be_bytes(),
            &4096u64.to_be_bytes(),
            &1u32.to_be_bytes(),
            &1_700_000_000_000u64.to_be_bytes(),
            &[10, 0, 0, 1, 0, 0, 0x9c, 0x40],
            &1_700_000_000_001u64.to_be_bytes(),
            &[127, 0, 0, 1, 0, 0, 0x2a, 0x9f],
            &2u32.to_be_bytes(),
            &99u64.to_be_bytes(),
            &2u32.to_be_bytes(),
            b"hi",
            &[9],
            b"TopicTest",
            &[0, 10],
            b"TAGS\x01a\x02K\x01v",
        ]
        .concat();
        assert_eq!(size, want.len());
        assert_eq!(out, want);
        let record = Record::decode(&out).expect("readable");
        assert_eq!(record.property("K"), Some("v"));
        assert_eq!(record.offset_msg_id().as_str(), "7F00000100002A9F0000000000001000");
        assert!(record.body_crc_ok());
        assert_eq!(peek(&out), Peek::Record { total_size: 112 });
    }

    #[test]
    fn damage_is_named() {
        let mut whole = Vec::new();
        let size = encode(&sample(b"body", &[]), &mut whole).expect("fits");
        for cut in 0..size {
            assert!(matches!(Record::decode(&whole[..cut]), Err(RecordError::CutOff { .. })), "{cut}");
        }
        let check = |at: usize, bytes: &[u8], want: RecordError| {
            let mut damaged = whole.clone();
            damaged[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(Record::decode(&damaged), Err(want));
        };
        let total_size = size as u32;
        check(4, &[0; 4], RecordError::Magic(0));
        check(4, &[0xda, 0xa3, 0x20, 0xab], RecordError::SecondVersion);
        check(84, &[0xff; 4], RecordError::Length { what: "body", len: -1 });
        check(84, &[0, 0, 1, 0], RecordError::Size { total_size, parts: 88 + 256 });
        check(92, &[0x80], RecordError::Length { what: "topic", len: -128 });
        check(93, &[0xff], RecordError::Topic);
        check(0, &(total_size - 1).to_be_bytes(), RecordError::Size { total_size: total_size - 1, parts: size });
        whole.push(0);
        let mut longer = whole.clone();
        longer[..4].copy_from_slice(&(total_size + 1).to_be_bytes());
        assert_eq!(Record::decode(&longer), Err(RecordError::Size { total_size: total_size + 1, parts: size }));
        let mut changed = whole;
        changed[88] ^= 1;
        assert!(!Record::decode(&changed).expect("still a record").body_crc_ok());
    }

    #[test]
    fn peek_tells_record_blank_and_nothing_apart() {
        let check = |bytes: &[u8], want: Peek| assert_eq!(peek(bytes), want, "{bytes:?}");
        check(&[0; 8], Peek::Nothing);
        check(&[0; 7], Peek::Bad);
        check(&[0, 0, 0, 8, 0xcb, 0xd4, 0x31, 0x94], Peek::Blank { remaining: 8 });
        check(&[0, 0, 0, 7, 0xcb, 0xd4, 0x31, 0x94], Peek::Bad);
        check(&[0, 0, 0, 90, 0xda, 0xa3, 0x20, 0xa7], Peek::Bad);
        check(&[0, 0, 0, 91, 0xda, 0xa3, 0x20, 0xa7, 9], Peek::Record { total_size: 91 });
        check(&[0xff, 0, 0, 91, 0xda, 0xa3, 0x20, 0xa7], Peek::Bad);
        check(&[0, 0, 0, 1, 0, 0, 0, 0], Peek::Bad);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_no_bytes() {
        let topic = "t".repeat(128);
        let long = vec![b'x'; 32_768];
        let mut out = Vec::new();
        assert_eq!(
            encode(&NewRecord { topic: &topic, ..sample(b"", &[]) }, &mut out),
            Err(EncodeError::TopicTooLong(128))
        );
        assert_eq!(encode(&sample(b"", &[&long]), &mut out), Err(EncodeError::PropertiesTooLong(32_768)));
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            topic in "[a-z%|é]{0,40}", numbers in any::<(i32, i32, i32, i32)>(), times in any::<(i64, i64, i64, i64, i64)>(),
            born in any::<(std::net::IpAddr, u16)>(), store in any::<(std::net::IpAddr, u16)>(),
            body in any::<Vec<u8>>(), first in any::<Vec<u8>>(), second in any::<Vec<u8>>(), after in any::<Vec<u8>>(),
        ) {
            let pieces = [&first[..], &second[..]];
            let new = NewRecord {
                topic: &topic, queue_id: numbers.0, flag: numbers.1, sys_flag: numbers.2, born_timestamp: times.0,
                born_host: SocketAddr::from(born), store_host: SocketAddr::from(store), reconsume_times: numbers.3,
                prepared_transaction_offset: times.1, body: &body, properties: &pieces,
            };
            let mut out = Vec::new();
            let size = encode(&new, &mut out).expect("fits");
            prop_assert_eq!(size, encoded_len(&new));
            stamp(&mut out, times.2, times.3, times.4);
            out.extend_from_slice(&after);
            let record = Record::decode(&out).expect("readable");
            prop_assert_eq!(record.total_size as usize, size);
            prop_assert_eq!(record.topic, &topic);
            prop_assert_eq!(record.body, &body[..]);
            prop_assert_eq!(record.properties, &[first.clone(), second.clone()].concat()[..]);
            prop_assert_eq!((record.queue_id, record.flag, record.reconsume_times), (numbers.0, numbers.1, numbers.3));
            prop_assert_eq!((record.born_host, record.store_host), (new.born_host, new.store_host));
            prop_assert_eq!((record.born_timestamp, record.prepared_transaction_offset), (times.0, times.1));
            prop_assert_eq!((record.queue_offset, record.physical_offset, record.store_timestamp), (times.2, times.3, times.4));
            let v6_bits = sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6;
            prop_assert_eq!(record.sys_flag & !v6_bits, numbers.2 & !v6_bits);
            prop_assert!(record.body_crc_ok());
        }
    }
}
