//! SYNC_MASTER: what a put waits for, what it is told, and when its message may be read.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Dir, Rig, msg, options, sync};
use engine::io::{Disk, Faults};
use engine::{FlushMode, GetStatus, PutStatus, Replication, ReportRefused, StoreOptions, owner};
use proptest::prelude::*;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

fn replicated(dir: &Dir, flush: FlushMode, timeout: Duration) -> StoreOptions {
    let mut options = options(dir.path());
    options.flush = flush;
    options.sync_flush_timeout = LONG;
    options.replication = Replication::Sync { timeout, fall_behind_max: 10_000 };
    options
}

/// Outcomes given so far, in order.
fn told(rig: &mut Rig) -> Vec<(u64, PutStatus)> {
    rig.turn();
    rig.outcomes.drain(..).map(|(ack, outcome)| (ack, outcome.status)).collect()
}

fn put(rig: &mut Rig, body: &str, wait: bool) -> u64 {
    let ack = rig.put(&[msg("T", 0, body)], wait).expect("taken");
    rig.turn();
    ack
}

#[test]
fn an_ack_and_a_read_wait_for_a_slave() {
    let dir = Dir::new("slave-ack");
    let mut rig = Rig::open(replicated(&dir, FlushMode::Async, LONG));
    let shared = rig.shared.clone();
    shared.slaves().link_up(1, 0).expect("up");
    let first = put(&mut rig, "first", true);
    let second = put(&mut rig, "second", true);
    let quick = put(&mut rig, "does not wait", false);
    assert_eq!(told(&mut rig), [(quick, PutStatus::Ok)]);
    assert_eq!(rig.get("T", 0, 0).0.status, GetStatus::NoMessageInQueue, "not even what did not wait: the log's order");
    assert_eq!((shared.readable(), rig.pending()), (0, 2));
    assert!(shared.record(0).is_none(), "nor by its physical offset");
    let end = shared.watermark();
    let length = shared.log_range(0, 4).expect("sent to the slave all the same").bytes().to_vec();
    let first_end = i64::from(u32::from_be_bytes(length.try_into().expect("four")));
    shared.slaves().report(1, first_end - 1).expect("taken");
    assert_eq!(told(&mut rig), []);
    shared.slaves().report(1, first_end).expect("taken");
    assert_eq!(told(&mut rig), [(first, PutStatus::Ok)]);
    assert_eq!((rig.arrivals.len(), shared.readable()), (1, first_end));
    shared.slaves().report(1, end).expect("taken");
    assert_eq!(told(&mut rig), [(second, PutStatus::Ok)]);
    assert_eq!((rig.arrivals.len(), shared.readable()), (3, end));
    assert_eq!(rig.read_all("T", 0).len(), 3);
    assert_eq!(shared.slaves().replicated(), Some(end));
    assert_eq!(rig.stop(), []);
}

/// Code 11: nobody waits, the message is stored as the flush mode promises and can be read then.
#[test]
fn without_a_usable_slave_the_answer_comes_with_the_flush() {
    let dir = Dir::new("slave-none");
    let faults = Arc::new(Faults::default());
    let mut options = replicated(&dir, FlushMode::Sync, LONG);
    options.disk = Disk::with_faults(faults.clone());
    let mut rig = Rig::open(options);
    faults.hold_syncs();
    let ack = put(&mut rig, "nobody", true);
    faults.wait_for_held_sync();
    assert_eq!((told(&mut rig), rig.arrivals.len()), (vec![], 0), "its flush comes first");
    faults.release_syncs();
    rig.until("the answer", |rig| !rig.outcomes.is_empty());
    assert_eq!(told(&mut rig), [(ack, PutStatus::SlaveNotAvailable)]);
    rig.until("the message", |rig| rig.arrivals.len() == 1);
    let shared = rig.shared.clone();
    // A slave that has nothing yet is too far behind once the log is long enough.
    shared.slaves().link_up(7, 0).expect("up");
    let near = rig.put(&[msg("T", 0, vec![1; 9_000])], true).expect("taken");
    let far = rig.put(&[msg("T", 0, vec![1; 2_000])], true).expect("taken");
    rig.until("the answer", |rig| !rig.outcomes.is_empty());
    assert_eq!(told(&mut rig), [(far, PutStatus::SlaveNotAvailable)]);
    rig.until("the flush", |rig| rig.shared.flushed() == rig.shared.watermark());
    assert_eq!(rig.arrivals.len(), 1, "the one before it is not decided");
    shared.slaves().report(7, shared.watermark()).expect("taken");
    assert_eq!(told(&mut rig), [(near, PutStatus::Ok)]);
    assert_eq!(rig.arrivals.len(), 3);
    drop(rig.stop());
}

