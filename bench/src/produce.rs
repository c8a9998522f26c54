//! `mqbench produce`: what a broker gives to senders.
//!
//! Closed loop: each connection keeps its number of messages without an ack; a latency counts from the write. Open
//! loop: messages have their instants, and a latency counts from the instant a message was due, so that a stall of the
//! broker (or of the loader) counts for every message that waits in it. Threads share nothing but the clock.

use std::io;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::{Broker, TopicSpec};
use hdrhistogram::Histogram;
use protocol::Command;

use crate::cli::Produce;
use crate::epoll::Epoll;
use crate::link::Link;
use crate::machine::{Cpu, memory};
use crate::template::{OPAQUE_FIRST, Template};

/// Waits so long for the last acks.
const TAIL: Duration = Duration::from_secs(15);
/// Instants kept for messages without an ack, over all connections of a thread.
const PENDING: usize = 1 << 20;

/// Measures and answers the RESULT line.
pub fn run(arguments: &Produce) -> Result<String, String> {
    let topics: Vec<String> = match arguments.topics {
        1 => vec![arguments.topic.clone()],
        count => (0..count).map(|number| format!("{}-{number}", arguments.topic)).collect(),
    };
    if !arguments.no_create {
        let mut broker = Broker::connect(arguments.broker).map_err(|error| error.to_string())?;
        for topic in &topics {
            broker.create_topic(&TopicSpec::new(topic, arguments.queues as i32)).map_err(|error| error.to_string())?;
        }
    }
    let threads = arguments.threads.min(arguments.connections);
    let plan = Plan {
        start: Instant::now(),
        begin: Duration::from_secs(arguments.warm),
        end: Duration::from_secs(arguments.warm + arguments.seconds),
    };
    let (tally, cpu) = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                let topics = &topics;
                scope.spawn(move || Worker::new(arguments, plan, topics, number, threads)?.run())
            })
            .collect();
        thread::sleep(plan.begin.saturating_sub(plan.start.elapsed()));
        let before = Cpu::now(&arguments.pid);
        thread::sleep(plan.end.saturating_sub(plan.start.elapsed()));
        let after = Cpu::now(&arguments.pid);
        let mut tally = Tally::new()?;
        for worker in workers {
            let other = worker.join().map_err(|_| "a loader thread panicked")??;
            tally.add(&other)?;
        }
        Ok::<_, String>((tally, (before, after)))
    })?;
    let micros = |nanos: u64| nanos as f64 / 1e3;
    let at = |quantile: f64| micros(tally.latency.value_at_quantile(quantile));
    let seconds = arguments.seconds as f64;
    Ok(format!(
        "what=produce loop={} connections={} outstanding={} rate_asked={} body={} topics={} queues={} form={:?} \
         messages={} bad={} first_bad={:?} rate={:.0} p50={:.0} p90={:.0} p99={:.0} p999={:.0} max={:.0} mean={:.0} {} {}",
        if arguments.rate == 0 { "closed" } else { "open" },
        arguments.connections,
        arguments.outstanding,
        arguments.rate,
        arguments.body,
        arguments.topics,
        arguments.queues,
        arguments.form,
        tally.latency.len(),
        tally.bad,
        tally.first_bad.as_deref().unwrap_or("-"),
        tally.acked_in_time as f64 / seconds,
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        micros(tally.latency.max()),
        tally.latency.mean() / 1e3,
        cpu.1.since(cpu.0, tally.acked_in_time, seconds),
        memory(&arguments.pid),
    ))
}

#[derive(Clone, Copy)]
struct Plan {
    start: Instant,
    begin: Duration,
    end: Duration,
}

struct Tally {
    /// Nanoseconds.
    latency: Histogram<u64>,
    /// Acks that came inside the measured time.
    acked_in_time: u64,
    bad: u64,
    first_bad: Option<String>,
}

impl Tally {
    fn new() -> Result<Tally, String> {
        let latency = Histogram::new_with_bounds(1_000, 600_000_000_000, 3).map_err(|error| error.to_string())?;
        Ok(Tally { latency, acked_in_time: 0, bad: 0, first_bad: None })
    }

    fn add(&mut self, other: &Tally) -> Result<(), String> {
        self.latency.add(&other.latency).map_err(|error| error.to_string())?;
        self.acked_in_time += other.acked_in_time;
        self.bad += other.bad;
        self.first_bad = self.first_bad.take().or_else(|| other.first_bad.clone());
        Ok(())
    }

    fn bad(&mut self, why: impl FnOnce() -> String) {
        self.bad += 1;
        self.first_bad.get_or_insert_with(why);
    }
}

struct Worker<'a> {
    arguments: &'a Produce,
    plan: Plan,
    epoll: Epoll,
    links: Vec<Link>,
    waiting: Vec<u32>,
    templates: Vec<Template>,
    next_template: usize,
    /// When each message without an ack was due, nanoseconds since the start, by its opaque.
    due: Vec<u64>,
    next_opaque: u32,
    tally: Tally,
    share: (u32, u32),
}

impl<'a> Worker<'a> {
    fn new(arguments: &'a Produce, plan: Plan, topics: &[String], number: u32, threads: u32) -> Result<Self, String> {
        let body: Vec<u8> = (0..arguments.body).map(|index| (index.wrapping_mul(31) ^ (index >> 3)) as u8).collect();
        let mut templates = Vec::new();
        for queue in 0..arguments.queues {
            for topic in topics {
                templates.push(Template::new(topic, queue, &body, arguments.form.into())?);
            }
        }
        let epoll = Epoll::new().map_err(|error| error.to_string())?;
        let connections = (number..arguments.connections).step_by(threads as usize).count();
        let links: io::Result<Vec<Link>> =
            (0..connections).map(|index| Link::connect(arguments.broker, &epoll, index as u64)).collect();
        let links = links.map_err(|error| format!("{}: {error}", arguments.broker))?;
        Ok(Worker {
            arguments,
            plan,
            epoll,
            waiting: vec![0; links.len()],
            links,
            templates,
            next_template: number as usize,
            due: vec![0; PENDING],
            next_opaque: 0,
            tally: Tally::new()?,
            share: (number, threads),
        })
    }

