//! A connection to one broker.
//!
//! Owns the connection and the caller's names (group, client id). Each family of requests lies in its own file:
//! `send`, `pull`, `offsets`, `group`, `topic`, `search`. Used by one thread at a time.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::HeaderForm;

use crate::connection::Connection;
use crate::error::Error;

/// How to speak with a broker or nameserver.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How request headers are written; a server answers in the same form.
    pub form: HeaderForm,
    /// Bounds connecting and each request that is no long poll.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { form: HeaderForm::Json, timeout: Duration::from_secs(10) }
    }
}

/// One connection to one broker.
pub struct Broker {
    pub(crate) connection: Connection,
}

impl Broker {
    /// Connects with the defaults: JSON headers, 10 s.
    pub fn connect(address: SocketAddr) -> Result<Self, Error> {
        Broker::connect_with(address, Options::default())
    }

    /// Connects.
    pub fn connect_with(address: SocketAddr, options: Options) -> Result<Self, Error> {
        Ok(Broker { connection: Connection::open(address, options.form, options.timeout)? })
    }

    /// The broker's address.
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer()
    }

    /// For requests without a method here.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
