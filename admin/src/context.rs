//! What a command runs with: the wire, the nameservers, the clock, and what it has to say.
//!
//! Owns the choice among nameservers and asking many brokers at once. Must not print. One thread, besides those that
//! live for the time of one [`Context::ask_each`].

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::Body;

use crate::failure::{Failure, Unanswered};
use crate::java_text;
use crate::wire::Wire;

/// Brokers asked at the same time: one that is away costs its time-out once, not once a broker.
const ASKED_AT_ONCE: usize = 16;

/// The time and the time zone.
pub struct Clock {
    pub now_ms: Box<dyn Fn() -> i64>,
    /// Minutes east of Greenwich at ms since 1970.
    pub utc_offset_minutes: fn(i64) -> i32,
}

impl Clock {
    /// The machine's.
    pub fn system() -> Clock {
        let now_ms = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        };
        Clock { now_ms: Box::new(now_ms), utc_offset_minutes: java_text::utc_offset_minutes }
    }

    /// `yyyy-MM-dd HH:mm:ss,SSS`, local.
    pub fn text(&self, unix_ms: i64) -> String {
        java_text::time(unix_ms, (self.utc_offset_minutes)(unix_ms))
    }
}

/// What a command runs with.
pub struct Context<'a> {
    pub wire: &'a dyn Wire,
    pub clock: &'a Clock,
    /// `host:port` each.
    pub(crate) namesrv: Vec<String>,
    /// Whether `--json` was given.
    pub json: bool,
    /// What goes to standard output.
    pub out: String,
    /// What went wrong with a part of the command; the rest is in `out`. Any makes the command one that failed.
    pub complaints: Vec<String>,
    /// What the reader should know and what is no failure.
    pub notes: Vec<String>,
}

impl Context<'_> {
    /// One line of output.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.out.push_str(text.as_ref());
        self.out.push('\n');
    }

    /// The output of `--json`.
    pub fn print_json(&mut self, value: &serde_json::Value) {
        let text = serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        self.line(text);
    }

    /// Whether a nameserver was named at all.
    pub fn has_namesrv(&self) -> bool {
        !self.namesrv.is_empty()
    }

    /// The first answer of a nameserver, good or refused, in the order they were named: they all know the same. Those
    /// before it that do not answer are named in a note and asked no more.
    pub fn ask_namesrv(&mut self, request: i32, fields: &[(&str, &str)]) -> Result<(String, Vec<u8>), Failure> {
        if self.namesrv.is_empty() {
            let text = "no nameserver is known: give -n host:9876 or set the environment's NAMESRV_ADDR";
            return Err(Failure::Usage(text.into()));
        }
        let mut away = Vec::new();
        for address in &self.namesrv {
            match self.wire.ask(address, request, fields) {
                Err(error @ Unanswered::Unreachable { .. }) => away.push(error.to_string()),
                answer => {
                    let address = address.clone();
                    self.namesrv.drain(..away.len());
                    self.notes.extend(away.iter().map(|error| format!("nameserver {error}; the next one is asked")));
                    return Ok((address, answer?.body));
                }
            }
        }
        Err(Failure::Failed(format!("no nameserver answers: {}", away.join("; "))))
    }

    /// The same question to many brokers, the answers in the brokers' order.
    pub fn ask_each<B: Body + Send>(
        &self,
        addresses: &[&str],
        request: i32,
        fields: &[(&str, &str)],
    ) -> Vec<Result<B, Unanswered>> {
        let wire = self.wire;
        let ask = |address: &str| {
            let reply = wire.ask(address, request, fields)?;
            read(address, request, &reply.body)
        };
        let mut answers = Vec::with_capacity(addresses.len());
        for some in addresses.chunks(ASKED_AT_ONCE) {
            std::thread::scope(|scope| {
                let asked: Vec<_> = some.iter().map(|address| scope.spawn(move || ask(address))).collect();
                for (thread, address) in asked.into_iter().zip(some) {
                    answers.push(thread.join().unwrap_or_else(|_| {
                        let why = "the thread that asked ended early".to_owned();
                        Err(Unanswered::Unreachable { address: (*address).to_owned(), why })
                    }));
                }
            });
        }
        answers
    }
}

/// A body as it came from an address.
pub fn read<B: Body>(address: &str, request: i32, body: &[u8]) -> Result<B, Unanswered> {
    B::from_json(body).map_err(|error| {
        let why = error.to_string();
        Unanswered::Malformed { address: address.to_owned(), request, why }
    })
}
