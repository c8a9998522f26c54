//! A master's side: accepts slaves and runs a thread for each.
//!
//! Owns the listening socket and the list of links. Ordinary threads: one that accepts, one a link. Must not know what
//! a link decides.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::ending::LinkEnd;
use super::link;
use super::options::MasterOptions;
use super::seam::LogSource;
use super::socket::{self, Waker};
use super::state::{EndedLink, LinkState};

/// Ended links that are remembered.
const ENDED_MAX: usize = 32;
/// A peer that ends the same way again within this time is counted, not logged.
const QUIET: Duration = Duration::from_secs(60);
/// Peers whose endings are remembered for that.
const QUIET_MAX: usize = 256;

/// The last number a link got: one row for the process, because several servers may serve one log, one after another.
static LAST_LINK: AtomicU64 = AtomicU64::new(0);

/// What a link publishes.
pub(super) struct Row {
    pub(super) link: u64,
    pub(super) peer: SocketAddr,
    pub(super) is_up: AtomicBool,
    pub(super) start: AtomicI64,
    pub(super) sent: AtomicI64,
    pub(super) acked: AtomicI64,
    pub(super) rate: AtomicU64,
    since_ms: u64,
}

/// What acceptor and links share.
pub(super) struct Server {
    pub(super) source: Arc<dyn LogSource>,
    pub(super) options: MasterOptions,
    pub(super) is_stopping: AtomicBool,
    /// Readable once the server stops, never before.
    pub(super) waker: Waker,
    table: Mutex<Table>,
    gone: Condvar,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<u64, Arc<Row>>,
    ended: VecDeque<EndedLink>,
    quiet: BTreeMap<(IpAddr, &'static str), (Instant, u64)>,
    refused_logged: Option<Instant>,
}

impl Server {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a link off the list, whatever ended its thread.
struct Listed<'a> {
    server: &'a Server,
    row: &'a Row,
    end: Option<LinkEnd>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let end = self.end.take().unwrap_or_else(|| LinkEnd::Refused("a defect of this program ended the link".into()));
        let acked = self.row.acked.load(Ordering::Relaxed);
        let ended = EndedLink { link: self.row.link, peer: self.row.peer, acked, why: end.to_string() };
        let repeats = {
            let mut table = self.server.table();
            table.rows.remove(&self.row.link);
            if table.ended.len() >= ENDED_MAX {
                table.ended.pop_front();
            }
            table.ended.push_back(ended);
            table.repeats(self.row.peer.ip(), &end, Instant::now())
        };
        let (peer, link) = (self.row.peer, self.row.link);
        match repeats {
            None => {}
            Some(before) if end.is_alarming() => {
                tracing::warn!(%peer, link, acked, repeated = before, "a replication link was closed: {end}");
            }
            Some(_) => tracing::info!(%peer, link, acked, "a replication link ended: {end}"),
        }
        self.server.gone.notify_all();
    }
}

impl Table {
    /// Whether an ending is worth a line: how often it came before without one; `None` if it is not.
    fn repeats(&mut self, peer: IpAddr, end: &LinkEnd, now: Instant) -> Option<u64> {
        if !end.is_alarming() {
            return Some(0);
        }
        self.quiet.retain(|_, (since, _)| now.saturating_duration_since(*since) < 2 * QUIET);
        let key = (peer, kind(end));
        if let Some((since, count)) = self.quiet.get_mut(&key) {
            if now.saturating_duration_since(*since) < QUIET {
                *count += 1;
                return None;
            }
            let before = std::mem::take(count);
            *since = now;
            return Some(before);
        }
        if self.quiet.len() < QUIET_MAX {
            self.quiet.insert(key, (now, 0));
        }
        Some(0)
    }
}

fn kind(end: &LinkEnd) -> &'static str {
    use super::ending::MasterEnd as M;
    match end {
        LinkEnd::Decided(M::NegativeReport { .. }) => "negative",
        LinkEnd::Decided(M::BeyondEnd { .. }) => "beyond end",
        LinkEnd::Decided(M::BeyondSent { .. }) => "beyond sent",
        LinkEnd::Decided(M::Backwards { .. }) => "backwards",
        LinkEnd::Decided(M::BelowMin { .. }) => "below min",
        LinkEnd::Decided(M::Silent { .. }) => "silent",
        LinkEnd::Closed => "closed",
        LinkEnd::Failed(_) => "failed",
        LinkEnd::Deleted { .. } => "deleted",
        LinkEnd::Refused(_) => "refused",
        LinkEnd::Stopped => "stopped",
    }
}

