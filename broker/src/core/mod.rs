//! The broker on one shard: its half of the store, its copies of the tables, its held pulls.
//!
//! Owns everything that belongs to this shard and nothing another shard writes. All of it is
//! touched only by synchronous code on the shard's own thread: handlers called by connections, and
//! the committer's turn. Runs on every shard; the home shard carries [`Home`] as well.

mod answer;
mod put;
mod request;
mod tables;
mod turn;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use engine::{LogRange, PutMessage, PutOutcome, ShardStore};
use protocol::body::{SubscriptionGroupConfig, TopicConfig};
use protocol::code::response;
use protocol::{Command, FieldWriter, SendReplies, write_command};
use remoting::net::{self, AcceptedFd, ConnId, FilePart};
use shard::MeshPort;

use crate::call::{Call, Forwarded, Next, Refusal, ReplyTo};
use crate::counters::ShardCounters;
use crate::delay::DelayLevels;
use crate::dispatch;
use crate::env::Env;
use crate::handler::send_message::Room;
use crate::holds::Holds;
use crate::home::Home;
use crate::mesh::{Ack, GroupSubscriptions, OwnedPut, Reply, TableChange, ToShard};
use crate::offsets::OffsetTable;

/// Messages taken from the other shards in one turn.
const DRAIN_MAX: usize = 4096;
/// A request that passed through more shards than this has lost its owner: a mistake of ours.
const HOPS_MAX: u8 = 4;
/// Bound of what waits for room in the ring to one shard; beyond it requests are refused.
const OUT_BYTES_MAX: usize = 64 << 20;

fn overloaded(shard: usize) -> Refusal {
    Refusal::new(
        response::SYSTEM_BUSY,
        format!("[OVERLOAD]system busy: {} MiB wait for shard {shard}", OUT_BYTES_MAX >> 20),
    )
}

/// Region and trace switch, as answers to sends carry them.
pub struct Region {
    /// `regionId`.
    pub name: String,
    /// `traceOn`.
    pub trace_on: bool,
}

impl Region {
    /// Every answer to a send carries them: Java's clients read them unasked.
    pub fn write(&self, fields: &mut FieldWriter<'_>) {
        fields.str("MSG_REGION", &self.name);
        fields.bool("TRACE_ON", self.trace_on);
    }
}

/// The broker on one shard.
pub struct Core {
    /// Number of this shard; 0 is home.
    pub id: usize,
    /// Shared by all shards.
    pub env: Arc<Env>,
    /// This shard's queues and its end of the commitlog.
    pub store: ShardStore<Ack>,
    /// Copy of the topics.
    pub topics: HashMap<String, Arc<TopicConfig>, foldhash::fast::RandomState>,
    /// Copy of the groups.
    pub groups: HashMap<String, Arc<SubscriptionGroupConfig>>,
    /// What online groups subscribe.
    pub subscriptions: HashMap<String, Arc<GroupSubscriptions>>,
    /// Progress on this shard's queues.
    pub progress: OffsetTable,
    /// Pulls held on this shard's queues.
    pub holds: Holds<engine::QueueSlot, Forwarded>,
    /// Delay levels whose queue lies here.
    pub delay: DelayLevels,
    /// Masters of the tables; on shard 0 only.
    pub home: Option<Box<Home>>,
    /// This shard's counters.
    pub counters: Arc<ShardCounters>,
    /// Now, ms; set by the first request of a pass and by every turn.
    pub now_ms: i64,
    /// A commit, which may wait for a disk, or a tick came after `now_ms` was set.
    pub clock_is_old: bool,
    /// What every answer to a send carries.
    pub region: Rc<Region>,
    /// Writes the usual answer to a send.
    pub sent: SendReplies,
    /// Room for the properties of the message being stored.
    pub room: Room,
    /// Scratch for replies.
    pub ranges: Vec<LogRange>,
    /// Questions on their way that began here.
    pub surveys: Arc<AtomicUsize>,
    port: Rc<MeshPort<ToShard>>,
    out: Vec<VecDeque<ToShard>>,
    out_bytes: Vec<usize>,
    acks: Vec<(Ack, PutOutcome)>,
    released: Vec<Forwarded>,
    last_recheck_ms: i64,
    last_export_ms: i64,
    /// Connections given to this shard, for the shard's loop to adopt.
    pub accepted: Vec<AcceptedFd>,
    /// Set by `ToShard::Stop`.
    pub stopping: bool,
    /// Set by `ToShard::Finish`.
    finishing: bool,
    /// The last progress was given to the table writer.
    pub finished: bool,
    /// Round robin for queues the client leaves to us.
    next_queue: u32,
}

impl Core {
    /// The broker's part on shard `id`.
    pub fn new(
        id: usize,
        env: Arc<Env>,
        store: ShardStore<Ack>,
        port: Rc<MeshPort<ToShard>>,
        home: Option<Box<Home>>,
    ) -> Self {
        let shards = env.shards();
        let counters = env.counters[id].clone();
        let holds = Holds::new(env.options.holds_max);
        let delay = DelayLevels::new(id, shards, &env);
        Core {
            id,
            store,
            topics: HashMap::default(),
            groups: HashMap::new(),
            subscriptions: HashMap::new(),
            progress: OffsetTable::default(),
            holds,
            delay,
            home,
            counters,
            now_ms: shard::now_ms(),
            clock_is_old: false,
            region: Rc::new(Region { name: env.options.region.clone(), trace_on: env.options.trace_on }),
            sent: SendReplies::new(env.options.advertised, &env.options.region, env.options.trace_on),
            room: Room::default(),
            ranges: Vec::new(),
            surveys: Arc::default(),
            port,
            out: (0..shards).map(|_| VecDeque::new()).collect(),
            out_bytes: vec![0; shards],
            acks: Vec::new(),
            released: Vec::new(),
            last_recheck_ms: 0,
            last_export_ms: 0,
            accepted: Vec::new(),
            stopping: false,
            finishing: false,
            finished: false,
            next_queue: 0,
            env,
        }
    }
}
