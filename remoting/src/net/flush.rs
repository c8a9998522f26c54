//! Sending for all connections that have something, once a turn.
//!
//! Owns the list of such connections and the writer task of a connection whose socket is full. A connection has at most
//! one writer task; while it runs, `flush_dirty` leaves the connection to it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::Poll;

use super::connection::Connection;
use super::counters::count;
use super::out::{Ended, Out, Piece};
use super::send::{self, Progress, Sent};

/// Bytes one connection may send in one go before others have their turn.
const ROUND_BYTES: usize = 1 << 20;

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
            Ok(Progress::Blocked) => until_writable(&connection).await,
            Err(error) => break Err(error),
        }
    };
    connection.writing.set(false);
    if let Err(error) = result {
        failed(&connection, &error);
    }
}

/// Waits for the socket to take bytes again, or for the end of the connection.
async fn until_writable(connection: &Connection) {
    poll_fn(|cx| {
        if connection.closed.get() || connection.writable.get() {
            return Poll::Ready(());
        }
        connection.writer_waits(cx);
        Poll::Pending
    })
    .await;
}
