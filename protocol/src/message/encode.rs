//! Writing a record. Appends to the caller's buffer, allocates nothing of its own; any core.
//!
//! The queue offset, the physical offset and the store timestamp stay 0 until [`super::stamp()`].

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::crc::crc32;
use super::layout;
use super::sys_flag;

/// A message about to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// Topic, at most 127 bytes.
    pub topic: &'a str,
    /// Queue of the topic.
    pub queue_id: i32,
    /// The application's flag.
    pub flag: i32,
    /// Sys flag; the two IPv6 bits are set or cleared from the hosts.
    pub sys_flag: i32,
    /// When the producer made it, ms.
    pub born_timestamp: i64,
    /// Where it came from.
    pub born_host: SocketAddr,
    /// The broker's address.
    pub store_host: SocketAddr,
    /// How often it was sent back by consumers.
    pub reconsume_times: i32,
    /// Bytes in the log where the half message of a committed transaction lies, else 0.
    pub prepared_transaction_offset: i64,
    /// Body as stored.
    pub body: &'a [u8],
    /// Pieces of the properties string, written one after another as they are.
    pub properties: &'a [&'a [u8]],
}

/// Why a message cannot be a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// Topic longer than 127 bytes.
    TopicTooLong(usize),
    /// Properties longer than 32,767 bytes.
    PropertiesTooLong(usize),
    /// Record longer than a signed 32-bit size can say.
    RecordTooLong(usize),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TopicTooLong(len) => {
                write!(f, "topic of {len} bytes, at most {} fit into a record", layout::TOPIC_LEN_MAX)
            }
            Self::PropertiesTooLong(len) => {
                write!(f, "properties of {len} bytes, at most {} fit into a record", layout::PROPERTIES_LEN_MAX)
            }
            Self::RecordTooLong(len) => write!(f, "record of {len} bytes is too long for its size field"),
        }
    }
}

impl std::error::Error for EncodeError {}

fn properties_len(record: &NewRecord<'_>) -> usize {
    record.properties.iter().fold(0, |sum, piece| sum.saturating_add(piece.len()))
}

/// Bytes the record takes in the log.
pub fn encoded_len(record: &NewRecord<'_>) -> usize {
    layout::head_len(record.born_host.is_ipv6(), record.store_host.is_ipv6())
        .saturating_add(layout::TAIL_LEN)
        .saturating_add(record.topic.len())
        .saturating_add(record.body.len())
        .saturating_add(properties_len(record))
}

/// Fills a fixed array from the front.
struct Head {
    bytes: [u8; layout::HEAD_LEN_V6],
    len: usize,
}

impl Head {
    fn push<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += N;
    }

    fn host(&mut self, host: SocketAddr) {
        match host.ip() {
            IpAddr::V4(ip) => self.push(ip.octets()),
            IpAddr::V6(ip) => self.push(ip.octets()),
        }
        self.push(u32::from(host.port()).to_be_bytes());
    }
}

/// Appends the record and returns its size in bytes. On an error nothing is appended.
pub fn encode(record: &NewRecord<'_>, out: &mut Vec<u8>) -> Result<usize, EncodeError> {
    let size = encoded_len(record);
    let properties_len = properties_len(record);
    let topic_byte = u8::try_from(record.topic.len())
        .ok()
        .filter(|len| usize::from(*len) <= layout::TOPIC_LEN_MAX)
        .ok_or(EncodeError::TopicTooLong(record.topic.len()))?;
    let properties_short = i16::try_from(properties_len).map_err(|_| EncodeError::PropertiesTooLong(properties_len))?;
    let total_size = i32::try_from(size).map_err(|_| EncodeError::RecordTooLong(size))?;
    let body_len = i32::try_from(record.body.len()).map_err(|_| EncodeError::RecordTooLong(size))?;

    let mut flag = record.sys_flag & !(sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6);
    if record.born_host.is_ipv6() {
        flag |= sys_flag::BORN_HOST_V6;
    }
    if record.store_host.is_ipv6() {
        flag |= sys_flag::STORE_HOST_V6;
    }

    let mut head = Head { bytes: [0; layout::HEAD_LEN_V6], len: 0 };
    head.push(total_size.to_be_bytes());
    head.push(layout::MESSAGE_MAGIC.to_be_bytes());
    head.push(crc32(record.body).to_be_bytes());
    head.push(record.queue_id.to_be_bytes());
    head.push(record.flag.to_be_bytes());
    head.push([0; 16]);
    head.push(flag.to_be_bytes());
    head.push(record.born_timestamp.to_be_bytes());
    head.host(record.born_host);
    head.push([0; 8]);
    head.host(record.store_host);
    head.push(record.reconsume_times.to_be_bytes());
    head.push(record.prepared_transaction_offset.to_be_bytes());
    head.push(body_len.to_be_bytes());

    let start = out.len();
    out.reserve(size);
    out.extend_from_slice(&head.bytes[..head.len]);
    out.extend_from_slice(record.body);
    out.push(topic_byte);
    out.extend_from_slice(record.topic.as_bytes());
    out.extend_from_slice(&properties_short.to_be_bytes());
    for piece in record.properties {
        out.extend_from_slice(piece);
    }
    assert_eq!(out.len() - start, size, "a record is as long as its size field says");
    Ok(size)
}