/// Whichever of flush and slave comes last, the ack comes with it.
#[test]
fn both_promises_are_waited_for_in_any_order() {
    for slave_first in [true, false] {
        let dir = Dir::new("slave-order");
        let faults = Arc::new(Faults::default());
        let mut options = replicated(&dir, FlushMode::Sync, LONG);
        options.disk = Disk::with_faults(faults.clone());
        let mut rig = Rig::open(options);
        let shared = rig.shared.clone();
        shared.slaves().link_up(1, 0).expect("up");
        faults.hold_syncs();
        let ack = put(&mut rig, "both", true);
        faults.wait_for_held_sync();
        let end = shared.watermark();
        if slave_first {
            shared.slaves().report(1, end).expect("taken");
            assert_eq!((told(&mut rig), shared.readable()), (vec![], 0));
            faults.release_syncs();
        } else {
            faults.release_syncs();
            rig.until("the flush", |rig| rig.shared.flushed() == end);
            assert_eq!((told(&mut rig), shared.readable(), rig.arrivals.len()), (vec![], 0, 0));
            shared.slaves().report(1, end).expect("taken");
        }
        rig.until("the ack", |rig| !rig.outcomes.is_empty());
        assert_eq!(told(&mut rig), [(ack, PutStatus::Ok)]);
        rig.until("the message", |rig| rig.arrivals.len() == 1);
        drop(rig.stop());
    }
}

/// Codes 12 and 10, and which of them when both times are up.
#[test]
fn a_promise_that_is_not_kept_in_time_is_told() {
    let check = |flush_time: Duration, slave_time: Duration, flush: bool, slave: bool, want: PutStatus| {
        let dir = Dir::new("slave-late");
        let faults = Arc::new(Faults::default());
        let mut options = replicated(&dir, FlushMode::Sync, slave_time);
        options.sync_flush_timeout = flush_time;
        options.disk = Disk::with_faults(faults.clone());
        let mut rig = Rig::open(options);
        let shared = rig.shared.clone();
        shared.slaves().link_up(1, 0).expect("up");
        faults.hold_syncs();
        let ack = put(&mut rig, "late", true);
        if slave {
            shared.slaves().report(1, shared.watermark()).expect("taken");
        }
        if flush {
            faults.release_syncs();
        }
        rig.until("the answer", |rig| !rig.outcomes.is_empty());
        assert_eq!(told(&mut rig), [(ack, want)], "flush {flush}, slave {slave}");
        let counters = shared.counters();
        let late = counters.slave_timeouts.load(Ordering::Relaxed) + counters.flush_timeouts.load(Ordering::Relaxed);
        assert_eq!(late, 1);
        faults.release_syncs();
        rig.until("the message, which is read like any other", |rig| rig.arrivals.len() == 1);
        assert_eq!(rig.read_all("T", 0), [(0, b"late".to_vec())]);
        assert_eq!(rig.stop(), [], "one answer only");
    };
    check(LONG, SHORT, true, false, PutStatus::SlaveTimeout);
    check(SHORT, LONG, false, true, PutStatus::FlushTimeout);
    check(SHORT, SHORT, false, false, PutStatus::SlaveTimeout);
}

