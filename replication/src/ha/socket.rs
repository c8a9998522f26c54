//! The few calls of the kernel that links need beside `std`: poll, eventfd, sendfile, a connect that can be given up.
//!
//! Owns the descriptors it makes. Ordinary threads only. Must not know what is sent.

use std::io;
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Wakes a thread that polls.
#[derive(Debug)]
pub(super) struct Waker(OwnedFd);

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed; the descriptor is new and owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?) }))
    }

    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Makes the descriptor readable until [`Waker::clear`].
    pub(super) fn wake(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes of a local are read. It fails only when the count is full, and then it is readable.
        unsafe { libc::write(self.fd(), (&raw const one).cast(), 8) };
    }

    pub(super) fn clear(&self) {
        let mut count = 0_u64;
        // SAFETY: eight bytes of a local are written. It fails when nothing is there to take back.
        unsafe { libc::read(self.fd(), (&raw mut count).cast(), 8) };
    }
}

/// A descriptor to wait for.
pub(super) fn interest(fd: RawFd, is_write_wanted: bool, is_read_wanted: bool) -> libc::pollfd {
    let mut events = 0;
    if is_write_wanted {
        events |= libc::POLLOUT;
    }
    if is_read_wanted {
        events |= libc::POLLIN;
    }
    libc::pollfd { fd, events, revents: 0 }
}

/// Whether reading would tell something: bytes, the end, or an error.
pub(super) fn is_readable(poll: &libc::pollfd) -> bool {
    poll.revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0
}

/// Waits for one of the descriptors, at most until `deadline`. An interruption counts as a wake for nothing.
pub(super) fn wait(polls: &mut [libc::pollfd], deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    // Rounded up, so that a deadline is past when it is said to be; an hour at most, whoever waits longer comes again.
    let left_ms = left.as_micros().div_ceil(1000).min(3_600_000);
    let count = libc::nfds_t::try_from(polls.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the kernel reads and writes `count` entries of the slice, which outlives the call.
    match check(unsafe { libc::poll(polls.as_mut_ptr(), count, i32::try_from(left_ms).unwrap_or(i32::MAX)) }) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            polls.iter_mut().for_each(|poll| poll.revents = 0);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Sends bytes, telling the kernel when more follow at once.
pub(super) fn send(socket: &TcpStream, bytes: &[u8], is_more_coming: bool) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | if is_more_coming { libc::MSG_MORE } else { 0 };
    // SAFETY: the kernel reads `len` bytes of the slice.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sends bytes of a file; reads them from the disk if they are not in memory, and the thread waits meanwhile.
pub(super) fn send_file(socket: &TcpStream, file: RawFd, position: u64, len: usize) -> io::Result<usize> {
    let mut position = libc::off_t::try_from(position).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: both descriptors are open for the call, and the position is a local.
    let sent = unsafe { libc::sendfile(socket.as_raw_fd(), file, &raw mut position, len) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Connects without blocking longer than `timeout`; gives up as soon as `waker` is readable. The socket does not block.
pub(super) fn connect(address: SocketAddr, timeout: Duration, waker: &Waker) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no memory is passed; the descriptor is new and owned by nobody else.
    let socket = unsafe {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        TcpStream::from_raw_fd(check(libc::socket(family, kind, 0))?)
    };
    let begun = match address {
        SocketAddr::V4(v4) => {
            let name = libc::sockaddr_in {
                sin_family: family as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            connect_raw(&socket, &name)
        }
        SocketAddr::V6(v6) => {
            let name = libc::sockaddr_in6 {
                sin6_family: family as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            connect_raw(&socket, &name)
        }
    };
    match begun {
        Ok(()) => return not_itself(socket),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    let deadline = Instant::now() + timeout;
    loop {
        let mut polls = [interest(socket.as_raw_fd(), true, false), interest(waker.fd(), false, true)];
        wait(&mut polls, deadline)?;
        let [connected, woken] = polls;
        if connected.revents != 0 {
            return match socket.take_error()? {
                Some(error) => Err(error),
                None => not_itself(socket),
            };
        }
        if woken.revents != 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer for {} ms", timeout.as_millis())));
        }
    }
}

/// Whoever tries again and again to reach a port of its own host on which nobody listens may be given that port as its own
/// end, and is connected to itself: its reports come back as signs of life, and the master finds its port taken.
fn not_itself(socket: TcpStream) -> io::Result<TcpStream> {
    if socket.local_addr()? == socket.peer_addr()? {
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens there"));
    }
    Ok(socket)
}

fn connect_raw<T>(socket: &TcpStream, name: &T) -> io::Result<()> {
    let len = libc::socklen_t::try_from(mem::size_of::<T>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the kernel reads a socket address of this size, which is what `name` is.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const *name).cast(), len) }).map(drop)
}

/// Whether an operation on a socket that does not block should be tried again later.
pub(super) fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn connecting_is_given_up_when_woken_and_when_time_is_up() {
        let waker = Waker::new().expect("an eventfd");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        assert!(connect(address, Duration::from_secs(5), &waker).is_ok());
        drop(listener);
        let error = connect(address, Duration::from_secs(5), &waker).expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    /// The kernel hands out ports of one parity first, in turn, so half of its range is enough.
    #[test]
    fn nobody_is_connected_to_itself() {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("the kernel's range");
        let ends: Vec<u16> = range.split_whitespace().filter_map(|end| end.parse().ok()).collect();
        let [low, high] = ends[..] else { panic!("{range:?}") };
        let waker = Waker::new().expect("an eventfd");
        let address = SocketAddr::from(([127, 0, 0, 1], (low + (high - low) / 2) & !1));
        for _ in 0..u32::from(high - low) * 3 / 2 {
            if let Ok(socket) = connect(address, Duration::from_secs(5), &waker) {
                let ends = (socket.local_addr().expect("here"), socket.peer_addr().expect("there"));
                assert_ne!(ends.0, ends.1);
            }
        }
    }

    #[test]
    fn a_waker_stays_readable_until_cleared() {
        let waker = Waker::new().expect("an eventfd");
        let readable = || {
            let mut polls = [interest(waker.fd(), false, true)];
            wait(&mut polls, Instant::now()).expect("poll");
            is_readable(&polls[0])
        };
        assert!(!readable());
        waker.wake();
        waker.wake();
        assert!(readable());
        waker.clear();
        assert!(!readable());
    }
}
