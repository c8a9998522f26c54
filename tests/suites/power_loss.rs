//! The power fails under load: SYNC_FLUSH loses nothing that was acked or read, ASYNC_FLUSH only what is younger than a
//! flush, and whatever half-written sectors are left, the store opens, serves no wrong byte and goes on. A disk whose
//! flush fails gets no second chance.
//!
//! The store lies on a disk of the test's own (crate `rig`): what was not flushed when the power is cut stays or goes
//! sector by sector, as the seed says. RINGMQ_POWER_CUTS cuts a mode (30 unless said); the first seed is printed, and
//! RINGMQ_SEED with RINGMQ_POWER_CUTS=1 makes one again. Needs root, /dev/fuse and a loop device; skipped loudly else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Duration;

use checker::{Loss, Record, Rule, Uid, check, loss, write_jsonl};
use rig::{Cut, Flush, Moment, Rig};
use tests::folder::Folder;
use tests::load::{LoadTopic, Shared, send_recorded};
use tests::run::{self, LoadSpec, Run};
use tests::suite::{self, env_number};
use tests::{Case, Outcome, Recorder, Rng, Server, ServerSpec, body, drain, wait};

const PATIENCE: Duration = Duration::from_secs(30);
/// ASYNC_FLUSH: an ack older than a flush interval (500 ms by default) and the flush that was under way is safe. What
/// is beyond the interval is for that flush, on a machine with other work.
const ASYNC_BOUND: Duration = Duration::from_millis(500 + 1000);
/// The control cuts less often.
const CONTROL_CUTS: u64 = 5;

fn main() {
    suite::run(&[
        Case { name: "sync_flush_loses_nothing", run: || cuts("SYNC_FLUSH") },
        Case { name: "async_flush_loses_what_is_younger_than_a_flush", run: || cuts("ASYNC_FLUSH") },
        Case { name: "a_failed_flush_is_final", run: failed_flush },
        Case { name: "control_without_flushes_loss_is_noticed", run: control },
    ]);
}

/// A rig with an empty file system that could be mounted, or why this machine cannot have one.
fn rig(folder: &Folder) -> Result<Rig, String> {
    let mut rig = Rig::new(folder.path())?;
    rig.format()?;
    rig.mount()?;
    rig.unmount()?;
    Ok(rig)
}

/// One power cut and what was found after it.
struct Cycle {
    cut: Cut,
    acked: usize,
    loss: Loss,
    /// From the start of the process to its ready line, on the store the cut left.
    ready: Duration,
}

fn cuts(flush: &'static str) -> Outcome {
    let folder = Folder::new("power-loss");
    let mut rig = match rig(&folder) {
        Ok(rig) => rig,
        Err(reason) => return Outcome::Skipped(format!("no disk whose power can be cut: {reason}")),
    };
    let cuts = env_number("RINGMQ_POWER_CUTS", 30);
    let first = Rng::seed_of_run();
    println!("  {flush}: {cuts} power cuts, RINGMQ_SEED={first}");
    let (mut lossy, mut acked) = (0, 0);
    let mut oldest = Duration::ZERO;
    for seed in (0..cuts).map(|number| first.wrapping_add(number)) {
        let cycle =
            cycle(&mut rig, flush, Flush::Honoured, seed).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        let age = Duration::from_nanos(cycle.loss.oldest_ns);
        println!("  {}", cycle.line(seed));
        let lost = &cycle.loss;
        if flush == "SYNC_FLUSH" {
            assert_eq!(lost.lost, 0, "seed {seed}: acked messages are gone");
            assert_eq!(lost.delivered_and_lost, 0, "seed {seed}: messages were given to a consumer and are gone");
        } else {
            assert!(age <= ASYNC_BOUND, "seed {seed}: a message acked {age:?} before the cut is gone");
            assert_eq!(lost.holes_count, 0, "seed {seed}: not a suffix is gone: {:?}", lost.holes);
        }
        acked += cycle.acked;
        lossy += u64::from(lost.lost > 0);
        oldest = oldest.max(age);
    }
    println!(
        "  {flush}: {acked} acked, {lossy} of {cuts} cuts lost some, none left a hole, the oldest loss was acked {} ms before its cut",
        oldest.as_millis()
    );
    // A rig that takes nothing from a store that does not wait for the disk would show nothing about one that does.
    assert!(flush == "SYNC_FLUSH" || lossy * 2 >= cuts, "{lossy} of {cuts} cuts lost anything: the cuts are no cuts");
    Outcome::Passed
}

