//! The home shard's part: the masters of the broker-wide tables.
//!
//! Owns topics, groups, connected clients, queue locks and the gathered progress; decides when a
//! table is written, and holds back every change and every request that made it until the write is
//! durable. Must not do I/O: writing is [`crate::tables`]' thread. Runs on shard 0 only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::body::MessageModel;
use protocol::code::response;
use protocol::topic as names;
use remoting::net::ConnId;

use crate::call::{Forwarded, Refusal};
use crate::clients::{ClientRegistry, GroupChange};
use crate::consumption::Consumption;
use crate::core::Core;
use crate::counters::{Samples, Totals};
use crate::env::Env;
use crate::groups::GroupTable;
use crate::locks::LockTable;
use crate::mesh::{Copied, GroupSubscriptions, Subscription, TableChange, ToShard};
use crate::offsets::Committed;
use crate::startup::Tables;
use crate::tables::{Job, Table, TableWriter, Ticket};
use crate::topics::{NoTopic, TopicTable, sys_flag};

/// Requests that may wait for table changes.
const PARKED_MAX: usize = 65_536;
/// Bytes of their frames.
const PARKED_BYTES_MAX: usize = 64 << 20;
/// How long the answer to a new topic waits for nameservers.
const TELL_MAX_MS: i64 = 1_000;
/// Pause before a failed table write is tried again.
const RETRY_MS: i64 = 1_000;
/// Java's scan of silent clients.
const SCAN_MS: i64 = 10_000;
/// Java's sampling of rates.
const SAMPLE_MS: i64 = 10_000;

#[derive(Clone, Copy, Default)]
struct WriteState {
    /// Newest change.
    number: u64,
    /// Newest change given to the writer.
    submitted: u64,
    /// Newest durable change.
    written: u64,
    busy: bool,
    not_before_ms: i64,
    failures: u32,
}

/// consumerOffset.json as a map: `topic@group` to queue id to offset.
pub type Progress = BTreeMap<String, BTreeMap<i32, i64>>;

/// The masters of the tables.
pub struct Home {
    env: Arc<Env>,
    /// Topics.
    pub topics: TopicTable,
    /// Subscription groups.
    pub groups: GroupTable,
    /// Connected clients.
    pub clients: ClientRegistry,
    /// Locks of orderly consumers.
    pub locks: LockTable,
    /// Rates for request 28.
    pub samples: Samples,
    /// How fast groups consume.
    pub consumption: Consumption,
    /// Progress of all groups, as gathered.
    pub progress: Arc<Progress>,
    writer: TableWriter,
    writes: [WriteState; 4],
    pending: VecDeque<(Ticket, TableChange)>,
    parked: Vec<(Ticket, Forwarded)>,
    parked_bytes: usize,
    /// Answers that wait for the nameservers: generation, latest moment, request.
    untold: Vec<(u64, i64, Forwarded)>,
    progress_dirty: bool,
    progress_at_ms: i64,
    delay_at_ms: i64,
    delay_written: Vec<i64>,
    scan_at_ms: i64,
    sample_at_ms: i64,
}

impl Home {
    /// The home shard's state with what was loaded.
    pub(crate) fn new(env: Arc<Env>, tables: Tables, writer: TableWriter) -> Self {
        let locks = LockTable::new(env.options.lock_life_ms);
        Home {
            env,
            topics: tables.topics,
            groups: tables.groups,
            clients: ClientRegistry::default(),
            locks,
            samples: Samples::default(),
            consumption: Consumption::default(),
            progress: Arc::new(tables.progress),
            writer,
            writes: [WriteState::default(); 4],
            pending: VecDeque::new(),
            parked: Vec::new(),
            parked_bytes: 0,
            untold: Vec::new(),
            progress_dirty: false,
            progress_at_ms: 0,
            delay_at_ms: 0,
            delay_written: tables.delay,
            scan_at_ms: 0,
            sample_at_ms: 0,
        }
    }

    // ---- changes -------------------------------------------------------------------------------

    /// Notes a change; it is published, and whoever waits for the ticket answered, once durable.
    pub fn change(&mut self, table: Table, change: TableChange) -> Ticket {
        let ticket = self.touch(table);
        self.pending.push_back((ticket, change));
        ticket
    }

    fn touch(&mut self, table: Table) -> Ticket {
        let state = &mut self.writes[table as usize];
        state.number += 1;
        Ticket { table, number: state.number }
    }

    /// A ticket for whatever was changed so far.
    pub fn newest(&self, table: Table) -> Ticket {
        Ticket { table, number: self.writes[table as usize].number }
    }

