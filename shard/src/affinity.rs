//! Which CPUs this process may run on. Read once at the start of a shard, on the starting thread.
//!
//! glommio's own list comes from /sys and knows nothing of a cpuset, so a CPU is checked here before it is asked for.

use std::mem;
use std::sync::{Mutex, PoisonError};

/// The CPUs the calling thread may run on, ascending. Empty when the kernel does not tell.
pub(crate) fn allowed_cpus() -> Vec<usize> {
    // SAFETY: cpu_set_t is a plain array of integers, for which all zeros is a valid value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most size_of::<cpu_set_t>() bytes into `set`, which is exactly that large and lives
    // until the call returns; pid 0 names the calling thread.
    let result = unsafe { libc::sched_getaffinity(0, mem::size_of::<libc::cpu_set_t>(), &mut set) };
    if result != 0 {
        return Vec::new();
    }
    // SAFETY: CPU_ISSET reads one bit of `set`; the index stays below CPU_SETSIZE, the number of its bits.
    (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

/// Threads of shards that have a CPU of their own.
static PINNED: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// The calling thread is pinned and stays where it is.
pub(crate) fn stay() {
    // SAFETY: takes nothing and returns a number.
    let thread_id = unsafe { libc::gettid() };
    PINNED.lock().unwrap_or_else(PoisonError::into_inner).push(thread_id);
}

/// Moves every thread of this process that is not a pinned shard off the CPUs of pinned shards, as far as other CPUs
/// are left: what they do beside a shard (reading ahead, the index, flushing) would else take its core in slices of
/// milliseconds. Threads that they start later follow them. Call it once the shards are started.
///
/// Threads whose names begin as one in `but` stay where they are: such as a shard waits for.
pub fn leave_cpus_to_shards(cpus: &[usize], but: &[&str]) {
    let rest: Vec<usize> = allowed_cpus().into_iter().filter(|cpu| !cpus.contains(cpu)).collect();
    if cpus.is_empty() || rest.is_empty() {
        return;
    }
    let pinned = PINNED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return };
    let ids = threads.flatten().filter_map(|thread| thread.file_name().to_str()?.parse::<i32>().ok());
    let is_named = |id: &i32| {
        let name = std::fs::read_to_string(format!("/proc/self/task/{id}/comm")).unwrap_or_default();
        but.iter().any(|but| name.starts_with(but))
    };
    for id in ids.filter(|id| !pinned.contains(id) && !is_named(id)) {
        // A thread that has ended meanwhile needs no CPU.
        let _ = set_cpus(id, &rest);
    }
}

fn set_cpus(thread_id: i32, cpus: &[usize]) -> std::io::Result<()> {
    // SAFETY: cpu_set_t is a plain array of integers, for which all zeros is a valid value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for cpu in cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: the index is below the number of bits of `set`.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: the kernel reads size_of::<cpu_set_t>() bytes of `set`, which lives until the call returns.
    let result = unsafe { libc::sched_setaffinity(thread_id, mem::size_of::<libc::cpu_set_t>(), &set) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_moved() {
        let moved = std::thread::spawn(|| {
            let first = allowed_cpus()[0];
            set_cpus(0, &[first]).unwrap();
            (first, allowed_cpus())
        });
        let (first, allowed) = moved.join().unwrap();
        assert_eq!(allowed, [first]);
        assert!(set_cpus(0, &[]).is_err());
    }

    #[test]
    fn the_cpu_we_run_on_is_allowed() {
        let allowed = allowed_cpus();
        // SAFETY: sched_getcpu takes nothing and returns a number.
        let cpu = unsafe { libc::sched_getcpu() };
        assert!(allowed.contains(&usize::try_from(cpu).unwrap()), "cpu {cpu} of {allowed:?}");
        assert!(allowed.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
