//! What peers can make us allocate. Alone in its process, because it looks at its memory.

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::thread;

use common::*;
use remoting::net::{ServerOptions, counters};

#[test]
fn memory_follows_what_is_received() {
    allow_descriptors();
    declared_lengths_alone_cost_nothing();
    large_frames_share_an_allowance();
}

fn declared_lengths_alone_cost_nothing() {
    const PEERS: usize = 500;
    let server = Server::start(1, ServerOptions::default(), None);
    let mut streams: Vec<TcpStream> = (0..PEERS).map(|_| connect(&server)).collect();
    for (i, stream) in streams.iter_mut().enumerate() {
        check_echo(stream, i as i32, b"warm");
    }
    let before = resident_bytes();
    let read_before = counters().bytes_in;
    let mut start = ((16 << 20) - 4u32).to_be_bytes().to_vec();
    start.extend_from_slice(&[0, 0, 0, 200]);
    start.resize(100, b' ');
    for stream in &mut streams {
        stream.write_all(&start).unwrap();
    }
    server.until("all of it is read", |_| counters().bytes_in - read_before >= (PEERS * start.len()) as u64);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{PEERS} connections that declare 16 MiB each cost {grown} bytes");
    assert_eq!(server.seen.closed.load(Ordering::Relaxed), 0);
    server.stop();
}

/// More and larger frames than the allowance holds: they are read one after the other, and all are answered.
fn large_frames_share_an_allowance() {
    const PEERS: usize = 8;
    const SIZE: usize = 4 << 20;
    let options = ServerOptions { buffered_input_max: 2 << 20, ..ServerOptions::default() };
    let server = Server::start(2, options, None);
    let body = pattern(SIZE);
    let clients: Vec<_> = (0..PEERS)
        .map(|peer| {
            let mut stream = connect(&server);
            let body = body.clone();
            thread::spawn(move || {
                for round in 0..3 {
                    let opaque = (peer * 10 + round) as i32;
                    check_echo(&mut stream, opaque, &body);
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    server.stop();
}