/// The disk fails a flush, then the power goes: nothing was acked after the failure that is not there, and the broker
/// did not go on.
fn failed_flush() -> Outcome {
    let folder = Folder::new("flush-fails");
    let mut rig = match rig(&folder) {
        Ok(rig) => rig,
        Err(reason) => return Outcome::Skipped(format!("no disk whose flush fails: {reason}")),
    };
    let first = Rng::seed_of_run();
    println!("  SYNC_FLUSH on a disk whose flush fails: {CONTROL_CUTS} times, RINGMQ_SEED={first}");
    for seed in (0..CONTROL_CUTS).map(|number| first.wrapping_add(number)) {
        let cycle = cycle(&mut rig, "SYNC_FLUSH", Flush::Fails, seed)
            .unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        println!("  {}", cycle.line(seed));
        assert_eq!(cycle.loss.lost, 0, "seed {seed}: acked messages are gone");
    }
    Outcome::Passed
}

/// The control: a broker whose flushes do nothing must be found out by the same judgement.
fn control() -> Outcome {
    let folder = Folder::new("power-loss-control");
    let mut rig = match rig(&folder) {
        Ok(rig) => rig,
        Err(reason) => return Outcome::Skipped(format!("no disk whose power can be cut: {reason}")),
    };
    let first = Rng::seed_of_run();
    println!("  SYNC_FLUSH on a disk that ignores flushes: {CONTROL_CUTS} power cuts, RINGMQ_SEED={first}");
    for seed in (0..CONTROL_CUTS).map(|number| first.wrapping_add(number)) {
        match cycle(&mut rig, "SYNC_FLUSH", Flush::Ignored, seed) {
            Ok(cycle) => {
                println!("  {}", cycle.line(seed));
                assert!(cycle.loss.lost > 0, "seed {seed}: nothing was flushed and nothing was found missing");
            }
            Err(problem) => panic!("seed {seed}: {problem}"),
        }
    }
    Outcome::Passed
}

/// An empty store, load, the cut, the start on what is left, and the judgement of all but the loss itself.
fn cycle(rig: &mut Rig, flush: &str, honesty: Flush, seed: u64) -> Result<Cycle, String> {
    let mut rng = Rng::new(seed);
    rig.format()?;
    let point = rig.mount()?.to_owned();
    let way = ["auto", "thread", "ring", "inline"][rng.below(if flush == "SYNC_FLUSH" { 4 } else { 3 }) as usize];
    let mut server = spec(flush, &point).set("flushWay", way).start();
    let run = Run::start(&server, LoadSpec { producers: 6, ..LoadSpec::mixed(seed) });
    run.wait_acked(20, PATIENCE)?;
    rig.set_flush(honesty);
    if honesty != Flush::Fails {
        run.wait_acked(rng.between(30, 500), PATIENCE)?;
    }
    // The random moment of the cut, within the load: at any time, at a write, or at a flush.
    let longest = if flush == "SYNC_FLUSH" { 300 } else { 1500 };
    std::thread::sleep(Duration::from_millis(rng.below(longest)));
    // A disk that ignored flushes and keeps some of its sectors may have no file system left, which says nothing of
    // the broker: there all of them go.
    let kept_of_8 = if honesty != Flush::Ignored { [4, 4, 4, 1, 7][rng.below(5) as usize] } else { 0 };
    let cut = match rng.below(3) {
        _ if honesty == Flush::Fails => {
            let ended = server.broker_process().wait_exit(PATIENCE).ok_or("the broker runs on after a failed flush")?;
            if ended.success() {
                return Err("the broker ended after a failed flush as if all were well".to_owned());
            }
            rig.cut(rng.word(), kept_of_8)
        }
        0 => rig.cut(rng.word(), kept_of_8),
        at => {
            let moment = if at == 1 { Moment::Write(rng.below(40)) } else { Moment::Flush(rng.below(4)) };
            rig.cut_at(moment, rng.word(), kept_of_8);
            wait::until(PATIENCE, || rig.last_cut()).ok_or("the load neither writes nor flushes any more")?
        }
    };
    let cut_at = run.now();
    server.kill9();
    let stopped = run.stop();
    rig.unmount()?;
    rig.mount()?;
    let ready = server.start()?;
    // What waits for the disk owes every ack it gave, also those that came while the power was going.
    let cut_at = if flush == "SYNC_FLUSH" && honesty != Flush::Ignored { u64::MAX } else { cut_at };
    let cycle = judge(&server, stopped, cut_at, honesty, seed).map(|(acked, loss)| Cycle { cut, acked, loss, ready });
    server.kill9();
    drop(server);
    rig.unmount()?;
    cycle
}