    /// Lets a request wait for a change; gives it back when too many wait.
    pub fn park(&mut self, ticket: Ticket, forwarded: Forwarded) -> Result<(), Forwarded> {
        if self.parked.len() >= PARKED_MAX || self.parked_bytes >= PARKED_BYTES_MAX {
            return Err(forwarded);
        }
        self.parked_bytes += forwarded.frame.len();
        self.parked.push((ticket, forwarded));
        Ok(())
    }

    /// Lets a request wait until the nameservers know what was published so far, for a bounded time.
    pub fn await_told(&mut self, now_ms: i64, mut forwarded: Forwarded) {
        forwarded.told = true;
        self.untold.push((self.env.registration.generation(), now_ms + TELL_MAX_MS, forwarded));
    }

    /// Every waiting request, for a broker whose store failed.
    pub fn take_parked(&mut self) -> Vec<Forwarded> {
        self.parked_bytes = 0;
        let untold = self.untold.drain(..).map(|(_, _, forwarded)| forwarded);
        self.parked.drain(..).map(|(_, forwarded)| forwarded).chain(untold).collect()
    }

    /// The ticket to wait for until a topic that a send names exists.
    pub fn topic_for_send(
        &mut self,
        now_ms: i64,
        name: &str,
        default_topic: &str,
        queues: i32,
        sys_flag: i32,
    ) -> Result<Ticket, NoTopic> {
        let before = self.topics.version().counter;
        let topic = self.topics.create_on_send(now_ms, name, default_topic, queues, sys_flag)?;
        if self.topics.version().counter == before {
            return Ok(self.newest(Table::Topics));
        }
        tracing::info!(topic = name, queues = topic.write_queue_nums, "topic created on first send");
        Ok(self.change(Table::Topics, TableChange::Topic(topic)))
    }

    /// The ticket to wait for until a topic of the broker's own exists.
    pub fn own_topic(&mut self, now_ms: i64, name: &str, queues: i32, perm: i32, sys_flag: i32) -> Ticket {
        if self.topics.get(name).is_some() {
            return self.newest(Table::Topics);
        }
        let topic = self.topics.create_own(now_ms, name, queues, perm, sys_flag);
        self.change(Table::Topics, TableChange::Topic(topic))
    }

    /// Sets the order flag of exactly these topics, as the nameservers have it configured.
    pub fn set_ordered(&mut self, now_ms: i64, ordered: &BTreeSet<String>) {
        // A slave's come with its master's table, whose version it keeps.
        if self.env.options.is_slave() {
            return;
        }
        let changed: Vec<_> =
            self.topics.iter().filter(|topic| topic.order != ordered.contains(&topic.topic_name)).cloned().collect();
        for topic in changed {
            let mut topic = (*topic).clone();
            topic.order = !topic.order;
            let topic = self.topics.put(now_ms, topic);
            self.change(Table::Topics, TableChange::Topic(topic));
        }
    }

    /// Takes the master's tables over (slaves only): what the other shards see of them once they are durable.
    pub fn copied(&mut self, copied: Copied) {
        let (table, changes) = match copied {
            Copied::Topics(topics) => (Table::Topics, self.topics.replace(topics)),
            Copied::Groups(groups) => (Table::Groups, self.groups.replace(groups)),
        };
        let Some(changes) = changes else { return };
        tracing::info!(file = table.file_name(), changes = changes.len(), "table copied from the master");
        let ticket = self.touch(table);
        self.pending.extend(changes.into_iter().map(|change| (ticket, change)));
    }

    /// The ticket to wait for until a group exists; `None` when it may not be made.
    pub fn group(&mut self, now_ms: i64, name: &str) -> Option<Ticket> {
        let (group, created) = self.groups.get_or_create(now_ms, name)?;
        Some(if created {
            tracing::info!(group = name, "subscription group created on first use");
            self.change(Table::Groups, TableChange::Group(group))
        } else {
            self.newest(Table::Groups)
        })
    }

    // ---- writing -------------------------------------------------------------------------------

