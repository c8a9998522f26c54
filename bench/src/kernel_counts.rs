//! Counts what processes ask of the kernel, by its own tracepoints: it works for any broker. Of files made durable it
//! sees fsync, fdatasync, msync and their io_uring forms alike.
//!
//! Owns the counters: one for each thread that is there and for all that it starts later. Needs the right to trace
//! (root, or CAP_PERFMON and a readable tracefs); without it there is nothing to count. Main thread.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::FromRawFd;

/// Where file systems begin to make a file durable.
pub const SYNCS: &[&str] =
    &["ext4/ext4_sync_file_enter", "xfs/xfs_file_fsync", "btrfs/btrfs_sync_file", "f2fs/f2fs_sync_file_enter"];
/// Where every system call begins.
pub const SYSTEM_CALLS: &[&str] = &["raw_syscalls/sys_enter"];
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

const PERF_TYPE_TRACEPOINT: u32 = 2;
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
const INHERIT: u64 = 2;

/// `struct perf_event_attr` in its first version.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    breakpoint_address: u64,
}

const _: () = assert!(size_of::<Attributes>() == 64);

/// The counters of some processes.
#[derive(Debug)]
pub struct KernelCounts(Vec<File>);

impl KernelCounts {
    /// Counts from now on; `None` where that is not allowed or not possible.
    pub fn watch(pids: &[u32], tracepoints: &[&str]) -> Option<KernelCounts> {
        let ids: Vec<u64> = tracepoints.iter().filter_map(|name| tracepoint(name)).collect();
        let mut counters = Vec::new();
        for pid in pids {
            for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
                let name = task.ok()?.file_name();
                let thread: libc::pid_t = name.to_str()?.parse().ok()?;
                for id in &ids {
                    counters.push(open(*id, thread)?);
                }
            }
        }
        (!counters.is_empty()).then_some(KernelCounts(counters))
    }

    /// How often since [`KernelCounts::watch`].
    pub fn count(&self) -> Option<u64> {
        let mut sum = 0;
        for mut counter in &self.0 {
            let mut count = [0; 8];
            counter.read_exact(&mut count).ok()?;
            sum += u64::from_ne_bytes(count);
        }
        Some(sum)
    }
}

fn tracepoint(name: &str) -> Option<u64> {
    TRACEFS.iter().find_map(|root| fs::read_to_string(format!("{root}/events/{name}/id")).ok()?.trim().parse().ok())
}

fn open(id: u64, thread: libc::pid_t) -> Option<File> {
    let attributes = Attributes {
        kind: PERF_TYPE_TRACEPOINT,
        size: size_of::<Attributes>() as u32,
        config: id,
        flags: INHERIT,
        ..Attributes::default()
    };
    let (any_cpu, no_group): (libc::c_int, libc::c_int) = (-1, -1);
    // SAFETY: the attributes live through the call and have the size they say.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &raw const attributes, thread, any_cpu, no_group, PERF_FLAG_FD_CLOEXEC)
    };
    let fd = libc::c_int::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: a new descriptor that nobody else owns.
    Some(unsafe { File::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_watch_has_no_count() {
        assert!(KernelCounts::watch(&[], SYNCS).is_none());
        assert!(KernelCounts::watch(&[u32::MAX], SYNCS).is_none());
    }

    /// Where tracing is allowed: three syncs, one of them by a thread that came later, are three.
    #[test]
    fn syncs_of_this_process_are_counted() {
        let path = std::env::temp_dir().join(format!("mqbench-syncs-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        let counted = KernelCounts::watch(&[std::process::id()], SYNCS).map(|syncs| {
            let before = syncs.count().unwrap();
            file.sync_data().unwrap();
            file.sync_all().unwrap();
            std::thread::scope(|scope| scope.spawn(|| file.sync_data().unwrap()).join().unwrap());
            syncs.count().unwrap() - before
        });
        fs::remove_file(&path).unwrap();
        // A file system without such a tracepoint (tmpfs) counts none.
        assert!(matches!(counted, None | Some(0) | Some(3..)), "{counted:?}");
    }
}
