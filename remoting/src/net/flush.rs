//! Sending for all connections that have something, once a turn.
//!
//! Owns the list of such connections and the writer task of a connection whose socket is full. A connection has at most
//! one writer task; while it runs, `flush_dirty` leaves the connection to it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::task::Poll;

use futures_io::AsyncWrite;

use super::connection::Connection;
use super::counters::count;
use super::out::{Ended, Out, Piece};
use super::send::{self, Progress, Sent};

/// Bytes one connection may send in one go before others have their turn.
const ROUND_BYTES: usize = 1 << 20;

/// Bytes copied for the one send that waits for the socket.
const WAIT_BYTES: usize = 4096;

thread_local! {
    static DIRTY: RefCell<Vec<Rc<Connection>>> = const { RefCell::new(Vec::new()) };
    static PIECES: RefCell<Vec<Piece>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn add_dirty(connection: Rc<Connection>) {
    DIRTY.with_borrow_mut(|dirty| dirty.push(connection));
}

/// Sends what was appended since the last call, one send a connection. Never waits.
pub fn flush_dirty() {
    let mut dirty = DIRTY.take();
    for connection in dirty.drain(..) {
        connection.dirty.set(false);
        flush_one(&connection);
    }
    // Keep the room; nobody appended meanwhile unless a close called back.
    DIRTY.with_borrow_mut(|list| {
        if list.is_empty() {
            *list = dirty;
        }
    });
}

fn flush_one(connection: &Rc<Connection>) {
    if connection.closed.get() {
        connection.out.borrow_mut().clear();
        return;
    }
    if connection.writing.get() {
        return;
    }
    match connection.send_some(ROUND_BYTES) {
        Ok(Progress::Done) => {}
        Ok(Progress::Blocked | Progress::Yield) => {
            connection.writing.set(true);
            shard::spawn_local(write_rest(connection.clone()));
        }
        Err(error) => failed(connection, &error),
    }
}

fn failed(connection: &Connection, error: &io::Error) {
    tracing::debug!(peer = %connection.peer, %error, "closing the connection, sending failed");
    connection.abort();
}

/// The system calls of one round, with the counters kept. Returns the bytes sent beside the result.
pub(crate) fn send(fd: RawFd, out: &mut Out, budget: usize) -> (io::Result<Progress>, usize) {
    let mut sent = Sent::default();
    let result = PIECES.with_borrow_mut(|pieces| {
        let result = send::send(fd, out, budget, pieces, &mut sent);
        pieces.clear();
        result
    });
    count_sent(sent.bytes, sent.ended);
    (result, sent.bytes)
}

fn count_sent(bytes: usize, ended: Ended) {
    count(|c| &c.bytes_out, bytes as u64);
    if ended.long > 0 {
        count(|c| &c.hot_sendfile, ended.long);
    }
    if ended.short > 0 {
        count(|c| &c.hot_sendmsg, ended.short);
    }
}

/// Sends the rest as the peer takes it.
async fn write_rest(connection: Rc<Connection>) {
    let result = loop {
        if connection.closed.get() {
            break Ok(());
        }
        match connection.send_some(ROUND_BYTES) {
            Ok(Progress::Done) => break Ok(()),
            Ok(Progress::Yield) => shard::turn().await,
            Ok(Progress::Blocked) => {
                if let Err(error) = send_when_possible(&connection).await {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    connection.writing.set(false);
    if let Err(error) = result {
        failed(&connection, &error);
    }
}

/// Waits for the socket to take bytes again, and sends it the first few. The executor has no public way to wait for
/// that alone: its own write of a slice sends, or waits for writability when it cannot.
async fn send_when_possible(connection: &Connection) -> io::Result<()> {
    let mut copy = Vec::new();
    poll_fn(|cx| {
        if connection.closed.get() {
            return Poll::Ready(Ok(()));
        }
        let mut out = connection.out.borrow_mut();
        copy_front(&out, &mut copy);
        if copy.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut stream = connection.stream.borrow_mut();
        let Some(stream) = stream.as_mut() else { return Poll::Ready(Ok(())) };
        match Pin::new(stream).poll_write(cx, &copy) {
            Poll::Pending => {
                connection.writer_waits(cx);
                Poll::Pending
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(n)) => {
                let ended = out.sent(n);
                let pending = out.pending();
                drop(out);
                count_sent(n, ended);
                connection.after_sending(n, pending);
                Poll::Ready(Ok(()))
            }
        }
    })
    .await
}

/// Copies the first bytes that wait into `copy`, at most [`WAIT_BYTES`].
fn copy_front(out: &Out, copy: &mut Vec<u8>) {
    copy.clear();
    let Some(piece) = out.front() else { return };
    let len = piece.len.min(WAIT_BYTES);
    copy.resize(len, 0);
    // SAFETY: the piece has at least `len` bytes and lives in the queue borrowed by the caller (its Vec, or a mapping
    // whose lease the queue holds); `copy` was just made `len` long, and a fresh Vec does not overlap either.
    unsafe { ptr::copy_nonoverlapping(piece.data, copy.as_mut_ptr(), len) };
}
