//! A slave copies its master's tables: topics, progress, delay offsets, groups; and tells its replication link where
//! the master is.
//!
//! Owns one ordinary thread and its connection to the master; must not touch a shard: what it reads becomes letters to
//! the shards that own it, which keep it durable as they do their own. A round begins as soon as the master's place is
//! known and again every `haCopyTablesInterval`, as Java's slaves do, whose requests these are: 21, 43, 45, 201. Every name and
//! number is checked here; what no table of ours could hold is left out. The other way goes only progress that groups
//! committed here while their master was away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::FieldWriter;
use protocol::body::{
    Body, ConsumerOffsetTable, DelayOffsetTable, KvTable, SubscriptionGroupWrapper, TopicConfigSerializeWrapper,
};
use protocol::code::{request, response};
use protocol::header::{GetMaxOffsetHeader, QueryConsumerOffsetHeader, UpdateConsumerOffsetHeader};
use protocol::topic as names;
use remoting::blocking::Answer;

use crate::env::Env;
use crate::groups::GroupSnapshot;
use crate::handler::consumer_offset::QUEUE_ID_MAX;
use crate::home::Progress;
use crate::master::Master;
use crate::master_channel::MasterChannel;
use crate::mesh::{Copied, ToShard};
use crate::offsets::Committed;
use crate::own_commits::Commits;
use crate::topics::{QUEUES_MAX, TopicSnapshot};

/// How soon a round that failed is tried again.
const RETRY: Duration = Duration::from_secs(3);
/// Entries of progress a letter to a shard carries.
const LETTER_MAX: usize = 4096;

type Failure = Box<dyn std::error::Error>;

/// Starts the thread of a slave.
pub fn start(env: &Arc<Env>) -> std::io::Result<JoinHandle<()>> {
    let env = env.clone();
    if let Err(error) = env.own_commits.load(&env.options.config_dir) {
        tracing::warn!("the master is not told what groups committed here before: {error}");
    }
    let copier = Copier {
        channel: MasterChannel::new(env.clone()),
        env,
        master: Master::default(),
        opened: 0,
        progress: Progress::new(),
        state: State::New,
        unresolved: false,
    };
    std::thread::Builder::new().name("copy-tables".into()).spawn(move || copier.run())
}

/// What was said in the log last, so that it is said once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Copying,
    Failing,
}

struct Copier {
    env: Arc<Env>,
    channel: MasterChannel,
    master: Master,
    /// The connection that `progress` is of.
    opened: u64,
    /// The master's progress as it was last given to the shards over this connection.
    progress: Progress,
    state: State,
    /// The replication address led nowhere the last time.
    unresolved: bool,
}

impl Copier {
    fn run(mut self) {
        let interval = Duration::from_millis(self.env.options.replication.copy_tables_interval_ms);
        let mut due = Instant::now() + interval;
        loop {
            let Some(master) = self.env.master.wait(&self.master, due) else { return };
            self.master = master;
            keep_own_commits(&self.env);
            if let Some(ha_address) = &self.master.ha_address {
                let resolved = self.env.replicas.set_master(ha_address);
                let said = std::mem::replace(&mut self.unresolved, resolved.is_err());
                if let (Err(error), false) = (resolved, said) {
                    tracing::warn!("nothing is copied: {error}; trying again with every round");
                }
            }
            let Some(address) = self.master.address.clone() else {
                due = Instant::now() + interval;
                continue;
            };
            let copied = self.round(&address);
            due = Instant::now() + if copied.is_ok() { interval } else { interval.min(RETRY) };
            let state = if copied.is_ok() { State::Copying } else { State::Failing };
            let said = std::mem::replace(&mut self.state, state) == state;
            match copied {
                Ok(()) if !said => tracing::info!(master = address, "tables are copied from the master"),
                Ok(()) => {}
                Err(error) => {
                    self.channel.close();
                    if !said {
                        tracing::warn!(
                            master = address,
                            "tables are not copied: {error}; this slave serves what it has, trying again every {} s",
                            interval.min(RETRY).as_secs_f64()
                        );
                    }
                }
            }
        }
    }

    fn round(&mut self, address: &str) -> Result<(), Failure> {
        if *address == self.env.options.advertised.to_string() {
            return Err(format!(
                "the nameserver names this broker itself as master of {}: its entry is old, or two brokers use {address}",
                self.env.options.name
            )
            .into());
        }
        self.topics(address)?;
        self.progress(address)?;
        self.delay(address)?;
        self.groups(address)?;
        self.log_end(address)
    }

    /// How far the slave lags, for operators: a busy link itself tells only what it brought.
    fn log_end(&mut self, address: &str) -> Result<(), Failure> {
        let answer = self.ask(address, request::GET_BROKER_RUNTIME_INFO)?;
        let table = body(&answer).and_then(|body| Ok(KvTable::from_json(body)?)).unwrap_or_default().table;
        if let Some(end) = table.get("commitLogMaxOffset").and_then(|text| text.parse::<i64>().ok()) {
            self.env.replicas.master_ends_at(end.max(0));
        }
        Ok(())
    }

