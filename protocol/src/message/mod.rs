//! The message record as it lies in the commitlog and travels in pull bodies, and the small formats inside it.
//!
//! Owns the record layout, property strings, batch bodies, message ids, tag hashes and sys flags. Knows nothing of
//! files or of where a record is stored. Runs on any core.

pub mod batch;
mod crc;
pub mod encode;
pub mod id;
pub mod layout;
pub mod properties;
pub mod record;
mod sent;
mod stamp;
pub mod sys_flag;
pub mod tag;

pub use batch::{BatchError, BatchItem};
pub use crc::crc32;
pub use encode::{EncodeError, NewRecord, encode, encoded_len};
pub use id::{MsgId, offset_msg_id, parse_offset_msg_id};
pub use record::{Peek, Record, RecordError, peek};
pub use sent::SentProperties;
pub use stamp::stamp;
pub use tag::{java_hash, tags_code};
