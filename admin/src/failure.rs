//! Why a command, or one question of it, came to nothing.
//!
//! Owns the two errors of this crate and their words. Must not print. Any thread.

use std::fmt;

/// A question that got no good answer from one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// No connection, no answer in time, or no frame; `why` names which.
    Unreachable { address: String, why: String },
    /// The other side answered with a code that is no success.
    Refused { address: String, request: i32, code: i32, remark: String },
    /// The answer's body is not what the protocol says.
    Malformed { address: String, request: i32, why: String },
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unanswered::Unreachable { address, why } => write!(f, "{address}: {why}"),
            Unanswered::Refused { address, request, code, remark } => {
                let name = |code, name: Option<&str>| name.map_or(String::new(), |name| format!("{code} {name}"));
                let request = name(*request, protocol::code::request::name(*request));
                let answer = name(*code, protocol::code::response::name(*code));
                let answer = if answer.is_empty() { format!("code {code}") } else { answer };
                // Java's remarks go on with a link; the first line says it.
                let remark = remark.lines().next().unwrap_or_default();
                write!(f, "{address}: request {request} was answered with {answer}: {remark}")
            }
            Unanswered::Malformed { address, request, why } => {
                write!(f, "{address}: the answer to request {request} is malformed: {why}")
            }
        }
    }
}

/// Why a command ends without having done its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The arguments make no sense: what is wrong with them and what to write.
    Usage(String),
    /// It was tried and failed.
    Failed(String),
    /// The one who had to answer did not.
    Unanswered(Unanswered),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Failed(text) => f.write_str(text),
            Failure::Unanswered(error) => error.fmt(f),
        }
    }
}

impl From<Unanswered> for Failure {
    fn from(error: Unanswered) -> Failure {
        Failure::Unanswered(error)
    }
}
