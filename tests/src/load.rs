//! Producers and consumers that go on through kills of the broker and record all they see.
//!
//! Owns their threads. Must not judge. Each thread has its own connection and recorder; they stop when told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use checker::{Op, Uid, status};
use client::{Broker, Error, Options, Pull, PullOutcome, Send};

use crate::body;
use crate::recorder::Recorder;
use crate::rng::Rng;

/// A topic and its queues.
#[derive(Clone, Debug)]
pub struct LoadTopic {
    pub name: String,
    pub queues: i32,
}

/// What the threads share.
#[derive(Debug)]
pub struct Shared {
    pub broker: SocketAddr,
    pub topics: Vec<LoadTopic>,
    /// Largest body, bytes.
    pub body_max: usize,
    /// The run's clock.
    pub start: Instant,
    pub stop: AtomicBool,
    /// Acks of all producers so far.
    pub acked: AtomicU64,
    /// Deliveries to all consumers so far.
    pub delivered: AtomicU64,
}

impl Shared {
    /// Nothing acked, not stopped.
    pub fn new(broker: SocketAddr, topics: Vec<LoadTopic>, body_max: usize) -> Arc<Shared> {
        Arc::new(Shared {
            broker,
            topics,
            body_max,
            start: Instant::now(),
            stop: AtomicBool::new(false),
            acked: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
        })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

const OPTIONS: Options = Options { form: client::HeaderForm::Json, timeout: Duration::from_secs(5) };
/// The pace of trying to connect while the broker is down.
const PACE: Duration = Duration::from_millis(5);

/// A producer: one message at a time, sizes from 1 byte up, half of the lost answers tried again with the same uid.
pub fn producer(shared: Arc<Shared>, number: u32, seed: u64) -> JoinHandle<Recorder> {
    thread::spawn(move || {
        let mut recorder = Recorder::new(number, shared.start);
        let mut rng = Rng::new(seed ^ u64::from(number) << 32);
        let mut seq = 0;
        while !shared.stopped() {
            // A broken connection ends the session; what it was about is recorded as open.
            if let Ok(mut broker) = Broker::connect_with(shared.broker, OPTIONS) {
                produce_session(&shared, &mut broker, &mut recorder, &mut rng, &mut seq);
            } else {
                thread::sleep(PACE);
            }
        }
        recorder
    })
}

fn produce_session(shared: &Shared, broker: &mut Broker, recorder: &mut Recorder, rng: &mut Rng, seq: &mut u64) {
    while !shared.stopped() {
        let topic = &shared.topics[rng.below(shared.topics.len() as u64) as usize];
        let queue = rng.below(topic.queues as u64) as i32;
        // Most are small, some reach the largest size.
        let magnitude = rng.below(u64::from((shared.body_max as u64).ilog2()) + 1);
        let size = rng.between(1, (1 << magnitude).min(shared.body_max as u64)) as usize;
        let uid = Uid { producer: recorder.client(), seq: *seq };
        *seq += 1;
        let bytes = body::make(uid, size);
        if !send_recorded(shared, broker, recorder, uid, &topic.name, queue, &bytes) {
            if rng.one_in(2)
                && let Ok(mut again) = Broker::connect_with(shared.broker, OPTIONS)
            {
                send_recorded(shared, &mut again, recorder, uid, &topic.name, queue, &bytes);
            }
            return;
        }
    }
}

/// Sends and records; false when the connection is of no more use.
pub fn send_recorded(
    shared: &Shared,
    broker: &mut Broker,
    recorder: &mut Recorder,
    uid: Uid,
    topic: &str,
    queue: i32,
    bytes: &[u8],
) -> bool {
    let mut message = Send::to(topic, queue, bytes);
    message.properties = body::properties(uid);
    let t_call = recorder.now();
    let result = broker.send(&message);
    let mut record = recorder.record(Op::Send, topic, queue, t_call);
    record.uid = Some(uid);
    record.crc = protocol::message::crc32(bytes);
    let alive = match &result {
        Ok(sent) => {
            record.status = sent.status;
            record.queue_offset = sent.queue_offset;
            record.physical_offset = sent.physical_offsets().first().copied().unwrap_or(-1);
            if sent.status == status::OK {
                shared.acked.fetch_add(1, Ordering::Relaxed);
            }
            true
        }
        Err(error) => {
            record.status = error.code().unwrap_or(status::UNKNOWN);
            !error.is_disconnect()
        }
    };
    recorder.push(record);
    alive
}

/// A consumer of some queues: asks where its group stands, pulls, commits behind what it got.
pub fn consumer(shared: Arc<Shared>, number: u32, group: &str, queues: Vec<(String, i32)>) -> JoinHandle<Recorder> {
    let group = group.to_owned();
    thread::spawn(move || {
        let mut recorder = Recorder::new(number, shared.start);
        while !shared.stopped() {
            let session = Broker::connect_with(shared.broker, OPTIONS)
                .and_then(|mut broker| consume_session(&shared, &mut broker, &mut recorder, &group, &queues));
            if let Err(error) = session {
                // 2: it is about to end; 14: it does not serve at present; and a disk that was made to fail.
                let disk_fails = error.remark().contains("(os error ");
                let goes_on = error.is_disconnect() || matches!(error.code(), Some(2 | 14)) || disk_fails;
                assert!(goes_on, "consumer {number}: {error}");
                thread::sleep(PACE);
            }
        }
        recorder
    })
}

fn consume_session(
    shared: &Shared,
    broker: &mut Broker,
    recorder: &mut Recorder,
    group: &str,
    queues: &[(String, i32)],
) -> Result<(), Error> {
    let mut next = Vec::new();
    for (topic, queue) in queues {
        let t_call = recorder.now();
        next.push(match broker.query_offset(group, topic, *queue)? {
            Some(offset) => {
                recorder.push_offset(Op::Progress, group, topic, *queue, offset, t_call);
                offset
            }
            None => broker.min_offset(topic, *queue)?,
        });
    }
    while !shared.stopped() {
        let mut found = false;
        for ((topic, queue), next) in queues.iter().zip(&mut next) {
            let t_call = recorder.now();
            let pulled = broker.pull(&Pull::from(group, topic, *queue, *next))?;
            for message in &pulled.messages {
                recorder.push_read(Op::Pull, group, message, t_call);
            }
            shared.delivered.fetch_add(pulled.messages.len() as u64, Ordering::Relaxed);
            *next = pulled.next_begin_offset;
            if pulled.outcome == PullOutcome::Found {
                found = true;
                let t_call = recorder.now();
                let committed = broker.update_offset(group, topic, *queue, *next);
                recorder.push_offset(Op::Commit, group, topic, *queue, *next, t_call);
                committed?;
            }
        }
        if !found {
            thread::sleep(PACE);
        }
    }
    Ok(())
}
