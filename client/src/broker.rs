//! A connection to one broker.
//!
//! Owns the connection and the caller's names (group, client id). Each family of requests lies in its own file:
//! `send`, `pull`, `offsets`, `group`, `topic`, `search`. Used by one thread at a time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::HeaderForm;
use protocol::body::{Body, KvTable};
use protocol::code::request;

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

    /// What the broker says of itself, by name (GET_BROKER_RUNTIME_INFO, 28).
    pub fn runtime_info(&mut self) -> Result<BTreeMap<String, String>, Error> {
        let answer = self.connection.call(request::GET_BROKER_RUNTIME_INFO, |_| {}, &[])?;
        runtime_table(answer.command().body)
    }

    /// For requests without a method here.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

fn runtime_table(body: &[u8]) -> Result<BTreeMap<String, String>, Error> {
    let info = KvTable::from_json(body);
    Ok(info.map_err(|error| Error::malformed(request::GET_BROKER_RUNTIME_INFO, error.to_string()))?.table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_no_table_is_an_error() {
        let told = runtime_table(br#"{"table":{"ringmqFdatasyncs":"17"}}"#).expect("a table");
        assert_eq!(told["ringmqFdatasyncs"], "17");
        assert!(runtime_table(b"no json").is_err());
    }
}
