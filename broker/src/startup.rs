//! Puts a broker together and takes it apart again.
//!
//! Owns the order of things: check the machine, listen, open the store, load the tables, start the
//! shards, register; and backwards: no new connections, withdraw, answer what is in flight, flush,
//! remove the abort file. Runs on the process's main thread; the shards and helpers are threads.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use config::BrokerRole;
use engine::{RecoveryReport, ShardSeed};
use protocol::body::{
    Body, ConsumerOffsetTable, DelayOffsetTable, SubscriptionGroupWrapper, TopicConfigSerializeWrapper,
};
use remoting::net::{self, Acceptor, BindError, ServerOptions, Service};
use shard::{MeshPort, ShardSpec, ShardThread};

use crate::core::Core;
use crate::counters::ShardCounters;
use crate::env::{Env, Inbox};
use crate::groups::GroupTable;
use crate::home::{Home, Progress};
use crate::master::MasterPlace;
use crate::mesh::{TableChange, ToShard};
use crate::metadata;
use crate::offload::Offload;
use crate::options::BrokerOptions;
use crate::own_commits::OwnCommits;
use crate::registrar::{self, Registration};
use crate::replicas::Replicas;
use crate::service::BrokerService;
use crate::tables::{Table, TableWriter};
use crate::topics::TopicTable;

/// Messages on the way between two shards.
const MESH_CAPACITY: usize = 1024;
/// How long answers in flight are waited for when the broker stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a start waits for the nameservers before it says that it is up.
const REGISTER_WAIT: Duration = Duration::from_secs(3);
/// How long a slave waits for its shards before it copies.
const SHARD_START_MAX: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(10);

