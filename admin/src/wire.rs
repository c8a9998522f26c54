//! How a command reaches nameservers and brokers: one question to one address, over a connection of its own.
//!
//! Owns the connection and its time. Must not know what a question means. Ordinary threads, several at once.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use protocol::HeaderForm;
use protocol::code::response;
use remoting::blocking::{CallError, Channel};

use crate::failure::Unanswered;

/// Java's admin client gives a request 5 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections kept for the next round of a command that repeats; with more brokers each round connects again.
const KEPT_MAX: usize = 256;

/// An answer that had code 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Of its header.
    pub fields: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Whoever carries questions.
pub trait Wire: Sync {
    /// The good answer to one question. `address` is `host:port`.
    fn ask(&self, address: &str, request: i32, fields: &[(&str, &str)]) -> Result<Reply, Unanswered>;
}

/// The network.
#[derive(Default)]
pub struct Tcp {
    kept: Mutex<HashMap<String, Channel>>,
}

impl Tcp {
    fn kept(&self, address: &str) -> Option<Channel> {
        let mut kept = self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut channel = kept.remove(address)?;
        channel.is_alive().then_some(channel)
    }

    fn keep(&self, address: &str, channel: Channel) {
        let mut kept = self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if kept.len() < KEPT_MAX {
            kept.insert(address.to_owned(), channel);
        }
    }
}

impl Wire for Tcp {
    fn ask(&self, address: &str, request: i32, fields: &[(&str, &str)]) -> Result<Reply, Unanswered> {
        let unreachable =
            |error: CallError| Unanswered::Unreachable { address: address.to_owned(), why: words(&error) };
        let mut channel = match self.kept(address) {
            Some(channel) => channel,
            None => Channel::connect(address, PATIENCE).map_err(unreachable)?,
        };
        let answer = channel
            .call(
                request,
                HeaderForm::Json,
                |writer| fields.iter().for_each(|(name, value)| writer.str(name, value)),
                &[],
                PATIENCE,
            )
            .map_err(unreachable)?;
        self.keep(address, channel);
        let command = answer.command();
        if command.code == response::SUCCESS {
            let fields = command.fields.iter().map(|(name, value)| (name.into_owned(), value.into_owned()));
            return Ok(Reply { fields: fields.collect(), body: command.body.to_vec() });
        }
        let remark = command.remark.map(|remark| remark.get().into_owned()).unwrap_or_default();
        Err(Unanswered::Refused { address: address.to_owned(), request, code: command.code, remark })
    }
}

/// What went wrong, and what to look at. The address is named by who prints this.
fn words(error: &CallError) -> String {
    match error {
        CallError::Connect { error, .. } => match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                "connection refused: nothing listens there; is the process up, and is the port the right one?".into()
            }
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                format!("no connection in {} s: check the address and the firewall", PATIENCE.as_secs())
            }
            _ => format!("cannot connect: {error}"),
        },
        CallError::TimedOut { timeout, .. } => format!("connected, but no answer in {} s", timeout.as_secs()),
        CallError::Closed { error: None, .. } => {
            "closed the connection instead of answering: is the port a broker's listenPort (listenPort + 1 is \
             replication), or a nameserver's?"
                .into()
        }
        CallError::Closed { error: Some(error), .. } => format!("the connection broke: {error}"),
        CallError::Frame { error, .. } => format!("sent what is no RocketMQ frame: {error}"),
    }
}
