//! The process is killed under load, again and again: nothing acked is lost, nothing else changes.
//!
//! For each flush mode and each way to flush one store goes through RINGMQ_KILL_CYCLES kills (3 unless said). The moments are random; the
//! seed is printed and RINGMQ_SEED repeats it. At the end every queue is drained and the checker judges the history.

use std::time::{Duration, Instant};

use checker::Rule;

use tests::cluster::logs;
use tests::run::{LoadSpec, Run};
use tests::suite::{self, env_number};
use tests::{Case, Outcome, Rng, ServerSpec};

/// Acks between two kills at least, so that each cycle has something to lose.
const ACKS_A_CYCLE: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOKUPS: usize = 100;

fn main() {
    suite::run(&[
        Case { name: "async_flush_by_ring_survives_kill9", run: || kill_cycles("ASYNC_FLUSH", "ring") },
        Case { name: "async_flush_by_thread_survives_kill9", run: || kill_cycles("ASYNC_FLUSH", "thread") },
        Case { name: "sync_flush_by_ring_survives_kill9", run: || kill_cycles("SYNC_FLUSH", "ring") },
        Case { name: "sync_flush_by_thread_survives_kill9", run: || kill_cycles("SYNC_FLUSH", "thread") },
        Case { name: "sync_flush_inline_survives_kill9", run: || kill_cycles("SYNC_FLUSH", "inline") },
        Case { name: "sync_flush_auto_survives_kill9", run: || kill_cycles("SYNC_FLUSH", "auto") },
        Case { name: "control_a_lost_tail_is_noticed", run: lost_tail_is_noticed },
    ]);
}

fn kill_cycles(flush: &str, way: &str) -> Outcome {
    let cycles = env_number("RINGMQ_KILL_CYCLES", 3);
    let seed = Rng::seed_of_run();
    println!("{flush}, flushWay={way}: {cycles} kills, RINGMQ_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut server = spec(flush).set("flushWay", way).start();
    let run = Run::start(&server, LoadSpec::mixed(seed));
    for cycle in 1..=cycles {
        run.wait_acked(ACKS_A_CYCLE, PATIENCE).unwrap_or_else(|problem| panic!("cycle {cycle}: {problem}"));
        // The random moment of the kill, within the load.
        std::thread::sleep(Duration::from_millis(rng.between(0, 400)));
        let acked = run.acked();
        let rss_mib = server.broker_process().rss_kib() >> 10;
        server.kill9();
        let begun = Instant::now();
        let ready = server.start().unwrap_or_else(|problem| panic!("cycle {cycle}: {problem}"));
        run.wait_acked(1, PATIENCE).unwrap_or_else(|problem| panic!("cycle {cycle}: {problem}"));
        println!(
            "  kill {cycle}: {acked} acked, {} delivered, rss {rss_mib} MiB, ready after {} ms, first ack after {} ms",
            run.delivered(),
            ready.as_millis(),
            begun.elapsed().as_millis()
        );
    }
    let report = run.stop().judge(&server, LOOKUPS);
    println!("  {report}");
    assert!(report.acked as u64 >= cycles * ACKS_A_CYCLE, "too little was acked to say anything");
    Outcome::Passed
}

/// The control: a store that does lose acked messages must be found out, or the cases above say nothing. The tail of
/// the log is wiped between the kill and the restart, as if it had never been written.
fn lost_tail_is_noticed() -> Outcome {
    let seed = Rng::seed_of_run();
    println!("  RINGMQ_SEED={seed}");
    let mut server = spec("ASYNC_FLUSH").start();
    let run = Run::start(&server, LoadSpec::mixed(seed));
    run.wait_acked(500, PATIENCE).unwrap_or_else(|problem| panic!("{problem}"));
    server.kill9();
    let mut stopped = run.stop();
    let wiped = logs::wipe_tail(server.data(), 256 << 10).unwrap_or_else(|error| panic!("{error}"));
    server.start().unwrap_or_else(|problem| panic!("{problem}"));
    let report = stopped.verdict(&server, 0);
    let lost = report.count(Rule::C1AckedIsReadable);
    println!("  {wiped} bytes wiped, {lost} acked messages reported lost");
    assert!(lost > 0, "{wiped} bytes of the log were wiped and nothing was found missing: {report}");
    Outcome::Passed
}

/// Small log files, so that kills meet their edges, too.
fn spec(flush: &str) -> ServerSpec {
    ServerSpec::new("kill9").set("flushDiskType", flush).set("mappedFileSizeCommitLog", "16777216")
}
