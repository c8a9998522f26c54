//! A peer that asks for much and reads slowly, or not at all. Alone in its process, because it looks at its memory.

mod common;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use common::*;
use remoting::net::{ServerOptions, counters};

const SIZE: usize = 8 << 20;
const REQUESTS: usize = 24;

#[test]
fn replies_to_a_slow_reader_wait_in_the_socket_and_not_in_memory() {
    let server = Server::start(1, ServerOptions::default(), None);
    let mut stream = connect(&server);
    check_echo(&mut stream, 1, b"warm");
    let expected = pattern(SIZE);
    let before = resident_bytes();
    let all: Vec<u8> = (0..REQUESTS).flat_map(|i| request(SIZED, i as i32, &[("size", SIZE)], b"")).collect();
    stream.write_all(&all).unwrap();
    server.until("the first reply is made", |seen| seen.requests.load(Ordering::Relaxed) >= 2);
    // Others are served meanwhile.
    let mut bystander = connect(&server);
    for round in 0..20 {
        check_echo(&mut bystander, round, &pattern(1_000));
    }
    for i in 0..REQUESTS {
        check_answer(&read_frame(&mut stream), i as i32, &expected);
    }
    // One reply passes the limit of 4 MiB and stops the next: never two of them.
    let pending = server.seen.pending_max.load(Ordering::Relaxed);
    assert!(pending < (SIZE + (4 << 20) + 1_000) as u64, "{pending}");
    let grown = resident_bytes().saturating_sub(before);
    // Reply, its copy in the client, one more in the making; 192 MiB would be all of them.
    assert!(grown < 64 << 20, "{grown}");
    server.stop();

    a_peer_that_takes_nothing_is_closed();
}

fn a_peer_that_takes_nothing_is_closed() {
    let options = ServerOptions { write_stall_timeout: Duration::from_secs(6), ..ServerOptions::default() };
    let server = Server::start(1, options, None);
    let before = counters().closed_stalled;
    let mut stuck = connect(&server);
    for i in 0..4 {
        stuck.write_all(&request(SIZED, i, &[("size", SIZE)], b"")).unwrap();
    }
    let mut slow = connect(&server);
    slow.write_all(&request(SIZED, 1, &[("size", SIZE)], b"")).unwrap();
    // Slow, but it takes something again and again, for longer than the limit.
    let reader = thread::spawn(move || {
        let mut taken = 0;
        let mut chunk = vec![0; 50_000];
        while taken < SIZE {
            let n = slow.read(&mut chunk).unwrap();
            assert!(n > 0, "closed after {taken} bytes although it takes them");
            taken += n;
            thread::sleep(Duration::from_millis(50));
        }
        slow
    });
    server.until("the stuck one is closed", |seen| seen.closed.load(Ordering::Relaxed) >= 1);
    let slow = reader.join().unwrap();
    assert_eq!(counters().closed_stalled - before, 1);
    assert_eq!(server.seen.closed.load(Ordering::Relaxed), 1);
    drop(slow);
    server.stop();
}
