//! SIGTERM under load: the process ends by itself, soon, with exit code 0, and nothing acked is lost.
//!
//! The load goes on while the broker is away and finds it again after the restart.

use std::time::Duration;

use tests::run::{LoadSpec, Run};
use tests::{Case, Outcome, Rng, Server, ServerSpec, suite, wait};

/// From SIGTERM to the exit.
const EXIT_MAX: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    suite::run(&[
        Case { name: "sigterm_under_load_async_flush", run: || sigterm_under_load("ASYNC_FLUSH") },
        Case { name: "sigterm_under_load_sync_flush", run: || sigterm_under_load("SYNC_FLUSH") },
        Case { name: "sigterm_withdraws_the_route", run: sigterm_withdraws_the_route },
        Case { name: "sigterm_when_idle", run: sigterm_when_idle },
    ]);
}

fn stop(server: &mut Server) {
    let took = server.stop(EXIT_MAX).unwrap_or_else(|problem| panic!("{problem}"));
    println!("  exit 0 after {} ms", took.as_millis());
    let left = tests::folder::find(server.data(), "abort");
    assert!(left.is_empty(), "the abort file is still there: {left:?}");
}

fn sigterm_under_load(flush: &str) -> Outcome {
    let seed = Rng::seed_of_run();
    println!("  RINGMQ_SEED={seed}");
    let mut server =
        ServerSpec::new("shutdown").set("mappedFileSizeCommitLog", "67108864").set("flushDiskType", flush).start();
    let run = Run::start(&server, LoadSpec::mixed(seed));
    for _ in 0..2 {
        run.wait_acked(500, PATIENCE).unwrap_or_else(|problem| panic!("{problem}"));
        assert!(!tests::folder::find(server.data(), "abort").is_empty(), "a running broker has an abort file");
        stop(&mut server);
        server.start().unwrap_or_else(|problem| panic!("{problem}"));
    }
    run.wait_acked(100, PATIENCE).unwrap_or_else(|problem| panic!("{problem}"));
    let report = run.stop().judge(&server, 50);
    println!("  {report}");
    Outcome::Passed
}

fn sigterm_withdraws_the_route() -> Outcome {
    let mut spec = ServerSpec::new("shutdown-route").set("mappedFileSizeCommitLog", "67108864");
    spec.two_processes = true;
    let mut server = spec.start();
    let mut broker = server.connect();
    broker.create_topic(&client::TopicSpec::new("Routed", 4)).unwrap_or_else(|error| panic!("{error}"));
    let mut nameserver = server.connect_nameserver();
    let mut route = || nameserver.route("Routed").unwrap_or_else(|error| panic!("{error}"));
    let address = server.address();
    wait::until(PATIENCE, || route().filter(|route| route.master() == Some(address)))
        .unwrap_or_else(|| panic!("the topic never got a route"));
    stop(&mut server);
    // A broker that only went silent would have one for two minutes.
    let gone = wait::until(EXIT_MAX, || route().is_none().then_some(()));
    assert!(gone.is_some(), "{EXIT_MAX:?} after its exit the broker still has a route: {:?}", route());
    Outcome::Passed
}

fn sigterm_when_idle() -> Outcome {
    let mut server = ServerSpec::new("shutdown-idle").set("mappedFileSizeCommitLog", "67108864").start();
    // Held pulls and open connections must not delay it.
    let address = server.address();
    server.connect().create_topic(&client::TopicSpec::new("Idle", 1)).unwrap_or_else(|error| panic!("{error}"));
    let held = std::thread::spawn(move || {
        let mut broker = client::Broker::connect(address)?;
        broker.pull(&client::Pull {
            suspend: Some(Duration::from_secs(20)),
            ..client::Pull::from("CID_held", "Idle", 0, 0)
        })
    });
    let idle: Vec<_> = (0..50).map(|_| server.connect()).collect();
    stop(&mut server);
    drop(idle);
    // The held pull ends one way or another, and does not end as a message.
    if let Ok(Ok(pulled)) = held.join() {
        assert!(pulled.messages.is_empty(), "{pulled:?}");
    }
    server.start().unwrap_or_else(|problem| panic!("{problem}"));
    Outcome::Passed
}
