//! Producers and consumers that find brokers by the nameservers, go on through failures as RocketMQ's clients do, and
//! record all they see.
//!
//! Owns their threads. Must not judge. A queue is named `topic@broker`, so that the checker keeps the queues of two
//! masters apart. What differs from the Java client: the route is asked for again every 200 ms (Java: 30 s), so that
//! the pauses measured are the servers' and not the client's.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use checker::{Op, Record, Uid, status};
use client::{Broker, Nameserver, Options, Pull, PullOutcome, Send};
use protocol::body::PERM_WRITE;

use crate::body;
use crate::recorder::Recorder;
use crate::rng::Rng;
use crate::wait;

/// The group of the consumers.
pub const GROUP: &str = "CID_traffic";
const OPTIONS: Options = Options { form: client::HeaderForm::Json, timeout: Duration::from_secs(5) };
const ROUTE_AGE: Duration = Duration::from_millis(200);
/// The pace of trying again where there is nothing to do.
const PACE: Duration = Duration::from_millis(5);
/// How often a message is offered to another broker after a failure, as the Java client does.
const RETRIES: usize = 2;
/// What is acked is readable, and given out, in less.
const QUIET: Duration = Duration::from_millis(700);
const QUIET_MAX: Duration = Duration::from_secs(15);

/// How much traffic.
#[derive(Clone, Debug)]
pub struct TrafficSpec {
    pub topic: String,
    /// Queues a broker.
    pub queues: i32,
    pub producers: u32,
    /// Largest body, bytes.
    pub body_max: u64,
    /// Between two sends of a producer, so that what is watched has a core left.
    pub pace: Duration,
    pub seed: u64,
}

impl TrafficSpec {
    /// Four producers, one consumer a queue number, bodies of 1 byte to 8 KiB.
    pub fn new(topic: &str, seed: u64) -> TrafficSpec {
        TrafficSpec {
            topic: topic.to_owned(),
            queues: 4,
            producers: 4,
            body_max: 8 << 10,
            pace: Duration::from_millis(1),
            seed,
        }
    }
}

/// Addresses of a topic's brokers: by name, by id.
type Places = BTreeMap<String, BTreeMap<i64, SocketAddr>>;

struct Shared {
    spec: TrafficSpec,
    nameservers: Vec<SocketAddr>,
    start: Instant,
    stop: AtomicBool,
    paused: AtomicBool,
    acked: AtomicU64,
    delivered: AtomicU64,
    /// Producers that are about to send, or wait for an answer.
    sending: AtomicU64,
    /// For each consumer, how often it has asked for everything and found nothing.
    idle: Vec<AtomicU64>,
    /// Answers that say "stored, the stronger promise not given" (10, 11, 12), by code.
    weak: Mutex<BTreeMap<i32, u64>>,
}

/// Traffic under way.
pub struct Traffic {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Recorder>>,
}

