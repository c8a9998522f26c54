//! The channel against a scripted peer: a thread with a listening socket and raw frames.

use std::net::{Shutdown, TcpListener};
use std::thread;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// Runs `client` against a peer that follows `script` on the first connection.
fn check(script: impl FnOnce(TcpStream) + Send + 'static, client: impl FnOnce(Channel)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let peer = thread::spawn(move || script(listener.accept().unwrap().0));
    client(Channel::connect(addr, LONG).unwrap());
    peer.join().unwrap();
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut word = [0; 4];
    stream.read_exact(&mut word).unwrap();
    let mut frame = word.to_vec();
    frame.resize(4 + u32::from_be_bytes(word) as usize, 0);
    stream.read_exact(&mut frame[4..]).unwrap();
    frame
}

fn frame(head: &Head<'_>, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_command(&mut frame, head, |f| f.str("key", "value"), body.len());
    frame.extend_from_slice(body);
    frame
}

#[test]
fn a_call_gets_its_answer_past_late_ones_and_requests() {
    check(
        |mut stream| {
            let bytes = read_frame(&mut stream);
            let request = Command::decode(&bytes).unwrap();
            assert_eq!((request.code, request.body), (105, &b"body"[..]));
            assert_eq!(request.fields.get("topic").unwrap(), "T");
            let late = Head::reply(request.opaque - 1, HeaderForm::Json, 0, None);
            let notice = Head::oneway(40, 7);
            let answer = request.reply_head(17, Some("no route"));
            let all = [frame(&late, b""), frame(&notice, b"group"), frame(&answer, b"answer")].concat();
            // In two halves, cut inside a frame.
            let (first, second) = all.split_at(all.len() - 3);
            stream.write_all(first).unwrap();
            stream.write_all(second).unwrap();
            // Until the client hangs up.
            assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
        },
        |mut channel| {
            let form = HeaderForm::Rocketmq;
            let answer = channel.call(105, form, |f| f.str("topic", "T"), b"body", LONG).unwrap();
            let command = answer.command();
            assert_eq!((command.code, command.body, command.form), (17, &b"answer"[..], form));
            assert_eq!(answer.body("the peer"), Err("the peer answers code 17: no route".to_owned()));
            assert!(channel.is_alive());
            let notice = channel.poll_request(Duration::ZERO).unwrap().unwrap();
            assert_eq!((notice.command().code, notice.command().body), (40, &b"group"[..]));
            assert!(channel.poll_request(Duration::from_millis(5)).unwrap().is_none());
        },
    );
}

#[test]
fn the_body_of_a_success_is_given_out() {
    let head = Head::reply(1, HeaderForm::Json, 0, Some("a remark"));
    assert_eq!(Answer { frame: frame(&head, b"body") }.body("the peer"), Ok(&b"body"[..]));
    let error = Answer { frame: vec![0; 3] }.body("the peer").unwrap_err();
    assert!(error.starts_with("the peer sent what is no frame"), "{error}");
}

#[test]
fn a_peer_that_never_comes_to_an_end_is_not_waited_for() {
    let other = frame(&Head::reply(-1, HeaderForm::Json, 0, None), b"");
    let long = u32::try_from(FRAME_MAX).unwrap().to_be_bytes().to_vec();
    for (begin, again) in [(long, vec![0]), (Vec::new(), other)] {
        check(
            move |mut stream| {
                read_frame(&mut stream);
                stream.write_all(&begin).unwrap();
                let end = Instant::now() + LONG;
                while Instant::now() < end && stream.write_all(&again).is_ok() {}
            },
            |mut channel| {
                let timeout = Duration::from_millis(50);
                let error = channel.call(1, HeaderForm::Json, |_| {}, b"", timeout).unwrap_err();
                assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
            },
        );
    }
}

/// The kernel hands out ports of one parity first, in turn, so half of its range is enough.
#[test]
fn nobody_is_connected_to_itself() {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let ends: Vec<u16> = range.split_whitespace().filter_map(|end| end.parse().ok()).collect();
    let [low, high] = ends[..] else { panic!("{range:?}") };
    let address = SocketAddr::from(([127, 0, 0, 1], (low + (high - low) / 2) & !1));
    for _ in 0..u32::from(high - low) * 3 / 2 {
        if let Ok(channel) = Channel::connect(address, LONG) {
            assert_ne!(channel.local(), channel.peer());
        }
    }
}

#[test]
fn no_answer_in_time_leaves_the_channel_usable() {
    check(
        |mut stream| {
            let first = read_frame(&mut stream);
            let second = read_frame(&mut stream);
            for bytes in [first, second] {
                let request = Command::decode(&bytes).unwrap();
                stream.write_all(&frame(&request.reply_head(request.code, None), b"")).unwrap();
            }
        },
        |mut channel| {
            let error = channel.call(1, HeaderForm::Json, |_| (), b"", Duration::from_millis(30)).unwrap_err();
            assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
            let answer = channel.call(2, HeaderForm::Json, |_| (), b"", LONG).unwrap();
            assert_eq!(answer.command().code, 2);
        },
    );
}

#[test]
fn a_peer_that_hangs_up_is_noticed() {
    check(
        |mut stream| {
            read_frame(&mut stream);
            stream.shutdown(Shutdown::Both).unwrap();
        },
        |mut channel| {
            let error = channel.call(1, HeaderForm::Json, |_| (), b"", LONG).unwrap_err();
            assert!(matches!(error, CallError::Closed { .. }), "{error}");
            assert!(!channel.is_alive());
            let error = channel.send_oneway(1, HeaderForm::Json, |_| (), b"", LONG).unwrap_err();
            assert!(matches!(error, CallError::Closed { .. }), "{error}");
        },
    );
}

#[test]
fn garbage_is_an_error_and_ends_the_channel() {
    for bytes in [&[0xff, 0xff, 0xff, 0xff][..], &[0, 0, 0, 4, 9, 0, 0, 0][..], &[0, 0, 0, 4, 0, 0, 0, 9][..]] {
        check(
            move |mut stream| {
                stream.write_all(bytes).unwrap();
                let mut sink = Vec::new();
                let _ = stream.read_to_end(&mut sink);
            },
            |mut channel| {
                let error = channel.receive(LONG).unwrap_err();
                assert!(matches!(error, CallError::Frame { .. }), "{error}");
                assert!(!channel.is_alive());
            },
        );
    }
}

#[test]
fn more_requests_than_are_kept_are_dropped() {
    check(
        |mut stream| {
            let bytes = read_frame(&mut stream);
            for opaque in 0..REQUESTS_MAX as i32 + 10 {
                stream.write_all(&frame(&Head::oneway(40, opaque), b"")).unwrap();
            }
            let request = Command::decode(&bytes).unwrap();
            stream.write_all(&frame(&request.reply_head(0, None), b"")).unwrap();
            assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
        },
        |mut channel| {
            channel.call(1, HeaderForm::Json, |_| (), b"", LONG).unwrap();
            let mut opaques = Vec::new();
            while let Some(request) = channel.poll_request(Duration::ZERO).unwrap() {
                opaques.push(request.command().opaque);
            }
            assert_eq!(opaques, (0..REQUESTS_MAX as i32).collect::<Vec<_>>());
        },
    );
}

#[test]
fn nobody_listening_is_said_with_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = Channel::connect(addr, LONG).err().unwrap().to_string();
    assert!(error.contains(&addr.to_string()), "{error}");
}
