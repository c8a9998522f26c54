//! A TCP proxy between two programs under test whose connections can be cut at a byte, held, or turned away.
//!
//! Owns its listener and two threads a connection. Must not look into what it carries. What it is told applies to all
//! connections at once; everything ends when it is dropped.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a thread that carries nothing looks at what it is told.
const LOOK: Duration = Duration::from_millis(10);
const NO_LIMIT: i64 = -1;

/// What happens to connections, those there are and those to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Bytes are carried.
    Pass = 0,
    /// Connections stay, nothing is carried: neither side learns of it.
    Stall = 1,
    /// Connections are reset as soon as they are made.
    Refuse = 2,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From who connected to the target.
    Up,
    /// From the target to who connected.
    Down,
}

struct Told {
    target: SocketAddr,
    mode: AtomicU8,
    stop: AtomicBool,
    /// Bytes still to be carried before the connection that carries the last is cut; negative: no limit.
    up_left: AtomicI64,
    down_left: AtomicI64,
    carried_up: AtomicU64,
    carried_down: AtomicU64,
    cuts: AtomicU64,
    /// Both ends of every connection; ended ones are removed as new ones come.
    open: Mutex<Vec<(TcpStream, TcpStream)>>,
}

/// The proxy.
pub struct Proxy {
    address: SocketAddr,
    told: Arc<Told>,
}

impl Proxy {
    /// Listens on a port of its own for what is to go to `target`.
    pub fn start(target: SocketAddr) -> Proxy {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|error| panic!("no port for a proxy: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
        let told = Arc::new(Told {
            target,
            mode: AtomicU8::new(Mode::Pass as u8),
            stop: AtomicBool::new(false),
            up_left: AtomicI64::new(NO_LIMIT),
            down_left: AtomicI64::new(NO_LIMIT),
            carried_up: AtomicU64::new(0),
            carried_down: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            open: Mutex::new(Vec::new()),
        });
        let shared = Arc::clone(&told);
        thread::spawn(move || accept(&listener, &shared));
        Proxy { address, told }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens to connections; [`Mode::Refuse`] resets those there are.
    pub fn set(&self, mode: Mode) {
        self.told.mode.store(mode as u8, Ordering::SeqCst);
        if mode == Mode::Refuse {
            self.cut();
        }
    }

    /// Resets every connection there is.
    pub fn cut(&self) {
        let mut open = self.told.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (one, other) in open.drain(..) {
            self.told.cuts.fetch_add(1, Ordering::SeqCst);
            reset(&one);
            reset(&other);
        }
    }

    /// Carries `count` more bytes that way, then resets the connection that carried the last of them. Once.
    pub fn cut_after(&self, way: Way, count: u64) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.told.left(way).store(count, Ordering::SeqCst);
    }

    /// Bytes carried that way so far.
    pub fn carried(&self, way: Way) -> u64 {
        match way {
            Way::Up => self.told.carried_up.load(Ordering::SeqCst),
            Way::Down => self.told.carried_down.load(Ordering::SeqCst),
        }
    }

    /// Connections reset so far.
    pub fn cuts(&self) -> u64 {
        self.told.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.told.stop.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that accepts; if that fails nobody waits for it.
        let _ = TcpStream::connect(self.address);
    }
}

impl Told {
    fn left(&self, way: Way) -> &AtomicI64 {
        match way {
            Way::Up => &self.up_left,
            Way::Down => &self.down_left,
        }
    }

