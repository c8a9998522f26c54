//! The sending half of a thread: requests out, acks in.
//!
//! Closed loop: each connection keeps its number of requests without an ack, and a latency counts from the writing.
//! Open loop: messages have their instants, whatever the acks do. Owns its connections and what is on the way. Must
//! not wait: [`crate::worker`] does.

use std::io;

use crate::cli::Load;
use crate::epoll::Epoll;
use crate::link::{Event, Link};
use crate::pace::Pace;
use crate::pending::{PENDING_MAX, Pending, Sent};
use crate::phases::Phases;
use crate::queues::Queues;
use crate::random::Random;
use crate::recorder::{Failure, Recorder};
use crate::reply::{ReplyReader, decode};
use crate::stamp::{self, Stamp};
use crate::template::{BornTime, Manner, OPAQUE_FIRST, Template};
use crate::verify::Acks;

/// Due messages written before answers are looked at again.
const ROUND_MAX: usize = 1024;
/// Open loop: a connection with more unsent bytes gets no new messages; they stay due.
const UNSENT_MAX: usize = 1024 * 1024;
/// One-way: bytes a connection is given at a time.
const ONE_WAY_BYTES: usize = 64 * 1024;
const BATCH_ITEM_HEAD: usize = 20;
const BATCH_ITEM_TAIL: usize = 2;

/// What the threads share of a load; read-only.
#[derive(Debug)]
pub struct Sending<'a> {
    pub load: &'a Load,
    pub manner: Manner,
    pub templates: Vec<Template>,
    /// All bodies begin like it (but for their stamps).
    pub filler: Vec<u8>,
    pub run: u64,
    pub is_stamped: bool,
    /// Messages a second, 0 in a closed loop.
    pub rate: u64,
    pub threads: u32,
}

impl<'a> Sending<'a> {
    /// Templates for all queues.
    pub fn new(load: &'a Load, manner: Manner, queues: &Queues, run: u64, is_stamped: bool) -> Result<Self, String> {
        let templates: Result<Vec<Template>, String> = (0..queues.len())
            .map(|index| {
                let (topic, queue) = queues.name(index);
                Template::new(topic, queue, load.form.into(), manner)
            })
            .collect();
        if is_stamped && (load.body.min() as usize) < stamp::STAMP_LEN {
            return Err(format!(
                "--body {}: bodies that are looked at again need {} bytes or more",
                load.body,
                stamp::STAMP_LEN
            ));
        }
        let threads = load.threads.min(load.connections).max(1);
        let on_the_way = u64::from(load.outstanding) * u64::from(load.connections.div_ceil(threads));
        if manner != Manner::OneWay && load.rate.unwrap_or(0) == 0 && on_the_way > PENDING_MAX as u64 {
            return Err(format!("{on_the_way} requests of one thread on the way are more than {PENDING_MAX}"));
        }
        Ok(Sending {
            load,
            manner,
            templates: templates?,
            filler: stamp::filler(load.seed, load.body.max() as usize),
            run,
            is_stamped,
            rate: load.rate.unwrap_or(0),
            threads,
        })
    }

    /// Messages a request carries.
    pub fn request_messages(&self) -> u64 {
        match self.manner {
            Manner::Batch(count) => u64::from(count),
            Manner::Sync | Manner::OneWay => 1,
        }
    }
}

/// One thread's sending.
pub struct Sender<'a> {
    sending: &'a Sending<'a>,
    phases: &'a Phases,
    number: u32,
    links: Vec<Link>,
    /// Requests without an ack, of each connection.
    waiting: Vec<u32>,
    pending: Pending,
    pace: Option<Pace>,
    is_begun: bool,
    /// Open loop: nothing could be written; and until when that was last so.
    was_blocked: bool,
    free_since: u64,
    next_link: usize,
    next_queue: usize,
    sequence: u64,
    random: Random,
    born: BornTime,
    reply: ReplyReader,
    sizes: Vec<usize>,
    /// The instants of the messages written but not yet given to the sockets.
    round: Vec<u64>,
    acks: Option<Acks>,
    pub recorder: Recorder<'a>,
}

impl<'a> Sender<'a> {
    /// Connects this thread's share; the tokens of the connections count from 0.
    pub fn connect(
        sending: &'a Sending<'a>,
        phases: &'a Phases,
        number: u32,
        epoll: &Epoll,
        acks: Option<Acks>,
        recorder: Recorder<'a>,
    ) -> Result<Self, String> {
        let load = sending.load;
        let count = (number..load.connections).step_by(sending.threads as usize).count();
        let links: io::Result<Vec<Link>> =
            (0..count).map(|index| Link::connect(load.broker, epoll, index as u64)).collect();
        let links = links.map_err(|error| format!("{}: {error}", load.broker))?;
        let requests = sending.rate as f64 / sending.request_messages() as f64;
        let is_open = sending.rate > 0;
        let most = if is_open { PENDING_MAX } else { count * load.outstanding as usize };
        Ok(Sender {
            sending,
            phases,
            number,
            waiting: vec![0; links.len()],
            pending: Pending::new(most),
            pace: is_open.then(|| Pace::new(requests, number, sending.threads)),
            is_begun: false,
            was_blocked: false,
            free_since: 0,
            next_link: 0,
            next_queue: number as usize * sending.templates.len() / sending.threads as usize,
            sequence: 0,
            random: Random::new(load.seed.wrapping_add(u64::from(number) << 32)),
            born: BornTime::new(),
            reply: ReplyReader::default(),
            sizes: Vec::new(),
            round: Vec::new(),
            acks,
            recorder,
            links,
        })
    }