/// A master's listening port and its links; stops when dropped.
pub struct MasterServer {
    server: Arc<Server>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

impl MasterServer {
    /// Listens at `bind` (port 0: any) and serves slaves from `source`.
    pub fn start(bind: SocketAddr, options: MasterOptions, source: Arc<dyn LogSource>) -> io::Result<Self> {
        let listener = TcpListener::bind(bind)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let server = Arc::new(Server {
            source,
            options,
            is_stopping: AtomicBool::new(false),
            waker: Waker::new()?,
            table: Mutex::default(),
            gone: Condvar::new(),
        });
        let acceptor = {
            let server = server.clone();
            thread::Builder::new().name("ha-accept".into()).spawn(move || accept(&server, &listener))?
        };
        Ok(Self { server, address, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The links that stand, oldest first.
    pub fn links(&self) -> Vec<LinkState> {
        let max = self.server.source.extent().max;
        let rows: Vec<Arc<Row>> = self.server.table().rows.values().cloned().collect();
        rows.iter()
            .map(|row| {
                let is_up = row.is_up.load(Ordering::Acquire);
                let acked = row.acked.load(Ordering::Relaxed);
                LinkState {
                    link: row.link,
                    peer: row.peer,
                    is_up,
                    start: row.start.load(Ordering::Relaxed),
                    sent: row.sent.load(Ordering::Relaxed),
                    acked,
                    lag: if is_up { max.saturating_sub(acked).max(0) } else { 0 },
                    bytes_per_second: row.rate.load(Ordering::Relaxed),
                    since_ms: row.since_ms,
                }
            })
            .collect()
    }

    /// The last links that ended, oldest first.
    pub fn ended(&self) -> Vec<EndedLink> {
        self.server.table().ended.iter().cloned().collect()
    }

    /// Closes the port and all links; returns when their threads are gone.
    pub fn stop(&mut self) {
        self.server.is_stopping.store(true, Ordering::SeqCst);
        self.server.waker.wake();
        let Some(acceptor) = self.acceptor.take() else { return };
        if acceptor.join().is_err() {
            tracing::error!("the thread that accepts slaves had ended by a defect of this program");
        }
        let mut table = self.server.table();
        while !table.rows.is_empty() {
            table = self.server.gone.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for MasterServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(server: &Arc<Server>, listener: &TcpListener) {
    let mut is_refused_logged = false;
    while !server.is_stopping.load(Ordering::SeqCst) {
        let mut polls =
            [socket::interest(listener.as_raw_fd(), false, true), socket::interest(server.waker.fd(), false, true)];
        if let Err(error) = socket::wait(&mut polls, Instant::now() + Duration::from_secs(3600)) {
            tracing::error!(%error, "no more slaves are accepted");
            return;
        }
        if !socket::is_readable(&polls[0]) {
            continue;
        }
        match listener.accept().and_then(|(socket, peer)| begin(server, socket, peer)) {
            Ok(()) => is_refused_logged = false,
            Err(error) if socket::is_later(&error) || error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Out of descriptors or threads, most often. The connection stays in the backlog or is lost.
                if !is_refused_logged {
                    tracing::warn!(%error, "a slave cannot be accepted; tried again each second");
                    is_refused_logged = true;
                }
                let mut polls = [socket::interest(server.waker.fd(), false, true)];
                if socket::wait(&mut polls, Instant::now() + Duration::from_secs(1)).is_err() {
                    return;
                }
            }
        }
    }
}

/// Starts the thread of a connection, or closes it if there are too many.
fn begin(server: &Arc<Server>, socket: TcpStream, peer: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    let row = {
        let mut table = server.table();
        let links_max = server.options.links_max;
        if table.rows.len() >= links_max {
            let is_due = table.refused_logged.is_none_or(|since| since.elapsed() >= QUIET);
            if is_due {
                table.refused_logged = Some(Instant::now());
                tracing::warn!(%peer, links_max, "a slave was turned away: all replication links are taken");
            }
            return Ok(());
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let row = Arc::new(Row {
            link: LAST_LINK.fetch_add(1, Ordering::Relaxed) + 1,
            peer,
            is_up: AtomicBool::new(false),
            start: AtomicI64::new(0),
            sent: AtomicI64::new(0),
            acked: AtomicI64::new(0),
            rate: AtomicU64::new(0),
            since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        });
        table.rows.insert(row.link, row.clone());
        row
    };
    let link = row.link;
    let spawned = {
        let server = server.clone();
        thread::Builder::new().name(format!("ha-link-{link}")).spawn(move || {
            let mut listed = Listed { server: &server, row: &row, end: None };
            listed.end = Some(link::run(&server, &row, socket));
        })
    };
    if let Err(error) = spawned {
        server.table().rows.remove(&link);
        return Err(error);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::ending::MasterEnd;
    use super::*;

    #[test]
    fn the_same_ending_of_a_peer_is_logged_once_a_minute() {
        let mut table = Table::default();
        let start = Instant::now();
        let peer = IpAddr::from([127, 0, 0, 1]);
        let beyond = LinkEnd::Decided(MasterEnd::BeyondEnd { report: 9, max: 1 });
        let negative = LinkEnd::Decided(MasterEnd::NegativeReport { report: -9 });
        assert_eq!(table.repeats(peer, &beyond, start), Some(0));
        assert_eq!(table.repeats(peer, &beyond, start + QUIET / 2), None);
        assert_eq!(table.repeats(peer, &negative, start + QUIET / 2), Some(0));
        assert_eq!(table.repeats(IpAddr::from([127, 0, 0, 2]), &beyond, start + QUIET / 2), Some(0));
        assert_eq!(table.repeats(peer, &beyond, start + QUIET), Some(1));
        assert_eq!(table.repeats(peer, &LinkEnd::Closed, start), Some(0));
        assert_eq!(table.repeats(peer, &LinkEnd::Closed, start), Some(0));
    }

    #[test]
    fn the_memory_of_endings_is_bounded() {
        let mut table = Table::default();
        let start = Instant::now();
        let end = LinkEnd::Decided(MasterEnd::NegativeReport { report: -9 });
        for peer in 0..1000_u32 {
            table.repeats(IpAddr::from(peer.to_be_bytes()), &end, start);
        }
        assert_eq!(table.quiet.len(), QUIET_MAX);
        table.repeats(IpAddr::from([1, 1, 1, 1]), &end, start + 3 * QUIET);
        assert_eq!(table.quiet.len(), 1);
    }
}
