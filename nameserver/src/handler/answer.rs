//! What goes into a handler and what comes out.

use std::net::SocketAddr;

use protocol::code::response;
use protocol::header::HeaderError;
use protocol::{Command, write_command};
use serde::Serialize;

/// One request.
pub struct Request<'a> {
    /// The command as it came.
    pub command: &'a Command<'a>,
    /// The connection it came on.
    pub connection: u64,
    /// Who sent it, for the log.
    pub peer: SocketAddr,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

/// One answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Response code.
    pub code: i32,
    /// Text for people.
    pub remark: Option<String>,
    /// Header fields.
    pub fields: Vec<(&'static str, String)>,
    /// Body; empty = none.
    pub body: Vec<u8>,
}

impl Answer {
    /// Done, nothing to tell.
    pub fn success() -> Answer {
        Answer { code: response::SUCCESS, ..Answer::default() }
    }

    /// Done; the body is `body` as standard JSON.
    pub fn json(body: &impl Serialize) -> Answer {
        match serde_json::to_vec(body) {
            Ok(body) => Answer { body, ..Answer::success() },
            Err(error) => Answer::error(format!("the answer cannot be written as JSON: {error}")),
        }
    }

    /// Not done.
    pub fn refused(code: i32, remark: impl Into<String>) -> Answer {
        Answer { code, remark: Some(remark.into()), ..Answer::default() }
    }

    /// Not done, SYSTEM_ERROR.
    pub fn error(remark: impl Into<String>) -> Answer {
        Answer::refused(response::SYSTEM_ERROR, remark)
    }

    /// The same with one more header field.
    pub fn with(mut self, field: &'static str, value: impl ToString) -> Answer {
        self.fields.push((field, value.to_string()));
        self
    }

    /// The same with a remark.
    pub fn with_remark(mut self, remark: impl Into<String>) -> Answer {
        self.remark = Some(remark.into());
        self
    }

    /// Appends the whole frame that answers `command`.
    pub fn write(&self, command: &Command<'_>, out: &mut Vec<u8>) {
        let head = command.reply_head(self.code, self.remark.as_deref());
        write_command(
            out,
            &head,
            |fields| {
                for (name, value) in &self.fields {
                    fields.str(name, value);
                }
            },
            self.body.len(),
        );
        out.extend_from_slice(&self.body);
    }
}

/// A header that cannot be read names the field.
impl From<HeaderError> for Answer {
    fn from(error: HeaderError) -> Answer {
        Answer::error(error.to_string())
    }
}
