//! Waiting for many sockets and an instant at once.
//!
//! Owns an epoll instance and a timer in it. Must not own the sockets: they outlive it or are closed by their owner.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

const TIMER: u64 = u64::MAX;
const EVENTS: usize = 256;

/// An epoll instance with a timer.
pub struct Epoll {
    epoll: OwnedFd,
    timer: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// Nothing watched yet.
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: the call takes a flag; a result that is no error is a new descriptor that nobody else owns.
        let epoll = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: as above.
        let timer = unsafe { OwnedFd::from_raw_fd(check(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags))?) };
        let this = Epoll { epoll, timer, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS] };
        this.control(libc::EPOLL_CTL_ADD, this.timer.as_raw_fd(), TIMER, false)?;
        Ok(this)
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

    /// Wakes `wait` once after this time (at once when zero).
    pub fn wake_after(&self, after: Duration) -> io::Result<()> {
        let after = after.max(Duration::from_nanos(1));
        let value = libc::timespec {
            tv_sec: after.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: after.subsec_nanos().into(),
        };
        let timer = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // SAFETY: both pointers are valid for the call (the old value is not asked for).
        check(unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &timer, std::ptr::null_mut()) }).map(drop)
    }

    /// Waits; calls back with the tokens of ready sockets. The timer's wake-up calls nothing.
    pub fn wait(&mut self, limit: Duration, mut ready: impl FnMut(u64)) -> io::Result<()> {
        let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the buffer holds EVENTS events and lives through the call.
        let count =
            unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), EVENTS as i32, limit_ms) };
        let count = match check(count) {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        for event in &self.events[..count] {
            match event.u64 {
                TIMER => self.clear_timer(),
                token => ready(token),
            }
        }
        Ok(())
    }

    fn clear_timer(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the buffer of 8 bytes lives through the call. A timer set anew meanwhile reads as EAGAIN: no matter.
        unsafe { libc::read(self.timer.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
