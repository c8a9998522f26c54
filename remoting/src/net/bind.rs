//! The listening socket, and what to say when it cannot be had.
//!
//! Owns the search for the process that holds a port, in /proc. Any thread, at start.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Connections the kernel keeps until they are accepted. Java: 1024.
const BACKLOG: libc::c_int = 1024;

/// Why nobody can connect to `addr`.
#[derive(Debug)]
pub struct BindError {
    pub addr: SocketAddr,
    pub error: io::Error,
    /// Who listens on that port already, as far as /proc tells this user.
    pub holders: Vec<Holder>,
}

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// Its command line, cut to 120 characters.
    pub command: String,
}

impl BindError {
    /// The port is in use, but by no process.
    fn is_orphan(&self) -> bool {
        self.error.raw_os_error() == Some(libc::EADDRINUSE) && self.holders.is_empty()
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr = self.addr;
        write!(f, "cannot listen on {addr}: ")?;
        match self.error.raw_os_error() {
            Some(libc::EADDRINUSE) => {
                match self.holders.as_slice() {
                    [] => write!(f, "the port is in use by another process (`ss -ltnp` as root shows which)")?,
                    holders => {
                        write!(f, "the port is in use by ")?;
                        for (place, holder) in holders.iter().enumerate() {
                            let comma = if place > 0 { ", " } else { "" };
                            write!(f, "{comma}pid {} ({})", holder.pid, holder.command)?;
                        }
                    }
                }
                write!(f, "; stop it, or set another listenPort")
            }
            Some(libc::EADDRNOTAVAIL) => {
                write!(f, "this machine has no address {}; give one of its own, or 0.0.0.0 for all", addr.ip())
            }
            Some(libc::EACCES) => {
                write!(f, "this user may not listen on port {}; set a listenPort of 1024 or more", addr.port())
            }
            _ => write!(f, "{}", self.error),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// How long a port is waited for that no process holds any more.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(5);

/// Listens, and waits for a port that is in use by nobody: the kernel takes an io_uring down some moments after its
/// process was killed, and until then the sockets it had in hand live on. So a restart right after kill -9 finds the port
/// free in the end instead of failing at random.
pub(crate) fn listen(addr: SocketAddr) -> Result<TcpListener, BindError> {
    let patience_ends = Instant::now() + ORPHAN_PATIENCE;
    loop {
        match listen_now(addr) {
            Err(error) if error.is_orphan() && Instant::now() < patience_ends => {
                std::thread::sleep(Duration::from_millis(2));
            }
            result => return result,
        }
    }
}

/// A non-blocking listening socket with SO_REUSEADDR (a restart finds the port free while old connections linger) and
/// without SO_REUSEPORT (a second broker on the port fails loudly).
fn listen_now(addr: SocketAddr) -> Result<TcpListener, BindError> {
    let listener = TcpListener::bind(addr).and_then(|listener| {
        listener.set_nonblocking(true)?;
        // SAFETY: takes two numbers; the descriptor is owned by `listener`. A second listen only changes the backlog.
        if unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(listener)
    });
    listener.map_err(|error| {
        let in_use = error.raw_os_error() == Some(libc::EADDRINUSE);
        let holders = if in_use { holders(Path::new("/proc"), addr.port()) } else { Vec::new() };
        BindError { addr, error, holders }
    })
}

/// The processes that listen on `port` by TCP, on whatever address.
fn holders(proc: &Path, port: u16) -> Vec<Holder> {
    let mut inodes = Vec::new();
    for table in ["net/tcp", "net/tcp6"] {
        let text = fs::read_to_string(proc.join(table)).unwrap_or_default();
        inodes.extend(text.lines().skip(1).filter_map(|line| listening_inode(line, port)));
    }
    let mut found = Vec::new();
    if inodes.is_empty() {
        return found;
    }
    for entry in fs::read_dir(proc).into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if owns_one(&entry.path().join("fd"), &inodes) {
            found.push(Holder { pid, command: command_of(&entry.path()) });
        }
    }
    found
}

/// The socket's inode, if this line of /proc/net/tcp is a listening socket on `port`.
fn listening_inode(line: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, hex_port) = columns.get(1)?.rsplit_once(':')?;
    if u16::from_str_radix(hex_port, 16).ok()? != port || *columns.get(3)? != LISTEN {
        return None;
    }
    columns.get(9)?.parse().ok()
}

fn owns_one(descriptors: &Path, inodes: &[u64]) -> bool {
    fs::read_dir(descriptors).into_iter().flatten().flatten().any(|descriptor| {
        let Ok(target) = fs::read_link(descriptor.path()) else { return false };
        let inode = target.to_str().and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok());
        inode.is_some_and(|inode| inodes.contains(&inode))
    })
}

fn command_of(process: &Path) -> String {
    let bytes = fs::read(process.join("cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
    line.trim().chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_lines_of_the_port_count() {
        let line = |state: &str| {
            format!(
                "   0: 0100007F:2A9F 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  0  0 4242 1 0 100 0"
            )
        };
        let check =
            |line: &str, port: u16, expected: Option<u64>| assert_eq!(listening_inode(line, port), expected, "{line}");
        check(&line("0A"), 10911, Some(4242));
        check(&line("0A"), 10912, None);
        check(&line("01"), 10911, None);
        check("", 10911, None);
        check("0: zz", 10911, None);
    }

    #[test]
    fn a_second_listener_is_told_who_holds_the_port() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = first.local_addr().unwrap();
        let error = listen(addr).unwrap_err();
        let own = std::process::id();
        assert!(error.holders.iter().any(|holder| holder.pid == own), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&addr.to_string()) && text.contains(&format!("pid {own}")), "{text}");
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        // 192.0.2.0/24 is reserved for documentation, so no machine has it.
        let text = listen("192.0.2.1:0".parse().unwrap()).unwrap_err().to_string();
        assert!(text.contains("no address 192.0.2.1"), "{text}");
    }
}