/// Why a broker does not start. The text says what was found and what to do.
#[derive(Debug)]
pub enum StartError {
    /// io_uring or locked memory is missing.
    Machine(shard::Unavailable),
    /// An address cannot be listened on: why, and the ports this broker takes.
    Bind(BindError, String),
    /// The store cannot be opened.
    Store(engine::OpenError),
    /// A table of `config/` and its backup are both unusable.
    Table(String),
    /// Anything else of the operating system.
    Io(String, std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Machine(error) => error.fmt(f),
            StartError::Bind(error, ports) => write!(
                f,
                "{error}; this broker takes {ports}: where another broker runs on this host, give one of them a listenPort at least 4 away"
            ),
            StartError::Store(error) => error.fmt(f),
            StartError::Table(text) => f.write_str(text),
            StartError::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A broker that runs.
pub struct Running {
    env: Arc<Env>,
    shards: Vec<ShardThread<bool>>,
    registrars: Vec<std::thread::JoinHandle<()>>,
    /// A slave's thread that copies tables.
    copier: Option<std::thread::JoinHandle<()>>,
    /// What recovery found at start.
    pub report: RecoveryReport,
    /// Addresses listened on: listenPort first, VIP second.
    pub listening: Vec<SocketAddr>,
    failed: Arc<AtomicBool>,
}

/// The tables of `config/` as they were loaded.
pub(crate) struct Tables {
    pub(crate) topics: TopicTable,
    pub(crate) groups: GroupTable,
    pub(crate) progress: Progress,
    /// Next offset of each delay level.
    pub(crate) delay: Vec<i64>,
}

/// Starts a broker.
pub fn start(mut options: BrokerOptions) -> Result<Running, StartError> {
    shard::probe().map_err(StartError::Machine)?;
    let failed = Arc::new(AtomicBool::new(false));
    let failed_by_store = failed.clone();
    options.store.on_failure = Some(Arc::new(move |failure| {
        tracing::error!("{failure}");
        failed_by_store.store(true, Ordering::Release);
    }));

    let opened = engine::open(options.store.clone()).map_err(StartError::Store)?;
    let tables = load_tables(&options)?;
    // Listening begins when requests can be served: a client must not wait in the backlog for a recovery.
    let mut acceptors = Vec::new();
    for address in &options.listen {
        let acceptor = Acceptor::bind(*address).map_err(|error| StartError::Bind(error, ports_taken(&options)))?;
        acceptors.push(acceptor.with_connections_max(options.server.connections_max));
    }
    let listening: Vec<SocketAddr> = acceptors.iter().map(Acceptor::local_addr).collect();
    let shards = opened.shards.len();
    let ports = shard::mesh::<ToShard>(shards, MESH_CAPACITY);
    let inboxes: Vec<_> = ports.iter().map(|port| Arc::new(Inbox::new(port.waker()))).collect();
    let io = |what: &'static str| move |error| StartError::Io(what.to_owned(), error);
    let writer = TableWriter::start(options.config_dir.clone(), inboxes[0].clone())
        .map_err(|error| StartError::Io(format!("cannot prepare {}", options.config_dir.display()), error))?;
    let env = Arc::new(Env {
        store: opened.shared.clone(),
        counters: (0..shards).map(|_| Arc::new(ShardCounters::default())).collect(),
        delay_offsets: tables.delay.iter().map(|offset| AtomicI64::new(*offset)).collect(),
        delay_ends: tables.delay.iter().map(|offset| AtomicI64::new(*offset)).collect(),
        holds: AtomicU64::new(0),
        offload: Offload::start().map_err(io("cannot start threads"))?,
        stopping: AtomicBool::new(false),
        own_commits: OwnCommits::default(),
        replicas: Replicas::default(),
        registration: Registration::default(),
        master: MasterPlace::new(options.replication.master_address.clone().filter(|_| options.is_slave())),
        boot_ms: shard::now_ms(),
        inboxes,
        options,
    });
    env.registration.update(tables.topics.snapshot());
    if !env.options.is_slave() {
        OwnCommits::forget(&env.options.config_dir).map_err(io("cannot forget what this broker kept as a slave"))?;
        env.replicas.start_master(&env.options, &env.store).map_err(|error| not_served(&env.options, error))?;
    }
    opened.mark_running().map_err(StartError::Store)?;

    let shared = SharedTables::of(&tables);
    let mut home = Some((tables, writer, acceptors));
    let mut threads = Vec::new();
    let (up, ups) = std::sync::mpsc::channel();
    for (seed, port) in opened.shards.into_iter().zip(ports) {
        let id = port.id();
        let (env, shared) = (env.clone(), shared.clone());
        let own = if id == 0 { home.take() } else { None };
        let spec = ShardSpec { name: format!("shard-{id}"), cpu: env.options.cpus.get(id).copied().flatten() };
        let up = up.clone();
        let thread = shard::start(spec, move || run_shard(env, seed, port, shared, own, up));
        threads.push(thread.map_err(io("cannot start a shard"))?);
    }
    let registrars = registrar::start(&env).map_err(io("cannot start a registrar"))?;
    drop(up);
    if env.options.is_slave() {
        // A shard follows the log from where it ends when the shard begins. One that died is seen by `has_failed`.
        let _ = (0..shards).try_for_each(|_| ups.recv_timeout(SHARD_START_MAX));
        env.replicas.start_slave(&env).map_err(io("cannot start to copy from the master"))?;
    }
    let copier =
        env.options.is_slave().then(|| metadata::start(&env)).transpose().map_err(io("cannot start a thread"))?;
    let pinned: Vec<usize> = env.options.cpus.iter().copied().flatten().collect();
    shard::leave_cpus_to_shards(&pinned, &[engine::flush::THREAD, replication::ha::THREADS]);
    Ok(Running { env, shards: threads, registrars, copier, report: opened.report, listening, failed })
}

impl Running {
    /// Waits until the nameservers know this broker, for a bounded time; how many do.
    pub fn wait_registered(&self) -> usize {
        self.env.registration.wait_registered(self.registrars.len(), REGISTER_WAIT)
    }

    /// Java's boot line, which operators grep for; a SYNC_MASTER and a slave say at its end what they are.
    pub fn boot_line(&self) -> String {
        let options = &self.env.options;
        let mut line = format!("The broker[{}, {}] boot success. serializeType=JSON", options.name, options.advertised);
        if !options.nameservers.is_empty() {
            line.push_str(&format!(" and name server is {}", options.nameservers.join(";")));
        }
        if options.role != BrokerRole::AsyncMaster {
            line.push_str(&format!(", brokerRole {}, brokerId {}", options.role.name(), options.id));
        }
        line
    }

    /// The settings it runs with.
    pub fn options(&self) -> &BrokerOptions {
        &self.env.options
    }

    /// The store failed for good, or a shard ended by itself: the process must end, non-zero.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire) || self.shards.iter().any(ShardThread::is_finished)
    }

    /// Stops in order. True when everything acknowledged is on disk and the store was closed cleanly.
    pub fn stop(self) -> bool {
        let began = Instant::now();
        tracing::info!("stopping: no new connections, withdrawing from {} nameservers", self.registrars.len());
        self.env.stopping.store(true, Ordering::Release);
        self.env.registration.stop();
        self.env.master.stop();
        for thread in self.registrars.into_iter().chain(self.copier) {
            let _ = thread.join();
        }
        self.env.replicas.stop_slave();
        tracing::info!("answering what is in flight");
        for inbox in &self.env.inboxes {
            inbox.post(ToShard::Stop);
        }
        let mut clean = !self.failed.load(Ordering::Acquire);
        let mut shards = self.shards;
        let home = shards.remove(0);
        for shard in shards {
            clean &= shard.join().unwrap_or(false);
        }
        self.env.inboxes[0].post(ToShard::Finish);
        clean &= home.join().unwrap_or(false);
        if self.env.options.is_slave() {
            metadata::keep_own_commits(&self.env);
        }
        self.env.replicas.stop_master();
        tracing::info!("flushing the store");
        match self.env.store.stop() {
            Ok(()) => {}
            Err(failure) => {
                tracing::error!("{failure}");
                clean = false;
            }
        }
        tracing::info!(ms = began.elapsed().as_millis() as u64, "broker stopped");
        clean
    }
}

/// The ports of a broker and the keys that place them.
fn ports_taken(options: &BrokerOptions) -> String {
    let port = |address: Option<&SocketAddr>| address.map_or(0, SocketAddr::port);
    let (main, vip) = (port(options.listen.first()), port(options.listen.get(1)));
    let ha = options.ha_listen.port();
    match options.is_slave() {
        true => format!("{main} (listenPort) and {vip} (listenPort - 2, VIP channel)"),
        false => {
            format!("{main} (listenPort), {vip} (listenPort - 2, VIP channel) and {ha} (listenPort + 1, replication)")
        }
    }
}

/// Why slaves cannot be served.
fn not_served(options: &BrokerOptions, error: std::io::Error) -> StartError {
    // Asked once more for who is in the way.
    match Acceptor::bind(options.ha_listen) {
        Err(error) => StartError::Bind(error, ports_taken(options)),
        Ok(_) => StartError::Io(format!("slaves cannot be served at {}", options.ha_listen), error),
    }
}

type HomeParts = (Tables, TableWriter, Vec<Acceptor>);

/// What every shard gets of the tables at start.
#[derive(Clone)]
struct SharedTables {
    topics: Vec<Arc<protocol::body::TopicConfig>>,
    groups: Vec<Arc<protocol::body::SubscriptionGroupConfig>>,
    progress: Arc<Progress>,
}

impl SharedTables {
    fn of(tables: &Tables) -> Self {
        SharedTables {
            topics: tables.topics.iter().cloned().collect(),
            groups: tables.groups.iter().cloned().collect(),
            progress: Arc::new(tables.progress.clone()),
        }
    }
}

async fn run_shard(
    env: Arc<Env>,
    seed: ShardSeed,
    port: MeshPort<ToShard>,
    shared: SharedTables,
    home: Option<HomeParts>,
    up: std::sync::mpsc::Sender<()>,
) -> bool {
    port.attach();
    let id = port.id();
    let port = Rc::new(port);
    let inbox = env.inboxes[id].clone();
    env.store.on_progress(id, Box::new(move || inbox.wake()));
    let mut acceptors = Vec::new();
    let home = home.map(|(tables, writer, listening)| {
        acceptors = listening;
        Box::new(Home::new(env.clone(), tables, writer))
    });
    let mut core = Core::new(id, env.clone(), seed.into_store(), port.clone(), home);
    let _ = up.send(());
    for topic in shared.topics {
        core.apply(TableChange::Topic(topic));
    }
    for group in shared.groups {
        core.apply(TableChange::Group(group));
    }
    load_progress(&mut core, &shared.progress);
    drop(shared.progress);

    let core = Rc::new(RefCell::new(core));
    let service: Rc<dyn Service> = Rc::new(BrokerService::new(core.clone(), port.clone(), env.inboxes[0].clone()));
    let server = Rc::new(ServerOptions {
        frame_max: env.options.server.frame_size_max,
        idle_timeout: Duration::from_millis(env.options.server.idle_timeout_ms),
        started_frame_timeout: Duration::from_millis(env.options.server.started_frame_timeout_ms),
        connections_max: env.options.server.connections_max,
        per_connection_out_max: env.options.server.connection_out_size_max,
        flush_after_read: false,
        ..ServerOptions::default()
    });
    if id == 0 && env.options.flush_on_ring {
        shard::spawn_local(engine::flush::run_on_ring(env.store.clone()));
    }
    let ticking = core.clone();
    shard::tick::every(TICK, move || {
        if let Ok(mut core) = ticking.try_borrow_mut() {
            core.tick();
        }
    });
    for acceptor in acceptors {
        shard::spawn_local(accept(acceptor, env.clone(), core.clone(), service.clone(), server.clone()));
    }

    let mut stopping_since = None;
    let is_clean = loop {
        port.wait().await;
        let (turn, accepted, stopping) = {
            let mut core = core.borrow_mut();
            let turn = core.turn();
            (turn, std::mem::take(&mut core.accepted), core.stopping)
        };
        for socket in accepted {
            net::adopt(socket, id, service.clone(), server.clone());
        }
        net::flush_dirty();
        let more = match turn {
            Ok(more) => more,
            Err(failure) => {
                tracing::error!("{failure}");
                answer_after_failure(&core).await;
                return false;
            }
        };
        if stopping {
            let since = *stopping_since.get_or_insert_with(Instant::now);
            let late = since.elapsed() > STOP_TIMEOUT;
            core.borrow_mut().export_progress();
            let done = {
                let core = core.borrow();
                let home_done = core.home.as_ref().is_none_or(|home| core.finished && home.all_written());
                core.is_idle() && home_done
            };
            if done || late {
                if late {
                    tracing::warn!(shard = id, "stopping with answers still in flight after {STOP_TIMEOUT:?}");
                }
                break !late;
            }
            port.poke();
            shard::sleep(Duration::from_millis(2)).await;
        }
        if more {
            port.poke();
            shard::turn().await;
        }
    };
    drain_output().await;
    net::close_all();
    let mut core = core.borrow_mut();
    core.store.shutdown();
    if let Some(home) = &mut core.home {
        home.stop();
    }
    is_clean
}

/// The store failed: whoever waits, here or over another shard, is answered with an error and never with a success.
/// Then the process ends.
async fn answer_after_failure(core: &RefCell<Core>) {
    core.borrow_mut().fail();
    for _ in 0..20 {
        // Err again each time, which is known; what counts are the answers it makes.
        let _ = core.borrow_mut().turn();
        net::flush_dirty();
        shard::sleep(Duration::from_millis(5)).await;
    }
}

/// Gives the last answers a moment to leave.
async fn drain_output() {
    for _ in 0..10 {
        net::flush_dirty();
        shard::sleep(Duration::from_millis(2)).await;
    }
}

/// Accepts on one address and deals connections to the shards in turn.
async fn accept(
    acceptor: Acceptor,
    env: Arc<Env>,
    core: Rc<RefCell<Core>>,
    service: Rc<dyn Service>,
    server: Rc<ServerOptions>,
) {
    let mut next = 0;
    loop {
        let accepted = acceptor.accept().await;
        if env.stopping.load(Ordering::Acquire) {
            return;
        }
        let to = next % env.shards();
        next += 1;
        if to == 0 {
            net::adopt(accepted, 0, service.clone(), server.clone());
        } else {
            core.borrow_mut().send(to, ToShard::Accepted(accepted));
        }
    }
}

// ---- tables ------------------------------------------------------------------------------------

fn load<T>(dir: &Path, table: Table, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<Option<T>, StartError> {
    use engine::tables::Loaded;
    let path = dir.join(table.file_name());
    match engine::tables::read_table(&path, parse) {
        Ok(Loaded::Main(value)) => Ok(Some(value)),
        Ok(Loaded::Backup(value, line)) => {
            tracing::warn!("{line}");
            Ok(Some(value))
        }
        Ok(Loaded::Missing) => Ok(None),
        Err(error) => Err(StartError::Table(error.to_string())),
    }
}

fn load_tables(options: &BrokerOptions) -> Result<Tables, StartError> {
    let dir = &options.config_dir;
    let text = |error: protocol::json::JsonError| error.to_string();
    let topics = load(dir, Table::Topics, |bytes| TopicConfigSerializeWrapper::from_json(bytes).map_err(text))?;
    let groups = load(dir, Table::Groups, |bytes| SubscriptionGroupWrapper::from_json(bytes).map_err(text))?;
    let progress = load(dir, Table::Progress, |bytes| ConsumerOffsetTable::from_json(bytes).map_err(text))?;
    let delay = load(dir, Table::Delay, |bytes| DelayOffsetTable::from_json(bytes).map_err(text))?;
    let delay = delay.map(|table| table.offset_table).unwrap_or_default();
    Ok(Tables {
        topics: TopicTable::new(options.topics.clone(), topics),
        groups: GroupTable::new(options.auto_create_groups, options.is_slave(), groups),
        progress: progress.map(|table| table.offset_table).unwrap_or_default(),
        delay: (1..=options.delay_levels_ms.len() as i32)
            .map(|level| delay.get(&level).copied().unwrap_or(0))
            .collect(),
    })
}

/// Takes the progress on this shard's queues. What lies beyond a queue's end, after a crash that
/// lost messages never acknowledged as durable, is brought back to the end: new messages must not
/// be skipped.
fn load_progress(core: &mut Core, progress: &Progress) {
    let shards = core.env.shards();
    for (key, queues) in progress {
        let Some((topic, group)) = ConsumerOffsetTable::split_key(key) else {
            tracing::warn!(key, "consumerOffset.json: a key that is not topic@group is left out");
            continue;
        };
        for (queue_id, queue_offset) in queues {
            let Ok(id) = u32::try_from(*queue_id) else { continue };
            if engine::owner(topic, id, shards) != core.id {
                continue;
            }
            let max = core.store.queue_if_known(topic, id).map_or(0, |slot| core.store.max_offset(slot));
            // A slave's log may lag behind the progress it copied.
            if *queue_offset > max && !core.env.options.is_slave() {
                tracing::warn!(
                    group,
                    topic,
                    queue_id,
                    committed = queue_offset,
                    end = max,
                    "progress lies beyond the queue's end: brought back"
                );
                core.progress.commit(group, topic, *queue_id, max);
                continue;
            }
            core.progress.load(group, topic, *queue_id, *queue_offset);
        }
    }
}
