//! The broker on one shard: its half of the store, its copies of the tables, its held pulls.
//!
//! Owns everything that belongs to this shard and nothing another shard writes. All of it is
//! touched only by synchronous code on the shard's own thread: handlers called by connections, and
//! the committer's turn. Runs on every shard; the home shard carries [`Home`] as well.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use engine::{LogRange, PutMessage, PutOutcome, ShardStore};
use protocol::body::{SubscriptionGroupConfig, TopicConfig};
use protocol::code::response;
use protocol::{Command, FieldWriter, write_command};
use remoting::net::{self, AcceptedFd, ConnId, FilePart};
use shard::MeshPort;

use crate::call::{Call, Forwarded, Next, Refusal, ReplyTo};
use crate::counters::ShardCounters;
use crate::delay::DelayLevels;
use crate::dispatch;
use crate::env::Env;
use crate::holds::Holds;
use crate::home::Home;
use crate::mesh::{Ack, GroupSubscriptions, OwnedPut, ReadDone, Reply, TableChange, ToShard};
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

/// The broker on one shard.
pub struct Core {
    /// Number of this shard; 0 is home.
    pub id: usize,
    /// Shared by all shards.
    pub env: Arc<Env>,
    /// This shard's queues and its end of the commitlog.
    pub store: ShardStore<Ack>,
    /// Copy of the topics.
    pub topics: HashMap<String, Arc<TopicConfig>>,
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
    /// Now, ms; set at the start of every request and turn.
    pub now_ms: i64,
    /// Scratch for replies.
    pub ranges: Vec<LogRange>,
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
            topics: HashMap::new(),
            groups: HashMap::new(),
            subscriptions: HashMap::new(),
            progress: OffsetTable::default(),
            holds,
            delay,
            home,
            counters,
            now_ms: shard::now_ms(),
            ranges: Vec::new(),
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

    // ---- requests ------------------------------------------------------------------------------

    /// Runs a request here and sees it to its next station.
    pub fn run(&mut self, call: &Call<'_>) {
        let handled = dispatch::handle(self, call);
        match handled {
            Ok(Next::Done) => {}
            Ok(Next::Forward(to)) => self.forward(to, Forwarded::of(call)),
            Ok(Next::ForwardTo(to, queue_id)) => {
                let mut forwarded = Forwarded::of(call);
                forwarded.chosen_queue = Some(queue_id);
                self.forward(to, forwarded);
            }
            Ok(Next::Park(ticket)) => {
                let mut forwarded = Forwarded::of(call);
                forwarded.durable = true;
                let parked = self.home.as_mut().is_some_and(|home| home.park(ticket, forwarded).is_ok());
                if !parked {
                    let why = "[OVERLOAD]system busy: too many requests wait for table changes";
                    self.refuse(&call.to, call.command.code, &Refusal::new(response::SYSTEM_BUSY, why));
                }
            }
            Ok(Next::Tell) => match &mut self.home {
                Some(home) => home.await_told(self.now_ms, Forwarded::of(call)),
                None => self.forward(0, Forwarded::of(call)),
            },
            Err(refusal) => self.refuse(&call.to, call.command.code, &refusal),
        }
    }