fn judge(
    server: &Server,
    stopped: run::Stopped,
    cut_at: u64,
    honesty: Flush,
    seed: u64,
) -> Result<(usize, Loss), String> {
    let (start, topics) = (stopped.shared().start, stopped.shared().topics.clone());
    let mut records = stopped.into_records();
    let acked = records.iter().filter(|record| record.op == checker::Op::Send && record.status == 0).count();
    let mut broker = server.connect();
    let mut recorder = Recorder::new(900, start);
    drain::topics(&mut broker, &mut recorder, &topics);
    records.extend(recorder.into_records());
    let mut loss = loss(&records, cut_at);
    offsets_point_into_the_queues(&records, &mut broker)?;

    // The store goes on from there: each queue takes more, and all is read again.
    let shared = Shared::new(server.address(), topics.clone(), 4096);
    let mut recorder = Recorder::new(950, start);
    let mut seq = 0;
    for LoadTopic { name, queues } in &topics {
        for queue in 0..*queues {
            let uid = Uid { producer: 950, seq };
            seq += 1;
            send_recorded(&shared, &mut broker, &mut recorder, uid, name, queue, &body::make(uid, 700));
        }
    }
    if recorder.acked() as u64 != seq {
        return Err(format!("only {} of {seq} messages are acked after the restart", recorder.acked()));
    }
    loss.remaining.extend(recorder.into_records());
    let mut recorder = Recorder::new(901, start);
    drain::topics(&mut broker, &mut recorder, &topics);
    loss.remaining.extend(recorder.into_records());
    let report = check(&loss.remaining);
    // On a disk that ignores flushes also what was vouched for is torn, which is kept, and leaves gaps.
    let is_gap = |rule| honesty == Flush::Ignored && loss.holes_count > 0 && rule == Rule::C5DenseOffsets;
    if report.rules().all(is_gap) {
        return Ok((acked, loss));
    }
    let path = std::env::temp_dir().join(format!("ringmq-power-loss-{seed}.jsonl"));
    let kept = File::create(&path).and_then(|file| write_jsonl(BufWriter::new(file), &records));
    Err(format!("history {} ({kept:?}), {:?}:\n{report}", path.display(), loss.holes))
}

/// A committed offset beyond the recovered end would skip the messages that come next.
fn offsets_point_into_the_queues(records: &[Record], broker: &mut client::Broker) -> Result<(), String> {
    let ends: BTreeMap<(&str, u32), i64> = records
        .iter()
        .filter(|record| record.op == checker::Op::Edges)
        .map(|edges| ((edges.topic.as_str(), edges.queue), edges.max_offset))
        .collect();
    for ((topic, queue), end) in ends {
        let committed = broker.query_offset(run::GROUP, topic, queue as i32).map_err(|error| error.to_string())?;
        if committed.is_some_and(|offset| offset > end) {
            return Err(format!("{topic}/{queue} ends at {end} and its group stands at {committed:?}"));
        }
    }
    Ok(())
}

impl Cycle {
    fn line(&self, seed: u64) -> String {
        let Cut { volatile, kept, torn, flushes } = self.cut;
        format!(
            "seed {seed}: {flushes} flushes, {volatile} sectors in the cache, {kept} kept, {torn} blocks torn; {} acked, {} \
             lost (oldest {} ms), ready after {} ms",
            self.acked,
            self.loss.lost,
            self.loss.oldest_ns / 1_000_000,
            self.ready.as_millis()
        )
    }
}

/// Small files, so that cuts meet their edges, too.
fn spec(flush: &str, disk: &Path) -> ServerSpec {
    let mut spec = ServerSpec::new("power-loss")
        .set("flushDiskType", flush)
        .set("mappedFileSizeCommitLog", "4194304")
        .set("mappedFileSizeConsumeQueue", "60000");
    spec.data = Some(disk.join("data"));
    spec
}
