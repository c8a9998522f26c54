//! Peers that are no good, on real sockets: nothing they say counts, nothing they send is stored, their link is closed
//! and the log has one line on it, whoever they are.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use replication::ha::wire::{header, report};
use replication::ha::{LogSink, MasterOptions, MasterServer, SlaveOptions, SlavePhase};
use support::memory::{MemoryLog, MemorySink, PATIENCE, eventually};
use support::quick::{any_port, master_options, slave, slave_options};

/// Keeps the lines that are warnings or worse.
struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));
/// The tests of this program read the same lines.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

struct Text(String);

impl tracing::field::Visit for Text {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

struct Keeper;

impl tracing::Subscriber for Keeper {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        LINES.0.lock().expect("nobody panics with it").push(text.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Lines are kept from here on, for this test alone.
fn listen() -> MutexGuard<'static, ()> {
    let alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // The second test finds it set.
    let _ = tracing::subscriber::set_global_default(Keeper);
    lines().clear();
    alone
}

fn lines() -> MutexGuard<'static, Vec<String>> {
    LINES.0.lock().expect("nobody panics with it")
}

/// Connects from an address of its own, so that each counts as another peer.
fn connect_from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = bound_connect(Ipv4Addr::new(127, 0, 1, host), to);
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// std cannot bind before it connects.
fn bound_connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    use std::os::fd::FromRawFd;
    let SocketAddr::V4(to) = to else { panic!("{to} is not IPv4") };
    let name = |ip: Ipv4Addr, port: u16| libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
        sin_zero: [0; 8],
    };
    let len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    let (near, far) = (name(from, 0), name(*to.ip(), to.port()));
    // SAFETY: the descriptor is new and given to one owner; both names live for the calls that read them.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        assert!(fd >= 0, "no socket");
        let socket = TcpStream::from_raw_fd(fd);
        assert_eq!(libc::bind(fd, (&raw const near).cast(), len), 0, "{}", std::io::Error::last_os_error());
        assert_eq!(libc::connect(fd, (&raw const far).cast(), len), 0, "{}", std::io::Error::last_os_error());
        socket
    }
}

/// Reads until the other end closes.
fn read_to_close(socket: &mut TcpStream) -> usize {
    let mut bytes = [0; 4096];
    let mut total = 0;
    loop {
        match socket.read(&mut bytes) {
            Ok(0) => return total,
            Ok(read) => total += read,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return total,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => panic!("the link was not closed: {error}"),
        }
    }
}

#[test]
fn what_hostile_slaves_say_counts_for_nothing() {
    let _alone = listen();
    let log = MemoryLog::new(1, 4096);
    for _ in 0..10 {
        log.put(300);
    }
    let end = log.end();
    // Only where silence is what is shown is it cut short: a busy machine may keep an honest hand silent for a while.
    let start = |options| MasterServer::start(any_port(), options, Arc::new(log.clone())).expect("a master");
    let server = start(master_options());
    let impatient = start(MasterOptions { housekeeping: Duration::from_millis(300), ..master_options() });
    let ended = || server.ended().len() + impatient.ended().len();
    let reports = |offsets: &[i64]| offsets.iter().flat_map(|offset| report(*offset)).collect::<Vec<u8>>();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (reports(&[0x007f_ffff_ffff_ffff]), "the log ends at"),
        (reports(&[end + 1]), "the log ends at"),
        (reports(&[end, end + 1]), "the log ends at"),
        (reports(&[1, i64::MAX]), "the log ends at"),
        (reports(&[-1]), "offset -1"),
        (reports(&[i64::MIN]), "offset -9223372036854775808"),
        (reports(&[100, 50]), "offset 50 after 100"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "the log ends at"),
        ((0..=255).rev().collect(), "offset -"),
        (Vec::new(), "no report at all"),
        (vec![0; 7], "no report at all"),
    ];
    let count = cases.len();
    for (at, (bytes, want)) in cases.into_iter().enumerate() {
        lines().clear();
        let master = if bytes.len() < 8 { &impatient } else { &server };
        let mut socket = connect_from(at as u8 + 1, master.address());
        // The master may close while this is written.
        let _ = socket.write_all(&bytes);
        read_to_close(&mut socket);
        eventually("its line", || Some(()).filter(|()| ended() == at + 1 && !lines().is_empty()));
        let found = lines().clone();
        assert_eq!(found.len(), 1, "case {at}: {found:?}");
        assert!(found[0].contains(want), "case {at}: {found:?}");
        assert_eq!(log.reports(), 0, "case {at}");
    }
    assert_eq!((ended(), log.ups().0), (count, 0));
    // The same peer over and over: one line.
    lines().clear();
    for _ in 0..20 {
        let mut socket = connect_from(100, server.address());
        let _ = socket.write_all(&report(-5));
        read_to_close(&mut socket);
    }
    eventually("all ended, and the line", || Some(()).filter(|()| ended() == count + 20 && !lines().is_empty()));
    assert_eq!(lines().len(), 1, "{:?}", lines());
    // And an honest slave is served as ever.
    let sink = MemorySink::new(4096);
    log.proved_by(&sink);
    let _slave = slave(&log, &sink, slave_options(), server.address());
    log.wait_acked(end);
}

