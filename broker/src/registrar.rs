//! Tells the nameservers that this broker is here, and which topics it has.
//!
//! Owns one ordinary thread and one connection a nameserver; must not touch a shard. Each registers
//! at start, every `registerNameServerPeriod`, at once on change, and again as soon as a lost
//! nameserver is back: nameservers forget a broker whose connection closes. A change sends only the
//! changed topics; a slave sends none, for no nameserver takes a slave's, and learns from the answer where its master
//! is; where there are many topics, the periodic registration first asks whether the
//! nameserver's version is still ours (request 322, which also refreshes it), so that tens of
//! thousands of topics do not travel every thirty seconds.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use imbl::ordmap::DiffItem;
use protocol::FieldWriter;
use protocol::body::{Body, DataVersion, KvTable, RegisterBrokerBody, TopicConfigSerializeWrapper};
use protocol::code::{request, response};
use protocol::command::HeaderForm;
use protocol::header::{QueryDataVersionHeader, RegisterBrokerHeader, UnregisterBrokerHeader};
use remoting::blocking::{Answer, Channel};

use crate::env::Env;
use crate::mesh::ToShard;
use crate::options::BrokerOptions;
use crate::topics::{TopicSnapshot, perm};

/// From this many topics on, the periodic registration asks for the version first.
const MANY_TOPICS: usize = 2_000;
/// From this body size on, the compressed form is used whatever `compressedRegister` says: the Java
/// nameserver closes connections that send frames over 16 MiB.
const COMPRESS_BYTES: usize = 8 << 20;
/// How often a lost nameserver is looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often a slave asks a nameserver that has not named its master yet.
const ASK_FOR_MASTER: Duration = Duration::from_secs(3);

struct State {
    snapshot: Option<TopicSnapshot>,
    generation: u64,
    stopping: bool,
}

/// What the nameservers are to know, and who waits for news of it.
pub struct Registration {
    state: Mutex<State>,
    changed: Condvar,
    registered: AtomicUsize,
    /// What each nameserver was told last, by registrar.
    told: Mutex<Vec<u64>>,
}

impl Default for Registration {
    fn default() -> Self {
        Registration {
            state: Mutex::new(State { snapshot: None, generation: 0, stopping: false }),
            changed: Condvar::new(),
            registered: AtomicUsize::new(0),
            told: Mutex::new(Vec::new()),
        }
    }
}

impl Registration {
    /// New topics to tell.
    pub fn update(&self, snapshot: TopicSnapshot) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.snapshot = Some(snapshot);
        state.generation += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Number of the newest topics to tell.
    pub fn generation(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Up to which generation every nameserver was told; without nameservers there is nobody to tell.
    pub fn told(&self) -> u64 {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().min().unwrap_or(u64::MAX)
    }

    /// Withdraw from every nameserver and end.
    pub fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
        self.changed.notify_all();
    }

