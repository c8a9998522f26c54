//! JSON: the hand-written header scanner, the escapes it shares with the writer, and the lenient reader for bodies.
//!
//! Owns no data; every reader is bounded in depth and size. Any core.

pub(crate) mod escape;
pub(crate) mod header;
pub mod lenient;
