//! The limit on locked memory, which io_uring's registered buffers count against. Any thread, at start only.

use std::mem;

/// Bytes glommio 0.9.0 wants as soft limit before it makes its rings.
pub(crate) const NEEDED_BYTES: u64 = 512 * 1024;

/// Bytes of registered buffers a shard takes when the limit allows: three rings share one slab of 1 MiB.
const COMFORT_BYTES: u64 = 4 * 1024 * 1024;

/// Soft and hard limit in bytes; `u64::MAX` is "unlimited".
pub(crate) struct Limit {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// The limit in force, after raising the soft one to what we need where the hard one allows that.
pub(crate) fn limit() -> Limit {
    let found = read();
    if found.soft >= COMFORT_BYTES || found.hard <= found.soft {
        return found;
    }
    let wanted = libc::rlimit { rlim_cur: found.hard, rlim_max: found.hard };
    // SAFETY: setrlimit only reads the struct it is given. Failure leaves the old limit, which is read again below.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &wanted) };
    read()
}

fn read() -> Limit {
    // SAFETY: rlimit is two integers, for which zeros are valid.
    let mut limit: libc::rlimit = unsafe { mem::zeroed() };
    // SAFETY: getrlimit writes one rlimit into `limit`, which lives until the call returns.
    if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } != 0 {
        // A kernel that does not tell is not a reason to stop; the rings report their own failure.
        return Limit { soft: u64::MAX, hard: u64::MAX };
    }
    Limit { soft: limit.rlim_cur, hard: limit.rlim_max }
}

/// Bytes of I/O memory a shard asks glommio for. Small: only cold reads use it, sockets never do.
pub(crate) fn io_memory() -> usize {
    let limit = limit();
    if limit.soft >= COMFORT_BYTES {
        return 1 << 20;
    }
    tracing::warn!(
        limit_bytes = limit.soft,
        wanted_bytes = COMFORT_BYTES,
        "the limit on locked memory is low, cold reads use less registered memory; raise it with `ulimit -l unlimited` \
         or LimitMEMLOCK=infinity in the unit file"
    );
    64 << 10
}
