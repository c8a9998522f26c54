//! Frames in, replies out: pipelined, in pieces, large, broken, on one shard and on two.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use common::*;
use protocol::Command;
use remoting::net::{Acceptor, Connection, ServerOptions, Service, adopt, connections, counters};
use shard::ShardSpec;

fn both_ways_of_flushing(check: impl Fn(ServerOptions)) {
    for flush_after_read in [false, true] {
        check(ServerOptions { flush_after_read, ..ServerOptions::default() });
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    both_ways_of_flushing(|options| {
        let server = Server::start(1, options, None);
        let mut stream = connect(&server);
        let bodies: Vec<Vec<u8>> = (0..2_000).map(|i| pattern(i % 3_000)).collect();
        let all: Vec<u8> = bodies.iter().enumerate().flat_map(|(i, body)| request(ECHO, i as i32, &[], body)).collect();
        let mut writing = stream.try_clone().unwrap();
        let writer = thread::spawn(move || writing.write_all(&all).unwrap());
        for (i, body) in bodies.iter().enumerate() {
            check_answer(&read_frame(&mut stream), i as i32, body);
        }
        writer.join().unwrap();
        server.stop();
    });
}

#[test]
fn one_byte_at_a_time_makes_a_frame() {
    let server = Server::start(1, ServerOptions::default(), None);
    let mut stream = connect(&server);
    for byte in request(ECHO, 7, &[], b"slowly") {
        stream.write_all(&[byte]).unwrap();
    }
    check_answer(&read_frame(&mut stream), 7, b"slowly");
    server.stop();
}

#[test]
fn a_frame_in_two_halves_beside_whole_ones() {
    let server = Server::start(1, ServerOptions::default(), None);
    let mut stream = connect(&server);
    let (first, second) = (request(ECHO, 1, &[], b"first"), request(ECHO, 2, &[], &pattern(300_000)));
    for cut in [1, 3, 4, 5, 8, 30, 5_000, 200_000] {
        stream.write_all(&[&first[..], &second[..cut]].concat()).unwrap();
        check_answer(&read_frame(&mut stream), 1, b"first");
        stream.write_all(&[&second[cut..], &first[..]].concat()).unwrap();
        check_answer(&read_frame(&mut stream), 2, &pattern(300_000));
        check_answer(&read_frame(&mut stream), 1, b"first");
    }
    server.stop();
}

#[test]
fn a_frame_of_the_greatest_length_passes_and_one_byte_more_does_not() {
    let options = ServerOptions { frame_max: 1 << 20, ..ServerOptions::default() };
    let server = Server::start(1, options, None);
    let head = request(ECHO, 1, &[], b"").len();
    let mut stream = connect(&server);
    check_echo(&mut stream, 1, &pattern((1 << 20) - head));
    stream.write_all(&request(ECHO, 1, &[], &pattern((1 << 20) - head + 1))[..4]).unwrap();
    assert!(is_closed_by_server(&mut stream));
    server.stop();
}

#[test]
fn what_is_no_frame_closes_that_connection_only() {
    let server = Server::start(1, ServerOptions::default(), None);
    let mut bystander = connect(&server);
    let before = counters().closed_bad_frame;
    let cases: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
        // Lengths: -1, the lowest, the highest, too short for any frame.
        &[0xff, 0xff, 0xff, 0xff],
        &[0x80, 0, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff],
        &[0, 0, 0, 3],
        // A header longer than its frame, an unknown form, headers that are not JSON and not binary.
        &[0, 0, 0, 8, 0, 0, 0, 9, b'{', b'}', 0, 0],
        &[0, 0, 0, 6, 9, 0, 0, 2, b'{', b'}'],
        &[0, 0, 0, 6, 0, 0, 0, 2, b'}', b'{'],
        &[0, 0, 0, 6, 1, 0, 0, 2, 0, 0],
    ];
    for case in cases {
        let mut stream = connect(&server);
        // A good request before it is still answered.
        check_echo(&mut stream, 1, b"good");
        stream.write_all(case).unwrap();
        assert!(is_closed_by_server(&mut stream), "{case:?}");
    }
    check_echo(&mut bystander, 2, b"still here");
    assert!(counters().closed_bad_frame >= before + cases.len() as u64);
    server.stop();
}

