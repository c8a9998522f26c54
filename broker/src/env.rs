//! What all shards and threads of one broker share.
//!
//! Owns the settings, the shared half of the store, the inboxes by which ordinary threads reach a
//! shard, and the counters. Everything here is `Sync`; nothing here blocks a shard for longer than
//! a short, bounded lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use shard::RemoteWaker;

use crate::counters::ShardCounters;
use crate::mesh::ToShard;
use crate::offload::Offload;
use crate::options::BrokerOptions;

/// Letters from ordinary threads to a shard.
pub struct Inbox {
    letters: Mutex<VecDeque<ToShard>>,
    filled: AtomicBool,
    waker: RemoteWaker,
}

impl Inbox {
    /// An inbox whose letters wake `waker`'s shard.
    pub fn new(waker: RemoteWaker) -> Self {
        Inbox { letters: Mutex::new(VecDeque::new()), filled: AtomicBool::new(false), waker }
    }

    /// Leaves a letter. Each answers a job that a bounded queue admitted, which bounds the inbox.
    pub fn post(&self, letter: ToShard) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).push_back(letter);
        self.filled.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Takes what is there.
    pub fn take(&self) -> VecDeque<ToShard> {
        if !self.filled.swap(false, Ordering::Acquire) {
            return VecDeque::new();
        }
        std::mem::take(&mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes the shard's committer.
    pub fn wake(&self) {
        self.waker.wake();
    }
}

/// Shared by every shard and thread of one broker.
pub struct Env {
    /// Settings, fixed at start.
    pub options: BrokerOptions,
    /// The store's shared half.
    pub store: Arc<engine::Shared>,
    /// One inbox a shard.
    pub inboxes: Vec<Arc<Inbox>>,
    /// One set of counters a shard.
    pub counters: Vec<Arc<ShardCounters>>,
    /// Next queue offset each delay level delivers (index = level − 1).
    pub delay_offsets: Vec<AtomicI64>,
    /// One past the last queue offset of each delay level (index = level − 1).
    pub delay_ends: Vec<AtomicI64>,
    /// Pulls held now, over all shards.
    pub holds: AtomicU64,
    /// Threads that read what a shard must not wait for.
    pub offload: Offload,
    /// The broker stops: no new work.
    pub stopping: AtomicBool,
    /// What nameservers are told.
    pub registration: crate::registrar::Registration,
    /// Where a slave's master is.
    pub master: crate::master::MasterPlace,
    /// Progress committed on a slave, for its master.
    pub own_commits: crate::own_commits::OwnCommits,
    /// This broker's ends of replication.
    pub replicas: crate::replicas::Replicas,
    /// When this process began, ms.
    pub boot_ms: i64,
}

impl Env {
    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.inboxes.len()
    }
}
