//! The receiving half of a thread: one long poll in flight for each queue and group, and what it brings.
//!
//! Owns its connections and the next offset of each queue it reads. A message's latency runs from the instant in its
//! body to the reading of the answer that brings it. Must not wait: [`crate::worker`] does.

use std::collections::VecDeque;
use std::io;

use protocol::code::{request, response};
use protocol::message::Record;
use protocol::{Command, Head, write_command};

use crate::cli::{Load, Reading};
use crate::epoll::Epoll;
use crate::link::{Event, Link};
use crate::phases::Phases;
use crate::queues::Queues;
use crate::recorder::{Failure, Recorder};
use crate::reply::decode;
use crate::stamp::{self, Found};

/// Long polling is allowed, and the pull carries its own subscription.
const SYS_FLAG: i32 = 2 | 4;
const SUSPEND_MS: i64 = 15_000;
/// After a refusal a pull waits so long.
const RETRY_NS: u64 = 10_000_000;

/// What the threads share of the receiving; read-only.
#[derive(Debug)]
pub struct Receiving<'a> {
    pub load: &'a Load,
    pub reading: &'a Reading,
    pub groups: u32,
    pub queues: &'a Queues,
    /// The first offset to read of each queue.
    pub from: &'a [i64],
    pub filler: &'a [u8],
    pub run: u64,
    pub threads: u32,
}

impl Receiving<'_> {
    fn group(&self, number: u32) -> String {
        if self.groups == 1 { self.reading.group.clone() } else { format!("{}-{number}", self.reading.group) }
    }
}

/// One queue as one group reads it.
#[derive(Debug)]
struct Pull {
    link: usize,
    group: usize,
    queue: usize,
    next: i64,
}

/// One thread's receiving.
pub struct Reader<'a> {
    receiving: &'a Receiving<'a>,
    phases: &'a Phases,
    groups: Vec<String>,
    links: Vec<Link>,
    pulls: Vec<Pull>,
    retries: VecDeque<(u64, usize)>,
    /// Pulls to be sent again after the answers of a connection were read; kept to reuse its memory.
    again: Vec<usize>,
    answered: u64,
    pub recorder: Recorder<'a>,
}

impl<'a> Reader<'a> {
    /// Connects thread `number`'s share; the tokens of the connections count from `first_token`.
    pub fn connect(
        receiving: &'a Receiving<'a>,
        phases: &'a Phases,
        number: u32,
        epoll: &Epoll,
        first_token: u64,
        recorder: Recorder<'a>,
    ) -> Result<Self, String> {
        let load = receiving.load;
        let readers = receiving.reading.readers;
        let mut reader = Reader {
            receiving,
            phases,
            groups: Vec::new(),
            links: Vec::new(),
            pulls: Vec::new(),
            retries: VecDeque::new(),
            again: Vec::new(),
            answered: 0,
            recorder,
        };
        for connection in (number..receiving.groups * readers).step_by(receiving.threads as usize) {
            let link = reader.links.len();
            let token = first_token + link as u64;
            let stream = Link::connect(load.broker, epoll, token);
            reader.links.push(stream.map_err(|error| format!("{}: {error}", load.broker))?);
            reader.groups.push(receiving.group(connection / readers));
            for queue in (connection % readers..receiving.queues.len() as u32).step_by(readers as usize) {
                let queue = queue as usize;
                let next = receiving.from.get(queue).copied().unwrap_or(0);
                reader.pulls.push(Pull { link, group: link, queue, next });
            }
        }
        Ok(reader)
    }

    /// Sends the first pulls.
    pub fn begin(&mut self, epoll: &Epoll) -> Result<(), String> {
        for pull in 0..self.pulls.len() {
            self.ask(pull);
        }
        self.links.iter_mut().try_for_each(|link| link.send(epoll)).map_err(text)
    }

    /// When to be called again at the latest.
    pub fn next_due(&self) -> Option<u64> {
        self.retries.front().map(|(at, _)| *at)
    }

    /// Asks again where the broker refused.
    pub fn pump(&mut self, now: u64, epoll: &Epoll) -> Result<(), String> {
        while let Some((at, pull)) = self.retries.front().copied()
            && at <= now
        {
            self.retries.pop_front();
            self.ask(pull);
            let link = self.pulls[pull].link;
            self.links[link].send(epoll).map_err(text)?;
        }
        Ok(())
    }

