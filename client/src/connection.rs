//! One connection: a request and its answer, with the errors of this crate.
//!
//! Owns the blocking channel and the time a request may take. Must not know what a request means. Used by one thread
//! at a time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::code::response;
use protocol::{FieldWriter, HeaderForm};
use remoting::blocking::{Answer, CallError, Channel};

use crate::error::Error;

/// A connection to a broker or nameserver, for requests this crate has no name for.
pub struct Connection {
    channel: Channel,
    peer: SocketAddr,
    form: HeaderForm,
    timeout: Duration,
}

impl Connection {
    /// Connects; `timeout` bounds the connecting and then every request that names no other.
    pub fn open(peer: SocketAddr, form: HeaderForm, timeout: Duration) -> Result<Self, Error> {
        let channel = Channel::connect(peer, timeout).map_err(|error| failed(peer, 0, error))?;
        Ok(Connection { channel, peer, form, timeout })
    }

    /// The other side.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The time a request may take when it names no other.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// One request and its answer, whatever the answer's code.
    pub fn ask(
        &mut self,
        code: i32,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<Answer, Error> {
        let peer = self.peer;
        self.channel.call(code, self.form, fields, body, timeout).map_err(|error| failed(peer, code, error))
    }

    /// One request that must be answered with code 0; any other code is an error with its remark.
    pub fn call(&mut self, code: i32, fields: impl FnOnce(&mut FieldWriter<'_>), body: &[u8]) -> Result<Answer, Error> {
        let answer = self.ask(code, fields, body, self.timeout)?;
        let command = answer.command();
        if command.code == response::SUCCESS { Ok(answer) } else { Err(refused(code, &answer)) }
    }

    /// One request that gets no answer.
    pub fn tell(&mut self, code: i32, fields: impl FnOnce(&mut FieldWriter<'_>), body: &[u8]) -> Result<(), Error> {
        let peer = self.peer;
        self.channel.send_oneway(code, self.form, fields, body, self.timeout).map_err(|error| failed(peer, code, error))
    }
}

/// The answer's code and remark as an error.
pub(crate) fn refused(request: i32, answer: &Answer) -> Error {
    let command = answer.command();
    let remark = command.remark.map(|remark| remark.get().into_owned()).unwrap_or_default();
    Error::Answer { request, code: command.code, remark }
}

/// A field of the answer that must be a whole number.
pub(crate) fn number(request: i32, answer: &Answer, key: &str) -> Result<i64, Error> {
    let command = answer.command();
    let text = command.fields.get(key).ok_or_else(|| Error::malformed(request, format!("field {key} is missing")))?;
    text.parse().map_err(|_| Error::malformed(request, format!("field {key}: {text:?} is not an integer")))
}

fn failed(peer: SocketAddr, code: i32, error: CallError) -> Error {
    match error {
        CallError::TimedOut { .. } => Error::Timeout { peer, code },
        CallError::Connect { error, .. } | CallError::Closed { error: Some(error), .. } => Error::Io { peer, error },
        CallError::Closed { error: None, .. } => Error::Io { peer, error: io::ErrorKind::UnexpectedEof.into() },
        CallError::Frame { .. } => Error::malformed(code, error.to_string()),
    }
}
