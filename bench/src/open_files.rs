//! How many files and connections this process may have open.
//!
//! Owns one limit of the process. Main thread, before the load.

/// Raises the limit as far as the system lets a process by itself; thousands of connections are over most defaults.
pub fn raise_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit lives through both calls. A failure leaves all as it was, and connecting says what is missing.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