    fn run(mut self) -> Result<Tally, String> {
        if self.arguments.rate == 0 {
            self.closed_loop()?
        } else {
            self.open_loop()?
        }
        let unanswered: u32 = self.waiting.iter().sum();
        if unanswered > 0 {
            self.tally.bad += u64::from(unanswered);
            self.tally.first_bad.get_or_insert_with(|| format!("no answer in {TAIL:?}"));
        }
        Ok(self.tally)
    }

    fn now(&self) -> u64 {
        self.plan.start.elapsed().as_nanos() as u64
    }

    fn write(&mut self, link: usize, due: u64, born_ms: i64) {
        let opaque = self.next_opaque;
        self.next_opaque = (self.next_opaque + 1) % PENDING as u32;
        self.due[opaque as usize] = due;
        let template = self.next_template % self.templates.len();
        self.next_template = template + 1;
        self.templates[template].write(&mut self.links[link].out, OPAQUE_FIRST + opaque as i32, born_ms);
        self.waiting[link] += 1;
    }

    fn closed_loop(&mut self) -> Result<(), String> {
        let end = self.plan.end.as_nanos() as u64;
        let links = self.links.len();
        for link in 0..links {
            self.refill(link, end)?;
        }
        let mut ready = Vec::new();
        let give_up = self.plan.end + TAIL;
        while self.waiting.iter().any(|waiting| *waiting > 0) && self.plan.start.elapsed() < give_up {
            self.epoll.wait(Duration::from_millis(100), |token| ready.push(token as usize)).map_err(text)?;
            for link in ready.drain(..) {
                self.receive(link)?;
                self.refill(link, end)?;
            }
        }
        Ok(())
    }

    fn refill(&mut self, link: usize, end: u64) -> Result<(), String> {
        let now = self.now();
        if now < end {
            let born_ms = wall_ms();
            while self.waiting[link] < self.arguments.outstanding {
                self.write(link, now, born_ms);
            }
        }
        self.links[link].send(&self.epoll).map_err(text)
    }

    fn open_loop(&mut self) -> Result<(), String> {
        let end = self.plan.end.as_nanos() as u64;
        let (number, threads) = self.share;
        let gap = (1_000_000_000 * u64::from(threads)) as f64 / self.arguments.rate as f64;
        let mut count = 0u64;
        let due_of = |count: u64| ((count as f64 + f64::from(number) / f64::from(threads)) * gap) as u64;
        let mut ready = Vec::new();
        let mut link = 0;
        let give_up = self.plan.end + TAIL;
        loop {
            let now = self.now();
            let mut due = due_of(count);
            let born_ms = wall_ms();
            let first = link;
            let mut wrote = 0;
            while due <= now && due < end {
                if self.waiting.iter().map(|waiting| *waiting as usize).sum::<usize>() >= PENDING {
                    return Err(format!("{PENDING} messages without an ack: the broker does not keep up"));
                }
                self.write(link, due, born_ms);
                link = (link + 1) % self.links.len();
                wrote += 1;
                count += 1;
                due = due_of(count);
            }
            for step in 0..wrote.min(self.links.len()) {
                let link = (first + step) % self.links.len();
                self.links[link].send(&self.epoll).map_err(text)?;
            }
            let is_over = due >= end;
            if is_over && (self.waiting.iter().all(|waiting| *waiting == 0) || self.plan.start.elapsed() > give_up) {
                return Ok(());
            }
            if !is_over {
                self.epoll.wake_after(Duration::from_nanos(due.saturating_sub(self.now()))).map_err(text)?;
            }
            self.epoll.wait(Duration::from_millis(100), |token| ready.push(token as usize)).map_err(text)?;
            for link in ready.drain(..) {
                self.receive(link)?;
                self.links[link].send(&self.epoll).map_err(text)?;
            }
        }
    }

    fn receive(&mut self, link: usize) -> Result<(), String> {
        let (begin, end) = (self.plan.begin.as_nanos() as u64, self.plan.end.as_nanos() as u64);
        let now = self.plan.start.elapsed().as_nanos() as u64;
        let (due, waiting, tally) = (&self.due, &mut self.waiting[link], &mut self.tally);
        self.links[link].receive(|frame| {
            let command = Command::decode(frame).map_err(|error| format!("answer cannot be read: {error}"))?;
            if !command.is_response() {
                return Ok(());
            }
            let opaque = command.opaque.wrapping_sub(OPAQUE_FIRST);
            let due = usize::try_from(opaque).ok().and_then(|opaque| due.get(opaque));
            let due = *due.ok_or_else(|| format!("answer with the opaque {} that was not asked", command.opaque))?;
            *waiting = waiting.checked_sub(1).ok_or("more answers than requests")?;
            if command.code != 0 {
                tally.bad(|| {
                    let remark = command.remark.map(|remark| remark.get().into_owned()).unwrap_or_default();
                    format!("code {}: {remark}", command.code)
                });
                return Ok(());
            }
            if now >= begin && now < end {
                tally.acked_in_time += 1;
            }
            if due >= begin && due < end {
                tally.latency.saturating_record(now.saturating_sub(due));
            }
            Ok(())
        })
    }
}

fn text(error: io::Error) -> String {
    error.to_string()
}

fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
