//! Reading queues from one offset to another, with several pulls in flight.
//!
//! Owns the ranges of offsets still to be read: each pull has its own range, and what an answer leaves of it is asked
//! for again. Must not look into messages. One thread, with its own epoll instance.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::code::request;
use protocol::{Head, HeaderForm, write_command};

use crate::epoll::Epoll;
use crate::link::{Event, Link};
use crate::reply::decode;
use crate::stop;

/// The pull carries its own subscription.
const SYS_FLAG_SUBSCRIPTION: i32 = 4;
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    pub broker: SocketAddr,
    pub group: &'a str,
    /// Messages a pull asks for.
    pub batch: u32,
    /// `maxMsgBytes`, which 5.x brokers know.
    pub bytes: Option<u32>,
    pub in_flight: u32,
    pub connections: u32,
    pub form: HeaderForm,
}

/// One queue to read.
#[derive(Clone, Debug)]
pub struct QueueRange {
    pub topic: String,
    pub queue: i32,
    /// The first offset, and the one behind the last.
    pub begin: i64,
    pub end: i64,
}

/// An answer with messages.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Place of the queue in the list.
    pub index: usize,
    /// The offsets it holds: from here to before `next`.
    pub from: i64,
    pub next: i64,
    /// Their records.
    pub body: &'a [u8],
    /// How long the pull took.
    pub took: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    index: usize,
    from: i64,
    to: i64,
    at: Instant,
}

/// The reading of some queues.
pub struct Ranges<'a> {
    manner: Manner<'a>,
    queues: Vec<QueueRange>,
    epoll: Epoll,
    links: Vec<Link>,
    /// The queue whose turn it is.
    turn: usize,
    again: VecDeque<(usize, i64, i64)>,
    in_flight: HashMap<i32, Asked>,
    opaque: i32,
}

impl<'a> Ranges<'a> {
    /// Connects.
    pub fn connect(manner: Manner<'a>, queues: Vec<QueueRange>) -> Result<Self, String> {
        let epoll = Epoll::new().map_err(|error| error.to_string())?;
        let links: Result<Vec<Link>, _> =
            (0..manner.connections.max(1)).map(|link| Link::connect(manner.broker, &epoll, u64::from(link))).collect();
        Ok(Ranges {
            manner,
            queues,
            epoll,
            links: links.map_err(|error| format!("{}: {error}", manner.broker))?,
            turn: 0,
            again: VecDeque::new(),
            in_flight: HashMap::new(),
            opaque: 0,
        })
    }

    /// Reads all and hands on each answer, in any order. False when a signal ended it early.
    pub fn read_all(&mut self, mut take: impl FnMut(&Batch<'_>) -> Result<(), String>) -> Result<bool, String> {
        let mut heard = Instant::now();
        let mut ready = Vec::new();
        loop {
            while self.in_flight.len() < self.manner.in_flight as usize
                && let Some((index, from, to)) = self.next_range()
            {
                self.ask(index, from, to);
            }
            if self.in_flight.is_empty() {
                return Ok(true);
            }
            if stop::is_asked() {
                return Ok(false);
            }
            for link in &mut self.links {
                link.send(&self.epoll).map_err(|error| format!("sending a pull: {error}"))?;
            }
            let limit = Duration::from_millis(100);
            self.epoll.wait(limit, |token| ready.push(token as usize)).map_err(|error| error.to_string())?;
            if ready.is_empty() && heard.elapsed() > SILENCE_MAX {
                return Err(format!("no answer to a pull for {SILENCE_MAX:?}"));
            }
            for link in ready.drain(..) {
                heard = Instant::now();
                self.receive(link, &mut take)?;
            }
        }
    }

    fn next_range(&mut self) -> Option<(usize, i64, i64)> {
        if let Some(range) = self.again.pop_front() {
            return Some(range);
        }
        for _ in 0..self.queues.len() {
            let index = self.turn;
            self.turn = (self.turn + 1) % self.queues.len();
            let queue = &mut self.queues[index];
            let from = queue.begin;
            let to = from.saturating_add(i64::from(self.manner.batch)).min(queue.end);
            if from < to {
                queue.begin = to;
                return Some((index, from, to));
            }
        }
        None
    }

    fn ask(&mut self, index: usize, from: i64, to: i64) {
        self.opaque = self.opaque.wrapping_add(1);
        let head = Head { form: self.manner.form, ..Head::request(request::PULL_MESSAGE, self.opaque) };
        let (manner, queue) = (self.manner, &self.queues[index]);
        let link = self.opaque.unsigned_abs() as usize % self.links.len();
        write_command(
            &mut self.links[link].out,
            &head,
            |fields| {
                fields.str("consumerGroup", manner.group);
                fields.str("topic", &queue.topic);
                fields.i32("queueId", queue.queue);
                fields.i64("queueOffset", from);
                fields.i64("maxMsgNums", to - from);
                fields.i32("sysFlag", SYS_FLAG_SUBSCRIPTION);
                fields.i64("commitOffset", 0);
                fields.i64("suspendTimeoutMillis", 0);
                fields.str("subscription", "*");
                fields.i64("subVersion", 0);
                fields.str("expressionType", "TAG");
                if let Some(bytes) = manner.bytes {
                    fields.i64("maxMsgBytes", i64::from(bytes));
                }
            },
            0,
        );
        self.in_flight.insert(self.opaque, Asked { index, from, to, at: Instant::now() });
    }

    fn receive(&mut self, link: usize, take: &mut impl FnMut(&Batch<'_>) -> Result<(), String>) -> Result<(), String> {
        let (in_flight, again) = (&mut self.in_flight, &mut self.again);
        self.links[link].receive(|event| {
            let Event::Frame(frame) = event else { return Ok(()) };
            let command = decode(frame)?;
            if !command.is_response() {
                return Ok(());
            }
            let Some(Asked { index, from, to, at }) = in_flight.remove(&command.opaque) else { return Ok(()) };
            if command.code != 0 {
                let remark = command.remark.map(|remark| remark.get().into_owned()).unwrap_or_default();
                return Err(format!("pull at {from} was answered with code {}: {remark}", command.code));
            }
            let next = command.fields.get("nextBeginOffset").and_then(|text| text.parse::<i64>().ok());
            let next = next.ok_or("the answer to a pull has no nextBeginOffset")?;
            if next <= from || next > to {
                return Err(format!("pull of {from}..{to} answers nextBeginOffset {next}"));
            }
            take(&Batch { index, from, next, body: command.body, took: at.elapsed() })?;
            if next < to {
                again.push_back((index, next, to));
            }
            Ok(())
        })
    }
}