impl Traffic {
    /// Starts it. The topic must exist, with its queues, on every master of `names`; a consumer thread a broker name.
    pub fn start(spec: TrafficSpec, nameservers: Vec<SocketAddr>, names: &[&str]) -> Traffic {
        let shared = Arc::new(Shared {
            spec,
            nameservers,
            start: Instant::now(),
            stop: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            acked: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            sending: AtomicU64::new(0),
            idle: names.iter().map(|_| AtomicU64::new(0)).collect(),
            weak: Mutex::new(BTreeMap::new()),
        });
        let mut threads: Vec<_> = (0..shared.spec.producers)
            .map(|number| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || produce(&shared, number))
            })
            .collect();
        for (number, name) in names.iter().enumerate() {
            let (shared, name) = (Arc::clone(&shared), (*name).to_owned());
            threads.push(thread::spawn(move || consume(&shared, number, &name)));
        }
        Traffic { shared, threads }
    }

    /// Acks so far.
    pub fn acked(&self) -> u64 {
        self.shared.acked.load(Ordering::Relaxed)
    }

    /// Deliveries so far.
    pub fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::Relaxed)
    }

    /// How often a send was answered with this code of 10, 11 and 12 so far.
    pub fn weak(&self, code: i32) -> u64 {
        let weak = self.shared.weak.lock().unwrap_or_else(PoisonError::into_inner);
        weak.get(&code).copied().unwrap_or(0)
    }

    /// Nanoseconds of the run's clock.
    pub fn now(&self) -> u64 {
        u64::try_from(self.shared.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// No more sends until told otherwise; what is under way ends by itself.
    pub fn pause(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::SeqCst);
    }

    /// Waits until so many more are acked.
    pub fn wait_acked(&self, more: u64, limit: Duration) -> Result<(), String> {
        let from = self.acked();
        wait::until(limit, || (self.acked() >= from + more).then_some(()))
            .ok_or_else(|| format!("only {} messages acked in {limit:?}, {more} are due", self.acked() - from))
    }

    /// Waits until so many more are delivered.
    pub fn wait_delivered(&self, more: u64, limit: Duration) -> Result<(), String> {
        let from = self.delivered();
        wait::until(limit, || (self.delivered() >= from + more).then_some(()))
            .ok_or_else(|| format!("only {} messages delivered in {limit:?}, {more} are due", self.delivered() - from))
    }

    /// With sends paused: waits until the last of them is answered, and from then on nothing has been delivered for a
    /// while in which every consumer has asked for everything. A consumer whose broker does not answer is not waited
    /// for longer than `QUIET_MAX`.
    pub fn wait_drained(&self, limit: Duration) {
        let rounds = || self.shared.idle.iter().map(|rounds| rounds.load(Ordering::SeqCst)).collect::<Vec<_>>();
        wait::until(limit, || (self.shared.sending.load(Ordering::SeqCst) == 0).then_some(()));
        let mut last = (self.delivered(), Instant::now(), rounds());
        wait::until(limit, || {
            if self.delivered() != last.0 {
                last = (self.delivered(), Instant::now(), rounds());
            }
            // The first of two rounds may have begun before.
            let have_asked = rounds().iter().zip(&last.2).all(|(now, before)| *now >= before + 2);
            let quiet = last.1.elapsed();
            (quiet > QUIET_MAX || quiet > QUIET && have_asked).then_some(())
        });
    }

    /// Ends it.
    pub fn stop(mut self) -> History {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut records = Vec::new();
        for thread in std::mem::take(&mut self.threads) {
            match thread.join() {
                Ok(recorder) => records.extend(recorder.into_records()),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        History { spec: self.shared.spec.clone(), start: self.shared.start, records }
    }
}

impl Drop for Traffic {
    /// A case that failed must not go on loading.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // The case failed already; this thread's panic would say no more.
            let _ = thread.join();
        }
    }
}

/// What was recorded.
pub struct History {
    pub spec: TrafficSpec,
    pub start: Instant,
    pub records: Vec<Record>,
}

impl History {
    /// The longest time without an ack (or a delivery) between two moments of the run's clock.
    pub fn longest_gap(&self, op: Op, from: u64, to: u64) -> Duration {
        let mut times: Vec<u64> = self
            .records
            .iter()
            .filter(|record| record.op == op && record.status == status::OK)
            .map(|record| record.t_ret)
            .filter(|time| (from..=to).contains(time))
            .collect();
        times.extend([from, to]);
        times.sort_unstable();
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        Duration::from_nanos(gap)
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Where the topic lives, by the first nameserver that answers, and the names that take no sends.
    fn places(&self) -> Option<(Places, BTreeSet<String>)> {
        for nameserver in &self.nameservers {
            let route = Nameserver::connect_with(*nameserver, OPTIONS).and_then(|mut ns| ns.route(&self.spec.topic));
            let Ok(Some(route)) = route else { continue };
            let address = |(id, text): (&i64, &String)| Some((*id, text.parse().ok()?));
            let places = route
                .brokers
                .iter()
                .map(|broker| (broker.broker_name.clone(), broker.addresses.iter().filter_map(address).collect()));
            let read_only = route.queues.iter().filter(|queue| queue.perm & PERM_WRITE == 0);
            return Some((places.collect(), read_only.map(|queue| queue.broker_name.clone()).collect()));
        }
        None
    }
}

/// What one thread knows of the route, and its connections.
struct Client<'a> {
    shared: &'a Shared,
    places: Places,
    /// Names whose write permission is taken away.
    read_only: BTreeSet<String>,
    asked: Option<Instant>,
    open: HashMap<SocketAddr, Broker>,
}

