//! A push-like consumer for tests and tools: one thread that keeps the heartbeat, pulls its queues in turn, hands over
//! what it gets and commits what was taken.
//!
//! Owns the thread, its connection and its place in each queue. Must not allot queues among members: the caller names
//! them. Stops when told or when the handler says so; a broken connection is opened again and counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::broker::{Broker, Options};
use crate::error::Error;
use crate::group::{GroupMember, Subscription};
use crate::message::Message;
use crate::pull::{Pull, PullOutcome};

/// Who consumes what.
#[derive(Clone, Debug)]
pub struct ConsumerSpec {
    pub broker: SocketAddr,
    pub options: Options,
    pub client_id: String,
    pub group: String,
    /// Topic and queue ids.
    pub queues: Vec<(String, i32)>,
    /// `*`, or tags joined by `||`; for every topic.
    pub expression: String,
    /// Messages a pull.
    pub max_messages: i32,
    /// How long the broker holds a pull when all queues were empty in the last round.
    pub suspend: Duration,
    pub heartbeat: Duration,
}

impl ConsumerSpec {
    /// Everything of these queues, 32 a pull, 1 s holds.
    pub fn new(broker: SocketAddr, group: &str, queues: Vec<(String, i32)>) -> Self {
        ConsumerSpec {
            broker,
            options: Options::default(),
            client_id: format!("127.0.0.1@{}#{group}", std::process::id()),
            group: group.to_owned(),
            queues,
            expression: "*".to_owned(),
            max_messages: 32,
            suspend: Duration::from_secs(1),
            heartbeat: Duration::from_secs(10),
        }
    }
}

/// What the handler answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Taken: commit behind the last of them.
    Consumed,
    /// Taken, but leave the group's offset where it is.
    Uncommitted,
    /// Taken and committed; stop.
    Stop,
}

/// A running consumer; dropping it stops and joins the thread.
pub struct Consumer {
    stop: Arc<AtomicBool>,
    reconnects: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Consumer {
    /// Starts the thread. `handler` gets the messages of one pull of one queue, in order.
    pub fn start(
        spec: ConsumerSpec,
        handler: impl FnMut(&[Message]) -> Delivery + std::marker::Send + 'static,
    ) -> std::io::Result<Consumer> {
        let stop = Arc::new(AtomicBool::new(false));
        let reconnects = Arc::new(AtomicU64::new(0));
        let worker = Worker {
            next: BTreeMap::new(),
            spec,
            handler,
            stop: Arc::clone(&stop),
            reconnects: Arc::clone(&reconnects),
        };
        let thread = thread::Builder::new().name("consumer".into()).spawn(move || worker.run())?;
        Ok(Consumer { stop, reconnects, thread: Some(thread) })
    }

    /// How often the connection had to be opened again.
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) -> Result<(), Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.join()
    }

    /// Waits until the handler stops it.
    pub fn wait(mut self) -> Result<(), Error> {
        self.join()
    }

    fn join(&mut self) -> Result<(), Error> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its outcome was not asked for; a panic there must not become one here.
            let _ = thread.join();
        }
    }
}

struct Worker<H> {
    spec: ConsumerSpec,
    handler: H,
    next: BTreeMap<usize, i64>,
    stop: Arc<AtomicBool>,
    reconnects: Arc<AtomicU64>,
}

impl<H: FnMut(&[Message]) -> Delivery> Worker<H> {
    fn run(mut self) -> Result<(), Error> {
        while !self.stopped() {
            match self.session() {
                Err(error) if error.is_disconnect() => {
                    self.reconnects.fetch_add(1, Ordering::Relaxed);
                    // Not a wait for a state: the pace of trying again.
                    thread::sleep(Duration::from_millis(50));
                }
                other => return other,
            }
        }
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn session(&mut self) -> Result<(), Error> {
        let mut broker = Broker::connect_with(self.spec.broker, self.spec.options)?;
        self.heartbeat(&mut broker)?;
        let mut beaten = Instant::now();
        // Where this group stands is the broker's word at each new connection.
        self.next.clear();
        let mut suspend = None;
        while !self.stopped() {
            if beaten.elapsed() >= self.spec.heartbeat {
                self.heartbeat(&mut broker)?;
                beaten = Instant::now();
            }
            let mut found = false;
            for index in 0..self.spec.queues.len() {
                match self.one_pull(&mut broker, index, suspend)? {
                    Some(Delivery::Stop) => return Ok(()),
                    Some(_) => found = true,
                    None => {}
                }
            }
            suspend = if found { None } else { Some(self.spec.suspend) };
        }
        broker.unregister(&self.spec.client_id, "", &self.spec.group)
    }

    /// `None`: nothing there.
    fn one_pull(
        &mut self,
        broker: &mut Broker,
        index: usize,
        suspend: Option<Duration>,
    ) -> Result<Option<Delivery>, Error> {
        let Some((topic, queue_id)) = self.spec.queues.get(index) else { return Ok(None) };
        let group = &self.spec.group;
        let offset = match self.next.get(&index) {
            Some(offset) => *offset,
            None => match broker.query_offset(group, topic, *queue_id)? {
                Some(offset) => offset,
                None => broker.min_offset(topic, *queue_id)?,
            },
        };
        let pulled = broker.pull(&Pull {
            max_messages: self.spec.max_messages,
            suspend,
            subscription: None,
            ..Pull::from(group, topic, *queue_id, offset)
        })?;
        self.next.insert(index, pulled.next_begin_offset);
        if pulled.outcome != PullOutcome::Found || pulled.messages.is_empty() {
            return Ok(None);
        }
        let delivery = (self.handler)(&pulled.messages);
        if delivery != Delivery::Uncommitted {
            broker.update_offset(group, topic, *queue_id, pulled.next_begin_offset)?;
        }
        Ok(Some(delivery))
    }

    fn heartbeat(&self, broker: &mut Broker) -> Result<(), Error> {
        let mut topics: Vec<&str> = self.spec.queues.iter().map(|(topic, _)| topic.as_str()).collect();
        topics.sort_unstable();
        topics.dedup();
        let subscriptions: Vec<Subscription<'_>> =
            topics.iter().map(|topic| Subscription { topic, expression: &self.spec.expression }).collect();
        broker.heartbeat_consumer(&GroupMember {
            client_id: &self.spec.client_id,
            group: &self.spec.group,
            is_broadcasting: false,
            subscriptions: &subscriptions,
        })
    }
}
