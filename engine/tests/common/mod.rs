//! What the store's tests share: a directory, a small store driven on one thread, and words to put and read.
#![allow(dead_code)]

pub mod slave;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::{
    FlushMode, Get, GetResult, LogRange, Opened, PreparePolicy, PutMessage, PutOutcome, PutRefused, PutStatus,
    RecoveryReport, ShardStore, Shared, StoreOptions, TagFilter, open, owner,
};
use protocol::message::{Record, tags_code};

static SERIAL: AtomicU64 = AtomicU64::new(0);

/// A directory that goes when the value does.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new(name: &str) -> Self {
        // Hundreds of starts with their syncs are about what is written, not about a disk's speed.
        let shm = Path::new("/dev/shm");
        if shm.is_dir() { Self::below(shm, name) } else { Self::on_disk(name) }
    }

    /// One on the file system of the temporary directory, for what depends on it.
    pub fn on_disk(name: &str) -> Self {
        Self::below(&std::env::temp_dir(), name)
    }

    fn below(parent: &Path, name: &str) -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("ringmq-engine-{name}-{}-{serial}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Another directory with the same files. Holes stay holes.
    pub fn copy(&self, name: &str) -> Self {
        let to = Self::new(name);
        let mut copy = std::process::Command::new("cp");
        copy.args(["-a", "--sparse=always"]).arg(self.0.join(".")).arg(to.path());
        assert!(copy.status().expect("cp runs").success());
        to
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub const SEGMENT: u64 = 16 << 10;

/// What a slave's shard looks at in a turn: little, so that steps end inside files.
const FOLLOW_BYTES: usize = 1000;

/// A small store: 16 KiB segments, consume queue files of 50 units, no index.
pub fn options(root: &Path) -> StoreOptions {
    let mut options = StoreOptions::at(root);
    options.segment_size = SEGMENT;
    options.consume_queue_file_size = 1000;
    options.prepare = PreparePolicy::Allocated;
    options.flush_interval = Duration::from_millis(5);
    options.checkpoint_interval = Duration::from_secs(3600);
    options.index.enable = false;
    options.retention.delete_when_hours = Vec::new();
    options.retention.disk_max_used_percent = 95;
    options.retention.clean_forcibly = false;
    options.retention.warning_percent = 100;
    options
}

/// A message as a test thinks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msg {
    pub topic: String,
    pub queue_id: u32,
    pub tag: String,
    pub body: Vec<u8>,
    pub sys_flag: i32,
}

pub fn msg(topic: &str, queue_id: u32, body: impl Into<Vec<u8>>) -> Msg {
    Msg { topic: topic.to_string(), queue_id, tag: String::new(), body: body.into(), sys_flag: 0 }
}

fn host() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10911))
}

/// An open store, all shards on this thread.
pub struct Rig {
    pub shared: Arc<Shared>,
    pub stores: Vec<ShardStore<u64>>,
    pub report: RecoveryReport,
    /// Outcomes by ack.
    pub outcomes: Vec<(u64, PutOutcome)>,
    /// Arrivals: topic, queue id, queue offset, tags code.
    pub arrivals: Vec<(String, u32, i64, i64)>,
    /// What acks take for the time; the real one unless said.
    pub time: Option<Instant>,
    next_ack: u64,
}

