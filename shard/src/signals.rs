//! The signals that end a process: blocked in every thread, waited for by one.
//!
//! Owns nothing. `block` runs on the main thread before any other thread is started (threads
//! inherit the mask); `wait` on the main thread afterwards.

use std::time::Duration;

/// Blocks SIGTERM and SIGINT for this thread and all it starts, and ignores SIGPIPE and SIGHUP:
/// a closed socket is an error code, and `nohup` is how users start brokers.
pub fn block() {
    // SAFETY: the set is initialised by sigemptyset; both calls only read it. SIG_IGN has no handler code.
    unsafe {
        let set = ending();
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
    }
}

/// Waits up to `timeout` for a signal that ends the process; its name, if one came.
pub fn wait(timeout: Duration) -> Option<&'static str> {
    let limit = libc::timespec { tv_sec: timeout.as_secs() as libc::time_t, tv_nsec: timeout.subsec_nanos().into() };
    // SAFETY: set and limit live for the call; no signal information is asked for.
    let signal = unsafe {
        let set = ending();
        libc::sigtimedwait(&set, std::ptr::null_mut(), &limit)
    };
    match signal {
        libc::SIGTERM => Some("SIGTERM"),
        libc::SIGINT => Some("SIGINT"),
        _ => None,
    }
}

fn ending() -> libc::sigset_t {
    // SAFETY: sigset_t is plain data that sigemptyset initialises.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTERM);
        libc::sigaddset(&mut set, libc::SIGINT);
        set
    }
}
