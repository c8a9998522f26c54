//! The body of REGISTER_BROKER: as JSON, and as the bytes inside the zlib stream of `compressed=true`.
//!
//! Inflating is the caller's, who also bounds the inflated size. Plain values, any core.
//!
//! ```text
//! size   inside the stream
//! 4 + n  DataVersion as JSON, its length first
//!   4    number of topics
//! 4 + n  of each: "name readQueueNums writeQueueNums perm topicFilterType", its length first
//! 4 + n  filter servers as a JSON list, its length first
//! ```
//! This form has no room for a topic's order and sys flag. 5.x appends a sixth word to a topic and more after the list;
//! both are passed over.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Body, TopicConfig, TopicConfigSerializeWrapper, TopicFilterType};

/// What a broker registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RegisterBrokerBody {
    /// Addresses of filter servers, of brokers that have such.
    pub filter_server_list: Vec<String>,
    /// The topics. A table of one is an upsert like any other.
    pub topic_config_serialize_wrapper: TopicConfigSerializeWrapper,
}

/// Why the inside of a stream cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterError {
    /// Byte of the inflated stream.
    pub at: usize,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "compressed registration, byte {}: {}", self.at, self.problem)
    }
}

impl std::error::Error for RegisterError {}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, problem: impl Into<String>) -> RegisterError {
        RegisterError { at: self.at, problem: problem.into() }
    }

    /// A count or length: an i32 that is not negative.
    fn size(&mut self) -> Result<usize, RegisterError> {
        let word = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<4>()).copied();
        let word = i32::from_be_bytes(word.ok_or_else(|| self.error("cut off"))?);
        let size = usize::try_from(word).map_err(|_| self.error(format!("size {word}")))?;
        self.at += 4;
        Ok(size)
    }

    fn piece(&mut self) -> Result<&'a [u8], RegisterError> {
        let len = self.size()?;
        let piece = self.bytes.get(self.at..).and_then(|rest| rest.get(..len));
        let piece = piece.ok_or_else(|| self.error(format!("piece of {len} bytes is cut off")))?;
        self.at += len;
        Ok(piece)
    }
}

fn topic(text: &str) -> Option<TopicConfig> {
    let mut words = text.split(' ');
    Some(TopicConfig {
        topic_name: words.next().filter(|name| !name.is_empty())?.to_owned(),
        read_queue_nums: words.next()?.parse().ok()?,
        write_queue_nums: words.next()?.parse().ok()?,
        perm: words.next()?.parse().ok()?,
        topic_filter_type: TopicFilterType::from_name(words.next()?)?,
        ..TopicConfig::default()
    })
}

fn push_piece(out: &mut Vec<u8>, piece: &[u8]) {
    push_size(out, piece.len());
    out.extend_from_slice(piece);
}

fn push_size(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&i32::try_from(size).expect("a registration is shorter than 2 GiB").to_be_bytes());
}

impl RegisterBrokerBody {
    /// Reads the inflated stream.
    pub fn from_stream(bytes: &[u8]) -> Result<RegisterBrokerBody, RegisterError> {
        let mut reader = Reader { bytes, at: 0 };
        let mut body = RegisterBrokerBody::default();
        let wrapper = &mut body.topic_config_serialize_wrapper;
        let version = reader.piece()?;
        wrapper.data_version = Body::from_json(version).map_err(|error| reader.error(error.to_string()))?;
        for _ in 0..reader.size()? {
            let piece = reader.piece()?;
            let config = std::str::from_utf8(piece).ok().and_then(topic);
            let config = config.ok_or_else(|| {
                let text: String = String::from_utf8_lossy(piece).chars().take(60).collect();
                reader.error(format!("{text:?} is no topic"))
            })?;
            wrapper.topic_config_table.insert(config.topic_name.clone(), config);
        }
        let list = reader.piece()?;
        body.filter_server_list = Body::from_json(list).map_err(|error| reader.error(error.to_string()))?;
        Ok(body)
    }

    /// Writes what is to be deflated.
    pub fn to_stream(&self) -> Vec<u8> {
        let wrapper = &self.topic_config_serialize_wrapper;
        let mut out = Vec::with_capacity(64 + 64 * wrapper.topic_config_table.len());
        push_piece(&mut out, &wrapper.data_version.to_json());
        push_size(&mut out, wrapper.topic_config_table.len());
        for (name, config) in &wrapper.topic_config_table {
            let TopicConfig { read_queue_nums, write_queue_nums, perm, topic_filter_type, .. } = config;
            let text = format!("{name} {read_queue_nums} {write_queue_nums} {perm} {topic_filter_type}");
            push_piece(&mut out, text.as_bytes());
        }
        push_piece(&mut out, &self.filter_server_list.to_json());
        out
    }
}
