//! The RocketMQ 4.x formats: frames, headers, bodies, message records, names and codes.
//!
//! Owns every byte that crosses the wire or lies in a record, and nothing else: no files, sockets, clocks or threads.
//! Everything here is a plain function or value and runs on whichever core calls it. Input is never trusted: all
//! readers are bounded and answer with an error, never with a panic.

pub mod message;
