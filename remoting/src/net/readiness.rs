//! Which connections of this shard can be read or sent to: one epoll set a shard, watched by the executor's ring.
//!
//! Owns the set and the one task that asks it. A poll of the ring for each connection costs an entry, a completion and
//! an interrupt of the shard each time bytes arrive; the set costs one call for all that are ready, and an idle
//! connection nothing (docs/adr/0009). Descriptors are entered once, edge triggered, for both directions: whoever meets
//! a socket that has no more clears the mark here before the set is asked again, so no edge is lost. Runs on the shard.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_io::AsyncRead;

use super::connection::{self, ConnId};

/// Connections taken from the set in one call.
const EVENTS: usize = 128;
/// So many at once, and the next are near: asking again in the next turn is cheaper than to wait on the ring.
const MANY: usize = 2;
/// How long to wait when there is no descriptor to wait with.
const POLL_AGAIN: Duration = Duration::from_millis(5);

thread_local! {
    static SET: RefCell<Option<Rc<OwnedFd>>> = const { RefCell::new(None) };
}

/// Enters a connection's socket; it leaves the set when its descriptor is closed.
pub(crate) fn watch(fd: RawFd, id: ConnId) -> io::Result<()> {
    let set = SET.with_borrow(Clone::clone);
    let set = match set {
        Some(set) => set,
        None => {
            // SAFETY: takes a flag, answers with a new descriptor or -1.
            let made = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
            if made < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the descriptor was just made and nobody else has it.
            let set = Rc::new(unsafe { OwnedFd::from_raw_fd(made) });
            SET.set(Some(set.clone()));
            shard::spawn_local(tell_ready(set.clone()));
            set
        }
    };
    let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
    let mut event = libc::epoll_event { events: events as u32, u64: id.0 };
    // SAFETY: the kernel reads `event` during the call only; wrong descriptors are an error.
    let result = unsafe { libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes what is ready out of the set and tells the connections. Ends with the shard.
async fn tell_ready(set: Rc<OwnedFd>) {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    loop {
        // SAFETY: the kernel writes at most EVENTS elements, which `events` has; time-out 0 never blocks.
        let ready = unsafe { libc::epoll_wait(set.as_raw_fd(), events.as_mut_ptr(), EVENTS as libc::c_int, 0) };
        let ready = usize::try_from(ready).unwrap_or(0);
        for event in events.iter().take(ready) {
            let (flags, id) = (event.events as libc::c_int, ConnId(event.u64));
            // One that was closed meanwhile has left the table.
            if let Some(connection) = connection::find(id) {
                let ended = flags & (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) != 0;
                connection.is_ready(flags & libc::EPOLLIN != 0, flags & libc::EPOLLOUT != 0, ended);
            }
        }
        if ready >= MANY {
            shard::turn().await;
        } else if until_any_is_ready(&set).await.is_err() {
            shard::sleep(POLL_AGAIN).await;
        }
    }
}

/// Waits until the set has something. The executor has no public way to wait for a descriptor alone: a stream over a
/// copy of it polls for readability from its start, and the read that follows is refused, as the set is no socket.
async fn until_any_is_ready(set: &OwnedFd) -> io::Result<()> {
    let copy = set.try_clone()?.into_raw_fd();
    // SAFETY: `copy` was just made and given up by its owner, so the stream is the only one to close it.
    let mut stream = unsafe { glommio::net::TcpStream::from_raw_fd(copy) };
    let mut byte = [0u8; 1];
    let _refused = poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut byte)).await;
    Ok(())
}
