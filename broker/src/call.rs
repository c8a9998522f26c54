//! One request on its way: where it came from, where its answer goes, and how a handler ends.
//!
//! Owns no state. Runs on whichever shard handles the request.

use std::net::SocketAddr;

use protocol::command::{Command, Head, HeaderForm};
use remoting::net::ConnId;

use crate::tables::Ticket;

/// Where an answer goes: enough to write it from any shard at any later time.
#[derive(Clone, Copy, Debug)]
pub struct ReplyTo {
    /// The client's connection; its number names the shard that holds it.
    pub conn: ConnId,
    /// Correlation id of the request.
    pub opaque: i32,
    /// Header form of the request: the answer uses the same.
    pub form: HeaderForm,
    /// Nobody waits for an answer.
    pub oneway: bool,
}

impl ReplyTo {
    /// The place a command's answer goes to.
    pub fn of(conn: ConnId, command: &Command<'_>) -> Self {
        ReplyTo { conn, opaque: command.opaque, form: command.form, oneway: command.is_oneway() }
    }

    /// Header of an answer. Stamped as Java 4.9.7: its clients learn from it what the broker can do.
    pub fn head<'a>(&self, code: i32, remark: Option<&'a str>) -> Head<'a> {
        Head::reply(self.opaque, self.form, code, remark)
    }
}

/// A request as a handler sees it.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Where the answer goes.
    pub to: ReplyTo,
    /// The client's address.
    pub peer: SocketAddr,
    /// The decoded frame.
    pub command: &'a Command<'a>,
    /// The whole frame, for hops and holds.
    pub frame: &'a [u8],
    /// The queue an earlier shard chose where the client left the choice to the broker.
    pub chosen_queue: Option<i32>,
    /// False when a held pull runs again: it is not held twice and commits nothing.
    pub first: bool,
    /// The table change this request made is durable: only the answer is left.
    pub durable: bool,
    /// How many shards passed the request on already.
    pub hops: u8,
    /// The nameservers know of the change this request made, or were waited for long enough.
    pub told: bool,
}

/// A request that travels to another shard or waits for something.
#[derive(Debug)]
pub struct Forwarded {
    /// Where the answer goes.
    pub to: ReplyTo,
    /// The client's address.
    pub peer: SocketAddr,
    /// Its request code.
    pub code: i32,
    /// A copy of the frame.
    pub frame: Vec<u8>,
    /// See [`Call::chosen_queue`].
    pub chosen_queue: Option<i32>,
    /// See [`Call::first`].
    pub first: bool,
    /// See [`Call::durable`].
    pub durable: bool,
    /// See [`Call::hops`].
    pub hops: u8,
    /// See [`Call::told`].
    pub told: bool,
}

impl Forwarded {
    /// Copies what must outlive the connection's read buffer.
    pub fn of(call: &Call<'_>) -> Self {
        Forwarded {
            to: call.to,
            peer: call.peer,
            code: call.command.code,
            frame: call.frame.to_vec(),
            chosen_queue: call.chosen_queue,
            first: call.first,
            durable: call.durable,
            hops: call.hops,
            told: call.told,
        }
    }
}

/// How a handler ended, refusals aside.
#[derive(Debug)]
pub enum Next {
    /// Answered, or the answer comes with an ack.
    Done,
    /// The shard that owns what the request touches must run it.
    Forward(usize),
    /// As `Forward`, with the queue this shard chose.
    ForwardTo(usize, i32),
    /// Runs again once a table change is durable (home shard only).
    Park(Ticket),
    /// Runs again once the nameservers know what home published so far (home shard only).
    Tell,
}

/// A request that is not served: code and reason for the client.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Response code.
    pub code: i32,
    /// Says why, in words a user can act on.
    pub remark: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: i32, remark: impl Into<String>) -> Self {
        Refusal { code, remark: remark.into() }
    }
}

impl From<protocol::header::HeaderError> for Refusal {
    fn from(error: protocol::header::HeaderError) -> Self {
        Refusal::new(protocol::code::response::SYSTEM_ERROR, format!("bad request header: {error}"))
    }
}

/// What a handler returns.
pub type Handled = Result<Next, Refusal>;
