//! Reading one connection: one task, from the first byte to the last.
//!
//! Owns the order of things on a connection: read, cut into frames, decode in place, hand over, and in the end tell the
//! service once that it is over. The share of a turn is a budget of bytes divided among the connections that are busy.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use protocol::{Command, FrameError, frame_len};

use super::accept::AcceptedFd;
use super::connection::{self, Connection, Opening};
use super::counters::count;
use super::flush::flush_dirty;
use super::options::{HEADER_MAX, ServerOptions};
use super::{readiness, sweep};

/// Bytes all busy connections of a shard together may read in a turn: about a millisecond of work.
const TURN_BYTES: usize = 1 << 20;
const QUANTUM_MIN: usize = 16 << 10;
const QUANTUM_MAX: usize = 128 << 10;

/// How long a frame that needs more memory than the process allows waits before it asks again.
const MEMORY_RETRY: Duration = Duration::from_millis(20);

/// What a server does with commands. Called on the connection's shard, never inside another call of it.
pub trait Service: 'static {
    /// A request (the response flag is not set). `frame` is the whole frame `command` was read from.
    fn request(&self, connection: &Rc<Connection>, command: Command<'_>, frame: &[u8]);

    /// A response to a request of ours.
    fn response(&self, connection: &Rc<Connection>, command: Command<'_>);

    /// Before the first command.
    fn opened(&self, _connection: &Rc<Connection>) {}

    /// After the last command, exactly once, whoever ended the connection. It is no longer found by its id.
    fn closed(&self, connection: &Rc<Connection>);
}

thread_local! {
    /// Connections whose last read filled all it was given.
    static BUSY: Cell<usize> = const { Cell::new(0) };
}

/// Counts a connection as busy while it lives.
struct Busy;

impl Busy {
    fn new() -> Busy {
        BUSY.set(BUSY.get() + 1);
        Busy
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.set(BUSY.get() - 1);
    }
}

fn quantum(busy: usize) -> usize {
    (TURN_BYTES / busy.max(1)).clamp(QUANTUM_MIN, QUANTUM_MAX)
}

/// Serves an accepted connection on this shard, whose number goes into the connection's id.
pub fn adopt(accepted: AcceptedFd, id_shard: usize, service: Rc<dyn Service>, options: Rc<ServerOptions>) {
    let AcceptedFd { stream, peer, slot } = accepted;
    let local = match stream.local_addr() {
        Ok(local) => canonical(local),
        Err(error) => {
            // Gone before it was served.
            tracing::debug!(%peer, %error, "dropping the connection, it has no local address");
            return;
        }
    };
    let fd = stream.as_raw_fd();
    sweep::ensure_running();
    let connection = Connection::open(id_shard, Opening { peer: canonical(peer), local, fd, stream, options, slot });
    if let Err(error) = readiness::watch(fd, connection.id) {
        tracing::warn!(%peer, %error, "closing the new connection, it cannot be watched");
        connection::forget(connection.id);
        return;
    }
    shard::spawn_local(serve(connection, service));
}

/// An IPv4 peer of an IPv6 socket is an IPv4 peer, in logs and in stored messages.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

async fn serve(connection: Rc<Connection>, service: Rc<dyn Service>) {
    tracing::debug!(peer = %connection.peer, id = %connection.id, "connection opened");
    if guarded(&connection, || service.opened(&connection))
        && let Err(error) = read_all(&connection, &service).await
    {
        tracing::debug!(peer = %connection.peer, %error, "closing the connection");
    }
    // What was answered before the peer hung up is still worth a try.
    connection.close();
    connection::forget(connection.id);
    guarded(&connection, || service.closed(&connection));
    connection.out.borrow_mut().clear();
    let stream = connection.stream.borrow_mut().take();
    drop(stream);
    connection.wake_writer();
    connection.input.borrow_mut().release();
    tracing::debug!(peer = %connection.peer, id = %connection.id, "connection closed");
}

/// Runs a call into the service. A panic ends this connection and nothing else.
fn guarded(connection: &Connection, call: impl FnOnce()) -> bool {
    let Err(panic) = catch_unwind(AssertUnwindSafe(call)) else { return true };
    let message = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    count(|c| &c.closed_panic, 1);
    tracing::error!(peer = %connection.peer, message, "a handler panicked, closing its connection");
    // Half a reply may have been appended.
    if let Ok(mut out) = connection.out.try_borrow_mut() {
        out.clear();
    }
    connection.abort();
    false
}

/// Why handing over stopped.
enum Stop {
    /// No whole frame is left. The length of the one that has begun, if it is known.
    Incomplete(Option<usize>),
    /// The connection must not be read now.
    Held,
    /// It was closed.
    Closed,
}

/// Reads until the peer or we end the connection.
async fn read_all(connection: &Rc<Connection>, service: &Rc<dyn Service>) -> io::Result<()> {
    let mut busy = None;
    loop {
        let stop = hand_over(connection, &**service)?;
        if connection.options.flush_after_read {
            flush_dirty();
        }
        let frame = match stop {
            Stop::Closed => return Ok(()),
            Stop::Held => {
                busy = None;
                connection.until_may_read().await;
                // Frames that were read before the pause may wait.
                shard::turn().await;
                continue;
            }
            Stop::Incomplete(frame) => frame,
        };
        if busy.is_some() {
            shard::turn().await;
        }
        while !connection.closed.get() && !connection.input.borrow_mut().make_room(busy.is_some(), frame) {
            shard::sleep(MEMORY_RETRY).await;
        }
        let was_busy = busy.take();
        let max = quantum(BUSY.get() + 1);
        drop(was_busy);
        let (n, filled) = read(connection, max).await?;
        if n == 0 {
            return Ok(());
        }
        if filled {
            busy = Some(Busy::new());
        }
        connection.active_ms.set(shard::tick::coarse_ms());
        count(|c| &c.bytes_in, n as u64);
    }
}

/// One read of at most `max` bytes: how many came, and whether they filled what was offered. 0 at the end.
async fn read(connection: &Connection, max: usize) -> io::Result<(usize, bool)> {
    poll_fn(|cx| {
        loop {
            if connection.closed.get() {
                return Poll::Ready(Ok((0, false)));
            }
            if !connection.readable.get() {
                connection.reader_waits(cx);
                return Poll::Pending;
            }
            let mut input = connection.input.borrow_mut();
            let room = input.room(max);
            let offered = room.len();
            let stream = connection.stream.borrow();
            let Some(mut stream) = stream.as_ref() else { return Poll::Ready(Ok((0, false))) };
            match stream.read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.readable.set(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(n) => {
                    input.fill(n);
                    // A short read took all there was; what comes next is told, except the end if it was told already.
                    if n < offered && !connection.ended.get() {
                        connection.readable.set(false);
                    }
                    return Poll::Ready(Ok((n, n == offered)));
                }
            }
        }
    })
    .await
}

/// Hands over all whole frames, as far as the connection may be read.
fn hand_over(connection: &Rc<Connection>, service: &dyn Service) -> io::Result<Stop> {
    let (mut consumed, mut longest, mut frames) = (0, 0, 0);
    let result = {
        let input = connection.input.borrow();
        let mut rest = input.received();
        loop {
            if connection.closed.get() {
                break Ok(Stop::Closed);
            }
            if !connection.may_read() {
                break Ok(Stop::Held);
            }
            let len = match frame_len(rest, connection.options.frame_max) {
                Ok(Some(len)) => len,
                Ok(None) => break Ok(Stop::Incomplete(None)),
                Err(error) => break Err(error),
            };
            let Some((frame, behind)) = rest.split_at_checked(len) else { break Ok(Stop::Incomplete(Some(len))) };
            let command = match Command::decode_with(frame, HEADER_MAX) {
                Ok(command) => command,
                Err(error) => break Err(error),
            };
            rest = behind;
            consumed += len;
            longest = longest.max(len);
            frames += 1;
            let went_well = guarded(connection, || {
                if command.is_response() {
                    service.response(connection, command);
                } else {
                    service.request(connection, command, frame);
                }
            });
            if !went_well {
                break Ok(Stop::Closed);
            }
        }
    };
    if frames > 0 {
        count(|c| &c.frames_in, frames);
        connection.input.borrow_mut().consume(consumed, longest);
    }
    let stop = result.map_err(bad_frame)?;
    let begun = matches!(stop, Stop::Incomplete(_)) && !connection.input.borrow().is_empty();
    if !begun {
        connection.frame_began_ms.set(None);
    } else if frames > 0 || connection.frame_began_ms.get().is_none() {
        connection.frame_began_ms.set(Some(shard::tick::coarse_ms()));
    }
    Ok(stop)
}

fn bad_frame(error: FrameError) -> io::Error {
    count(|c| &c.closed_bad_frame, 1);
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_peer_is_one_on_any_socket() {
        let check = |addr: &str, expected: &str| assert_eq!(canonical(addr.parse().unwrap()).to_string(), expected);
        check("[::ffff:10.1.2.3]:77", "10.1.2.3:77");
        check("10.1.2.3:77", "10.1.2.3:77");
        check("[2001:db8::1]:77", "[2001:db8::1]:77");
    }

    #[test]
    fn the_turn_is_shared_among_busy_connections() {
        let check = |busy: usize, expected: usize| assert_eq!(quantum(busy), expected, "{busy}");
        check(0, 128 << 10);
        check(8, 128 << 10);
        check(16, 64 << 10);
        check(64, 16 << 10);
        check(10_000, 16 << 10);
    }
}