    /// Waits until `wanted` nameservers know this broker, or the time is over; how many do.
    pub fn wait_registered(&self, wanted: usize, timeout: Duration) -> usize {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let registered = self.registered.load(Ordering::Acquire);
            let left = deadline.saturating_duration_since(Instant::now());
            if registered >= wanted || left.is_zero() {
                return registered;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Starts a thread for each nameserver.
pub fn start(env: &Arc<Env>) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
    let nameservers = &env.options.nameservers;
    *env.registration.told.lock().unwrap_or_else(PoisonError::into_inner) = vec![0; nameservers.len()];
    let threads = nameservers.iter().enumerate().map(|(number, address)| {
        let (env, address) = (env.clone(), address.clone());
        std::thread::Builder::new().name("registrar".into()).spawn(move || Registrar::new(env, number, address).run())
    });
    threads.collect()
}

struct Registrar {
    env: Arc<Env>,
    number: usize,
    address: String,
    channel: Option<Channel>,
    /// What this nameserver was told last.
    told: Option<TopicSnapshot>,
    counted: bool,
    complained: bool,
    /// A slave's: this nameserver's last answer named the master.
    names_master: bool,
    /// It was said that it names none.
    missed_master: bool,
}

type Failure = Box<dyn std::error::Error>;

impl Registrar {
    fn new(env: Arc<Env>, number: usize, address: String) -> Self {
        Registrar {
            env,
            number,
            address,
            channel: None,
            told: None,
            counted: false,
            complained: false,
            names_master: false,
            missed_master: false,
        }
    }

    fn run(mut self) {
        let full_period = Duration::from_millis(self.env.options.register_period_ms);
        let mut seen = 0;
        let mut last = None;
        loop {
            let searching = self.env.options.is_slave() && !self.names_master;
            let period = if searching { full_period.min(ASK_FOR_MASTER) } else { full_period };
            let (snapshot, generation, stopping) = {
                let mut state = self.env.registration.state.lock().unwrap_or_else(PoisonError::into_inner);
                let due = |last: Option<Instant>| last.is_none_or(|at| at.elapsed() >= period);
                if !state.stopping && state.generation == seen && !due(last) {
                    state = self
                        .env
                        .registration
                        .changed
                        .wait_timeout(state, LOOK_AGAIN)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
                (state.snapshot.clone(), state.generation, state.stopping)
            };
            if stopping {
                self.withdraw();
                return;
            }
            let lost = self.channel.as_mut().is_some_and(|channel| !channel.is_alive());
            if lost {
                self.channel = None;
                self.told = None;
            }
            let due = last.is_none_or(|at: Instant| at.elapsed() >= period);
            let Some(snapshot) = snapshot else { continue };
            if generation == seen && !due && self.channel.is_some() {
                continue;
            }
            match self.register(&snapshot, generation != seen) {
                Ok(()) => {
                    if !self.counted || self.complained {
                        tracing::info!(
                            nameserver = self.address,
                            topics = snapshot.topics.len(),
                            "registered with nameserver"
                        );
                    }
                    self.complained = false;
                    seen = generation;
                    self.env.registration.told.lock().unwrap_or_else(PoisonError::into_inner)[self.number] = generation;
                    last = Some(Instant::now());
                    self.told = Some(snapshot);
                    if !std::mem::replace(&mut self.counted, true) {
                        self.env.registration.registered.fetch_add(1, Ordering::AcqRel);
                        self.env.registration.changed.notify_all();
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.complained, true) {
                        tracing::warn!(
                            nameserver = self.address,
                            "not registered: {error}; clients that ask this nameserver do not find the broker; trying again every second"
                        );
                    }
                    self.channel = None;
                    self.told = None;
                    std::thread::sleep(LOOK_AGAIN);
                }
            }
        }
    }

    fn channel(&mut self) -> Result<&mut Channel, Failure> {
        if self.channel.is_none() {
            let timeout = Duration::from_millis(self.env.options.connect_timeout_ms);
            self.channel = Some(Channel::connect(&self.address, timeout)?);
        }
        self.channel.as_mut().ok_or_else(|| "no connection".into())
    }

    /// A request on this nameserver's connection, which is opened when there is none.
    fn ask(&mut self, code: i32, fields: impl FnOnce(&mut FieldWriter<'_>), body: &[u8]) -> Result<Answer, Failure> {
        let timeout = Duration::from_millis(self.env.options.register_timeout_ms);
        Ok(self.channel()?.call(code, HeaderForm::Json, fields, body, timeout)?)
    }

    fn register(&mut self, snapshot: &TopicSnapshot, changed: bool) -> Result<(), Failure> {
        let is_slave = self.env.options.is_slave();
        // Only a registration's answer names the master.
        let ask_first = !is_slave && (snapshot.topics.len() >= MANY_TOPICS || !self.env.options.force_register);
        if !changed && ask_first && !self.version_changed(&snapshot.version)? {
            return Ok(());
        }
        let wrapper = match &self.told {
            _ if is_slave => {
                TopicConfigSerializeWrapper { data_version: snapshot.version, ..TopicConfigSerializeWrapper::default() }
            }
            Some(told) if changed => {
                // Nodes that both maps share are passed over.
                let fresh = told.topics.diff(&snapshot.topics).filter_map(|item| match item {
                    DiffItem::Add(name, topic) => Some((name, topic)),
                    DiffItem::Update { new, .. } => Some(new),
                    DiffItem::Remove(..) => None,
                });
                TopicConfigSerializeWrapper {
                    topic_config_table: fresh.map(|(name, topic)| (name.clone(), (**topic).clone())).collect(),
                    data_version: snapshot.version,
                }
            }
            _ => snapshot.wrapper(),
        };
        let env = self.env.clone();
        let options = &env.options;
        let (body, compressed) = body(options, wrapper)?;
        let header = RegisterBrokerHeader {
            broker_name: options.name.as_str().into(),
            broker_addr: options.advertised.to_string().into(),
            cluster_name: options.cluster.as_str().into(),
            ha_server_addr: options.ha_advertised.as_str().into(),
            broker_id: options.id,
            compressed,
            body_crc32: protocol::message::crc32(&body) as i32,
        };
        let answer = self.ask(request::REGISTER_BROKER, |fields| header.encode(fields), &body)?;
        let command = answer.command();
        answer.body("the nameserver")?;
        if is_slave {
            let address = command.fields.get("masterAddr").filter(|text| !text.is_empty());
            let ha_address = command.fields.get("haServerAddr").filter(|text| !text.is_empty());
            self.names_master = address.is_some() && ha_address.is_some();
            if self.env.master.said(self.number, address.as_deref(), ha_address.as_deref()) {
                let now = self.env.master.now();
                tracing::info!(
                    nameserver = self.address,
                    master = now.address,
                    replication = now.ha_address,
                    "the master's place is known"
                );
            }
            let misses = !self.names_master;
            if misses && !self.missed_master {
                tracing::warn!(
                    nameserver = self.address,
                    "no master of {} is registered there: start it, or see that brokerName is the same; asked again every {} s",
                    self.env.options.name,
                    ASK_FOR_MASTER.as_secs()
                );
            }
            self.missed_master = misses;
        }
        // Which topics are ordered is the first nameserver's to say (Java 4.9.7: updateOrderTopicConfig); without a body it
        // has no such configuration.
        if self.number == 0
            && !command.body.is_empty()
            && let Ok(ordered) = KvTable::from_json(command.body)
        {
            self.env.inboxes[0].post(ToShard::OrderedTopics(ordered.table.into_keys().collect()));
        }
        Ok(())
    }

    fn version_changed(&mut self, version: &DataVersion) -> Result<bool, Failure> {
        let env = self.env.clone();
        let options = &env.options;
        let header = QueryDataVersionHeader {
            broker_name: options.name.as_str().into(),
            broker_addr: options.advertised.to_string().into(),
            cluster_name: options.cluster.as_str().into(),
            broker_id: options.id,
        };
        let body = version.to_json();
        let answer = self.ask(request::QUERY_DATA_VERSION, |fields| header.encode(fields), &body)?;
        let command = answer.command();
        let unchanged = command.fields.get("changed").is_some_and(|value| value.eq_ignore_ascii_case("false"));
        Ok(command.code != response::SUCCESS || !unchanged)
    }

    fn withdraw(&mut self) {
        let env = self.env.clone();
        let options = &env.options;
        let header = UnregisterBrokerHeader {
            broker_name: options.name.as_str().into(),
            broker_addr: options.advertised.to_string().into(),
            cluster_name: options.cluster.as_str().into(),
            broker_id: options.id,
        };
        let Some(channel) = self.channel.as_mut() else { return };
        let result = channel.call(
            request::UNREGISTER_BROKER,
            HeaderForm::Json,
            |fields| header.encode(fields),
            &[],
            Duration::from_secs(1),
        );
        match result {
            Ok(_) => tracing::info!(nameserver = self.address, "withdrawn from nameserver"),
            Err(error) => {
                tracing::warn!(nameserver = self.address, %error, "not withdrawn; the nameserver sees the connection close")
            }
        }
    }
}

/// The registration's body and whether it is compressed.
fn body(options: &BrokerOptions, mut wrapper: TopicConfigSerializeWrapper) -> Result<(Vec<u8>, bool), Failure> {
    if options.permission & (perm::READ | perm::WRITE) != perm::READ | perm::WRITE {
        for topic in wrapper.topic_config_table.values_mut() {
            topic.perm = options.permission;
        }
    }
    let body = RegisterBrokerBody { topic_config_serialize_wrapper: wrapper, filter_server_list: Vec::new() };
    if !options.compressed_register {
        let json = body.to_json();
        if json.len() < COMPRESS_BYTES {
            return Ok((json, false));
        }
    }
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&body.to_stream())?;
    Ok((encoder.finish()?, true))
}