impl Rig {
    pub fn open(options: StoreOptions) -> Self {
        Self::try_open(options).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn try_open(options: StoreOptions) -> Result<Self, engine::OpenError> {
        let opened = open(options)?;
        opened.mark_running()?;
        Ok(Self::from_opened(opened))
    }

    /// The shards begin now.
    pub fn from_opened(opened: Opened) -> Self {
        Self {
            shared: opened.shared,
            stores: opened.shards.into_iter().map(|seed| seed.into_store()).collect(),
            report: opened.report,
            outcomes: Vec::new(),
            arrivals: Vec::new(),
            time: None,
            next_ack: 0,
        }
    }

    pub fn store(&mut self, topic: &str, queue_id: u32) -> &mut ShardStore<u64> {
        let shard = owner(topic, queue_id, self.stores.len());
        &mut self.stores[shard]
    }

    /// Puts messages of one queue as one unit; the answer is the ack's number.
    pub fn put(&mut self, messages: &[Msg], wait: bool) -> Result<u64, PutRefused> {
        let ack = self.next_ack;
        self.next_ack += 1;
        let properties: Vec<Vec<u8>> = messages
            .iter()
            .map(|m| if m.tag.is_empty() { Vec::new() } else { format!("TAGS\x01{}", m.tag).into_bytes() })
            .collect();
        let pieces: Vec<[&[u8]; 1]> = properties.iter().map(|piece| [&piece[..]]).collect();
        let puts: Vec<_> = messages
            .iter()
            .zip(&pieces)
            .map(|(m, properties)| PutMessage {
                topic: &m.topic,
                queue_id: m.queue_id,
                flag: 0,
                sys_flag: m.sys_flag,
                born_timestamp: 1,
                born_host: host(),
                store_host: host(),
                reconsume_times: 0,
                prepared_transaction_offset: 0,
                body: &m.body,
                properties,
                tags_code: if m.tag.is_empty() { 0 } else { tags_code(&m.tag) },
            })
            .collect();
        let first = &messages[0];
        self.store(&first.topic, first.queue_id).put(&puts, wait, ack).map_err(|(_, refused)| refused)?;
        Ok(ack)
    }

    /// One turn of every shard.
    pub fn turn(&mut self) {
        for store in &mut self.stores {
            store.follow(FOLLOW_BYTES);
            let _ = store.commit();
        }
        self.collect();
    }

    /// Acks and arrivals that are due.
    pub fn collect(&mut self) {
        let now = self.time.unwrap_or_else(Instant::now);
        for store in &mut self.stores {
            store.take_acks(now, |ack, outcome| self.outcomes.push((ack, outcome)));
            let mut slots = Vec::new();
            store.take_arrivals(|slot, offset, tags| slots.push((slot, offset, tags)));
            for (slot, offset, tags) in slots {
                let (topic, queue_id) = store.queue_name(slot);
                self.arrivals.push((topic.to_string(), queue_id, offset, tags));
            }
        }
    }

    pub fn housekeep(&mut self) {
        for store in &mut self.stores {
            store.housekeep(Instant::now());
        }
    }

    /// Turns until `done`, within a minute.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.turn();
            self.housekeep();
            if done(self) {
                return;
            }
            assert!(Instant::now() < deadline, "{what} did not come about");
            std::thread::yield_now();
        }
    }

    pub fn pending(&self) -> usize {
        self.stores.iter().map(ShardStore::pending_acks).sum()
    }

    /// Puts one message and waits for its ack.
    pub fn send(&mut self, message: &Msg) -> PutOutcome {
        let ack = self.put(std::slice::from_ref(message), true).unwrap_or_else(|refused| panic!("{refused}"));
        self.until("an ack", |rig| rig.outcomes.iter().any(|(number, _)| *number == ack));
        let at = self.outcomes.iter().position(|(number, _)| *number == ack).expect("there");
        self.outcomes.remove(at).1
    }

    pub fn send_ok(&mut self, message: &Msg) -> PutOutcome {
        let outcome = self.send(message);
        assert_eq!(outcome.status, PutStatus::Ok);
        outcome
    }

    pub fn get_with<'a>(
        &mut self,
        topic: &str,
        queue_id: u32,
        get: impl FnOnce(&mut Get<'a>),
    ) -> (GetResult, Vec<LogRange>) {
        let store = self.store(topic, queue_id);
        let slot = store.queue(topic, queue_id);
        let mut wanted = Get { slot, offset: 0, max_messages: 32, max_bytes: usize::MAX, filter: TagFilter::All };
        get(&mut wanted);
        let mut ranges = Vec::new();
        let result = store.get(wanted, &mut ranges);
        assert_eq!(ranges.iter().map(|range| range.len).sum::<usize>(), result.bytes);
        (result, ranges)
    }

    pub fn get(&mut self, topic: &str, queue_id: u32, offset: i64) -> (GetResult, Vec<LogRange>) {
        self.get_with(topic, queue_id, |get| get.offset = offset)
    }

    /// Every message of a queue: queue offset and body.
    pub fn read_all(&mut self, topic: &str, queue_id: u32) -> Vec<(i64, Vec<u8>)> {
        let mut out = Vec::new();
        let mut offset = {
            let store = self.store(topic, queue_id);
            let slot = store.queue(topic, queue_id);
            store.min_offset(slot)
        };
        loop {
            let (result, ranges) = self.get(topic, queue_id, offset);
            for record in records(&ranges) {
                out.push((record.0, record.1));
            }
            if result.next_begin_offset <= offset {
                return out;
            }
            offset = result.next_begin_offset;
        }
    }

    /// Stops cleanly.
    pub fn stop(mut self) -> Vec<(u64, PutOutcome)> {
        for store in &mut self.stores {
            store.shutdown();
        }
        self.shared.stop().unwrap_or_else(|failed| panic!("{failed}"));
        self.collect();
        assert_eq!(self.pending(), 0);
        std::mem::take(&mut self.outcomes)
    }

    /// Ends as a killed process does: what is in the page cache stays, nothing else is written.
    pub fn kill(self) {}
}

/// The records in ranges: queue offset and body.
pub fn records(ranges: &[LogRange]) -> Vec<(i64, Vec<u8>)> {
    let mut out = Vec::new();
    for range in ranges {
        let mut bytes = range.bytes();
        while !bytes.is_empty() {
            let record = Record::decode(bytes).expect("a record");
            assert!(record.body_crc_ok());
            out.push((record.queue_offset, record.body.to_vec()));
            bytes = &bytes[record.total_size as usize..];
        }
    }
    out
}

pub fn sync(mut options: StoreOptions) -> StoreOptions {
    options.flush = FlushMode::Sync;
    options
}

pub fn segment_path(root: &Path, base: u64) -> PathBuf {
    root.join("commitlog").join(format!("{base:020}"))
}