/// A report of what the slave cannot have decides nothing.
#[test]
fn a_forged_report_decides_nothing() {
    let dir = Dir::new("slave-forged");
    let mut rig = Rig::open(replicated(&dir, FlushMode::Async, LONG));
    let shared = rig.shared.clone();
    let before = put(&mut rig, "before", true);
    assert_eq!(told(&mut rig), [(before, PutStatus::SlaveNotAvailable)]);
    let start = shared.watermark();
    shared.slaves().link_up(3, start).expect("up");
    let ack = put(&mut rig, "pending", true);
    let end = shared.watermark();
    let refused = |reported| Err(ReportRefused::Outside { id: 3, reported, start, end });
    for reported in [end + 1, i64::MAX, start - 1, 0, -1] {
        assert_eq!(shared.slaves().report(3, reported), refused(reported));
    }
    assert_eq!(shared.slaves().report(4, end), Err(ReportRefused::NoSuchLink { id: 4 }));
    assert!(shared.slaves().link_up(5, end + 1).is_err(), "a slave that is ahead");
    // It claims to have all of it, before it was sent anything over this link.
    shared.slaves().link_up(6, end).expect("up");
    shared.slaves().report(6, end).expect("that much is possible");
    assert_eq!((told(&mut rig), shared.slaves().replicated()), (vec![], None));
    shared.slaves().report(3, end).expect("the honest one");
    assert_eq!(told(&mut rig), [(ack, PutStatus::Ok)]);
    drop(rig.stop());
}

