//! One recorded run over one broker: load, whatever the case does to the broker meanwhile, drain, verdict.
//!
//! Owns the threads of the load and their records. Must not decide when the broker dies: the case does.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use checker::{Record, Report, check, write_jsonl};
use client::{Broker, TopicSpec};

use crate::load::{LoadTopic, Shared, consumer, producer};
use crate::recorder::Recorder;
use crate::rng::Rng;
use crate::server::Server;
use crate::{drain, wait};

/// The group of the consumers.
pub const GROUP: &str = "CID_run";
/// Client numbers of the drain and of the lookups.
const DRAIN_CLIENT: u32 = 900;
const LOOKUP_CLIENT: u32 = 901;
/// The index may lag behind the log by so long after a restart.
const INDEX_PATIENCE: Duration = Duration::from_secs(20);

/// How much load.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    pub topics: Vec<LoadTopic>,
    pub producers: u32,
    pub consumers: u32,
    /// Largest body, bytes.
    pub body_max: usize,
    pub seed: u64,
}

impl LoadSpec {
    /// Eight producers and two consumers over three topics of four queues, 1 byte to 64 KiB.
    pub fn mixed(seed: u64) -> Self {
        let topics = ["Orders", "Payments", "Audit"].map(|name| LoadTopic { name: name.to_owned(), queues: 4 });
        LoadSpec { topics: topics.into(), producers: 8, consumers: 2, body_max: 64 << 10, seed }
    }
}

/// A run under way.
pub struct Run {
    spec: LoadSpec,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Recorder>>,
}

impl Run {
    /// Creates the topics and starts the load.
    pub fn start(server: &Server, spec: LoadSpec) -> Run {
        create_topics(&mut server.connect(), &spec.topics);
        let shared = Shared::new(server.address(), spec.topics.clone(), spec.body_max);
        let mut threads: Vec<_> =
            (0..spec.producers).map(|number| producer(Arc::clone(&shared), number, spec.seed)).collect();
        let all: Vec<(String, i32)> =
            spec.topics.iter().flat_map(|topic| (0..topic.queues).map(|queue| (topic.name.clone(), queue))).collect();
        for number in 0..spec.consumers {
            let queues = all.iter().skip(number as usize).step_by(spec.consumers as usize).cloned().collect();
            threads.push(consumer(Arc::clone(&shared), 100 + number, GROUP, queues));
        }
        Run { spec, shared, threads }
    }

    /// Nanoseconds of the run's clock.
    pub fn now(&self) -> u64 {
        u64::try_from(self.shared.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Acks so far.
    pub fn acked(&self) -> u64 {
        self.shared.acked.load(Ordering::Relaxed)
    }

    /// Deliveries so far.
    pub fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::Relaxed)
    }

    /// Waits until this many more messages are acked; answers the acks then.
    pub fn wait_acked(&self, more: u64, limit: Duration) -> Result<u64, String> {
        let from = self.acked();
        wait::until(limit, || (self.acked() >= from + more).then(|| self.acked()))
            .ok_or_else(|| format!("only {} messages acked in {limit:?}, {more} are due", self.acked() - from))
    }

    /// Ends the load; its records so far.
    pub fn stop(mut self) -> Stopped {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut records = Vec::new();
        for thread in std::mem::take(&mut self.threads) {
            match thread.join() {
                Ok(recorder) => records.extend(recorder.into_records()),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Stopped { spec: self.spec.clone(), shared: Arc::clone(&self.shared), records }
    }
}

impl Drop for Run {
    /// A case that failed must not go on loading the broker of the next one.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // The case failed already; this thread's panic would say no more.
            let _ = thread.join();
        }
    }
}

/// A run whose load has ended.
pub struct Stopped {
    spec: LoadSpec,
    shared: Arc<Shared>,
    records: Vec<Record>,
}

impl Stopped {
    /// What was recorded so far.
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }

    /// What the threads shared: the broker's address, the topics, the clock.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Drains every queue, looks `lookups` messages up by key and by id, and judges the whole. A broken promise fails
    /// the case; its history is kept beside the broker's log.
    pub fn judge(mut self, server: &Server, lookups: usize) -> Report {
        let report = self.verdict(server, lookups);
        if !report.is_clean() {
            let path = server.folder().join("history.jsonl");
            let kept = File::create(&path).and_then(|file| write_jsonl(std::io::BufWriter::new(file), &self.records));
            panic!("seed {}, history {} ({kept:?}):\n{report}", self.spec.seed, path.display());
        }
        report
    }

    /// Like [`Stopped::judge`], whatever the verdict is.
    pub fn verdict(&mut self, server: &Server, lookups: usize) -> Report {
        let mut broker = server.connect();
        let mut recorder = Recorder::new(DRAIN_CLIENT, self.shared.start);
        let messages = drain::topics(&mut broker, &mut recorder, &self.spec.topics);
        self.records.extend(recorder.into_records());
        let mut recorder = Recorder::new(LOOKUP_CLIENT, self.shared.start);
        let mut rng = Rng::new(self.spec.seed);
        drain::lookups(&mut broker, &mut recorder, &messages, lookups, &mut rng, INDEX_PATIENCE);
        self.records.extend(recorder.into_records());
        check(&self.records)
    }
}

/// Creates topics.
pub fn create_topics(broker: &mut Broker, topics: &[LoadTopic]) {
    for topic in topics {
        broker
            .create_topic(&TopicSpec::new(&topic.name, topic.queues))
            .unwrap_or_else(|error| panic!("topic {}: {error}", topic.name));
    }
}
