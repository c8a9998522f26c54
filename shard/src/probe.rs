//! Is io_uring usable here? Asked once, before any shard starts, because glommio 0.9.0 panics or exits where it is not.
//!
//! Owns two raw system calls and the sentences that tell an operator what to do. Any thread; opens nothing that stays.

use std::fmt;
use std::fs;
use std::io;
use std::mem;

use crate::memlock;

/// Operations glommio's executor cannot do without, by their number in `linux/io_uring.h`, with the name to report.
/// The newest of them came with Linux 5.6; the ring features glommio relies on came with 5.8.
const OPERATIONS: &[(u8, &str)] = &[
    (0, "NOP"),
    (1, "READV"),
    (2, "WRITEV"),
    (3, "FSYNC"),
    (4, "READ_FIXED"),
    (5, "WRITE_FIXED"),
    (6, "POLL_ADD"),
    (7, "POLL_REMOVE"),
    (9, "SENDMSG"),
    (10, "RECVMSG"),
    (11, "TIMEOUT"),
    (12, "TIMEOUT_REMOVE"),
    (13, "ACCEPT"),
    (15, "LINK_TIMEOUT"),
    (16, "CONNECT"),
    (17, "FALLOCATE"),
    (18, "OPENAT"),
    (19, "CLOSE"),
    (21, "STATX"),
    (22, "READ"),
    (23, "WRITE"),
    (26, "SEND"),
    (27, "RECV"),
];

const REGISTER_PROBE: libc::c_uint = 8;
const PROBE_OPERATIONS: usize = 64;
const OPERATION_SUPPORTED: u16 = 1;

/// Why the program cannot run its executors here. Displayed as cause and remedy.
#[derive(Debug)]
pub enum Unavailable {
    /// `io_uring_setup` is not permitted: a seccomp profile or the sysctl.
    Forbidden { disabled_sysctl: Option<String> },
    /// The kernel was built without io_uring, or is older than 5.1.
    Missing { kernel: String },
    /// The kernel has io_uring but not every operation.
    TooOld { kernel: String, operation: &'static str },
    /// RLIMIT_MEMLOCK is below what the rings need, and the hard limit forbids raising it.
    LockedMemory { soft_bytes: u64, hard_bytes: u64, needed_bytes: u64 },
    /// Anything else the system call said.
    Failed { call: &'static str, error: io::Error },
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::Forbidden { disabled_sysctl: Some(value) } if value != "0" => write!(
                f,
                "io_uring is switched off on this machine (kernel.io_uring_disabled = {value}); \
                 switch it on with `sysctl -w kernel.io_uring_disabled=0`"
            ),
            Unavailable::Forbidden { .. } => write!(
                f,
                "io_uring is not permitted for this process (io_uring_setup: operation not permitted), as a rule by a \
                 container's seccomp profile; allow io_uring_setup, io_uring_enter and io_uring_register in the profile \
                 (docker: --security-opt seccomp=<profile.json> or seccomp=unconfined)"
            ),
            Unavailable::Missing { kernel } => write!(
                f,
                "this kernel ({kernel}) has no io_uring (io_uring_setup: not implemented); \
                 run Linux 5.8 or later built with CONFIG_IO_URING, outside of gVisor-like sandboxes"
            ),
            Unavailable::TooOld { kernel, operation } => {
                write!(f, "this kernel ({kernel}) lacks the io_uring operation {operation}; run Linux 5.8 or later")
            }
            Unavailable::LockedMemory { soft_bytes, hard_bytes, needed_bytes } => write!(
                f,
                "the limit on locked memory (RLIMIT_MEMLOCK) is {soft_bytes} bytes (hard limit {hard_bytes}), io_uring \
                 needs {needed_bytes}; raise it with `ulimit -l {}`, LimitMEMLOCK=infinity in the unit file, \
                 --ulimit memlock=-1 for docker, or a memlock line in /etc/security/limits.conf",
                needed_bytes.div_ceil(1024)
            ),
            Unavailable::Failed { call, error } => {
                write!(f, "io_uring cannot be used: {call} failed: {error}; see dmesg and the limits of this process")
            }
        }
    }
}

impl std::error::Error for Unavailable {}

impl From<Unavailable> for io::Error {
    fn from(why: Unavailable) -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, why)
    }
}

/// Checks that executors can run: io_uring is permitted and complete, and enough memory may be locked.
/// Raises the soft RLIMIT_MEMLOCK to the hard one where it is low.
pub fn probe() -> Result<(), Unavailable> {
    let ring = setup()?;
    let checked = check_operations(ring);
    // SAFETY: `ring` came from io_uring_setup just above, is owned here and used by nobody afterwards.
    unsafe { libc::close(ring) };
    checked?;
    check_locked_memory(&memlock::limit())
}

fn check_locked_memory(limit: &memlock::Limit) -> Result<(), Unavailable> {
    if limit.soft >= memlock::NEEDED_BYTES {
        return Ok(());
    }
    Err(Unavailable::LockedMemory {
        soft_bytes: limit.soft,
        hard_bytes: limit.hard,
        needed_bytes: memlock::NEEDED_BYTES,
    })
}

