//! The server side of a connection, on the shard that owns it.
//!
//! Owns the listening socket, the bytes read and not yet decoded, and the bytes and file ranges not yet sent. Hands
//! decoded commands to a [`Service`] in synchronous calls and never waits for it. Everything runs on one shard's thread
//! and is found again there by [`ConnId`]; [`AcceptedFd`] and [`Acceptor`] alone move between threads.
//!
//! A reply is appended to [`Connection::out`], file ranges follow by [`Connection::push_file`], and one call of
//! [`flush_dirty`] a turn sends for every connection that has something.

mod accept;
mod bind;
mod buffer;
mod connection;
mod counters;
mod file_part;
mod flush;
mod options;
mod out;
mod read;
mod readiness;
mod send;
mod sweep;

pub use accept::{AcceptedFd, Acceptor};
pub use bind::{BindError, Holder};
pub use connection::{ConnId, Connection, close_all, connections, find};
pub use counters::{Counters, counters};
pub use file_part::FilePart;
pub use flush::flush_dirty;
pub use options::{HEADER_MAX, ServerOptions};
pub use read::{Service, adopt};
