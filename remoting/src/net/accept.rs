//! Accepting connections, and turning away those that cannot be served.
//!
//! Owns the listening socket, one descriptor in reserve for the time when there is none left, and the limit of
//! connections. Bound on any thread, then used on one shard; what it accepts may go to another.

use std::cell::Cell;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_io::AsyncRead;

use super::bind::{self, BindError};
use super::counters::{Slot, count};
use super::options::ServerOptions;

/// After running out of descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(100);
/// When the wait for a connection ended and there was none.
const POLL_AGAIN: Duration = Duration::from_millis(10);
/// Connections accepted in a row before others have their turn.
const BURST: u32 = 16;
const LOG_EVERY: Duration = Duration::from_secs(10);

/// An accepted connection that no shard serves yet. Dropping it closes it.
#[derive(Debug)]
pub struct AcceptedFd {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) slot: Slot,
}

impl AcceptedFd {
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}

/// A listening socket.
pub struct Acceptor {
    listener: TcpListener,
    local: SocketAddr,
    connections_max: usize,
    /// Closed to accept (and close at once) a connection when no descriptor is left, so that the peer learns of it.
    reserve: Cell<Option<File>>,
    in_a_row: Cell<u32>,
    turned_away: Cell<u64>,
    said: Cell<Option<Instant>>,
}

impl Acceptor {
    /// Listens on `addr`: SO_REUSEADDR, no SO_REUSEPORT, backlog 1024. Any thread.
    pub fn bind(addr: SocketAddr) -> Result<Acceptor, BindError> {
        let listener = bind::listen(addr)?;
        let local = listener.local_addr().map_err(|error| BindError { addr, error, holders: Vec::new() })?;
        Ok(Acceptor {
            listener,
            local,
            connections_max: ServerOptions::default().connections_max,
            reserve: Cell::new(File::open("/dev/null").ok()),
            in_a_row: Cell::new(0),
            turned_away: Cell::new(0),
            said: Cell::new(None),
        })
    }

    /// Connections of the process from which on new ones are closed at once.
    pub fn with_connections_max(mut self, connections_max: usize) -> Acceptor {
        self.connections_max = connections_max;
        self
    }

    /// The address listened on, with the port the kernel chose where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection that can be served: non-blocking, close-on-exec, TCP_NODELAY. On a shard. Trouble with one
    /// connection or with the supply of descriptors is counted, logged at most each ten seconds, and waited out.
    pub async fn accept(&self) -> AcceptedFd {
        let mut waited_in_vain = false;
        loop {
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    waited_in_vain = false;
                    if let Some(accepted) = self.admit(stream, peer) {
                        self.give_way().await;
                        return accepted;
                    }
                    self.give_way().await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.in_a_row.set(0);
                    if waited_in_vain || self.until_readable().await.is_err() {
                        shard::sleep(POLL_AGAIN).await;
                        waited_in_vain = false;
                    } else {
                        waited_in_vain = true;
                    }
                }
                Err(error) => self.overcome(&error).await,
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) -> Option<AcceptedFd> {
        let Some(slot) = Slot::take(self.connections_max) else {
            self.turn_away("there are as many connections as allowed");
            drop(stream);
            return None;
        };
        if let Err(error) = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)) {
            tracing::debug!(%peer, %error, "dropping the connection, it is gone already");
            return None;
        }
        count(|c| &c.accepted, 1);
        Some(AcceptedFd { stream, peer, slot })
    }

    async fn give_way(&self) {
        self.in_a_row.set(self.in_a_row.get() + 1);
        if self.in_a_row.get() >= BURST {
            self.in_a_row.set(0);
            shard::turn().await;
        }
    }

    /// accept(2) reports errors of the connection it takes as well as of the process.
    async fn overcome(&self, error: &io::Error) {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => {
                self.reserve.take();
                if let Ok((stream, _)) = self.listener.accept() {
                    self.turn_away("no file descriptor is left; raise `ulimit -n` (LimitNOFILE)");
                    drop(stream);
                }
                self.reserve.set(File::open("/dev/null").ok());
                shard::sleep(BACK_OFF).await;
            }
            Some(libc::ENOBUFS | libc::ENOMEM) => {
                self.turn_away("the kernel has no memory for sockets");
                shard::sleep(BACK_OFF).await;
            }
            // The connection died before it was accepted, or the network did: on to the next, but never in a tight loop.
            _ => {
                tracing::debug!(local = %self.local, %error, "accepting failed");
                self.give_way().await;
            }
        }
    }

    fn turn_away(&self, reason: &str) {
        count(|c| &c.refused, 1);
        self.turned_away.set(self.turned_away.get() + 1);
        let now = Instant::now();
        if self.said.get().is_none_or(|said| now - said >= LOG_EVERY) {
            self.said.set(Some(now));
            let turned_away = self.turned_away.replace(0);
            tracing::warn!(local = %self.local, connections_max = self.connections_max, turned_away, reason, "closing new connections");
        }
    }

    /// Waits until a connection can be accepted. The executor's own accept leaves descriptors blocking and inheritable,
    /// so only its way of waiting is used: a stream over a copy of the descriptor polls for readability from its start,
    /// and the read that follows is refused by a listening socket, which says no more than that the wait is over.
    async fn until_readable(&self) -> io::Result<()> {
        let copy = self.listener.try_clone()?.into_raw_fd();
        // SAFETY: `copy` was just made and given up by its owner, so the stream is the only one to close it.
        let mut stream = unsafe { glommio::net::TcpStream::from_raw_fd(copy) };
        let mut byte = [0u8; 1];
        let _refused = poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut byte)).await;
        Ok(())
    }
}
