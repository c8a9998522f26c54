//! File descriptors: none is lost, and running out of them is survived. Alone in its process, because it counts and
//! limits them.

mod common;

use std::io;
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::*;
use remoting::net::{ServerOptions, counters};

#[test]
fn descriptors_are_given_back_and_their_end_is_survived() {
    connections_that_come_and_go_leave_nothing();
    without_descriptors_peers_are_turned_away_and_later_served();
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn connections_that_come_and_go_leave_nothing() {
    let server = Server::start(2, ServerOptions::default(), None);
    // Both shards have begun for good once each has served and closed a connection.
    (0..4).for_each(|round| check_echo(&mut connect(&server), round, b"first"));
    server.until("the first are closed", |seen| seen.closed.load(Ordering::Relaxed) == 4);
    server.until("and dropped", |_| counters().connections == 0);
    let before = open_descriptors();
    for round in 0..3_000u64 {
        let mut stream = connect(&server);
        if round % 3 == 0 {
            check_echo(&mut stream, round as i32, b"hello");
        }
    }
    server.until("all are closed", |seen| seen.closed.load(Ordering::Relaxed) == 3_004);
    server.until("and dropped", |_| counters().connections == 0);
    // One copy of the listening socket comes and goes with the wait for the next connection.
    let after = open_descriptors();
    assert!(after <= before + 1, "{before} descriptors before, {after} after");
    server.stop();
}

/// A socket that is not connected yet, so that connecting it later needs no descriptor on this side.
fn unconnected() -> TcpStream {
    // SAFETY: socket takes numbers; the descriptor it returns is owned by the stream made of it.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        TcpStream::from_raw_fd(fd)
    }
}

fn connect_now(stream: &TcpStream, addr: SocketAddr) {
    let SocketAddr::V4(addr) = addr else { panic!("the tests listen on 127.0.0.1") };
    // SAFETY: sockaddr_in is integers, for which zeros are valid; connect reads size_of::<sockaddr_in>() bytes of it.
    let result = unsafe {
        let mut raw: libc::sockaddr_in = mem::zeroed();
        raw.sin_family = libc::AF_INET as libc::sa_family_t;
        raw.sin_port = addr.port().to_be();
        raw.sin_addr.s_addr = u32::from(*addr.ip()).to_be();
        let pointer = (&raw as *const libc::sockaddr_in).cast();
        libc::connect(stream.as_raw_fd(), pointer, mem::size_of::<libc::sockaddr_in>() as libc::socklen_t)
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

fn limit_descriptors(soft: libc::rlim_t) -> libc::rlim_t {
    // SAFETY: both calls read or write one rlimit that lives here.
    unsafe {
        let mut limit: libc::rlimit = mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = soft;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        before
    }
}

fn without_descriptors_peers_are_turned_away_and_later_served() {
    const PEERS: usize = 30;
    const ROOM: usize = 8;
    let server = Server::start(1, ServerOptions::default(), None);
    let mut first = connect(&server);
    check_echo(&mut first, 1, b"served");
    let streams: Vec<TcpStream> = (0..PEERS).map(|_| unconnected()).collect();
    let highest = streams.iter().map(AsRawFd::as_raw_fd).max().unwrap() as libc::rlim_t;
    let before = limit_descriptors(highest + 1 + ROOM as libc::rlim_t);
    let refused_before = counters().refused;
    streams.iter().for_each(|stream| connect_now(stream, server.addr));
    server.until("some are turned away", |_| counters().refused > refused_before + 3);
    // Who is in stays in.
    check_echo(&mut first, 2, b"still served");
    limit_descriptors(before);
    let refused = || (counters().refused - refused_before) as usize;
    server.until("all are decided", |seen| seen.opened.load(Ordering::Relaxed) as usize + refused() == PEERS + 1);
    let mut late = connect(&server);
    late.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    check_echo(&mut late, 3, b"served again");
    server.stop();
}