    /// How many connections it has.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Requests without an answer, or bytes the sockets have not taken.
    pub fn is_busy(&self) -> bool {
        !self.pending.is_empty() || self.links.iter().any(|link| link.unsent() > 0)
    }

    /// When to be called again at the latest; `None`: only an answer matters.
    pub fn next_due(&self) -> Option<u64> {
        match (&self.pace, self.sending.manner) {
            // Blocked: an ack or a writable socket wakes it.
            (Some(pace), _) => (!self.is_blocked()).then(|| pace.due()),
            (None, Manner::OneWay) => self.links.iter().any(|link| link.unsent() == 0).then_some(0),
            (None, _) => None,
        }
    }

    /// Whether messages are due before `end` and not written yet (open loop).
    pub fn is_behind(&self, end: u64) -> bool {
        self.pace.as_ref().is_some_and(|pace| pace.due() < end)
    }

    /// Whether nothing can be written, however due it is: memory has a bound, instants have none.
    fn is_blocked(&self) -> bool {
        self.pending.is_full() || self.links.iter().all(|link| link.unsent() >= UNSENT_MAX)
    }

    /// Writes what is due before `end`.
    pub fn pump(&mut self, now: u64, end: u64, epoll: &Epoll) -> Result<(), String> {
        self.born.set(self.phases.wall_ms(now));
        if self.pace.is_some() {
            return self.pump_open(now, end, epoll);
        }
        if self.sending.manner != Manner::OneWay {
            // The first requests; from then on each ack makes the next one.
            let links = if self.is_begun { 0 } else { self.links.len() };
            self.is_begun = true;
            return (0..links).try_for_each(|link| self.refill(link, now, epoll));
        }
        for link in 0..self.links.len() {
            if self.links[link].unsent() == 0 {
                while self.links[link].out.len() < ONE_WAY_BYTES {
                    self.write(link, now)?;
                }
                self.links[link].send(epoll).map_err(text)?;
            }
        }
        Ok(())
    }

    fn pump_open(&mut self, now: u64, end: u64, epoll: &Epoll) -> Result<(), String> {
        if self.is_blocked() {
            self.was_blocked = true;
            return Ok(());
        }
        if std::mem::take(&mut self.was_blocked) {
            self.free_since = now;
        }
        let first = self.next_link;
        while self.round.len() < ROUND_MAX && !self.is_blocked() {
            let Some(pace) = &mut self.pace else { break };
            let due = pace.due();
            if due > now || due >= end {
                break;
            }
            pace.advance();
            while self.links[self.next_link].unsent() >= UNSENT_MAX {
                self.next_link = (self.next_link + 1) % self.links.len();
            }
            self.write(self.next_link, due)?;
            self.round.push(due);
            self.next_link = (self.next_link + 1) % self.links.len();
        }
        if self.round.is_empty() {
            return Ok(());
        }
        let written = self.phases.now();
        for due in &self.round {
            // Waiting for the broker to take anything at all is not the loader's lateness; the latency has it.
            self.recorder.wrote(*due, (*due).max(self.free_since), written);
        }
        // All that the round passed, those it skipped included.
        let passed = if self.round.len() < self.links.len() && self.next_link != first {
            (self.next_link + self.links.len() - first) % self.links.len()
        } else {
            self.links.len()
        };
        for step in 0..passed {
            let link = (first + step) % self.links.len();
            self.links[link].send(epoll).map_err(text)?;
        }
        self.round.clear();
        self.was_blocked = self.is_blocked();
        Ok(())
    }

    fn refill(&mut self, link: usize, now: u64, epoll: &Epoll) -> Result<(), String> {
        while self.waiting[link] < self.sending.load.outstanding {
            self.write(link, now)?;
        }
        self.links[link].send(epoll).map_err(text)
    }

