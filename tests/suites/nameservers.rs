//! Several nameservers side by side: a broker registers with each, clients go on while one is away, one that comes back
//! is told again soon, and a broker that stops withdraws from all.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use client::{Nameserver, Send, TopicSpec};
use tests::process::Process;
use tests::{Case, Outcome, Server, ServerSpec, binaries, suite, wait};

const TOPIC: &str = "SideBySide";
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    suite::run(&[Case { name: "two_nameservers_and_one_that_comes_back", run: two_nameservers }]);
}

fn ok<T>(result: Result<T, client::Error>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// A nameserver beside the harness's own.
fn second_nameserver(server: &Server, port: u16) -> Process {
    let conf = server.folder().join("namesrv-2.conf");
    let kv = server.folder().join("kv-2.json");
    std::fs::write(&conf, format!("listenPort={port}\nkvConfigPath={}\n", kv.display()))
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", conf.display()));
    let program = binaries::find("mqnamesrv").unwrap_or_else(|problem| panic!("{problem}"));
    let mut command = Command::new(program);
    command.arg("-c").arg(&conf).env("HOME", server.folder().path());
    let mut process = Process::start(command, &server.folder().join("namesrv-2.log"), &["boot success"]);
    process.wait_ready(PATIENCE).unwrap_or_else(|problem| panic!("{problem}"));
    process
}

/// Whether this nameserver routes the topic to the broker.
fn routes(nameserver: SocketAddr, broker: SocketAddr) -> bool {
    Nameserver::connect(nameserver)
        .and_then(|mut nameserver| nameserver.route(TOPIC))
        .is_ok_and(|route| route.is_some_and(|route| route.master() == Some(broker)))
}

fn two_nameservers() -> Outcome {
    let mut spec = ServerSpec::new("nameservers").set("mappedFileSizeCommitLog", "67108864");
    spec.two_processes = true;
    let mut server = spec.prepare();
    let first = server.nameserver_address();
    let second = SocketAddr::from(([127, 0, 0, 1], first.port() + 1));
    server.set("namesrvAddr", &format!("{first};{second}"));
    let mut beside = second_nameserver(&server, second.port());
    server.start().unwrap_or_else(|problem| panic!("{problem}"));
    let broker = server.address();
    let mut producer = server.connect();

    ok(producer.create_topic(&TopicSpec::new(TOPIC, 4)));
    for nameserver in [first, second] {
        wait::until(PATIENCE, || routes(nameserver, broker).then_some(()))
            .unwrap_or_else(|| panic!("{nameserver} never learnt of the topic"));
    }

    beside.kill9();
    assert!(routes(first, broker), "the other nameserver goes on");
    ok(producer.send(&Send::to(TOPIC, 0, b"one nameserver is away")));

    // The broker looks for it every second, not every registration period.
    let mut beside = second_nameserver(&server, second.port());
    wait::until(PATIENCE, || routes(second, broker).then_some(()))
        .unwrap_or_else(|| panic!("{second} came back and was not told again"));

    server.stop(PATIENCE).unwrap_or_else(|problem| panic!("{problem}"));
    for nameserver in [first, second] {
        wait::until(PATIENCE, || (!routes(nameserver, broker)).then_some(()))
            .unwrap_or_else(|| panic!("{nameserver} still routes to a broker that stopped"));
    }
    beside.terminate(PATIENCE).unwrap_or_else(|problem| panic!("{problem}"));
    Outcome::Passed
}