    /// Gives the writer what changed and is not under way.
    pub fn write_tables(&mut self, now_ms: i64) {
        for table in Table::ALL {
            let state = self.writes[table as usize];
            if state.busy || state.submitted == state.number || now_ms < state.not_before_ms {
                continue;
            }
            let render: crate::tables::Render = match table {
                Table::Topics => {
                    let snapshot = self.topics.snapshot();
                    Box::new(move || pretty(&snapshot.wrapper()))
                }
                Table::Groups => {
                    let wrapper = self.groups.wrapper();
                    Box::new(move || pretty(&wrapper))
                }
                Table::Progress => {
                    let progress = self.progress.clone();
                    Box::new(move || pretty(&serde_json::json!({ "offsetTable": *progress })))
                }
                Table::Delay => {
                    let offsets: BTreeMap<usize, i64> =
                        self.delay_written.iter().enumerate().map(|(level, offset)| (level + 1, *offset)).collect();
                    Box::new(move || pretty(&serde_json::json!({ "offsetTable": offsets })))
                }
            };
            let ticket = Ticket { table, number: state.number };
            if self.writer.submit(Job { ticket, render }).is_ok() {
                let state = &mut self.writes[table as usize];
                state.busy = true;
                state.submitted = ticket.number;
            }
        }
    }

    /// The writer is done with a ticket. Publishes what became durable and returns the requests
    /// that waited for it, with a refusal where the write failed.
    pub fn written(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        result: Result<(), String>,
    ) -> Vec<(Forwarded, Option<Refusal>)> {
        let state = &mut self.writes[ticket.table as usize];
        state.busy = false;
        let refusal = match result {
            Ok(()) => {
                if state.failures > 0 {
                    tracing::info!(file = ticket.table.file_name(), "table is written again");
                }
                state.failures = 0;
                state.written = state.written.max(ticket.number);
                None
            }
            Err(error) => {
                if state.failures == 0 {
                    tracing::error!(%error, "table not written; trying again every second, changes wait");
                }
                state.failures += 1;
                state.submitted = state.written;
                state.not_before_ms = core.now_ms + RETRY_MS;
                Some(Refusal::new(
                    response::SYSTEM_ERROR,
                    format!(
                        "the change is not durable yet: {error}; it is tried again every second and may still take effect"
                    ),
                ))
            }
        };
        let concerned = |other: &Ticket| other.table == ticket.table && other.number <= ticket.number;
        if refusal.is_none() {
            let mut topics_changed = false;
            let mut index = 0;
            while index < self.pending.len() {
                if concerned(&self.pending[index].0) {
                    if let Some((_, change)) = self.pending.remove(index) {
                        topics_changed |= matches!(
                            change,
                            TableChange::Topic(_) | TableChange::TopicRemoved(_) | TableChange::TopicForgotten(_)
                        );
                        core.publish(change);
                    }
                } else {
                    index += 1;
                }
            }
            if topics_changed {
                self.env.registration.update(self.topics.snapshot());
            }
        }
        let (done, waiting): (Vec<_>, Vec<_>) = self.parked.drain(..).partition(|(ticket, _)| concerned(ticket));
        self.parked = waiting;
        self.parked_bytes = self.parked.iter().map(|(_, forwarded)| forwarded.frame.len()).sum();
        done.into_iter()
            .map(|(_, forwarded)| (forwarded, refusal.as_ref().map(|r| Refusal::new(r.code, r.remark.clone()))))
            .collect()
    }

    /// Whether all that was changed is durable; asked while the broker stops.
    pub fn all_written(&self) -> bool {
        self.writes.iter().all(|state| state.written == state.number)
    }

    /// Ends the writer's thread.
    pub fn stop(&mut self) {
        self.writer.stop();
    }

    // ---- progress ------------------------------------------------------------------------------

    /// Takes progress in that shards export.
    pub fn progress_changed(&mut self, changes: Vec<Committed>) {
        if changes.is_empty() {
            return;
        }
        let now_ms = shard::now_ms();
        let progress = Arc::make_mut(&mut self.progress);
        for change in changes {
            match change.queue_offset {
                Some(queue_offset) => {
                    if let Some(before) = progress.get(&change.key).and_then(|queues| queues.get(&change.queue_id)) {
                        self.consumption.moved(&change.key, *before, queue_offset, now_ms);
                    }
                    progress.entry(change.key).or_default().insert(change.queue_id, queue_offset);
                }
                None => {
                    if let Some(queues) = progress.get_mut(&change.key) {
                        queues.remove(&change.queue_id);
                        if queues.is_empty() {
                            progress.remove(&change.key);
                        }
                    }
                }
            }
        }
        self.progress_dirty = true;
    }

    /// Has progress and delay offsets written now, whatever their interval.
    pub fn write_progress_now(&mut self) {
        self.progress_at_ms = 0;
        self.delay_at_ms = 0;
        self.write_progress(i64::MAX);
    }