    fn ask(&mut self, index: usize) {
        let pull = &self.pulls[index];
        let (topic, queue) = self.receiving.queues.name(pull.queue);
        let head =
            Head { form: self.receiving.load.form.into(), ..Head::request(request::PULL_MESSAGE, index as i32 + 1) };
        let reading = self.receiving.reading;
        write_command(
            &mut self.links[pull.link].out,
            &head,
            |fields| {
                fields.str("consumerGroup", &self.groups[pull.group]);
                fields.str("topic", topic);
                fields.i64("queueId", i64::from(queue));
                fields.i64("queueOffset", pull.next);
                fields.i64("maxMsgNums", i64::from(reading.pull_batch));
                fields.i32("sysFlag", SYS_FLAG);
                fields.i64("commitOffset", 0);
                fields.i64("suspendTimeoutMillis", SUSPEND_MS);
                fields.str("subscription", "*");
                fields.i64("subVersion", 0);
                fields.str("expressionType", "TAG");
            },
            0,
        );
    }

    /// Reads the answers of a connection (by its place, not its token) and asks for what comes next.
    pub fn ready(&mut self, link: usize, epoll: &Epoll) -> Result<(), String> {
        let (pulls, recorder, again) = (&mut self.pulls, &mut self.recorder, &mut self.again);
        let (retries, answered) = (&mut self.retries, &mut self.answered);
        let (receiving, phases) = (self.receiving, self.phases);
        let mut now = phases.now();
        self.links[link].receive(|event| {
            let frame = match event {
                Event::Arrived => {
                    now = phases.now();
                    recorder.at(now);
                    return Ok(());
                }
                Event::Frame(frame) => frame,
            };
            let answer = decode(frame)?;
            if !answer.is_response() {
                return Ok(());
            }
            let index = usize::try_from(answer.opaque).ok().and_then(|opaque| opaque.checked_sub(1));
            let pull = index.and_then(|index| Some((index, pulls.get_mut(index)?)));
            let (index, pull) =
                pull.ok_or_else(|| format!("answer with the opaque {} that was not asked", answer.opaque))?;
            *answered += 1;
            if take(pull, &answer, receiving, recorder) {
                again.push(index);
            } else {
                retries.push_back((now + RETRY_NS, index));
            }
            Ok(())
        })?;
        while let Some(pull) = self.again.pop() {
            self.ask(pull);
        }
        self.links[link].send(epoll).map_err(text)
    }

    /// Messages received over the whole run.
    pub fn received(&self) -> u64 {
        self.recorder.tally.all
    }

    /// The recorder, and the pulls answered.
    pub fn finish(self) -> (Recorder<'a>, u64) {
        (self.recorder, self.answered)
    }
}

/// Takes an answer's messages; false when it was a refusal.
fn take(pull: &mut Pull, answer: &Command<'_>, receiving: &Receiving<'_>, recorder: &mut Recorder<'_>) -> bool {
    let next = answer.fields.get("nextBeginOffset").and_then(|offset| offset.parse::<i64>().ok());
    match answer.code {
        response::SUCCESS => {}
        response::PULL_NOT_FOUND | response::PULL_RETRY_IMMEDIATELY => {
            pull.next = next.unwrap_or(pull.next).max(pull.next);
            return true;
        }
        code => {
            let remark = answer.remark.as_ref().map(|remark| remark.get().into_owned()).unwrap_or_default();
            recorder.tally.fail(Failure::Code(code), 1, || format!("pull was answered with code {code}: {remark}"));
            if code == response::PULL_OFFSET_MOVED {
                pull.next = next.unwrap_or(pull.next);
            }
            return false;
        }
    }
    let mut rest = answer.body;
    while !rest.is_empty() {
        let record = match Record::decode(rest) {
            Ok(record) => record,
            Err(error) => {
                recorder.tally.fail(Failure::Damaged, 1, || format!("record at {}: {error}", pull.next));
                break;
            }
        };
        if record.queue_offset != pull.next {
            let wanted = pull.next;
            recorder.tally.fail(Failure::Damaged, 1, || {
                format!("queue offset {} was received where {wanted} was due", record.queue_offset)
            });
        }
        match stamp::check(record.body, receiving.run, receiving.filler) {
            Found::Whole(stamp) => recorder.came(stamp.due_ns, 1, record.body.len() as u64),
            Found::Foreign => {}
            Found::Damaged => {
                recorder.tally.fail(Failure::Damaged, 1, || format!("message {} is damaged", record.queue_offset));
            }
        }
        pull.next = record.queue_offset + 1;
        rest = rest.get(record.total_size as usize..).unwrap_or_default();
    }
    pull.next = next.unwrap_or(pull.next).max(pull.next);
    true
}

fn text(error: io::Error) -> String {
    format!("sending a pull: {error}")
}