    /// Runs a request that came from another shard or waited here. A panic in it ends the request, not the shard.
    pub fn run_forwarded(&mut self, forwarded: Forwarded) {
        let (to, code) = (forwarded.to, forwarded.code);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run_unguarded(forwarded)));
        if ran.is_err() {
            tracing::error!(code, "a request ended in a panic, a mistake of ours");
            self.refuse(
                &to,
                code,
                &Refusal::new(response::SYSTEM_ERROR, "internal error: the request ended in a panic"),
            );
        }
    }

    fn run_unguarded(&mut self, forwarded: Forwarded) {
        let command = match Command::decode_with(&forwarded.frame, net::HEADER_MAX) {
            Ok(command) => command,
            Err(error) => {
                tracing::error!(%error, "a frame that was decoded before does not decode again");
                return;
            }
        };
        let call = Call {
            to: forwarded.to,
            peer: forwarded.peer,
            command: &command,
            frame: &forwarded.frame,
            chosen_queue: forwarded.chosen_queue,
            first: forwarded.first,
            durable: forwarded.durable,
            hops: forwarded.hops,
            told: forwarded.told,
        };
        self.run(&call);
    }

    fn forward(&mut self, to: usize, mut forwarded: Forwarded) {
        forwarded.hops += 1;
        if forwarded.hops > HOPS_MAX || to == self.id {
            tracing::error!(to, hops = forwarded.hops, "a request finds no owner");
            let refusal = Refusal::new(response::SYSTEM_ERROR, "internal error: the request finds no owner shard");
            self.refuse(&forwarded.to, forwarded.code, &refusal);
            return;
        }
        ShardCounters::add(&self.counters.hops, 1);
        if self.out_bytes[to] >= OUT_BYTES_MAX {
            self.refuse(&forwarded.to, forwarded.code, &overloaded(to));
            return;
        }
        self.send(to, ToShard::Request(forwarded));
    }

    /// Leaves a message for a shard; it goes out at the end of this turn at the latest.
    pub fn send(&mut self, to: usize, message: ToShard) {
        if to == self.id {
            self.env.inboxes[to].post(message);
            return;
        }
        let waits = if self.out[to].is_empty() { self.port.send(to, message).err() } else { Some(message) };
        if let Some(message) = waits {
            self.out_bytes[to] += message.weight();
            self.out[to].push_back(message);
        }
    }

    // ---- answers -------------------------------------------------------------------------------

    /// Answers without body.
    pub fn reply(&mut self, to: &ReplyTo, code: i32, remark: Option<&str>, fields: impl FnOnce(&mut FieldWriter<'_>)) {
        self.reply_body(to, code, remark, fields, &[]);
    }

    /// Answers with a body of bytes.
    pub fn reply_body(
        &mut self,
        to: &ReplyTo,
        code: i32,
        remark: Option<&str>,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
    ) {
        if to.oneway {
            return;
        }
        let head = to.head(code, remark);
        if to.conn.shard() == self.id {
            if let Some(conn) = net::find(to.conn) {
                let mut out = conn.out();
                write_command(&mut out, &head, fields, body.len());
                out.extend_from_slice(body);
            }
            return;
        }
        let mut bytes = Vec::with_capacity(256 + body.len());
        write_command(&mut bytes, &head, fields, body.len());
        bytes.extend_from_slice(body);
        self.send(to.conn.shard(), ToShard::Reply(Reply { conn: to.conn, bytes, ranges: Vec::new() }));
    }

    /// Answers with a body that lies in segments: `self.ranges`, which is left empty.
    pub fn reply_ranges(
        &mut self,
        to: &ReplyTo,
        code: i32,
        remark: Option<&str>,
        cold: bool,
        fields: impl FnOnce(&mut FieldWriter<'_>),
    ) {
        if to.oneway {
            self.ranges.clear();
            return;
        }
        let len = self.ranges.iter().map(|range| range.len).sum();
        let head = to.head(code, remark);
        if !cold && to.conn.shard() == self.id {
            match net::find(to.conn) {
                Some(conn) => {
                    write_command(&mut conn.out(), &head, fields, len);
                    for range in self.ranges.drain(..) {
                        conn.push_file(file_part(range));
                    }
                }
                None => self.ranges.clear(),
            }
            return;
        }
        let mut bytes = Vec::with_capacity(256);
        write_command(&mut bytes, &head, fields, len);
        let reply = Reply { conn: to.conn, bytes, ranges: std::mem::take(&mut self.ranges) };
        if !cold {
            self.send(to.conn.shard(), ToShard::Reply(reply));
            return;
        }
        // Pages that are not in memory are read by a thread: the shard never waits for the disk.
        let inbox = self.env.inboxes[to.conn.shard()].clone();
        let accepted = self.env.offload.run(move || {
            for range in &reply.ranges {
                range.warm();
            }
            inbox.post(ToShard::Read(Box::new(ReadDone::Warm { reply })));
        });
        if !accepted {
            let refusal =
                Refusal::new(response::SYSTEM_BUSY, "[OVERLOAD]system busy: too many reads wait for the disk");
            self.refuse(to, 0, &refusal);
        }
    }

    /// Answers with a refusal. `code` is the request's, since some answers carry fields even then.
    pub fn refuse(&mut self, to: &ReplyTo, request_code: i32, refusal: &Refusal) {
        let env = self.env.clone();
        if dispatch::is_send(request_code) {
            ShardCounters::add(&self.counters.put_failed, 1);
            self.reply(to, refusal.code, Some(&refusal.remark), |fields| {
                crate::handler::send_message::region(&env, fields)
            });
        } else {
            self.reply(to, refusal.code, Some(&refusal.remark), |_| {});
        }
    }

    fn write_reply(&mut self, reply: Reply) {
        if let Some(conn) = net::find(reply.conn) {
            conn.out().extend_from_slice(&reply.bytes);
            for range in reply.ranges {
                conn.push_file(file_part(range));
            }
        }
    }

    /// Sends a frame of the broker's own to a client, wherever its connection lives.
    pub fn push(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let reply = Reply { conn, bytes, ranges: Vec::new() };
        if conn.shard() == self.id { self.write_reply(reply) } else { self.send(conn.shard(), ToShard::Reply(reply)) }
    }

    // ---- the committer's turn ------------------------------------------------------------------

    /// One turn: what came from elsewhere, one commit, the acks and arrivals it allows. Returns
    /// whether more is waiting already. `Err` means the store failed for good.
    pub fn turn(&mut self) -> Result<bool, engine::StoreFailed> {
        self.now_ms = shard::now_ms();
        let port = self.port.clone();
        for letter in self.env.inboxes[self.id].take() {
            self.letter(letter);
        }
        let mut letters = Vec::new();
        let drained = port.drain(DRAIN_MAX, |_, letter| letters.push(letter));
        for letter in letters {
            self.letter(letter);
        }
        let failure = self.commit().err();
        if let Some(mut home) = self.home.take() {
            // Only once the rings of the shards that ended are empty is all progress gathered.
            if self.finishing && !self.finished && drained == 0 {
                self.finished = true;
                home.progress_changed(self.progress.export());
                home.write_progress_now();
            }
            home.write_tables(self.now_ms);
            self.home = Some(home);
        }
        for to in 0..self.out.len() {
            while let Some(message) = self.out[to].pop_front() {
                let weight = message.weight();
                if let Err(message) = port.send(to, message) {
                    self.out[to].push_front(message);
                    break;
                }
                self.out_bytes[to] = self.out_bytes[to].saturating_sub(weight);
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        Ok(drained == DRAIN_MAX || self.out.iter().any(|out| !out.is_empty()))
    }

    fn commit(&mut self) -> Result<(), engine::StoreFailed> {
        // Even when the log failed: whoever waits is told so.
        let failure = self.store.commit().err();
        let mut acks = std::mem::take(&mut self.acks);
        self.store.take_acks(Instant::now(), |ack, outcome| acks.push((ack, outcome)));
        for (ack, outcome) in acks.drain(..) {
            self.acknowledge(ack, outcome);
        }
        self.acks = acks;
        let mut released = std::mem::take(&mut self.released);
        let holds = &mut self.holds;
        let delay = &mut self.delay;
        self.store.take_arrivals(|slot, queue_offset, tags_code| {
            holds.arrived(slot, queue_offset, tags_code, &mut released);
            delay.arrived(slot);
        });
        self.run_released(&mut released);
        self.released = released;
        failure.map_or(Ok(()), Err)
    }

    fn run_released(&mut self, released: &mut Vec<Forwarded>) {
        for mut forwarded in released.drain(..) {
            forwarded.first = false;
            forwarded.hops = 0;
            self.env.holds.fetch_sub(1, Ordering::Relaxed);
            self.run_forwarded(forwarded);
        }
    }

    fn letter(&mut self, letter: ToShard) {
        match letter {
            ToShard::Accepted(accepted) => self.accepted.push(accepted),
            ToShard::Request(forwarded) => self.run_forwarded(forwarded),
            ToShard::Reply(reply) => self.write_reply(reply),
            ToShard::Put(put) => self.put_here(*put),
            ToShard::Delivered { level, queue_offset, stored } => {
                let env = self.env.clone();
                self.delay.delivered(&env, level, queue_offset, stored);
            }
            ToShard::Close(conn) => {
                if let Some(conn) = net::find(conn) {
                    conn.close();
                }
            }
            ToShard::Table(change) => self.apply(change),
            ToShard::Progress(changes) => {
                if let Some(home) = &mut self.home {
                    home.progress_changed(changes);
                }
            }
            ToShard::ConnectionClosed(conn) => {
                if let Some(mut home) = self.home.take() {
                    home.connection_closed(self, conn);
                    self.home = Some(home);
                }
            }
            ToShard::TablesWritten { ticket, result } => {
                if let Some(mut home) = self.home.take() {
                    let parked = home.written(self, ticket, result);
                    self.home = Some(home);
                    for (forwarded, refusal) in parked {
                        match refusal {
                            None => self.run_forwarded(forwarded),
                            Some(refusal) => self.refuse(&forwarded.to, forwarded.code, &refusal),
                        }
                    }
                }
            }
            ToShard::Read(done) => match *done {
                ReadDone::Warm { reply } | ReadDone::Reply(reply) => self.write_reply(reply),
            },
            ToShard::Stop => self.stop(),
            ToShard::Finish => self.finishing = true,
        }
    }

    // ---- storing -------------------------------------------------------------------------------

    /// Stores a message of the broker's own in its queue, wherever that lies.
    pub fn put(&mut self, put: OwnedPut) {
        let owner = engine::owner(&put.topic, put.queue_id, self.env.shards());
        if owner == self.id {
            self.put_here(put);
        } else if self.out_bytes[owner] >= OUT_BYTES_MAX {
            self.not_stored(put.ack, &overloaded(owner));
        } else {
            self.send(owner, ToShard::Put(Box::new(put)));
        }
    }

    fn put_here(&mut self, put: OwnedPut) {
        let message = PutMessage {
            topic: &put.topic,
            queue_id: put.queue_id,
            flag: put.flag,
            sys_flag: put.sys_flag,
            born_timestamp: put.born_timestamp,
            born_host: put.born_host,
            store_host: put.store_host,
            reconsume_times: put.reconsume_times,
            prepared_transaction_offset: 0,
            body: &put.body,
            properties: &[&put.properties],
            tags_code: put.tags_code,
        };
        // Not waiting for the flush, as Java's WAIT=false on messages the broker makes.
        if let Err((ack, refused)) = self.store.put(&[message], false, put.ack) {
            self.not_stored(ack, &crate::response_code::refused(&refused));
        }
        self.port.poke();
    }

    fn not_stored(&mut self, ack: Ack, refusal: &Refusal) {
        match ack {
            Ack::Send { to, .. } => self.refuse(&to, protocol::code::request::SEND_MESSAGE, refusal),
            Ack::SendBack { to } => self.refuse(&to, 0, refusal),
            Ack::Delayed { shard, level, queue_offset } => {
                self.send(shard, ToShard::Delivered { level, queue_offset, stored: false });
            }
            Ack::Nobody => tracing::warn!(reason = refusal.remark, "a message of the broker's own was not stored"),
        }
    }

    fn acknowledge(&mut self, ack: Ack, outcome: PutOutcome) {
        match ack {
            Ack::Send { to, queue_id } => crate::handler::send_message::acknowledge(self, &to, queue_id, &outcome),
            Ack::SendBack { to } if outcome.status == engine::PutStatus::NoRoom => {
                let refusal = self.no_room();
                self.refuse(&to, 0, &refusal);
            }
            Ack::SendBack { to } => match crate::response_code::status(outcome.status) {
                (response::SUCCESS, _) => self.reply(&to, response::SUCCESS, None, |_| {}),
                (_, name) => self.refuse(&to, 0, &Refusal::new(response::SYSTEM_ERROR, name)),
            },
            Ack::Delayed { shard, level, queue_offset } => {
                let stored = outcome.status == engine::PutStatus::Ok;
                self.send(shard, ToShard::Delivered { level, queue_offset, stored });
            }
            Ack::Nobody => {}
        }
    }

    /// Why the store has no room, as it says now.
    pub fn no_room(&self) -> Refusal {
        match self.store.is_writable() {
            Err(refused) => crate::response_code::refused(&refused),
            Ok(()) => Refusal::new(
                response::SERVICE_NOT_AVAILABLE,
                "the disk had no room for this message; nothing was stored, send again",
            ),
        }
    }

    /// A queue for a message whose sender leaves the choice to the broker.
    pub fn choose_queue(&mut self, queues: i32) -> i32 {
        self.next_queue = self.next_queue.wrapping_add(1);
        (self.next_queue % queues.max(1) as u32) as i32
    }

    // ---- tables --------------------------------------------------------------------------------

    /// Takes a durable change of a table into this shard's copies.
    pub fn apply(&mut self, change: TableChange) {
        match change {
            TableChange::Topic(topic) => {
                self.topics.insert(topic.topic_name.clone(), topic);
            }
            TableChange::TopicRemoved(name) => {
                self.topics.remove(&name);
                let slots: Vec<_> = self.store.queues().filter(|slot| self.store.queue_name(*slot).0 == name).collect();
                let mut released = std::mem::take(&mut self.released);
                for slot in slots {
                    self.holds.release_slot(slot, &mut released);
                }
                self.store.delete_topic(&name);
                self.run_released(&mut released);
                self.released = released;
            }
            TableChange::Group(group) => {
                self.groups.insert(group.group_name.clone(), group);
            }
            TableChange::GroupRemoved { group, remove_progress } => {
                self.groups.remove(&group);
                if remove_progress {
                    self.progress.remove_group(&group);
                }
            }
            TableChange::Subscriptions(group, Some(subscriptions)) => {
                self.subscriptions.insert(group, subscriptions);
            }
            TableChange::Subscriptions(group, None) => {
                self.subscriptions.remove(&group);
            }
        }
    }

    /// Gives every shard a change, this one first.
    pub fn publish(&mut self, change: TableChange) {
        for shard in 0..self.env.shards() {
            if shard != self.id {
                self.send(shard, ToShard::Table(change.clone()));
            }
        }
        self.apply(change);
    }

    // ---- time ----------------------------------------------------------------------------------

    /// The housekeeping of every ten milliseconds.
    pub fn tick(&mut self) {
        self.now_ms = shard::now_ms();
        let mut released = std::mem::take(&mut self.released);
        self.holds.expire(self.now_ms, &mut released);
        if self.now_ms - self.last_recheck_ms >= 5_000 {
            self.last_recheck_ms = self.now_ms;
            let store = &mut self.store;
            self.holds.recheck(|slot| store.max_offset(slot), &mut released);
        }
        self.run_released(&mut released);
        self.released = released;
        crate::delay::deliver(self);
        self.store.housekeep(Instant::now());
        if self.now_ms - self.last_export_ms >= self.env.options.progress_interval_ms.min(1_000) {
            self.last_export_ms = self.now_ms;
            self.export_progress();
        }
        if let Some(mut home) = self.home.take() {
            home.tick(self);
            self.home = Some(home);
        }
        self.port.poke();
    }

    /// Gives what was committed since the last export to the home shard.
    pub fn export_progress(&mut self) {
        let changes = self.progress.export();
        if changes.is_empty() {
            return;
        }
        match &mut self.home {
            Some(home) => home.progress_changed(changes),
            None => self.send(0, ToShard::Progress(changes)),
        }
    }

    /// Whether all that was begun here is finished; asked while the broker stops.
    pub fn is_idle(&self) -> bool {
        self.store.pending_acks() == 0 && self.out.iter().all(VecDeque::is_empty) && self.delay.is_idle()
    }

    /// The store failed: nobody is left waiting.
    pub fn fail(&mut self) {
        if let Some(mut home) = self.home.take() {
            for forwarded in home.take_parked() {
                let refusal =
                    Refusal::new(response::SERVICE_NOT_AVAILABLE, "service not available now: the store failed");
                self.refuse(&forwarded.to, forwarded.code, &refusal);
            }
            self.home = Some(home);
        }
        self.stop();
    }

    fn stop(&mut self) {
        self.stopping = true;
        let mut released = std::mem::take(&mut self.released);
        self.holds.release_all(&mut released);
        self.run_released(&mut released);
        self.released = released;
        self.export_progress();
    }
}

/// A range of a segment as the connection sends it; the segment stays alive until it is sent.
fn file_part(range: LogRange) -> FilePart {
    let (fd, position, len) = (range.segment.raw_fd(), range.position, range.len);
    FilePart::new(range.segment, fd, position, |segment| segment.bytes(position, len))
}