fn setup() -> Result<libc::c_int, Unavailable> {
    // struct io_uring_params is 120 bytes of integers; zeros ask for a plain ring.
    let mut parameters = [0u64; 15];
    // SAFETY: the kernel reads and writes 120 bytes at the pointer, which `parameters` (15 * 8, aligned to 8) provides.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_setup, 2 as libc::c_uint, parameters.as_mut_ptr()) };
    if result >= 0 {
        return Ok(result as libc::c_int);
    }
    Err(explain("io_uring_setup", io::Error::last_os_error()))
}

fn explain(call: &'static str, error: io::Error) -> Unavailable {
    match error.raw_os_error() {
        Some(libc::EPERM) | Some(libc::EACCES) => Unavailable::Forbidden { disabled_sysctl: disabled_sysctl() },
        Some(libc::ENOSYS) => Unavailable::Missing { kernel: kernel() },
        _ => Unavailable::Failed { call, error },
    }
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct ProbeOperation {
    operation: u8,
    reserved: u8,
    flags: u16,
    reserved2: u32,
}

#[repr(C)]
struct Probe {
    last_operation: u8,
    operations_len: u8,
    reserved: u16,
    reserved2: [u32; 3],
    operations: [ProbeOperation; PROBE_OPERATIONS],
}

const _: () = assert!(mem::size_of::<Probe>() == 16 + 8 * PROBE_OPERATIONS);

fn check_operations(ring: libc::c_int) -> Result<(), Unavailable> {
    let mut probe = Probe {
        last_operation: 0,
        operations_len: 0,
        reserved: 0,
        reserved2: [0; 3],
        operations: [ProbeOperation::default(); PROBE_OPERATIONS],
    };
    // SAFETY: the kernel writes the header and at most PROBE_OPERATIONS entries, which is what `probe` holds; the struct
    // is laid out as linux/io_uring.h has it (checked by the size assertion) and is zero, as the kernel demands.
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            ring,
            REGISTER_PROBE,
            &mut probe as *mut Probe,
            PROBE_OPERATIONS as libc::c_uint,
        )
    };
    if result < 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() == Some(libc::EINVAL) {
            return Err(Unavailable::TooOld { kernel: kernel(), operation: "REGISTER_PROBE" });
        }
        return Err(explain("io_uring_register", error));
    }
    missing_operation(&probe.operations)
        .map_or(Ok(()), |operation| Err(Unavailable::TooOld { kernel: kernel(), operation }))
}

fn missing_operation(found: &[ProbeOperation]) -> Option<&'static str> {
    let supported = |number: u8| found.iter().any(|o| o.operation == number && o.flags & OPERATION_SUPPORTED != 0);
    OPERATIONS.iter().find(|(number, _)| !supported(*number)).map(|(_, name)| *name)
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
}

fn disabled_sysctl() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_runs_the_tests_so_it_passes() {
        probe().unwrap();
    }

    #[test]
    fn a_missing_operation_is_named() {
        let all: Vec<ProbeOperation> = OPERATIONS
            .iter()
            .map(|&(operation, _)| ProbeOperation { operation, flags: OPERATION_SUPPORTED, ..Default::default() })
            .collect();
        assert_eq!(missing_operation(&all), None);
        let without_send: Vec<_> = all.iter().copied().filter(|o| o.operation != 26).collect();
        assert_eq!(missing_operation(&without_send), Some("SEND"));
        let unsupported: Vec<_> = all.iter().map(|o| ProbeOperation { flags: 0, ..*o }).collect();
        assert_eq!(missing_operation(&unsupported), Some("NOP"));
    }

    #[test]
    fn low_locked_memory_is_refused_with_numbers() {
        let why = check_locked_memory(&memlock::Limit { soft: 65536, hard: 65536 }).unwrap_err().to_string();
        for part in ["65536", "524288", "ulimit -l 512", "LimitMEMLOCK"] {
            assert!(why.contains(part), "{why}");
        }
        check_locked_memory(&memlock::Limit { soft: memlock::NEEDED_BYTES, hard: memlock::NEEDED_BYTES }).unwrap();
    }

    #[test]
    fn messages_name_cause_and_remedy() {
        let check = |errno: i32, parts: &[&str]| {
            let text = explain("io_uring_setup", io::Error::from_raw_os_error(errno)).to_string();
            for part in parts {
                assert!(text.contains(part), "{text}");
            }
        };
        check(libc::ENOSYS, &["no io_uring", "5.8"]);
        check(libc::EMFILE, &["io_uring_setup failed"]);
        let seccomp = Unavailable::Forbidden { disabled_sysctl: Some("0".into()) }.to_string();
        assert!(seccomp.contains("seccomp"), "{seccomp}");
        let sysctl = Unavailable::Forbidden { disabled_sysctl: Some("2".into()) }.to_string();
        assert!(sysctl.contains("kernel.io_uring_disabled=0"), "{sysctl}");
    }
}
