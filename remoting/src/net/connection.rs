//! One connection as its shard's code sees it, and the table of all connections of this shard.
//!
//! Owns the descriptor, the queue of replies and the flags that couple reading and
//! sending. Lives on one thread. No borrow of its cells lives across an await.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use super::buffer::ReadBuffer;
use super::counters::Slot;
use super::file_part::FilePart;
use super::flush;
use super::options::ServerOptions;
use super::out::Out;
use super::send::{self, Progress};

/// Names a connection in the whole process, for good: shard in the upper 16 bits, then a serial number, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl ConnId {
    pub fn new(shard: usize, serial: u64) -> ConnId {
        ConnId(((shard as u64) << 48) | (serial & ((1 << 48) - 1)))
    }

    /// The shard that owns the connection.
    pub fn shard(self) -> usize {
        (self.0 >> 48) as usize
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.shard(), self.0 & ((1 << 48) - 1))
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A connection of this shard. Kept by whoever wants; once closed it swallows what is appended.
pub struct Connection {
    pub id: ConnId,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub(crate) me: Weak<Connection>,
    pub(crate) options: Rc<ServerOptions>,
    /// The descriptor inside `stream`; used only while `stream` is there.
    pub(crate) fd: RawFd,
    /// Dropping it closes the descriptor.
    pub(crate) stream: RefCell<Option<TcpStream>>,
    pub(crate) input: RefCell<ReadBuffer>,
    pub(crate) out: RefCell<Out>,
    /// Is in the list of `flush_dirty`.
    pub(crate) dirty: Cell<bool>,
    /// A writer task waits for the socket and will send what is appended meanwhile.
    pub(crate) writing: Cell<bool>,
    pub(crate) closed: Cell<bool>,
    /// Too much waits to be sent; reading stops until half of it is gone.
    pub(crate) throttled: Cell<bool>,
    /// Bytes may have come since a read found none.
    pub(crate) readable: Cell<bool>,
    /// The peer ended its side or the socket failed: reads go on until they say so.
    pub(crate) ended: Cell<bool>,
    /// The socket may take bytes.
    pub(crate) writable: Cell<bool>,
    held: Cell<u32>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
    /// `shard::tick::coarse_ms` of the last byte in either direction.
    pub(crate) active_ms: Cell<u64>,
    /// When the first byte of a frame that is not whole yet came.
    pub(crate) frame_began_ms: Cell<Option<u64>>,
    /// Since when the peer takes nothing although bytes wait.
    pub(crate) stalled_ms: Cell<Option<u64>>,
    _slot: Slot,
}

#[derive(Default)]
struct Table {
    connections: HashMap<ConnId, Rc<Connection>>,
    /// The one looked up last: answers of a turn come in rows for one connection.
    last: Option<Rc<Connection>>,
    last_serial: u64,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

/// Connections open on this shard.
pub fn connections() -> usize {
    TABLE.with_borrow(|table| table.connections.len())
}

/// The open connection of this shard with that id.
pub fn find(id: ConnId) -> Option<Rc<Connection>> {
    TABLE.with_borrow_mut(|table| match &table.last {
        Some(last) if last.id == id => Some(last.clone()),
        _ => {
            let found = table.connections.get(&id)?.clone();
            table.last = Some(found.clone());
            Some(found)
        }
    })
}

/// Closes all connections of this shard. They are gone once [`connections`] says 0, some turns later.
pub fn close_all() {
    for connection in all() {
        connection.close();
    }
}

/// All connections of this shard, in no order.
pub(crate) fn all() -> Vec<Rc<Connection>> {
    TABLE.with_borrow(|table| table.connections.values().cloned().collect())
}

pub(crate) fn forget(id: ConnId) {
    let removed = TABLE.with_borrow_mut(|table| (table.last.take(), table.connections.remove(&id)));
    drop(removed);
}

/// What a connection begins with.
pub(crate) struct Opening {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) fd: RawFd,
    pub(crate) stream: TcpStream,
    pub(crate) options: Rc<ServerOptions>,
    pub(crate) slot: Slot,
}

impl Connection {
    /// Enters a connection into the table of this shard.
    pub(crate) fn open(shard: usize, opening: Opening) -> Rc<Connection> {
        let serial = TABLE.with_borrow_mut(|table| {
            table.last_serial += 1;
            table.last_serial
        });
        let connection = Rc::new_cyclic(|me| Connection {
            id: ConnId::new(shard, serial),
            peer: opening.peer,
            local: opening.local,
            me: me.clone(),
            fd: opening.fd,
            stream: RefCell::new(Some(opening.stream)),
            input: RefCell::new(ReadBuffer::new(opening.options.buffered_input_max)),
            out: RefCell::default(),
            dirty: Cell::new(false),
            writing: Cell::new(false),
            closed: Cell::new(false),
            throttled: Cell::new(false),
            readable: Cell::new(false),
            ended: Cell::new(false),
            writable: Cell::new(true),
            held: Cell::new(0),
            reader: RefCell::default(),
            writer: RefCell::default(),
            active_ms: Cell::new(shard::tick::coarse_ms()),
            frame_began_ms: Cell::new(None),
            stalled_ms: Cell::new(None),
            options: opening.options,
            _slot: opening.slot,
        });
        TABLE.with_borrow_mut(|table| table.connections.insert(connection.id, connection.clone()));
        connection
    }

