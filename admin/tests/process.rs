//! The real binary over real sockets: exit codes, the environment, and peers that are not what they should be.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;

use protocol::write_command;

/// What a peer does with the first request it gets.
#[derive(Clone, Copy)]
enum Peer {
    Answers(i32, &'static str),
    Closes,
    Babbles,
}

/// A peer on a port of its own that serves connections until the process ends.
fn peer(peer: Peer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, peer));
        }
    });
    address
}

fn serve(mut stream: TcpStream, peer: Peer) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut frame = length.to_vec();
        frame.resize(4 + usize::try_from(u32::from_be_bytes(length)).ok()?, 0);
        stream.read_exact(&mut frame[4..]).ok()?;
        let request = protocol::Command::decode(&frame).ok()?;
        match peer {
            Peer::Closes => return None,
            Peer::Babbles => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok()?,
            Peer::Answers(code, body) => {
                let mut answer = Vec::new();
                write_command(&mut answer, &request.reply_head(code, None), |_| {}, body.len());
                answer.extend_from_slice(body.as_bytes());
                stream.write_all(&answer).ok()?;
            }
        }
    }
}

fn mqadmin(words: &[&str], namesrv: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqadmin"));
    command.args(words).env_remove("NAMESRV_ADDR").envs(namesrv.map(|text| ("NAMESRV_ADDR", text)));
    command.output().expect("mqadmin runs")
}

#[track_caller]
fn check(words: &[&str], namesrv: Option<&str>, code: i32, want: &str) {
    let output = mqadmin(words, namesrv);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
    assert!(text.contains(want), "{words:?}: {want} in: {text}");
}

const EMPTY: &str = "{\"brokerAddrTable\":{},\"clusterAddrTable\":{}}";

#[test]
fn exit_codes_are_0_1_and_2() {
    let good = peer(Peer::Answers(0, EMPTY));
    check(&["clusterList", "-n", &good], None, 0, "#Cluster Name");
    check(&["clusterList"], Some(&good), 0, "#Cluster Name");
    check(&["clusterList", "-n", &good], Some("not an address"), 0, "#Cluster Name");
    check(&["clusterList"], Some("not an address"), 2, "NAMESRV_ADDR not an address");
    check(&["clusterList"], None, 2, "no nameserver is known");
    check(&["clusterList", "-n", &good, "-c", "C"], None, 1, "knows no cluster C");
    check(&["help"], None, 0, "clusterList");
    check(&["nosuch"], None, 2, "there is no command nosuch");
}

#[test]
fn peers_that_are_none_are_named() {
    // The port of a service nobody runs any more; one taken and given back could be another's by then.
    let gone = "127.0.0.1:1".to_owned();
    check(&["clusterList", "-n", &gone], None, 1, &format!("{gone}: connection refused"));
    let closes = peer(Peer::Closes);
    check(&["clusterList", "-n", &closes], None, 1, &format!("{closes}: closed the connection"));
    let babbles = peer(Peer::Babbles);
    check(&["clusterList", "-n", &babbles], None, 1, &format!("{babbles}: sent what is no RocketMQ frame"));
    let refuses = peer(Peer::Answers(1, ""));
    check(&["clusterList", "-n", &refuses], None, 1, &format!("{refuses}: request 106"));
    let good = peer(Peer::Answers(0, EMPTY));
    check(&["clusterList", "-n", &format!("{gone};{good}")], None, 0, "#Cluster Name");
    check(&["brokerStatus", "-b", "no-such-host.invalid:1"], None, 1, "no-such-host.invalid:1: cannot connect");
}

#[test]
fn times_are_local() {
    let slave = "{\"master\":false,\"haClientRuntimeInfo\":{\"lastReadTimestamp\":1795261205826}}";
    let address = peer(Peer::Answers(0, slave));
    // POSIX counts west of Greenwich: this is eight hours east.
    for (zone, want) in [("UTC-8", "2026-11-21 19:40:05,826"), ("UTC+3:30", "2026-11-21 08:10:05,826")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mqadmin"));
        let output = command.args(["haStatus", "-b", &address]).env("TZ", zone).output().expect("mqadmin runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("#LastReadTime\t{want}\n")), "{zone}: {text}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let good = peer(Peer::Answers(0, EMPTY));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqadmin"));
    command.args(["clusterList", "-n", &good, "-i", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("mqadmin runs");
    // The first round is read, the pipe closed; the second round ends the program.
    let mut line = [0; 8];
    let mut stdout = child.stdout.take().expect("its output");
    stdout.read_exact(&mut line).expect("the first round");
    drop(stdout);
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
