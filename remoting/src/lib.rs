//! Connections: accept, frames in, replies out, and a plain channel for calls out.
//!
//! `net` is the server side on a shard's executor and the only part that names glommio; `blocking` is a client channel
//! on ordinary threads, of std alone. Neither knows the store, nor what a request means.

pub mod blocking;
pub mod interfaces;
pub mod net;
