//! The running name server: one listening socket, one executor thread, the scan for silent brokers.
//!
//! Owns the thread and the glue between connections and handlers. What a request means lies in `handler`, who is alive
//! in `route_table`. [`start`] and [`Running`] are used from any thread, everything else runs on the name server's own.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use config::ServerSettings;
use protocol::Command;
use remoting::net::{Acceptor, BindError, ConnId, Connection, ServerOptions, Service, adopt};
use shard::{MeshPort, Panicked, RemoteWaker, ShardSpec, ShardThread, Unavailable};

use crate::handler::{self, Request};
use crate::kv_config::LoadError;
use crate::namesrv::Namesrv;
use crate::options::NamesrvOptions;
use crate::route_table::{Gone, How};
use crate::time::SteadyClock;

/// Longest frame taken, bytes. A broker with 60,000 topics registers with more than the usual 16 MiB.
pub const FRAME_MAX: usize = 64 << 20;

/// A scan that comes later than this tells of a stop of our own, not of silent brokers.
const STALL: Duration = Duration::from_secs(10);

/// Turns the connections get to end in when the name server stops.
const CLOSING_TURNS_MAX: usize = 1_000;

/// Why a name server did not start.
#[derive(Debug)]
pub enum StartError {
    /// io_uring cannot be used.
    Unavailable(Unavailable),
    /// The address cannot be listened on.
    Bind(BindError),
    /// The key-value file cannot be read.
    KvConfig(LoadError),
    /// The thread or its executor could not be made.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Unavailable(error) => error.fmt(f),
            StartError::Bind(error) => error.fmt(f),
            StartError::KvConfig(error) => error.fmt(f),
            StartError::Thread(error) => write!(f, "the name server's thread cannot be started: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running name server. Dropping it stops it.
pub struct Running {
    address: SocketAddr,
    is_stopping: Arc<AtomicBool>,
    waker: RemoteWaker,
    thread: Option<ShardThread<()>>,
}

impl Running {
    /// Where it listens; the real port when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Did its thread end? Before [`Running::stop`] that can only mean a panic.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(ShardThread::is_finished)
    }

    /// Stops accepting, closes the connections and waits for the thread. Err: it had ended in a panic.
    pub fn stop(mut self) -> Result<(), Panicked> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Panicked> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.is_stopping.store(true, Ordering::SeqCst);
        self.waker.wake();
        thread.join()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(panicked) = self.end() {
            tracing::error!("{panicked}");
        }
    }
}

/// Starts a name server. When this returns it accepts connections.
pub fn start(options: NamesrvOptions) -> Result<Running, StartError> {
    shard::probe().map_err(StartError::Unavailable)?;
    let acceptor = Acceptor::bind(options.bind_address())
        .map_err(StartError::Bind)?
        .with_connections_max(options.settings.server.connections_max);
    let address = acceptor.local_addr();
    let clock = SteadyClock::new();
    let spec = ShardSpec { name: "nameserver".to_owned(), cpu: options.cpu };
    let namesrv = Namesrv::load(options, clock.now_ms()).map_err(StartError::KvConfig)?;

    let is_stopping = Arc::new(AtomicBool::new(false));
    let port = shard::mesh::<Infallible>(1, 1).remove(0);
    let waker = port.waker();
    let stop = Stop { port, is_stopping: is_stopping.clone() };
    let thread = shard::start(spec, move || run(acceptor, namesrv, clock, stop)).map_err(StartError::Thread)?;
    tracing::info!(%address, "name server started");
    Ok(Running { address, is_stopping, waker, thread: Some(thread) })
}

/// The bell another thread rings to end the name server. No message travels through the port.
struct Stop {
    port: MeshPort<Infallible>,
    is_stopping: Arc<AtomicBool>,
}

impl Stop {
    async fn wait(&self) {
        self.port.attach();
        while !self.is_stopping.load(Ordering::SeqCst) {
            self.port.wait().await;
        }
    }
}

