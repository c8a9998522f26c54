//! Which CPUs this process may run on. Read once at the start of a shard, on the starting thread.
//!
//! glommio's own list comes from /sys and knows nothing of a cpuset, so a CPU is checked here before it is asked for.

use std::mem;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_we_run_on_is_allowed() {
        let allowed = allowed_cpus();
        // SAFETY: sched_getcpu takes nothing and returns a number.
        let cpu = unsafe { libc::sched_getcpu() };
        assert!(allowed.contains(&usize::try_from(cpu).unwrap()), "cpu {cpu} of {allowed:?}");
        assert!(allowed.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