#[test]
fn a_panic_closes_that_connection_only_and_sends_no_half_reply() {
    let server = Server::start(1, ServerOptions::default(), None);
    let mut bystander = connect(&server);
    check_echo(&mut bystander, 1, b"before");
    let mut stream = connect(&server);
    stream.write_all(&request(PANIC, 1, &[], b"")).unwrap();
    assert!(is_closed_by_server(&mut stream));
    check_echo(&mut bystander, 2, b"after");
    server.until("one connection closed", |seen| seen.closed.load(Ordering::Relaxed) == 1);
    server.stop();
}

#[test]
fn closing_is_told_once_whoever_does_it() {
    let server = Server::start(2, ServerOptions::default(), None);
    let by_client = connect(&server);
    let mut half_by_client = connect(&server);
    let mut by_server = connect(&server);
    let by_stop = connect(&server);
    server.until("four are open", |seen| seen.opened.load(Ordering::Relaxed) == 4);
    drop(by_client);
    half_by_client.shutdown(Shutdown::Write).unwrap();
    assert!(is_closed_by_server(&mut half_by_client));
    by_server.write_all(&request(CLOSE, 1, &[], b"")).unwrap();
    check_answer(&read_frame(&mut by_server), 1, b"bye");
    assert!(is_closed_by_server(&mut by_server));
    server.until("three are closed", |seen| seen.closed.load(Ordering::Relaxed) == 3);
    let seen = server.stop();
    assert_eq!(seen.closed.load(Ordering::Relaxed), 4);
    drop(by_stop);
}