/// The body of the thread.
async fn run(acceptor: Acceptor, namesrv: Namesrv, clock: SteadyClock, stop: Stop) {
    let settings = &namesrv.options.settings;
    let scan_interval = Duration::from_millis(settings.scan_interval_ms);
    let server_options = Rc::new(server_options(&settings.server));
    let server = Rc::new(Server { namesrv: RefCell::new(namesrv), clock, is_closing: Cell::new(false) });
    server.clone().scan_every(scan_interval);
    {
        let mut stopping = pin!(stop.wait());
        let mut accepting = pin!(accept_all(acceptor, server.clone(), server_options));
        poll_fn(|cx| match stopping.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => accepting.as_mut().poll(cx),
        })
        .await;
        // The acceptor is dropped here, and with it the listening socket.
    }
    server.is_closing.set(true);
    remoting::net::close_all();
    for _ in 0..CLOSING_TURNS_MAX {
        if remoting::net::connections() == 0 {
            break;
        }
        shard::turn().await;
    }
    tracing::info!("name server stopped");
}

fn server_options(settings: &ServerSettings) -> ServerOptions {
    ServerOptions {
        frame_max: settings.frame_size_max.max(FRAME_MAX),
        idle_timeout: Duration::from_millis(settings.idle_timeout_ms),
        started_frame_timeout: Duration::from_millis(settings.started_frame_timeout_ms),
        connections_max: settings.connections_max,
        per_connection_out_max: settings.connection_out_size_max,
        flush_after_read: true,
        ..ServerOptions::default()
    }
}

async fn accept_all(acceptor: Acceptor, server: Rc<Server>, options: Rc<ServerOptions>) {
    loop {
        let accepted = acceptor.accept().await;
        adopt(accepted, 0, server.clone(), options.clone());
    }
}

/// Answers requests in the call that brings them.
struct Server {
    namesrv: RefCell<Namesrv>,
    clock: SteadyClock,
    is_closing: Cell<bool>,
}

impl Service for Server {
    fn request(&self, connection: &Rc<Connection>, command: Command<'_>, _frame: &[u8]) {
        let request = Request {
            command: &command,
            connection: connection.id.0,
            peer: connection.peer,
            now_ms: self.clock.now_ms(),
        };
        let answer = handler::answer(&mut self.namesrv.borrow_mut(), &request);
        if !command.is_oneway() {
            answer.write(&command, &mut connection.out());
        }
    }

    /// A name server asks nothing, so nothing is answered to it.
    fn response(&self, connection: &Rc<Connection>, command: Command<'_>) {
        tracing::debug!(peer = %connection.peer, opaque = command.opaque, "response to no request ignored");
    }

    fn closed(&self, connection: &Rc<Connection>) {
        if self.is_closing.get() {
            return;
        }
        let gone = self.namesrv.borrow_mut().table.connection_lost(connection.id.0, self.clock.now_ms());
        gone.iter().for_each(|gone| log_gone(gone, How::ConnectionLost));
    }
}

impl Server {
    fn scan_every(self: Rc<Server>, interval: Duration) {
        let last_ms = Cell::new(self.clock.now_ms());
        let is_ticking = shard::tick::every(interval, move || {
            let now_ms = self.clock.now_ms();
            self.scan(interval, last_ms.replace(now_ms), now_ms);
        });
        assert!(is_ticking, "the name server runs on a shard, which ticks");
    }

    fn scan(&self, interval: Duration, last_ms: i64, now_ms: i64) {
        let milliseconds = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let late_ms = now_ms.saturating_sub(last_ms).saturating_sub(milliseconds(interval));
        let mut namesrv = self.namesrv.borrow_mut();
        if late_ms > milliseconds(STALL) {
            tracing::warn!(late_ms, "this process stood still; the brokers' silence meanwhile is not counted");
            namesrv.table.forgive(late_ms);
        }
        let gone = namesrv.table.scan(now_ms);
        let is_used: Vec<_> = gone.iter().map(|gone| namesrv.table.is_broker_connection(gone.connection)).collect();
        // Closing calls back into this value.
        drop(namesrv);
        for (gone, is_used) in gone.iter().zip(is_used) {
            log_gone(gone, How::Expired);
            if let Some(connection) = remoting::net::find(ConnId(gone.connection)).filter(|_| !is_used) {
                connection.close();
            }
        }
    }
}

fn log_gone(gone: &Gone, how: How) {
    let (name, id) = gone.broker.as_ref().map_or(("-", -1), |(name, id)| (&**name, *id));
    let (address, silent_ms, topics_lost) = (&*gone.address, gone.silent_ms, gone.topics_lost);
    tracing::warn!(broker = name, id, address, silent_ms, topics_lost, "broker {how}");
}