impl<'a> Client<'a> {
    fn new(shared: &'a Shared) -> Client<'a> {
        Client { shared, places: Places::new(), read_only: BTreeSet::new(), asked: None, open: HashMap::new() }
    }

    /// The route, asked for again when it is old. A nameserver that does not answer leaves what is known; a broker that
    /// left the route stays known, as in the Java client while it has nothing better.
    fn places(&mut self) -> &Places {
        if self.asked.is_none_or(|at| at.elapsed() > ROUTE_AGE) {
            if let Some((places, read_only)) = self.shared.places() {
                for (name, known) in &self.places {
                    if let Some(now) = places.get(name) {
                        for (id, address) in known {
                            if now.get(id) != Some(address) {
                                self.open.remove(address);
                            }
                        }
                    }
                }
                (self.places, self.read_only) = (places, read_only);
            }
            self.asked = Some(Instant::now());
        }
        &self.places
    }

    /// The masters that take sends.
    fn masters(&mut self) -> Vec<(String, SocketAddr)> {
        self.places();
        let writable = self.places.iter().filter(|(name, _)| !self.read_only.contains(*name));
        writable.filter_map(|(name, known)| Some((name.clone(), *known.get(&0)?))).collect()
    }

    fn connect(&mut self, address: SocketAddr) -> Option<&mut Broker> {
        match self.open.entry(address) {
            Entry::Occupied(open) => Some(open.into_mut()),
            Entry::Vacant(room) => Some(room.insert(Broker::connect_with(address, OPTIONS).ok()?)),
        }
    }
}

fn label(broker_name: &str) -> String {
    format!("@{broker_name}")
}

fn produce(shared: &Shared, number: u32) -> Recorder {
    let mut recorder = Recorder::new(number, shared.start);
    let mut rng = Rng::new(shared.spec.seed ^ u64::from(number) << 32);
    let mut client = Client::new(shared);
    let mut seq = 0;
    while !shared.stopped() {
        // Said before looking: whoever has paused the sends sees this one, or this one sees the pause.
        let sending = Sending::begin(shared);
        if shared.paused.load(Ordering::SeqCst) {
            drop(sending);
            thread::sleep(PACE);
            continue;
        }
        let uid = Uid { producer: number, seq };
        seq += 1;
        let magnitude = rng.below(u64::from(shared.spec.body_max.ilog2()) + 1);
        let bytes = body::make(uid, rng.between(1, (1 << magnitude).min(shared.spec.body_max)) as usize);
        let mut last: Option<String> = None;
        for _ in 0..=RETRIES {
            let masters = client.masters();
            // Another broker than the one that failed, where there is one.
            let others: Vec<_> = masters.iter().filter(|(name, _)| Some(name) != last.as_ref()).cloned().collect();
            let choice = if others.is_empty() { masters } else { others };
            if choice.is_empty() {
                thread::sleep(PACE);
                break;
            }
            let (name, address) = choice[rng.below(choice.len() as u64) as usize].clone();
            let queue = rng.below(shared.spec.queues as u64) as i32;
            if offer(shared, &mut client, &mut recorder, (&name, address, queue), uid, &bytes) {
                break;
            }
            last = Some(name);
        }
        thread::sleep(if last.is_some() { PACE } else { shared.spec.pace });
    }
    recorder
}

/// A producer that is about to send, until this is dropped.
struct Sending<'a>(&'a Shared);