#[test]
fn two_shards_share_the_connections() {
    let server = Server::start(2, ServerOptions::default(), None);
    let mut streams: Vec<TcpStream> = (0..8).map(|_| connect(&server)).collect();
    let mut served = [0; 2];
    for stream in &mut streams {
        stream.write_all(&request(SHARD, 1, &[], b"")).unwrap();
        let frame = read_frame(stream);
        let body = Command::decode(&frame).unwrap().body;
        served[std::str::from_utf8(body).unwrap().parse::<usize>().unwrap()] += 1;
    }
    assert_eq!(served, [4, 4]);
    let clients: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(client, mut stream)| {
            thread::spawn(move || {
                for round in 0..200 {
                    check_echo(&mut stream, round, &pattern((client * 1_000 + round as usize * 7) % 20_000));
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    server.stop();
}

#[test]
fn a_thousand_idle_connections_do_not_matter() {
    allow_descriptors();
    let server = Server::start(1, ServerOptions::default(), None);
    let mut streams: Vec<TcpStream> = (0..1_000).map(|_| connect(&server)).collect();
    server.until("all are open", |seen| seen.opened.load(Ordering::Relaxed) == 1_000);
    for round in 0..50 {
        check_echo(&mut streams[round * 20], round as i32, b"awake");
    }
    assert_eq!(server.seen.closed.load(Ordering::Relaxed), 0);
    drop(streams);
    server.until("all are closed", |seen| seen.closed.load(Ordering::Relaxed) == 1_000);
    server.stop();
}

#[test]
fn a_held_connection_waits_with_what_was_read_and_what_comes() {
    let server = Server::start(1, ServerOptions::default(), None);
    let (mut held, mut other) = (connect(&server), connect(&server));
    // The echo lies in the same read as the request that stops reading.
    held.write_all(&[request(HOLD, 1, &[], b""), request(ECHO, 2, &[], b"waits")].concat()).unwrap();
    check_answer(&read_frame(&mut held), 1, b"held");
    held.write_all(&request(ECHO, 3, &[], b"waits too")).unwrap();
    check_echo(&mut other, 1, b"served meanwhile");
    assert_eq!(server.seen.requests.load(Ordering::Relaxed), 2);
    other.write_all(&request(RESUME, 2, &[], b"")).unwrap();
    check_answer(&read_frame(&mut other), 2, b"resumed");
    check_answer(&read_frame(&mut held), 2, b"waits");
    check_answer(&read_frame(&mut held), 3, b"waits too");
    // Closed while it is held: nothing keeps it.
    held.write_all(&request(HOLD, 4, &[], b"")).unwrap();
    check_answer(&read_frame(&mut held), 4, b"held");
    server.stop();
}

#[test]
fn a_shard_may_end_while_connections_are_open() {
    struct Quiet;
    impl Service for Quiet {
        fn request(&self, connection: &Rc<Connection>, _: Command<'_>, _: &[u8]) {
            // Waits to be sent for ever.
            connection.out().extend_from_slice(b"never sent");
        }
        fn response(&self, _: &Rc<Connection>, _: Command<'_>) {}
        fn closed(&self, _: &Rc<Connection>) {}
    }
    for _ in 0..5 {
        let acceptor = Acceptor::bind("[::1]:0".parse().unwrap()).unwrap();
        let addr = acceptor.local_addr();
        let shard = shard::start(ShardSpec { name: "ends".into(), cpu: None }, move || async move {
            for _ in 0..4 {
                let accepted = acceptor.accept().await;
                adopt(accepted, 0, Rc::new(Quiet), Rc::new(ServerOptions::default()));
            }
            while counters().frames_in == 0 {
                shard::turn().await;
            }
            connections()
        })
        .unwrap();
        let mut clients: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(addr).unwrap()).collect();
        clients[0].write_all(&request(ECHO, 1, &[], b"")).unwrap();
        assert_eq!(shard.join().unwrap(), 4);
    }
}

#[test]
fn responses_of_the_peer_go_to_their_own_door() {
    let server = Server::start(1, ServerOptions::default(), None);
    let mut stream = connect(&server);
    let mut frame = Vec::new();
    protocol::write_command(&mut frame, &protocol::Head::reply(5, Default::default(), 0, None), |_| (), 0);
    stream.write_all(&frame).unwrap();
    server.until("it came", |seen| seen.responses.load(Ordering::Relaxed) == 1);
    server.stop();
}

#[test]
fn silence_is_ended_after_the_idle_time_and_talking_is_not() {
    let options = ServerOptions { idle_timeout: Duration::from_secs(4), ..ServerOptions::default() };
    let server = Server::start(1, options, None);
    let mut silent = connect(&server);
    let mut talking = connect(&server);
    let talker = thread::spawn(move || {
        for round in 0..75 {
            check_echo(&mut talking, round, b"hello");
            thread::sleep(Duration::from_millis(80));
        }
        talking
    });
    assert!(is_closed_by_server(&mut silent));
    let talking = talker.join().unwrap();
    assert_eq!(server.seen.closed.load(Ordering::Relaxed), 1);
    drop(talking);
    server.stop();
}

#[test]
fn a_started_frame_has_to_end_in_time() {
    let options = ServerOptions { started_frame_timeout: Duration::from_millis(500), ..ServerOptions::default() };
    let server = Server::start(1, options, None);
    let mut silent = connect(&server);
    let mut slow = connect(&server);
    let frame = request(ECHO, 1, &[], &pattern(100));
    // One byte now and then keeps it from being idle, but the frame does not end.
    let mut writing = slow.try_clone().unwrap();
    let writer = thread::spawn(move || {
        for byte in &frame[..60] {
            if writing.write_all(&[*byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
    });
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.is_empty());
    writer.join().unwrap();
    check_echo(&mut silent, 1, b"nothing was begun here");
    server.stop();
}

#[test]
fn more_connections_than_allowed_are_closed_at_once() {
    // The limit counts the connections of the process, and other tests run beside this one: only the way of refusing
    // is looked at, with a limit that is reached for certain.
    let options = ServerOptions { connections_max: 0, ..ServerOptions::default() };
    let server = Server::start(1, options, None);
    let before = counters().refused;
    let mut stream = connect(&server);
    assert!(is_closed_by_server(&mut stream));
    assert!(counters().refused > before);
    assert_eq!(server.stop().opened.load(Ordering::Relaxed), 0);
}
