//! Waiting for many sockets until an instant.
//!
//! Owns an epoll instance. Must not own the sockets: they outlive it or are closed by their owner. One a thread.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

const EVENTS: usize = 256;

/// An epoll instance.
pub struct Epoll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    /// Whether the kernel takes nanoseconds (epoll_pwait2, Linux 5.11).
    is_exact: bool,
}

impl Epoll {
    /// Nothing watched yet.
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: the call takes a flag; a result that is no error is a new descriptor that nobody else owns.
        let epoll = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Epoll { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS], is_exact: true })
    }

    /// Watches a socket for reading; the events name it by `token`.
    pub fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, false)
    }

    /// Watches it for writing too, or no longer.
    pub fn watch_writable(&self, fd: RawFd, token: u64, writable: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, writable)
    }

    fn control(&self, operation: i32, fd: RawFd, token: u64, writable: bool) -> io::Result<()> {
        let events = libc::EPOLLIN | if writable { libc::EPOLLOUT } else { 0 };
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: the event lives through the call, which copies it.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &mut event) }).map(drop)
    }

    /// Waits that long at most (zero: only looks), exact to the kernel's timer when [`sharpen_timers`] was called on
    /// this thread; calls back with the tokens of ready sockets.
    pub fn wait(&mut self, limit: Duration, mut ready: impl FnMut(u64)) -> io::Result<()> {
        let count = match self.wait_events(limit) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        for event in self.events.iter().take(count) {
            ready(event.u64);
        }
        Ok(())
    }

    fn wait_events(&mut self, limit: Duration) -> io::Result<usize> {
        let (fd, events) = (self.epoll.as_raw_fd(), self.events.as_mut_ptr());
        if self.is_exact && !limit.is_zero() {
            let limit = libc::timespec {
                tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
                tv_nsec: limit.subsec_nanos().into(),
            };
            let no_mask = std::ptr::null::<libc::sigset_t>();
            // SAFETY: the buffer holds EVENTS events, it and the limit live through the call; no mask has no size.
            let count = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    fd,
                    events,
                    EVENTS as libc::c_int,
                    &raw const limit,
                    no_mask,
                    0usize,
                )
            };
            if count >= 0 {
                return Ok(count as usize);
            }
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::ENOSYS) {
                return Err(error);
            }
            self.is_exact = false;
        }
        // Rounded down: better a few short waits than one that is late.
        let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the buffer holds EVENTS events and lives through the call.
        check(unsafe { libc::epoll_wait(fd, events, EVENTS as i32, limit_ms) }).map(|count| count as usize)
    }
}

/// Lets this thread's waits end at their instant: the kernel else adds up to 50 us to join wake-ups.
pub fn sharpen_timers() {
    // SAFETY: the call takes plain numbers and changes this thread's timer slack only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1u64) };
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_wait_ends_no_earlier_than_asked_and_looking_does_not_wait() {
        let mut epoll = Epoll::new().unwrap();
        sharpen_timers();
        let begun = Instant::now();
        epoll.wait(Duration::from_micros(1500), |_| panic!("nothing is watched")).unwrap();
        assert!(begun.elapsed() >= Duration::from_micros(1500));
        epoll.wait(Duration::ZERO, |_| panic!("nothing is watched")).unwrap();
    }

    #[test]
    fn ready_sockets_are_named() {
        use std::io::Write;
        use std::os::unix::net::UnixStream;
        let mut epoll = Epoll::new().unwrap();
        let (here, mut there) = UnixStream::pair().unwrap();
        epoll.add(here.as_raw_fd(), 42).unwrap();
        there.write_all(b"x").unwrap();
        let mut tokens = Vec::new();
        epoll.wait(Duration::from_secs(10), |token| tokens.push(token)).unwrap();
        assert_eq!(tokens, [42]);
    }
}