    fn write_progress(&mut self, now_ms: i64) {
        if self.progress_dirty && now_ms.saturating_sub(self.progress_at_ms) >= self.env.options.progress_interval_ms {
            self.progress_dirty = false;
            self.progress_at_ms = now_ms;
            self.touch(Table::Progress);
        }
        if now_ms.saturating_sub(self.delay_at_ms) >= self.env.options.delay_interval_ms {
            self.delay_at_ms = now_ms;
            let offsets: Vec<i64> = self.env.delay_offsets.iter().map(|o| o.load(Ordering::Relaxed)).collect();
            if offsets != self.delay_written {
                self.delay_written = offsets;
                self.touch(Table::Delay);
            }
        }
    }

    // ---- clients -------------------------------------------------------------------------------

    /// Publishes what changed in consumer groups and tells their members.
    pub fn groups_changed(&mut self, core: &mut Core, changes: Vec<GroupChange>) {
        for change in changes {
            if let Some(conflict) = &change.conflict {
                tracing::warn!(
                    group = change.group,
                    "members of one group subscribe differently, messages may be skipped: {conflict}"
                );
            }
            if change.publish {
                let subscriptions = self.clients.consumer_group(&change.group).map(|group| {
                    let topics = group.subscriptions.iter().map(|(topic, data)| {
                        let wanted = crate::handler::pull_message::wanted(data);
                        (topic.clone(), Subscription { data: data.clone(), wanted })
                    });
                    Arc::new(GroupSubscriptions {
                        broadcasting: group.message_model == MessageModel::Broadcasting,
                        topics: topics.collect(),
                    })
                });
                core.publish(TableChange::Subscriptions(change.group.clone(), subscriptions));
            }
            let wanted = self.groups.get(&change.group).is_none_or(|group| group.notify_consumer_ids_changed_enable);
            if change.notify && wanted && self.env.options.notify_consumers {
                for conn in self.clients.connections_of(&change.group) {
                    let bytes = crate::handler::client_manage::consumer_ids_changed(&change.group);
                    core.push(conn, bytes);
                }
            }
        }
    }

    /// A client's connection is gone.
    pub fn connection_closed(&mut self, core: &mut Core, conn: ConnId) {
        // A heartbeat that still waits would register a dead connection.
        let heart_beat = protocol::code::request::HEART_BEAT;
        self.parked.retain(|(_, forwarded)| forwarded.to.conn != conn || forwarded.code != heart_beat);
        let changes = self.clients.connection_closed(conn);
        self.groups_changed(core, changes);
    }

    /// Housekeeping every ten milliseconds; most of it does nothing most of the time.
    pub fn tick(&mut self, core: &mut Core) {
        let now_ms = core.now_ms;
        self.write_progress(now_ms);
        self.write_tables(now_ms);
        if !self.untold.is_empty() {
            let told = self.env.registration.told();
            let (done, waiting): (Vec<_>, Vec<_>) = self
                .untold
                .drain(..)
                .partition(|(generation, latest_ms, _)| told >= *generation || now_ms >= *latest_ms);
            self.untold = waiting;
            for (_, _, forwarded) in done {
                core.send(0, ToShard::Request(forwarded));
            }
        }
        if now_ms - self.scan_at_ms >= SCAN_MS {
            self.scan_at_ms = now_ms;
            let (expired, changes) = self.clients.scan(now_ms);
            for conn in &expired {
                tracing::info!(conn = conn.0, "client sent no heartbeat for 120 s: removed");
                core.send(conn.shard(), ToShard::Close(*conn));
            }
            self.groups_changed(core, changes);
            self.locks.sweep(now_ms);
        }
        if now_ms - self.sample_at_ms >= SAMPLE_MS {
            self.sample_at_ms = now_ms;
            self.consumption.sweep(now_ms);
            self.samples.take(Totals::sum(now_ms, &self.env.counters), local_day(now_ms));
        }
    }

    /// The retry topic of a group, made with the queues its config asks for.
    pub fn retry_topic(&mut self, now_ms: i64, group: &str, unit_mode: bool) -> Option<Ticket> {
        let queues = self.groups.get(group).map_or(1, |group| group.retry_queue_nums);
        if queues <= 0 {
            return None;
        }
        let sys_flag = if unit_mode { sys_flag::UNIT_SUB } else { 0 };
        Some(self.own_topic(now_ms, &names::retry_topic(group), queues, 6, sys_flag))
    }
}

fn pretty(value: &impl serde::Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec_pretty(value).map_err(|error| error.to_string())
}

/// Number of the local calendar day that `now_ms` falls on, counted from 1970.
fn local_day(now_ms: i64) -> i64 {
    let seconds = now_ms.div_euclid(1000);
    (seconds + i64::from(engine::io::utc_offset_minutes(seconds)) * 60).div_euclid(86_400)
}
