//! Replies made of file ranges: long ones by sendfile, short ones out of the mapping, in order with everything else.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::*;
use remoting::net::{ServerOptions, counters};

/// Asks for `pieces` ranges and checks every byte, reading `step` bytes at a time at first so that the socket fills up.
fn check(stream: &mut TcpStream, data: &Data, opaque: i32, [position, len, pieces, step]: [usize; 4]) {
    let fields = [("position", position), ("len", len), ("pieces", pieces), ("step", step)];
    stream.write_all(&request(FILE, opaque, &fields, b"")).unwrap();
    // An ordinary request behind it: its answer must come after the file's last byte.
    stream.write_all(&request(ECHO, opaque + 1, &[], b"behind")).unwrap();
    let expected: Vec<u8> =
        (0..pieces).flat_map(|piece| &data.bytes[position + piece * step..][..len]).copied().collect();
    check_answer(&read_frame(stream), opaque, &expected);
    check_answer(&read_frame(stream), opaque + 1, b"behind");
}

#[test]
fn long_and_short_ranges_arrive_whole_and_in_order() {
    let data = Data::new(24 << 20);
    let server = Server::start(1, ServerOptions::default(), Some(data.clone()));
    let mut stream = connect(&server);
    let before = counters();
    let cases = [
        // One range: short, at the border, longer than any socket buffer.
        [5, 100, 1, 0],
        [1, (16 << 10) - 1, 1, 0],
        [2, 16 << 10, 1, 0],
        [12_345, 20 << 20, 1, 0],
        // Many short ones, more than one sendmsg takes; then many long ones.
        [0, 1_000, 32, 1_300],
        [7, 1_000, 3_000, 1_024],
        [3, 40_000, 200, 50_000],
    ];
    for (i, case) in cases.into_iter().enumerate() {
        check(&mut stream, &data, i as i32 * 2, case);
    }
    // At least, because the tests beside this one count too.
    let after = counters();
    assert!(after.hot_sendfile - before.hot_sendfile >= 1 + 1 + 200);
    assert!(after.hot_sendmsg - before.hot_sendmsg >= 1 + 1 + 32 + 3_000);
    server.stop();
    assert_eq!(Arc::strong_count(&data), 1, "a lease is still held");
}

#[test]
fn a_reader_that_stops_in_the_middle_gets_the_rest_later() {
    let data = Data::new(12 << 20);
    let server = Server::start(2, ServerOptions::default(), Some(data.clone()));
    let mut streams: Vec<TcpStream> = (0..4).map(|_| connect(&server)).collect();
    let fields = [("position", 9), ("len", 11 << 20), ("pieces", 1), ("step", 0)];
    for stream in &mut streams {
        stream.write_all(&request(FILE, 1, &fields, b"")).unwrap();
        stream.write_all(&request(ECHO, 2, &[], b"behind")).unwrap();
    }
    // Every connection is asked for its head before any body is taken, so all of them are stuck in the middle.
    let mut heads = Vec::new();
    for stream in &mut streams {
        let mut head = [0; 8];
        stream.read_exact(&mut head).unwrap();
        heads.push(head);
    }
    server.until("all wait for their readers", |seen| seen.pending_max.load(Ordering::Relaxed) > 4 << 20);
    for (stream, head) in streams.iter_mut().zip(heads) {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let mut frame = head.to_vec();
        frame.resize(4 + len, 0);
        stream.read_exact(&mut frame[8..]).unwrap();
        check_answer(&frame, 1, &data.bytes[9..][..11 << 20]);
        check_answer(&read_frame(stream), 2, b"behind");
    }
    server.stop();
    assert_eq!(Arc::strong_count(&data), 1, "a lease is still held");
}

#[test]
fn leases_go_when_a_connection_is_closed_in_the_middle() {
    let data = Data::new(12 << 20);
    let server = Server::start(1, ServerOptions::default(), Some(data.clone()));
    let held = Arc::strong_count(&data);
    let mut stream = connect(&server);
    let fields = [("position", 0), ("len", 11 << 20), ("pieces", 1), ("step", 0)];
    stream.write_all(&request(FILE, 1, &fields, b"")).unwrap();
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    assert!(Arc::strong_count(&data) > held);
    drop(stream);
    server.until("closed", |seen| seen.closed.load(Ordering::Relaxed) == 1);
    server.until("the lease is gone", |_| Arc::strong_count(&data) == held);
    server.stop();
}

#[test]
fn a_file_shorter_than_promised_closes_the_connection() {
    let data = Data::new(1 << 20);
    // The bytes in memory stay; the file behind the descriptor loses its end.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&data.file));
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(300_000).unwrap();
    let server = Server::start(1, ServerOptions::default(), Some(data.clone()));
    let mut stream = connect(&server);
    let fields = [("position", 200_000), ("len", 200_000), ("pieces", 1), ("step", 0)];
    stream.write_all(&request(FILE, 1, &fields, b"")).unwrap();
    let mut received = Vec::new();
    // Ends or is reset, with fewer bytes than announced.
    let _ = stream.read_to_end(&mut received);
    assert!(received.len() < 200_000, "{}", received.len());
    let mut other = connect(&server);
    check_echo(&mut other, 1, b"still served");
    server.stop();
}