    fn ask(&mut self, address: &str, code: i32) -> Result<Answer, Failure> {
        self.ask_with(address, code, |_| {})
    }

    fn ask_with(
        &mut self,
        address: &str,
        code: i32,
        fields: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Result<Answer, Failure> {
        let answer = self.channel.ask(address, code, fields)?;
        if self.opened != self.channel.opened() {
            self.opened = self.channel.opened();
            self.progress.clear();
        }
        Ok(answer)
    }

    fn topics(&mut self, address: &str) -> Result<(), Failure> {
        let answer = self.ask(address, request::GET_ALL_TOPIC_CONFIG)?;
        let table = TopicConfigSerializeWrapper::from_json(body(&answer)?)?;
        let mut left_out = LeftOut::new("topics");
        let mut topics = crate::topics::Topics::new();
        for (name, mut topic) in table.topic_config_table {
            let queues = 0..=QUEUES_MAX;
            if let Err(error) = names::check_topic_name(&name) {
                left_out.add(&name, &error.to_string());
            } else if !queues.contains(&topic.read_queue_nums) || !queues.contains(&topic.write_queue_nums) {
                left_out.add(&name, "its number of queues is none a topic can have");
            } else {
                topic.topic_name.clone_from(&name);
                topics.insert(name, Arc::new(topic));
            }
        }
        left_out.say(address);
        if topics.is_empty() {
            return Err("the master's table of topics is empty, which no broker's is".into());
        }
        let snapshot = TopicSnapshot { topics, version: table.data_version };
        self.env.inboxes[0].post(ToShard::Copied(Copied::Topics(snapshot)));
        Ok(())
    }

    fn groups(&mut self, address: &str) -> Result<(), Failure> {
        let answer = self.ask(address, request::GET_ALL_SUBSCRIPTIONGROUP_CONFIG)?;
        let table = SubscriptionGroupWrapper::from_json(body(&answer)?)?;
        let mut left_out = LeftOut::new("groups");
        let mut groups = crate::groups::Groups::new();
        for (name, mut group) in table.subscription_group_table {
            if let Err(error) = names::check_group_name(&name) {
                left_out.add(&name, &error.to_string());
                continue;
            }
            group.group_name.clone_from(&name);
            groups.insert(name, Arc::new(group));
        }
        left_out.say(address);
        let snapshot = GroupSnapshot { groups, version: table.data_version };
        self.env.inboxes[0].post(ToShard::Copied(Copied::Groups(snapshot)));
        Ok(())
    }

    fn progress(&mut self, address: &str) -> Result<(), Failure> {
        let answer = self.ask(address, request::GET_ALL_CONSUMER_OFFSET)?;
        let mut table = ConsumerOffsetTable::from_json(body(&answer)?)?.offset_table;
        let mut untold = self.env.own_commits.take();
        let told = self.tell(address, &mut untold, &mut table);
        self.env.own_commits.put_back(untold);
        told?;
        let mut left_out = LeftOut::new("progress entries");
        let shards = self.env.shards();
        let mut letters: Vec<Vec<Committed>> = vec![Vec::new(); shards];
        for (key, queues) in &table {
            let known = self.progress.get(key);
            let checked = split(key);
            for (queue_id, offset) in queues {
                if known.and_then(|queues| queues.get(queue_id)) == Some(offset) {
                    continue;
                }
                let topic = match &checked {
                    Ok(topic) => topic,
                    Err(problem) => {
                        left_out.add(key, problem);
                        break;
                    }
                };
                if !(0..=QUEUE_ID_MAX).contains(queue_id) || *offset < 0 {
                    left_out.add(key, "its queue or offset is none there can be");
                    continue;
                }
                let owner = engine::owner(topic, *queue_id as u32, shards);
                let Some(letter) = letters.get_mut(owner) else { continue };
                letter.push(Committed { key: key.clone(), queue_id: *queue_id, queue_offset: Some(*offset) });
                if letter.len() >= LETTER_MAX {
                    self.env.inboxes[owner].post(ToShard::ProgressCopied(std::mem::take(letter)));
                }
            }
        }
        for (owner, letter) in letters.into_iter().enumerate().filter(|(_, letter)| !letter.is_empty()) {
            self.env.inboxes[owner].post(ToShard::ProgressCopied(letter));
        }
        left_out.say(address);
        self.progress = table;
        Ok(())
    }

    /// Tells the master what groups committed here while they could not at the master: whoever reads there next must not
    /// read it all again. Only onwards, and never beyond the end of the master's queue. What was told leaves `commits`
    /// and counts in the master's `table`.
    fn tell(&mut self, address: &str, commits: &mut Commits, table: &mut Progress) -> Result<(), Failure> {
        let mut refused = LeftOut::new("commits of this slave");
        while let Some(((key, queue_id), queue_offset)) = commits.first_key_value() {
            if self.env.stopping.load(Ordering::Acquire) {
                break;
            }
            let (key, queue_id, queue_offset) = (key.clone(), *queue_id, *queue_offset);
            let known = table.get(&key).and_then(|queues| queues.get(&queue_id)).copied();
            if known.is_none_or(|known| known < queue_offset)
                && let Some((topic, group)) = ConsumerOffsetTable::split_key(&key)
            {
                let header = GetMaxOffsetHeader { topic: topic.into(), queue_id };
                let answer = self.ask_with(address, request::GET_MAX_OFFSET, |fields| header.encode(fields))?;
                let commit_offset = queue_offset.min(offset_of(&answer).unwrap_or(0));
                // The table may be a second old, and the group may commit at the master again.
                let now = self.committed(address, topic, group, queue_id)?;
                if let Err(error) = body(&answer) {
                    refused.add(&key, &error.to_string());
                } else if let Some(now) = now.filter(|now| *now >= commit_offset.max(1)) {
                    table.entry(key.clone()).or_default().insert(queue_id, now);
                } else if known.unwrap_or(0) < commit_offset {
                    let (topic, consumer_group) = (topic.into(), group.into());
                    let header = UpdateConsumerOffsetHeader { consumer_group, topic, queue_id, commit_offset };
                    let code = request::UPDATE_CONSUMER_OFFSET;
                    let answer = self.ask_with(address, code, |fields| header.encode(fields))?;
                    match body(&answer) {
                        Ok(_) => {
                            tracing::info!(
                                key,
                                queue_id,
                                before = known,
                                now = commit_offset,
                                "the master is told of progress made here"
                            );
                            table.entry(key.clone()).or_default().insert(queue_id, commit_offset);
                        }
                        Err(error) => refused.add(&key, &error.to_string()),
                    }
                }
            }
            commits.remove(&(key, queue_id));
        }
        refused.say(address);
        Ok(())
    }

    /// What a group has committed at the master, at this moment; `None` if nothing is known of it there.
    fn committed(&mut self, address: &str, topic: &str, group: &str, queue_id: i32) -> Result<Option<i64>, Failure> {
        let header = QueryConsumerOffsetHeader { consumer_group: group.into(), topic: topic.into(), queue_id };
        let answer = self.ask_with(address, request::QUERY_CONSUMER_OFFSET, |fields| header.encode(fields))?;
        Ok(offset_of(&answer))
    }

    fn delay(&mut self, address: &str) -> Result<(), Failure> {
        let answer = self.ask(address, request::GET_ALL_DELAY_OFFSET)?;
        // A Java master that has delivered nothing yet says so with an error.
        let command = answer.command();
        if command.code == response::SYSTEM_ERROR && command.body.is_empty() {
            return Ok(());
        }
        let table: BTreeMap<i32, i64> = DelayOffsetTable::from_json(body(&answer)?)?.offset_table;
        for (offset, level) in self.env.delay_offsets.iter().zip(1..) {
            if let Some(copied) = table.get(&level).filter(|copied| **copied >= 0) {
                offset.store(*copied, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// What groups committed here and the master does not know yet outlives a restart.
pub fn keep_own_commits(env: &Env) {
    if let Err(error) = env.own_commits.keep(&env.options.config_dir) {
        tracing::warn!("what groups committed here is told to the master only if this slave runs till then: {error}");
    }
}

/// The body of an answer that is a success.
fn body(answer: &Answer) -> Result<&[u8], Failure> {
    Ok(answer.body("the master")?)
}

/// The offset that an answer names, if it is a success.
fn offset_of(answer: &Answer) -> Option<i64> {
    let command = answer.command();
    let offset = command.fields.get("offset").filter(|_| command.code == response::SUCCESS)?;
    offset.parse().ok()
}

/// The topic of a key of progress whose names are names.
fn split(key: &str) -> Result<&str, String> {
    let (topic, group) = ConsumerOffsetTable::split_key(key).ok_or("the key is not topic@group")?;
    names::check_topic_name(topic).map_err(|error| error.to_string())?;
    names::check_group_name(group).map_err(|error| error.to_string())?;
    Ok(topic)
}

/// Entries that are not taken over; one line says so.
struct LeftOut {
    what: &'static str,
    count: usize,
    first: String,
}

impl LeftOut {
    fn new(what: &'static str) -> Self {
        LeftOut { what, count: 0, first: String::new() }
    }

    fn add(&mut self, name: &str, problem: &str) {
        if self.count == 0 {
            self.first = format!("{:?}: {problem}", name.chars().take(200).collect::<String>());
        }
        self.count += 1;
    }

    fn say(&self, master: &str) {
        if self.count > 0 {
            tracing::warn!(master, "{} {} are left out, the first is {}", self.count, self.what, self.first);
        }
    }
}
