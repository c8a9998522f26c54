//! What an operator or a test may set about connections.

use std::time::Duration;

/// Longest header taken, bytes: properties of 32,767 characters, each escaped, and room for the other fields. Longer
/// properties still get an answer that says so, up to here; beyond, the connection is closed.
pub const HEADER_MAX: usize = 256 * 1024;

/// Limits of one server. The defaults are the broker's.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Longest frame in bytes, its length word included. Java: `com.rocketmq.remoting.frameMaxLength`, 16,777,216.
    pub frame_max: usize,
    /// A connection without a byte read or written for this long is closed. Java: `serverChannelMaxIdleTimeSeconds`, 120.
    /// Silence from the start is no worse than silence later: Java clients may connect and stay idle.
    pub idle_timeout: Duration,
    /// A frame whose first byte came must be whole after this time.
    pub started_frame_timeout: Duration,
    /// A peer that takes none of the bytes waiting for it for this long is closed.
    pub write_stall_timeout: Duration,
    /// Connections of the whole process, over all its listening sockets. Enforced where they are accepted: hand it to
    /// `Acceptor::with_connections_max`.
    pub connections_max: usize,
    /// Bytes waiting to be sent from which on the connection is not read; it is read again below half of them.
    pub per_connection_out_max: usize,
    /// Bytes of read buffers in the whole process beyond 128 KiB a connection. When they are used up, frames that need
    /// more are read on one at a time, the others wait (and may run into `started_frame_timeout`).
    pub buffered_input_max: usize,
    /// Send what the service appended right after each read. Without it somebody calls `flush_dirty` once a turn.
    pub flush_after_read: bool,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            frame_max: 16 << 20,
            idle_timeout: Duration::from_secs(120),
            started_frame_timeout: Duration::from_secs(30),
            write_stall_timeout: Duration::from_secs(60),
            connections_max: 10_000,
            per_connection_out_max: 4 << 20,
            buffered_input_max: 512 << 20,
            flush_after_read: false,
        }
    }
}