/// Who waited when the last link went is told after half a second that there is no slave, unless one is back by then,
/// however short its stay; whoever has another slave goes on waiting. The flush is waited for all the same.
#[test]
fn who_waits_when_the_last_slave_goes_is_told_soon() {
    type Links = fn(engine::SlaveProgress<'_>);
    let check = |name: &str, links: Links, flushed: bool, want: Option<PutStatus>| {
        let dir = Dir::new("slave-last");
        let faults = Arc::new(Faults::default());
        let mut options = replicated(&dir, FlushMode::Sync, LONG);
        options.disk = Disk::with_faults(faults.clone());
        let mut rig = Rig::open(options);
        let shared = rig.shared.clone();
        let before = Instant::now();
        rig.time = Some(before);
        shared.slaves().link_up(1, 0).expect("up");
        shared.slaves().link_up(2, 0).expect("up");
        faults.hold_syncs();
        let ack = put(&mut rig, "waits", true);
        faults.wait_for_held_sync();
        shared.slaves().link_down(1);
        links(shared.slaves());
        let after = Instant::now();
        if flushed {
            faults.release_syncs();
            rig.until("the flush", |rig| rig.shared.flushed() == rig.shared.watermark());
        }
        rig.time = Some(before + Duration::from_millis(499));
        assert_eq!(told(&mut rig), [], "{name}: not yet");
        rig.time = Some(after + Duration::from_millis(500));
        assert_eq!(told(&mut rig), Vec::from_iter(want.map(|status| (ack, status))), "{name}");
        assert_eq!(rig.arrivals.len(), usize::from(want.is_some()), "{name}");
        if want.is_none() {
            faults.release_syncs();
            shared.slaves().link_down(2);
            rig.time = Some(Instant::now() + Duration::from_secs(1));
            rig.until("the answer", |rig| !rig.outcomes.is_empty());
            assert_eq!(told(&mut rig), [(ack, PutStatus::SlaveNotAvailable)], "{name}");
        }
        assert_eq!(shared.counters().slave_timeouts.load(Ordering::Relaxed), 0, "{name}");
        assert_eq!(rig.stop(), [], "{name}");
    };
    let gone = Some(PutStatus::SlaveNotAvailable);
    check("another lives", |_| (), true, None);
    check("all gone", |links| links.link_down(2), true, gone);
    check("all gone, flush open", |links| links.link_down(2), false, None);
    let back: Links = |links| {
        links.link_down(2);
        links.link_up(2, 0).expect("up");
    };
    check("one is back", back, true, None);
}

/// A link that goes leaves those who wait waiting for a while; what comes after it has no slave; a new link serves both.
#[test]
fn a_link_that_goes_down_keeps_nobody_from_an_answer() {
    let dir = Dir::new("slave-down");
    let mut rig = Rig::open(replicated(&dir, FlushMode::Async, LONG));
    rig.time = Some(Instant::now());
    let shared = rig.shared.clone();
    shared.slaves().link_up(1, 0).expect("up");
    let waits = put(&mut rig, "waits", true);
    shared.slaves().link_down(1);
    assert_eq!(shared.slaves().links(), 0);
    let alone = put(&mut rig, "alone", true);
    assert_eq!(told(&mut rig), [(alone, PutStatus::SlaveNotAvailable)]);
    assert_eq!(rig.arrivals.len(), 0, "in the log's order");
    shared.slaves().link_up(2, 0).expect("up");
    shared.slaves().report(2, shared.watermark()).expect("taken");
    assert_eq!(told(&mut rig), [(waits, PutStatus::Ok)]);
    assert_eq!(rig.arrivals.len(), 2);
    shared.slaves().link_down(2);
    let late = put(&mut rig, "late", true);
    assert_eq!(told(&mut rig), [(late, PutStatus::SlaveNotAvailable)], "what was acknowledged once is no slave");
    drop(rig.stop());
}

#[test]
fn a_stop_answers_everybody() {
    let dir = Dir::new("slave-stop");
    let mut rig = Rig::open(sync(replicated(&dir, FlushMode::Sync, LONG)));
    rig.shared.slaves().link_up(1, 0).expect("up");
    let ack = put(&mut rig, "pending", true);
    let outcomes: Vec<_> = rig.stop().into_iter().map(|(ack, outcome)| (ack, outcome.status)).collect();
    assert_eq!(outcomes, [(ack, PutStatus::SlaveTimeout)]);
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!(rig.read_all("T", 0), [(0, b"pending".to_vec())]);
    drop(rig.stop());
}

/// With several shards what one of them has undecided holds back what the others have behind it, and lets it go by a
/// wake.
#[test]
fn shards_read_in_the_order_of_the_log() {
    let dir = Dir::new("slave-shards");
    let mut options = replicated(&dir, FlushMode::Async, LONG);
    options.shards = 2;
    let mut rig = Rig::open(options);
    let shared = rig.shared.clone();
    let woken: [Arc<AtomicUsize>; 2] = Default::default();
    for (shard, count) in woken.iter().cloned().enumerate() {
        shared.on_progress(
            shard,
            Box::new(move || {
                let _ = count.fetch_add(1, Ordering::SeqCst);
            }),
        );
    }
    let wakes = |shard: usize| woken[shard].load(Ordering::SeqCst);
    shared.slaves().link_up(1, 0).expect("up");
    let [first, second] = [0, 1].map(|queue_id| {
        let ack = rig.put(&[msg("T", queue_id, "x")], queue_id == 0).expect("taken");
        rig.turn();
        ack
    });
    assert_eq!(told(&mut rig), [(second, PutStatus::Ok)]);
    assert_eq!(rig.arrivals.len(), 0);
    let (waits, behind) = (owner("T", 0, 2), owner("T", 1, 2));
    let before = [wakes(waits), wakes(behind)];
    shared.slaves().report(1, shared.watermark()).expect("taken");
    assert_eq!([wakes(waits), wakes(behind)], [before[0] + 1, before[1]], "who waits for a slave is woken");
    let mut acks = Vec::new();
    rig.stores[waits].take_acks(Instant::now(), |ack, outcome| acks.push((ack, outcome.status)));
    assert_eq!(acks, [(first, PutStatus::Ok)]);
    assert_eq!(wakes(behind), before[1] + 1, "and then who has messages behind it");
    rig.collect();
    assert_eq!(rig.arrivals.len(), 2);
    drop(rig.stop());
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        queue_id: u32,
        size: usize,
        wait: bool,
    },
    Turn,
    Up {
        id: u64,
    },
    Down {
        id: u64,
    },
    /// A report of so many thousandths of the log.
    Report {
        id: u64,
        part: i64,
    },
    /// Half a second goes by.
    Late,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u32..3, 1usize..1500, any::<bool>()).prop_map(|(queue_id, size, wait)| Step::Put { queue_id, size, wait }),
        4 => Just(Step::Turn),
        1 => (0u64..3).prop_map(|id| Step::Up { id }),
        1 => (0u64..3).prop_map(|id| Step::Down { id }),
        3 => (0u64..3, 0i64..1100).prop_map(|(id, part)| Step::Report { id, part }),
        1 => Just(Step::Late),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever slaves do: who is told `Ok` is on a slave, who is told that there was none had none or a far one, what
    /// is read is decided, and everybody is answered.
    #[test]
    fn no_ack_without_a_slave(steps in steps(), shards in 1usize..3) {
        let dir = Dir::new("slave-model");
        let mut options = replicated(&dir, FlushMode::Async, LONG);
        options.shards = shards;
        let mut rig = Rig::open(options);
        // Time stands still but for a look at half a second later.
        let time = Instant::now();
        rig.time = Some(time);
        let shared = rig.shared.clone();
        // By ack: whether it waits, and whether a slave was usable when it was written.
        let mut waits = std::collections::BTreeMap::new();
        let mut batch = Vec::new();
        let mut starts = std::collections::BTreeMap::new();
        // Who was answered because the last slave had gone.
        let mut left = std::collections::BTreeSet::new();
        let mut best = 0;
        for step in steps.into_iter().chain([Step::Turn]) {
            match step {
                Step::Put { queue_id, size, wait } => {
                    batch.push((rig.put(&[msg("T", queue_id, vec![1; size])], wait).expect("taken"), wait));
                }
                Step::Turn => {
                    waits.extend(batch.drain(..).map(|(ack, wait)| (ack, (wait, !starts.is_empty()))));
                    rig.turn();
                }
                Step::Up { id } => {
                    let start = shared.watermark();
                    prop_assert_eq!(shared.slaves().link_up(id, start).is_ok(), !starts.contains_key(&id));
                    starts.entry(id).or_insert(start);
                }
                Step::Down { id } => {
                    shared.slaves().link_down(id);
                    starts.remove(&id);
                }
                Step::Report { id, part } => {
                    let end = shared.watermark();
                    let safe = end * part / 1000;
                    let good = starts.get(&id).is_some_and(|start| (*start..=end).contains(&safe));
                    prop_assert_eq!(shared.slaves().report(id, safe).is_ok(), good);
                    if good && starts.get(&id).is_some_and(|start| safe > *start) {
                        best = best.max(safe);
                    }
                }
                Step::Late => {
                    rig.collect();
                    let before = rig.outcomes.len();
                    rig.time = Some(Instant::now() + Duration::from_millis(500));
                    rig.collect();
                    rig.time = Some(time);
                    left.extend(rig.outcomes[before..].iter().map(|(ack, _)| *ack));
                    let waiting = waits.len() - rig.outcomes.len();
                    if starts.is_empty() {
                        prop_assert_eq!(waiting, 0, "nobody waits for whom there is none");
                    } else {
                        prop_assert_eq!(rig.outcomes.len(), before, "a slave may answer yet");
                    }
                }
            }
            let undecided = rig.outcomes.len() < waits.len();
            for (ack, outcome) in &rig.outcomes {
                let (wait, usable) = waits[ack];
                match outcome.status {
                    PutStatus::Ok => prop_assert!(!wait || outcome.physical_offset < best),
                    PutStatus::SlaveNotAvailable => prop_assert!(wait && (!usable || shared.watermark() > 10_000 || left.contains(ack))),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert!(shared.readable() <= shared.watermark());
            if !undecided && batch.is_empty() {
                prop_assert_eq!(shared.readable(), shared.watermark());
            }
        }
        let told = rig.outcomes.len();
        let rest = rig.stop();
        prop_assert_eq!(rest.len(), waits.len());
        for (_, outcome) in &rest[told..] {
            prop_assert!(matches!(outcome.status, PutStatus::Ok | PutStatus::SlaveTimeout));
        }
    }
}
