//! `mqbench drain`: how fast one queue can be read to its end.
//!
//! Owns the ranges of offsets still to be read: with several pulls in flight each pull has its own range, and what an
//! answer leaves of it is asked for again. One connection, one thread.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use client::Broker;
use hdrhistogram::Histogram;
use protocol::message::Record;
use protocol::{Command, Head, write_command};

use crate::cli::Drain;
use crate::epoll::Epoll;
use crate::link::Link;
use crate::machine::{Cpu, memory};

const CODE_PULL_MESSAGE: i32 = 11;
/// The pull carries its own subscription.
const SYS_FLAG_SUBSCRIPTION: i32 = 4;
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Measures and answers the RESULT line.
pub fn run(arguments: &Drain) -> Result<String, String> {
    let said = |error: client::Error| error.to_string();
    let mut broker = Broker::connect(arguments.broker).map_err(said)?;
    let min_offset = broker.min_offset(&arguments.topic, arguments.queue).map_err(said)?;
    let mut end = broker.max_offset(&arguments.topic, arguments.queue).map_err(said)?;
    if arguments.messages > 0 {
        end = end.min(min_offset.saturating_add(arguments.messages as i64));
    }
    drop(broker);
    let mut drain = Reader::new(arguments, min_offset, end)?;
    let before = Cpu::now(&arguments.pid);
    let begun = Instant::now();
    drain.read_all()?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = Cpu::now(&arguments.pid);
    let at = |quantile: f64| drain.latency.value_at_quantile(quantile) as f64 / 1e3;
    Ok(format!(
        "what=drain batch={} in_flight={} messages={} bytes={} pulls={} seconds={:.3} rate={:.0} mb_s={:.1} \
         pull_p50={:.0} pull_p99={:.0} pull_p999={:.0} pull_max={:.0} {} {}",
        arguments.batch,
        arguments.in_flight,
        drain.messages,
        drain.bytes,
        drain.latency.len(),
        seconds,
        drain.messages as f64 / seconds,
        drain.bytes as f64 / seconds / 1e6,
        at(0.5),
        at(0.99),
        at(0.999),
        drain.latency.max() as f64 / 1e3,
        after.since(before, drain.messages, seconds),
        memory(&arguments.pid),
    ))
}

struct Reader<'a> {
    arguments: &'a Drain,
    epoll: Epoll,
    link: Link,
    /// First offset no pull has asked for yet, and the end.
    next: i64,
    end: i64,
    again: VecDeque<(i64, i64)>,
    in_flight: HashMap<i32, (i64, i64, Instant)>,
    opaque: i32,
    messages: u64,
    bytes: u64,
    /// Nanoseconds of each pull.
    latency: Histogram<u64>,
}

impl<'a> Reader<'a> {
    fn new(arguments: &'a Drain, begin: i64, end: i64) -> Result<Self, String> {
        let epoll = Epoll::new().map_err(|error| error.to_string())?;
        let link = Link::connect(arguments.broker, &epoll, 0).map_err(|error| error.to_string())?;
        let latency = Histogram::new_with_bounds(1_000, 600_000_000_000, 3).map_err(|error| error.to_string())?;
        Ok(Reader {
            arguments,
            epoll,
            link,
            next: begin,
            end,
            again: VecDeque::new(),
            in_flight: HashMap::new(),
            opaque: 0,
            messages: 0,
            bytes: 0,
            latency,
        })
    }

    fn read_all(&mut self) -> Result<(), String> {
        let mut heard = Instant::now();
        loop {
            while self.in_flight.len() < self.arguments.in_flight as usize
                && let Some((from, to)) = self.take_range()
            {
                self.ask(from, to);
            }
            if self.in_flight.is_empty() {
                return Ok(());
            }
            self.link.send(&self.epoll).map_err(|error| error.to_string())?;
            let mut is_ready = false;
            self.epoll.wait(Duration::from_millis(100), |_| is_ready = true).map_err(|error| error.to_string())?;
            if is_ready {
                heard = Instant::now();
                self.receive()?;
            } else if heard.elapsed() > SILENCE_MAX {
                return Err(format!("no answer to a pull for {SILENCE_MAX:?}"));
            }
        }
    }

    fn take_range(&mut self) -> Option<(i64, i64)> {
        self.again.pop_front().or_else(|| {
            let from = self.next;
            let to = from.saturating_add(i64::from(self.arguments.batch)).min(self.end);
            self.next = to;
            (from < to).then_some((from, to))
        })
    }

    fn ask(&mut self, from: i64, to: i64) {
        self.opaque = self.opaque.wrapping_add(1);
        let head = Head { form: self.arguments.form.into(), ..Head::request(CODE_PULL_MESSAGE, self.opaque) };
        let arguments = self.arguments;
        write_command(
            &mut self.link.out,
            &head,
            |fields| {
                fields.str("consumerGroup", &arguments.group);
                fields.str("topic", &arguments.topic);
                fields.i32("queueId", arguments.queue);
                fields.i64("queueOffset", from);
                fields.i64("maxMsgNums", to - from);
                fields.i32("sysFlag", SYS_FLAG_SUBSCRIPTION);
                fields.i64("commitOffset", 0);
                fields.i64("suspendTimeoutMillis", 0);
                fields.str("subscription", "*");
                fields.i64("subVersion", 0);
                fields.str("expressionType", "TAG");
            },
            0,
        );
        self.in_flight.insert(self.opaque, (from, to, Instant::now()));
    }

    fn receive(&mut self) -> Result<(), String> {
        let (in_flight, again, latency) = (&mut self.in_flight, &mut self.again, &mut self.latency);
        let (messages, bytes, is_checked) = (&mut self.messages, &mut self.bytes, self.arguments.check);
        self.link.receive(|frame| {
            let command = Command::decode(frame).map_err(|error| format!("answer cannot be read: {error}"))?;
            let Some((from, to, asked)) = in_flight.remove(&command.opaque) else { return Ok(()) };
            latency.saturating_record(asked.elapsed().as_nanos() as u64);
            if command.code != 0 {
                let remark = command.remark.map(|remark| remark.get().into_owned()).unwrap_or_default();
                return Err(format!("pull at {from} was answered with code {}: {remark}", command.code));
            }
            let next = command.fields.get("nextBeginOffset").and_then(|text| text.parse::<i64>().ok());
            let next = next.ok_or("the answer to a pull has no nextBeginOffset")?;
            if next <= from || next > to {
                return Err(format!("pull of {from}..{to} answers nextBeginOffset {next}"));
            }
            *messages += (next - from) as u64;
            *bytes += command.body.len() as u64;
            if is_checked {
                check(command.body, from, next)?;
            }
            if next < to {
                again.push_back((next, to));
            }
            Ok(())
        })
    }
}

fn check(mut body: &[u8], from: i64, to: i64) -> Result<(), String> {
    for offset in from..to {
        let record = Record::decode(body).map_err(|error| format!("message {offset}: {error}"))?;
        if record.queue_offset != offset || !record.body_crc_ok() {
            return Err(format!(
                "message {offset} reads as {} (crc ok: {})",
                record.queue_offset,
                record.body_crc_ok()
            ));
        }
        body = body.get(record.total_size as usize..).ok_or("record longer than the body")?;
    }
    if body.is_empty() { Ok(()) } else { Err(format!("{} bytes behind message {to}", body.len())) }
}
