//! The link between the real threads is cut after every byte by a proxy between them, each way; told ends at each
//! byte, untold ends at some. The slave's log is a beginning of the master's, equal after healing, and nothing is
//! confirmed that the slave has not.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use replication::ha::{LogSink, MasterOptions, MasterServer, SlaveOptions};
use support::memory::{MemoryLog, MemorySink};
use support::quick::{any_port, master_options, slave, slave_options};

const FILE: u64 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Never,
    /// After so many bytes to the slave, or to the master.
    Reset {
        to_slave: bool,
        after: usize,
    },
    /// The same, but nobody is told.
    HalfOpen {
        to_slave: bool,
        after: usize,
    },
}

/// Stands between a slave and its master; cuts the first link, lets the others through.
struct Proxy {
    address: SocketAddr,
    is_stopping: Arc<AtomicBool>,
    counts: Arc<[AtomicUsize; 2]>,
    sockets: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn start(master: SocketAddr, cut: Cut) -> Self {
        let listener = TcpListener::bind(any_port()).expect("a port");
        let address = listener.local_addr().expect("an address");
        let is_stopping = Arc::new(AtomicBool::new(false));
        let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let sockets = Arc::new(Mutex::new(Vec::new()));
        let proxy =
            Self { address, is_stopping: is_stopping.clone(), counts: counts.clone(), sockets: sockets.clone() };
        thread::spawn(move || {
            let mut cut = cut;
            for near in listener.incoming() {
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(master)) else { break };
                if is_stopping.load(Ordering::SeqCst) {
                    break;
                }
                for socket in [&near, &far] {
                    socket.set_nodelay(true).expect("an option");
                    sockets.lock().expect("nobody panics").push(socket.try_clone().expect("a descriptor"));
                }
                for to_slave in [false, true] {
                    let (from, to) = if to_slave { (&far, &near) } else { (&near, &far) };
                    let (from, to) = (from.try_clone().expect("one"), to.try_clone().expect("one"));
                    let counts = counts.clone();
                    thread::spawn(move || forward(from, to, to_slave, cut, &counts[usize::from(to_slave)]));
                }
                cut = Cut::Never;
            }
        });
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        for socket in self.sockets.lock().expect("nobody panics").iter() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn reset(socket: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let len = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the kernel reads the value, which is a linger of this size.
    unsafe {
        let value = (&raw const linger).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, len);
    }
    let _ = socket.shutdown(Shutdown::Both);
}

fn forward(mut from: TcpStream, mut to: TcpStream, to_slave: bool, cut: Cut, count: &AtomicUsize) {
    let mut bytes = [0; 4096];
    let limit = match cut {
        Cut::Reset { to_slave: way, after } | Cut::HalfOpen { to_slave: way, after } if way == to_slave => after,
        _ => usize::MAX,
    };
    let mut total = 0;
    loop {
        if total == limit {
            if matches!(cut, Cut::Reset { .. }) {
                reset(&from);
                reset(&to);
                return;
            }
            // Half open: what comes is swallowed.
            match from.read(&mut bytes) {
                Ok(read) if read > 0 => continue,
                _ => break,
            }
        }
        let want = bytes.len().min(limit - total);
        match from.read(&mut bytes[..want]) {
            Ok(read) if read > 0 => {
                // Before the other side can act on them.
                count.fetch_add(read, Ordering::SeqCst);
                if to.write_all(&bytes[..read]).is_err() {
                    break;
                }
                total += read;
            }
            _ => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A session from nothing to some 2 KiB through a cut; how many bytes went each way.
fn session(cut: Cut, housekeeping: Duration) -> (usize, usize) {
    let log = MemoryLog::new(1, FILE);
    let sink = MemorySink::new(FILE);
    log.proved_by(&sink);
    let heartbeat = housekeeping / 4;
    let options = MasterOptions { housekeeping, heartbeat, batch: 300, ..master_options() };
    for _ in 0..3 {
        log.put(200);
    }
    let server = MasterServer::start(any_port(), options, Arc::new(log.clone())).expect("a master");
    let proxy = Proxy::start(server.address(), cut);
    let options = SlaveOptions { housekeeping, heartbeat, ..slave_options() };
    let client = slave(&log, &sink, options, proxy.address);
    for _ in 0..5 {
        let end = log.put(200);
        sink.wait_end(end);
        assert!(log.bytes().starts_with(&sink.bytes()), "{cut:?}");
    }
    let healed = Instant::now();
    log.wait_acked(log.end());
    assert!(healed.elapsed() < Duration::from_secs(5), "{cut:?}: {:?}", client.state());
    assert_eq!(sink.bytes(), log.bytes(), "{cut:?}");
    assert_eq!(sink.end(), log.end());
    assert_eq!(log.falsehoods(), Vec::<String>::new(), "{cut:?}");
    drop(client);
    let [to_master, to_slave] = &*proxy.counts;
    (to_slave.load(Ordering::SeqCst), to_master.load(Ordering::SeqCst))
}

/// Runs all cases, some at a time.
fn all(cases: Vec<Cut>, housekeeping: Duration) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(cut) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    session(*cut, housekeeping);
                }
            });
        }
    });
    println!("{} cuts", cases.len());
}

/// Of a session whose link stands to its end.
fn lengths() -> (usize, usize) {
    let (to_slave, to_master) = session(Cut::Never, Duration::from_secs(20));
    assert!(to_slave > 1600 && to_master >= 48, "a session of {to_slave} and {to_master} bytes shows little");
    (to_slave, to_master)
}

#[test]
fn reset_after_every_byte() {
    let (to_slave, to_master) = lengths();
    let slave = (0..to_slave).map(|after| Cut::Reset { to_slave: true, after });
    let master = (0..to_master).map(|after| Cut::Reset { to_slave: false, after });
    all(slave.chain(master).collect(), Duration::from_secs(20));
}

#[test]
fn half_open_after_every_tenth_byte() {
    let (to_slave, to_master) = lengths();
    let slave = (0..to_slave).step_by(10).map(|after| Cut::HalfOpen { to_slave: true, after });
    let master = (0..to_master).step_by(10).map(|after| Cut::HalfOpen { to_slave: false, after });
    all(slave.chain(master).collect(), Duration::from_millis(200));
}
