//! Why a request failed, with what the other side said.
//!
//! Owns the one error of this crate. Must not decide what to do about it. Any thread.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// A request that got no good answer.
#[derive(Debug)]
pub enum Error {
    /// No connection, or it broke. The outcome of a request under way is open.
    Io { peer: SocketAddr, error: io::Error },
    /// No answer in time. The outcome is open.
    Timeout { peer: SocketAddr, code: i32 },
    /// The other side answered with a code that is no success.
    Answer { request: i32, code: i32, remark: String },
    /// The answer was not what the protocol says; `what` names the field or the problem.
    Malformed { request: i32, what: String },
    /// The caller's own arguments cannot be sent.
    Argument(String),
}

impl Error {
    /// The answer's code, if there was an answer.
    pub fn code(&self) -> Option<i32> {
        match self {
            Error::Answer { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The answer's remark, empty if there was no answer.
    pub fn remark(&self) -> &str {
        match self {
            Error::Answer { remark, .. } => remark,
            _ => "",
        }
    }

    /// The connection is of no more use: connect again.
    pub fn is_disconnect(&self) -> bool {
        matches!(self, Error::Io { .. } | Error::Timeout { .. } | Error::Malformed { .. })
    }

    pub(crate) fn malformed(request: i32, what: impl Into<String>) -> Self {
        Error::Malformed { request, what: what.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { peer, error } => write!(f, "connection to {peer}: {error}"),
            Error::Timeout { peer, code } => write!(f, "no answer from {peer} to request code {code} in time"),
            Error::Answer { request, code, remark } => {
                write!(f, "request code {request} was answered with code {code}: {remark}")
            }
            Error::Malformed { request, what } => {
                write!(f, "the answer to request code {request} is malformed: {what}")
            }
            Error::Argument(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}
