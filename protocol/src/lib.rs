//! The RocketMQ 4.x formats: frames, headers, bodies, message records, names and codes.
//!
//! Owns every byte that crosses the wire or lies in a record, and nothing else: no files, sockets, clocks or threads.
//! Everything here is a plain function or value and runs on whichever core calls it. Input is never trusted: all
//! readers are bounded and answer with an error, never with a panic.

pub mod body;
pub mod calendar;
pub mod code;
pub mod command;
mod digits;
pub mod field_writer;
pub mod fields;
pub mod frame;
#[doc(hidden)]
pub mod fuzz_targets;
pub mod header;

mod header_rocketmq;
pub mod java_map;
pub mod json;
pub mod language;
pub mod message;
pub mod reply;
pub mod topic;
pub mod version;
mod words;

pub use body::Body;
pub use command::{Command, Head, HeaderForm, write_command};
pub use field_writer::FieldWriter;
pub use fields::{Fields, Text};
pub use frame::{FRAME_MAX, FrameError, frame_len};
pub use language::Language;
pub use reply::SendReplies;