    /// Appends one request to a connection's bytes.
    fn write(&mut self, link: usize, due: u64) -> Result<(), String> {
        let sending = self.sending;
        let queue = self.next_queue;
        self.next_queue = if queue + 1 < sending.templates.len() { queue + 1 } else { 0 };
        let messages = sending.request_messages();
        self.sizes.clear();
        for _ in 0..messages {
            self.sizes.push(sending.load.body.draw(&mut self.random));
        }
        let bytes: usize = self.sizes.iter().sum();
        let is_batch = matches!(sending.manner, Manner::Batch(_));
        let overhead = if is_batch { BATCH_ITEM_HEAD + BATCH_ITEM_TAIL } else { 0 };
        let opaque = if sending.manner == Manner::OneWay {
            self.recorder.at(due);
            self.recorder.sent(messages, bytes as u64);
            OPAQUE_FIRST
        } else {
            let sent = Sent { due, sequence: self.sequence, bytes: bytes as u32, queue: queue as u32 };
            self.waiting[link] += 1;
            self.pending.take(sent).ok_or("more requests on the way than were planned")?
        };
        let out = &mut self.links[link].out;
        sending.templates[queue].write(out, opaque, &self.born, bytes + overhead * self.sizes.len());
        for size in &self.sizes {
            if is_batch {
                let item = (size + overhead) as u32;
                out.extend_from_slice(&item.to_be_bytes());
                out.extend_from_slice(&[0; 12]);
                out.extend_from_slice(&(*size as u32).to_be_bytes());
            }
            let body = out.len();
            out.extend_from_slice(&sending.filler[..*size]);
            if sending.is_stamped {
                let stamp = Stamp { run: sending.run, worker: self.number, sequence: self.sequence, due_ns: due };
                stamp::write(&stamp, &mut out[body..]);
            }
            if is_batch {
                out.extend_from_slice(&[0; BATCH_ITEM_TAIL]);
            }
            self.sequence += 1;
        }
        Ok(())
    }

    /// Reads the acks of a connection and, in a closed loop before the end, sends as many new requests.
    pub fn ready(&mut self, link: usize, epoll: &Epoll) -> Result<(), String> {
        self.receive(link)?;
        let now = self.phases.now();
        if self.pace.is_none() && self.sending.manner != Manner::OneWay && now < self.phases.end() {
            self.born.set(self.phases.wall_ms(now));
            return self.refill(link, now, epoll);
        }
        self.links[link].send(epoll).map_err(text)
    }

    fn receive(&mut self, link: usize) -> Result<(), String> {
        let messages = self.sending.request_messages();
        let is_one_way = self.sending.manner == Manner::OneWay;
        let (pending, recorder, reply) = (&mut self.pending, &mut self.recorder, &mut self.reply);
        let (waiting, acks, phases) = (&mut self.waiting[link], &mut self.acks, self.phases);
        self.links[link].receive(|event| {
            let frame = match event {
                Event::Arrived => {
                    recorder.at(phases.now());
                    return Ok(());
                }
                Event::Frame(frame) => frame,
            };
            let answer = reply.read(frame)?;
            if !answer.is_response {
                return Ok(());
            }
            if is_one_way {
                // A broker that refuses says so even here; what it is about is not told apart.
                recorder.tally.fail(Failure::Code(answer.code), 1, || refusal(frame, answer.code));
                return Ok(());
            }
            let sent = pending
                .finish(answer.opaque)
                .ok_or_else(|| format!("answer with the opaque {} that was not asked", answer.opaque))?;
            *waiting = waiting.saturating_sub(1);
            if answer.code != 0 {
                recorder.tally.fail(Failure::Code(answer.code), 1, || refusal(frame, answer.code));
                return Ok(());
            }
            recorder.came(sent.due, messages, u64::from(sent.bytes));
            if let Some(acks) = acks {
                let offset = reply.queue_offset(frame)?;
                acks.push(sent.queue, offset, sent.sequence, messages);
            }
            Ok(())
        })
    }

    /// Messages of requests that were acked.
    pub fn acked(&self) -> u64 {
        self.recorder.tally.all
    }

    /// Gives up on what is still on the way, and counts what was due before `end` and never written.
    pub fn give_up(&mut self, end: u64, why: &str) {
        if let Some(pace) = &mut self.pace {
            let mut unwritten = 0;
            while pace.due() < end {
                pace.advance();
                unwritten += 1;
            }
            if unwritten > 0 {
                self.recorder.tally.fail(Failure::NotSent, unwritten, || "the broker does not keep up".into());
            }
        }
        let left = self.pending.len() as u64;
        if left > 0 {
            self.recorder.tally.fail(Failure::NoAnswer, left, || format!("no answer {why}"));
        }
    }

    /// The recorder, the acks, and how many sequences were given out.
    pub fn finish(self) -> (Recorder<'a>, Option<Acks>, u64) {
        (self.recorder, self.acks, self.sequence)
    }
}

fn refusal(frame: &[u8], code: i32) -> String {
    let remark = decode(frame).ok().and_then(|command| command.remark.map(|remark| remark.get().into_owned()));
    format!("code {code}: {}", remark.unwrap_or_default())
}

fn text(error: io::Error) -> String {
    format!("sending: {error}")
}
