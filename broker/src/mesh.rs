//! Everything that crosses shards, on one page.
//!
//! Owns the closed list of messages. Each is handled on the receiving shard's committer task, in
//! the order in which one sender sent them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use engine::LogRange;
use protocol::body::{SubscriptionData, SubscriptionGroupConfig, TopicConfig};
use remoting::net::{AcceptedFd, ConnId};

use crate::call::{Forwarded, ReplyTo};
use crate::groups::GroupSnapshot;
use crate::offsets::Committed;
use crate::survey::Survey;
use crate::tables::Ticket;
use crate::topics::TopicSnapshot;

/// A message to a shard, from another shard or from one of the broker's ordinary threads.
#[derive(Debug)]
pub enum ToShard {
    /// The acceptor gives this shard a connection.
    Accepted(AcceptedFd),
    /// A request for something this shard owns.
    Request(Forwarded),
    /// An answer for a connection of this shard, from another shard or from a thread that read what a shard must not wait
    /// for.
    Reply(Reply),
    /// A message the broker itself stores in a queue of this shard.
    Put(Box<OwnedPut>),
    /// A delayed message of this shard's level is in its real queue, or could not be put there.
    Delivered { level: usize, queue_offset: i64, stored: bool },
    /// The home shard changed a table; the change is durable.
    Table(TableChange),
    /// A table of the master's, for a slave (home only).
    Copied(Copied),
    /// The master's progress on queues of this shard, for a slave.
    ProgressCopied(Vec<Committed>),
    /// Progress committed on another shard, for consumerOffset.json (home only).
    Progress(Vec<Committed>),
    /// A client's connection is gone (home only).
    ConnectionClosed(ConnId),
    /// Which topics a nameserver knows as ordered (home only).
    OrderedTopics(BTreeSet<String>),
    /// Close this connection: its client is silent.
    Close(ConnId),
    /// The table writer finished (home only).
    TablesWritten { ticket: Ticket, result: Result<(), String> },
    /// A question about queues of several shards.
    Survey(Box<Survey>),
    /// No new work; held pulls are answered, progress is exported.
    Stop,
    /// Every other shard has ended: write the tables and end (home only).
    Finish,
}

impl ToShard {
    /// Bytes it keeps in memory, roughly.
    pub fn weight(&self) -> usize {
        256 + match self {
            ToShard::Request(forwarded) => forwarded.frame.len(),
            ToShard::Reply(reply) => reply.bytes.len(),
            ToShard::Survey(survey) => survey.weight(),
            ToShard::Put(put) => put.body.len() + put.properties.len(),
            _ => 0,
        }
    }
}

/// An answer made on one shard for a connection of another.
#[derive(Debug)]
pub struct Reply {
    /// The connection.
    pub conn: ConnId,
    /// Header, and body unless it lies in ranges.
    pub bytes: Vec<u8>,
    /// Body bytes in segments: payload never crosses cores.
    pub ranges: Vec<LogRange>,
}

/// A table as a slave's master has it.
#[derive(Debug)]
pub enum Copied {
    /// topics.json
    Topics(TopicSnapshot),
    /// subscriptionGroup.json
    Groups(GroupSnapshot),
}

/// A change of a broker-wide table.
#[derive(Clone, Debug)]
pub enum TableChange {
    /// A topic is new or differs.
    Topic(Arc<TopicConfig>),
    /// A topic is gone, its consume queues with it.
    TopicRemoved(String),
    /// A slave's master no longer has this topic. Its consume queues stay: the log, which runs ahead of the tables, may
    /// hold messages of the topic made again.
    TopicForgotten(String),
    /// A group is new or differs.
    Group(Arc<SubscriptionGroupConfig>),
    /// A group is gone; its progress too if asked.
    GroupRemoved { group: String, remove_progress: bool },
    /// What a consumer group subscribes; `None` when its last member left.
    Subscriptions(String, Option<Arc<GroupSubscriptions>>),
}

/// What the members of a consumer group subscribe.
#[derive(Debug)]
pub struct GroupSubscriptions {
    /// `BROADCASTING` or `CLUSTERING`.
    pub broadcasting: bool,
    /// By topic.
    pub topics: std::collections::HashMap<String, Subscription>,
}

/// A subscription made ready for pulls.
#[derive(Debug)]
pub struct Subscription {
    /// As the client sent it.
    pub data: SubscriptionData,
    /// The filter it stands for.
    pub wanted: crate::holds::Wanted,
}

/// A message the broker itself stores: delayed delivery, send back, retry.
#[derive(Debug)]
pub struct OwnedPut {
    pub topic: String,
    pub queue_id: u32,
    pub flag: i32,
    pub sys_flag: i32,
    pub born_timestamp: i64,
    pub born_host: SocketAddr,
    pub store_host: SocketAddr,
    pub reconsume_times: i32,
    pub body: Vec<u8>,
    pub properties: Vec<u8>,
    pub tags_code: i64,
    /// Whom to tell.
    pub ack: Ack,
}

/// Whom a stored message is acknowledged to.
#[derive(Debug)]
pub enum Ack {
    /// A producer. `queue_id` is the queue it asked for, which the answer repeats even where the
    /// message lies in a delay queue (Java 4.9.7).
    Send { to: ReplyTo, queue_id: i32 },
    /// A consumer that sent a message back.
    SendBack { to: ReplyTo },
    /// The delay level (index from 0) that delivers.
    Delayed { shard: usize, level: usize, queue_offset: i64 },
    /// Nobody asked for it.
    Nobody,
}