impl<'a> Sending<'a> {
    fn begin(shared: &'a Shared) -> Sending<'a> {
        shared.sending.fetch_add(1, Ordering::SeqCst);
        Sending(shared)
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.sending.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sends once and records; true when it is stored.
fn offer(
    shared: &Shared,
    client: &mut Client<'_>,
    recorder: &mut Recorder,
    (name, address, queue): (&str, SocketAddr, i32),
    uid: Uid,
    bytes: &[u8],
) -> bool {
    let topic = shared.spec.topic.as_str();
    recorder.set_suffix(&label(name));
    let mut message = Send::to(topic, queue, bytes);
    message.properties = body::properties(uid);
    let t_call = recorder.now();
    // Nothing was sent where nobody listens: no record.
    let Some(broker) = client.connect(address) else { return false };
    let result = broker.send(&message);
    let mut record = recorder.record(Op::Send, topic, queue, t_call);
    record.uid = Some(uid);
    record.crc = protocol::message::crc32(bytes);
    let stored = match &result {
        Ok(sent) => {
            record.status = sent.status;
            record.queue_offset = sent.queue_offset;
            record.physical_offset = sent.physical_offsets().first().copied().unwrap_or(-1);
            if sent.status == status::OK {
                shared.acked.fetch_add(1, Ordering::Relaxed);
            } else {
                let mut weak = shared.weak.lock().unwrap_or_else(PoisonError::into_inner);
                *weak.entry(sent.status).or_default() += 1;
            }
            true
        }
        Err(error) => {
            record.status = error.code().unwrap_or(status::UNKNOWN);
            if error.is_disconnect() {
                client.open.remove(&address);
            }
            false
        }
    };
    recorder.push(record);
    stored
}

/// Consumes all queues of one broker name: from its master while that answers, else from a slave.
fn consume(shared: &Shared, number: usize, name: &str) -> Recorder {
    let mut recorder = Recorder::new(100 + number as u32, shared.start);
    recorder.set_suffix(&label(name));
    let mut client = Client::new(shared);
    let mut next: Vec<Option<i64>> = vec![None; shared.spec.queues as usize];
    while !shared.stopped() {
        let known: Vec<SocketAddr> =
            client.places().get(name).map(|known| known.values().copied().collect()).unwrap_or_default();
        // In the order of the ids: the master first, whenever it is there.
        let found = known.into_iter().find_map(|address| {
            let broker = client.connect(address)?;
            let pulled = pull_all(shared, broker, &mut recorder, &mut next);
            if pulled.is_none() {
                client.open.remove(&address);
            }
            pulled
        });
        if found == Some(false) {
            shared.idle[number].fetch_add(1, Ordering::SeqCst);
        }
        if !found.unwrap_or(false) {
            thread::sleep(PACE);
        }
    }
    recorder
}

/// One round over the queues; whether anything came, `None` when this broker cannot be used.
fn pull_all(shared: &Shared, broker: &mut Broker, recorder: &mut Recorder, next: &mut [Option<i64>]) -> Option<bool> {
    let topic = shared.spec.topic.as_str();
    let mut any = false;
    for (queue, next) in (0..).zip(next) {
        let begin = match *next {
            Some(offset) => offset,
            None => broker.min_offset(topic, queue).ok()?.max(0),
        };
        let t_call = recorder.now();
        let pulled = broker.pull(&Pull::from(GROUP, topic, queue, begin)).ok()?;
        for message in &pulled.messages {
            recorder.push_read(Op::Pull, GROUP, message, t_call);
        }
        shared.delivered.fetch_add(pulled.messages.len() as u64, Ordering::Relaxed);
        // A slave that lags knows less than its master has given us: what it says of the end is no reason to go back.
        // "The offset is outside the queue" is said by masters alone, and obeyed as the Java client does.
        let is_told = matches!(pulled.outcome, PullOutcome::Found | PullOutcome::OffsetMoved);
        if is_told || pulled.next_begin_offset > begin {
            *next = Some(pulled.next_begin_offset);
        }
        if pulled.outcome == PullOutcome::Found {
            any = true;
            let t_call = recorder.now();
            let committed = broker.update_offset(GROUP, topic, queue, pulled.next_begin_offset);
            recorder.push_offset(Op::Commit, GROUP, topic, queue, pulled.next_begin_offset, t_call);
            committed.ok()?;
        }
    }
    Some(any)
}