    /// Where whole replies are appended; the connection is sent to by the next [`flush_dirty`](super::flush_dirty).
    /// Only append: what is in front may already be under way. Give the borrow back before any other call on it.
    pub fn out(&self) -> RefMut<'_, Vec<u8>> {
        self.mark_dirty();
        RefMut::map(self.out.borrow_mut(), |out| &mut out.bytes)
    }

    /// Appends a range of a file behind what is in [`Connection::out`] now.
    pub fn push_file(&self, part: FilePart) {
        self.mark_dirty();
        if !self.closed.get() {
            self.out.borrow_mut().push(part);
        }
    }

    /// Bytes waiting to be sent, file ranges included.
    pub fn pending_bytes(&self) -> usize {
        self.out.borrow().pending()
    }

    /// Whether it was closed by either side; what is appended from then on is dropped.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Stops reading (and handing over frames already read) until [`Connection::resume_reading`] was called as often.
    pub fn hold_reading(&self) {
        self.held.set(self.held.get().saturating_add(1));
    }

    /// Undoes one [`Connection::hold_reading`]; reading goes on in a later turn.
    pub fn resume_reading(&self) {
        self.held.set(self.held.get().saturating_sub(1));
        if self.held.get() == 0 {
            self.wake_reader();
        }
    }

    /// Sends what can be sent at once and ends the connection. `Service::closed` follows in a later turn.
    pub fn close(&self) {
        if self.closed.get() {
            return;
        }
        if !self.writing.get() {
            // The peer may be gone already; nobody is left to tell.
            let _ = self.send_some(usize::MAX);
        }
        self.abort();
    }

    /// Ends the connection without sending what waits.
    pub(crate) fn abort(&self) {
        if self.closed.replace(true) {
            return;
        }
        if self.stream.borrow().is_some() {
            send::shutdown(self.fd);
        }
        self.wake_reader();
        self.wake_writer();
    }

    fn mark_dirty(&self) {
        if !self.dirty.replace(true)
            && let Some(me) = self.me.upgrade()
        {
            flush::add_dirty(me);
        }
    }

    /// Sends up to about `budget` bytes without waiting and keeps the accounts.
    pub(crate) fn send_some(&self, budget: usize) -> std::io::Result<Progress> {
        // A handler that closes while it holds `out` is wrong, but no reason to panic: its bytes are not sent.
        let Ok(mut out) = self.out.try_borrow_mut() else { return Ok(Progress::Blocked) };
        if self.stream.borrow().is_none() {
            out.clear();
            return Ok(Progress::Done);
        }
        let (result, sent) = flush::send(self.fd, &mut out, budget);
        let pending = out.pending();
        drop(out);
        if matches!(result, Ok(Progress::Blocked)) {
            self.writable.set(false);
        }
        self.after_sending(sent, pending);
        result
    }

    /// `sent` bytes went, `pending` wait.
    pub(crate) fn after_sending(&self, sent: usize, pending: usize) {
        let now_ms = shard::tick::coarse_ms();
        if sent > 0 {
            self.active_ms.set(now_ms);
            self.stalled_ms.set(None);
        }
        if pending == 0 {
            self.stalled_ms.set(None);
        } else if self.stalled_ms.get().is_none() {
            self.stalled_ms.set(Some(now_ms));
        }
        if self.throttled.get() && pending <= self.options.per_connection_out_max / 2 {
            self.throttled.set(false);
            self.wake_reader();
        }
    }

    /// Whether frames may be handed over and bytes read. Notices too much waiting output.
    pub(crate) fn may_read(&self) -> bool {
        if self.pending_bytes() > self.options.per_connection_out_max {
            self.throttled.set(true);
        }
        !self.throttled.get() && self.held.get() == 0
    }

    /// Waits until reading is allowed or the connection is closed.
    pub(crate) async fn until_may_read(&self) {
        poll_fn(|cx| {
            if self.closed.get() || (!self.throttled.get() && self.held.get() == 0) {
                return Poll::Ready(());
            }
            self.reader_waits(cx);
            Poll::Pending
        })
        .await
    }

    /// What the set of this shard found out about the socket.
    pub(crate) fn is_ready(&self, readable: bool, writable: bool, ended: bool) {
        if ended {
            self.ended.set(true);
        }
        if readable || ended {
            self.readable.set(true);
            self.wake_reader();
        }
        if writable || ended {
            self.writable.set(true);
            self.wake_writer();
        }
    }

    pub(crate) fn reader_waits(&self, cx: &Context<'_>) {
        keep_waker(&mut self.reader.borrow_mut(), cx);
    }

    pub(crate) fn writer_waits(&self, cx: &Context<'_>) {
        keep_waker(&mut self.writer.borrow_mut(), cx);
    }

    pub(crate) fn wake_reader(&self) {
        let waker = self.reader.borrow_mut().take();
        waker.map(Waker::wake).unwrap_or_default();
    }

    pub(crate) fn wake_writer(&self) {
        let waker = self.writer.borrow_mut().take();
        waker.map(Waker::wake).unwrap_or_default();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).field("peer", &self.peer).finish_non_exhaustive()
    }
}

fn keep_waker(slot: &mut Option<Waker>, cx: &Context<'_>) {
    if !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *slot = Some(cx.waker().clone());
    }
}