#[test]
fn what_hostile_masters_send_is_not_stored() {
    let _alone = listen();
    let log = MemoryLog::new(2, 4096);
    for _ in 0..5 {
        log.put(300);
    }
    let bytes = log.bytes();
    let end = log.end();
    let raw = |offset: i64, len: i32| [&offset.to_be_bytes()[..], &len.to_be_bytes()[..]].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (raw(end, -1), "a frame of -1 bytes"),
        (raw(end, i32::MIN), "a frame of -2147483648 bytes"),
        (raw(end, i32::MAX), "a frame of 2147483647 bytes"),
        (raw(-1, 10), "a frame at offset -1"),
        (raw(end + 1, 10), "this slave is at"),
        (raw(0, 10), "this slave is at"),
        (raw(i64::MAX, 10), "this slave is at"),
        (raw(end + 1, 0), "this slave is at"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "bytes, 0 to 16777216 are accepted"),
        (vec![0xff; 64], "a frame at offset -1"),
        (Vec::new(), "nothing from the master"),
        (raw(end, 100_000), "mappedFileSizeCommitLog"),
    ];
    for (at, (hostile, want)) in cases.into_iter().enumerate() {
        lines().clear();
        let listener = TcpListener::bind(any_port()).expect("a port");
        let sink = MemorySink::with(4096, bytes.clone());
        // Long pauses, so that each case is one link; a short patience only where silence is what is shown.
        let pause = Duration::from_secs(600);
        let housekeeping = if hostile.is_empty() { Duration::from_millis(300) } else { slave_options().housekeeping };
        let options = SlaveOptions { retry_min: pause, retry_max: pause, housekeeping, ..slave_options() };
        let client = slave(&log, &sink, options, listener.local_addr().expect("an address"));
        let (mut socket, _) = listener.accept().expect("the slave");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut first = [0; 8];
        socket.read_exact(&mut first).expect("a report");
        assert_eq!(i64::from_be_bytes(first), end - 256);
        // What it has is sent again, as it should be, and then what should not be.
        let mut honest = header(end - 256, 256).to_vec();
        honest.extend_from_slice(&bytes[bytes.len() - 256..]);
        socket.write_all(&honest).expect("a link");
        let _ = socket.write_all(&hostile);
        read_to_close(&mut socket);
        let why = eventually("its end", || client.state().last_end);
        assert!(why.contains(want), "case {at}: {why}");
        assert_eq!(sink.bytes(), bytes, "case {at}");
        let found = eventually("its line", || Some(lines().clone()).filter(|lines| !lines.is_empty()));
        assert_eq!(found.len(), 1, "case {at}: {found:?}");
        let _ = socket.shutdown(Shutdown::Both);
    }
}

#[test]
fn a_frame_of_sixteen_mebibytes_takes_no_more_memory_than_arrives() {
    let _alone = listen();
    let file_size = 32 << 20;
    let log = MemoryLog::new(3, file_size);
    let listener = TcpListener::bind(any_port()).expect("a port");
    let sink = MemorySink::new(file_size);
    let client = slave(&log, &sink, slave_options(), listener.local_addr().expect("an address"));
    let (mut socket, _) = listener.accept().expect("the slave");
    let len = 16 << 20;
    socket.write_all(&header(0, len)).expect("a link");
    // What came is stored before the frame is whole: nothing waits for bytes that were only announced.
    socket.write_all(&[5; 1000]).expect("a link");
    sink.wait_end(1000);
    let rest = vec![6; len as usize - 1000];
    socket.write_all(&rest).expect("a link");
    sink.wait_end(i64::from(len));
    eventually("the link goes on", || {
        Some(()).filter(|()| matches!(client.state().phase, SlavePhase::InStep | SlavePhase::CatchingUp { .. }))
    });
    assert_eq!(sink.end(), i64::from(len));
}
