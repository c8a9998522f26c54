//! One record of a history: an operation of one client, seen from outside the broker.
//!
//! Owns the field names of the JSONL form. Must not judge. Plain data, any thread.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Outcomes a client sees that are no answer codes of the broker, and the sorting of those that are.
pub mod status {
    /// Acked: code 0, SEND_OK.
    pub const OK: i32 = 0;
    /// No answer: the time ran out or the connection broke. The outcome is open.
    pub const UNKNOWN: i32 = -1;

    /// The broker said "refused before anything was stored": 2 busy, 13 illegal, 14 not available, 16 no permission,
    /// 17 no such topic. Such a message must not be readable later.
    pub fn is_definite_refusal(status: i32) -> bool {
        matches!(status, 2 | 13 | 14 | 16 | 17)
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// One message offered (each message of a batch is its own record; a retry repeats the uid).
    Send,
    /// One message delivered to a consumer of `group` while the run went on.
    Pull,
    /// A group's offset given to the broker: `queue_offset` is the next one to consume.
    Commit,
    /// A group's offset as the broker answers it: `queue_offset` is the next one to consume.
    Progress,
    /// One message read in the final drain, from the queue's min offset to its max.
    Drain,
    /// The edges of a queue at the final drain: `queue_offset` = min, `max_offset` = max.
    Edges,
    /// One search for one message by key or id after the run; `status` 0 = found where the other fields say.
    Lookup,
}

/// Who sent a message and as which of his: written into its body, so that a read can be tied to its send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid {
    /// The producer's number in the run.
    pub producer: u32,
    /// Counted up by the producer, from 0.
    pub seq: u64,
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.producer, self.seq)
    }
}

impl FromStr for Uid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("uid {text:?} is not <producer>-<seq>");
        let (producer, seq) = text.split_once('-').ok_or_else(wrong)?;
        Ok(Uid { producer: producer.parse().map_err(|_| wrong())?, seq: seq.parse().map_err(|_| wrong())? })
    }
}

impl Serialize for Uid {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uid {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One operation. Times are nanoseconds of one monotonic clock shared by all clients of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Number of the thread that did it.
    pub client: u32,
    pub op: Op,
    pub topic: String,
    pub queue: u32,
    /// The consumer group of a pull, commit or progress; empty otherwise.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: String,
    /// The message's own id; none for commit, progress and edges, or when a read body carries no id.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uid: Option<Uid>,
    /// CRC-32 of the whole body, as sent or as read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub crc: u32,
    pub t_call: u64,
    pub t_ret: u64,
    /// The broker's answer code, or [`status::UNKNOWN`].
    pub status: i32,
    /// Place in the queue; -1 where unknown.
    pub queue_offset: i64,
    /// Byte in the log; -1 where unknown.
    #[serde(default = "none")]
    pub physical_offset: i64,
    /// Only for [`Op::Edges`]: the queue's max offset (one past the last message).
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_offset: i64,
}

fn none() -> i64 {
    -1
}