    fn mode(&self) -> Mode {
        match self.mode.load(Ordering::SeqCst) {
            0 => Mode::Pass,
            1 => Mode::Stall,
            _ => Mode::Refuse,
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

fn accept(listener: &TcpListener, told: &Arc<Told>) {
    for near in listener.incoming() {
        if told.stopped() {
            return;
        }
        let Ok(near) = near else { continue };
        if told.mode() == Mode::Refuse {
            reset(&near);
            continue;
        }
        // A target that is down turns away whoever comes.
        let Ok(far) = TcpStream::connect(told.target) else {
            reset(&near);
            continue;
        };
        let clones = (near.try_clone(), far.try_clone(), near.try_clone(), far.try_clone());
        let (Ok(near_read), Ok(far_read), Ok(near_kept), Ok(far_kept)) = clones else {
            reset(&near);
            continue;
        };
        let mut open = told.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(kept, _)| kept.peer_addr().is_ok());
        open.push((near_kept, far_kept));
        drop(open);
        let (up, down) = (Arc::clone(told), Arc::clone(told));
        thread::spawn(move || carry(near_read, far, Way::Up, &up));
        thread::spawn(move || carry(far_read, near, Way::Down, &down));
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, way: Way, told: &Told) {
    let _ = from.set_read_timeout(Some(LOOK));
    let _ = to.set_nodelay(true);
    let mut buffer = vec![0; 64 << 10];
    while !told.stopped() {
        if told.mode() == Mode::Stall {
            thread::sleep(LOOK);
            continue;
        }
        let count = match from.read(&mut buffer) {
            Ok(0) => {
                // The other way goes on until its own end.
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        // What came while the connection was told to stall waits with the rest.
        while told.mode() == Mode::Stall && !told.stopped() {
            thread::sleep(LOOK);
        }
        let left = told.left(way).load(Ordering::SeqCst);
        let allowed = if left < 0 { count } else { count.min(usize::try_from(left).unwrap_or(usize::MAX)) };
        if to.write_all(&buffer[..allowed]).is_err() {
            break;
        }
        match way {
            Way::Up => told.carried_up.fetch_add(allowed as u64, Ordering::SeqCst),
            Way::Down => told.carried_down.fetch_add(allowed as u64, Ordering::SeqCst),
        };
        if left >= 0 {
            let rest = left - allowed as i64;
            told.left(way).store(if rest == 0 { NO_LIMIT } else { rest }, Ordering::SeqCst);
            if rest == 0 {
                told.cuts.fetch_add(1, Ordering::SeqCst);
                // What was carried must arrive before the reset does.
                let _ = to.shutdown(Shutdown::Write);
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// Ends it with a reset rather than in order.
fn reset(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the descriptor is open as long as the stream is borrowed; the option is read from a linger of its size.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        );
    }
    let _ = stream.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A target that sends back what it gets, and a proxy before it.
    fn echo() -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|error| panic!("{error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let Ok(mut back) = stream.try_clone() else { return };
                    let _ = std::io::copy(&mut &stream, &mut back);
                });
            }
        });
        Proxy::start(address)
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).unwrap_or_else(|error| panic!("{error}"));
        stream.set_read_timeout(Some(PATIENCE)).unwrap_or_else(|error| panic!("{error}"));
        stream
    }

    fn read(stream: &mut TcpStream) -> usize {
        let (mut all, mut bytes) = (0, [0; 100]);
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            all += count;
        }
        all
    }

    #[test]
    fn a_connection_is_cut_after_its_bytes_and_the_next_one_is_not() {
        for way in [Way::Up, Way::Down] {
            let proxy = echo();
            proxy.cut_after(way, 7);
            let mut stream = connect(&proxy);
            let _ = stream.write_all(&[1; 50]);
            let came_back = read(&mut stream);
            assert_eq!(proxy.carried(way), 7, "{way:?}");
            assert!(came_back <= 7 && (way == Way::Up || came_back == 7), "{came_back} {way:?}");
            let mut stream = connect(&proxy);
            let _ = stream.write_all(&[1; 50]);
            let _ = stream.shutdown(Shutdown::Write);
            assert_eq!(read(&mut stream), 50, "{way:?}");
        }
    }

    #[test]
    fn stalled_bytes_arrive_later_and_refused_connections_end() {
        let proxy = echo();
        let mut stream = connect(&proxy);
        proxy.set(Mode::Stall);
        let _ = stream.write_all(&[1; 50]);
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read(&mut stream), 0);
        proxy.set(Mode::Pass);
        assert_eq!(wait::until(PATIENCE, || Some(read(&mut stream)).filter(|count| *count > 0)), Some(50));
        proxy.set(Mode::Refuse);
        assert_eq!(read(&mut stream), 0);
        assert!(proxy.cuts() > 0);
        assert_eq!(read(&mut connect(&proxy)), 0);
    }
}
