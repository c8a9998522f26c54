//! Every way to flush keeps the same promises: what fails is final, what waits is told, what was told is there again.
//!
//! The way through the ring needs an executor; its cases stand in `io::ring`.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Dir, Rig, msg, options, sync};
use engine::io::{Disk, Faults};
use engine::{FlushWay, PutRefused, PutStatus, StoreOptions};

const WAYS: [FlushWay; 3] = [FlushWay::Thread, FlushWay::Inline, FlushWay::Auto];
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// Syncs until `auto` has decided.
const SETTLED: u8 = 40;
/// Files with room for a case behind what is sent first.
const LARGE: u64 = 64 << 10;

fn faulty(dir: &Dir, way: FlushWay) -> (StoreOptions, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let mut options = sync(options(dir.path()));
    options.segment_size = LARGE;
    options.flush_way = way;
    options.disk = Disk::with_faults(faults.clone());
    options.retention.interval_when_full = Duration::from_millis(1);
    (options, faults)
}

fn inline_flushes(rig: &Rig) -> u64 {
    rig.shared.counters().inline_flushes.load(Ordering::Relaxed)
}

/// Runs a case on a fresh store that took some messages already, for each way.
fn each_way(name: &str, case: impl Fn(Rig, &Faults, &Dir)) {
    for way in WAYS {
        println!("{name}: {way:?}");
        let dir = Dir::new(name);
        let (options, faults) = faulty(&dir, way);
        let mut rig = Rig::open(options);
        (0..SETTLED).for_each(|n| drop(rig.send_ok(&msg("T", 0, vec![n; 1000]))));
        // No other file is made, and synced, while the case looks at syncs.
        rig.until("the next file", |rig| rig.shared.counters().prepared_segments.load(Ordering::Relaxed) > 0);
        case(rig, &faults, &dir);
    }
}

/// What a crash leaves: the acknowledged messages and, at most, `unsure` ones behind them.
fn check_after_crash(rig: Rig, dir: &Dir, acked: usize, unsure: usize) {
    rig.kill();
    let mut options = options(dir.path());
    options.segment_size = LARGE;
    let mut rig = Rig::open(options);
    let got = rig.read_all("T", 0);
    assert!((acked..=acked + unsure).contains(&got.len()), "{} messages", got.len());
    (0..SETTLED).for_each(|n| assert_eq!(got[usize::from(n)], (i64::from(n), vec![n; 1000])));
    rig.send_ok(&msg("T", 0, "on"));
    drop(rig.stop());
}

#[test]
fn a_failed_sync_is_final() {
    for errno in [EIO, ENOSPC] {
        each_way("way-sync", |mut rig, faults, dir| {
            let before = faults.syncs();
            // A second try would succeed, and would be a lie.
            faults.fail_syncs(0, 1, errno);
            assert_eq!(rig.send(&msg("T", 0, "bad")).status, PutStatus::Failed);
            for wait in [true, false] {
                assert_eq!(rig.put(&[msg("T", 0, "more")], wait), Err(PutRefused::Failed));
            }
            assert!(rig.stores[0].commit().is_err());
            assert!(rig.shared.failure().is_some_and(|failed| failed.reason.contains("fdatasync")));
            assert_eq!(rig.read_all("T", 0).len(), usize::from(SETTLED), "what was promised is still read");
            rig.stores[0].shutdown();
            assert!(rig.shared.stop().is_err());
            assert_eq!(faults.syncs(), before + 1, "no sync follows a failed one");
            check_after_crash(rig, dir, usize::from(SETTLED), 1);
        });
    }
}

#[test]
fn a_failed_write_is_final() {
    each_way("way-write", |mut rig, faults, dir| {
        faults.fail_writes(0, 1, EIO);
        assert_eq!(rig.send(&msg("T", 0, "bad")).status, PutStatus::Failed);
        assert_eq!(rig.put(&[msg("T", 0, "more")], true), Err(PutRefused::Failed));
        assert_eq!(rig.read_all("T", 0).len(), usize::from(SETTLED));
        check_after_crash(rig, dir, usize::from(SETTLED), 0);
    });
}

#[test]
fn a_write_without_space_is_made_good_and_then_synced() {
    each_way("way-full", |mut rig, faults, dir| {
        let ack = rig.put(&[msg("T", 0, "waits")], true).expect("taken");
        faults.fail_writes(0, 2, ENOSPC);
        let before = faults.syncs();
        rig.turn();
        assert!(matches!(rig.put(&[msg("T", 0, "c")], true), Err(PutRefused::DiskFull { .. })));
        assert_eq!((rig.pending(), faults.syncs()), (1, before));
        rig.until("the ack", |rig| rig.pending() == 0);
        assert!(rig.outcomes.iter().any(|(number, outcome)| *number == ack && outcome.status == PutStatus::Ok));
        assert_eq!(rig.shared.flushed(), rig.shared.watermark());
        check_after_crash(rig, dir, usize::from(SETTLED) + 1, 0);
    });
}

#[test]
fn short_writes_are_finished_before_they_are_synced() {
    each_way("way-short", |mut rig, faults, dir| {
        faults.short_writes(100);
        // Over the ends of files, too.
        (0..20u8).for_each(|n| drop(rig.send_ok(&msg("T", 0, vec![n; 3000]))));
        check_after_crash(rig, dir, usize::from(SETTLED) + 20, 0);
    });
}

/// Inline the turn that writes also acknowledges; what nobody waits for costs the shard no sync.
#[test]
fn inline_acks_leave_in_the_turn_of_their_write() {
    let dir = Dir::new("inline");
    let (options, _) = faulty(&dir, FlushWay::Inline);
    let mut rig = Rig::open(options);
    // The thread makes this one durable and has nothing to do from then on.
    let quick = rig.put(&[msg("T", 0, "nobody waits")], false).expect("taken");
    rig.turn();
    assert_eq!(rig.outcomes.drain(..).map(|(ack, _)| ack).collect::<Vec<_>>(), [quick]);
    rig.until("it to be visible", |rig| rig.arrivals.len() == 1);
    assert_eq!(inline_flushes(&rig), 0);
    let mut at_once = 0;
    for n in 0..100u8 {
        let ack = rig.put(&[msg("T", 0, [n])], true).expect("taken");
        rig.turn();
        at_once += usize::from(rig.outcomes.last().is_some_and(|(last, _)| *last == ack));
        rig.until("the ack", |rig| rig.pending() == 0);
    }
    // Only while the thread has the right to sync, on its way to sleep, is it asked.
    assert!(at_once > 50, "{at_once} of 100 in their turn");
    assert!(inline_flushes(&rig) > 50);
    assert_eq!(rig.read_all("T", 0).len(), 101);
    drop(rig.stop());
}

/// While another syncs, a shard goes on; what it wrote is in the next sync.
#[test]
fn a_shard_never_waits_for_anothers_sync() {
    let dir = Dir::new("inline-busy");
    let (options, faults) = faulty(&dir, FlushWay::Inline);
    let mut rig = Rig::open(options);
    faults.hold_syncs();
    rig.put(&[msg("T", 0, "by the thread")], false).expect("taken");
    rig.turn();
    faults.wait_for_held_sync();
    let ack = rig.put(&[msg("T", 0, "waits")], true).expect("taken");
    // A turn that does wait is let go after a while and found out below.
    let (went_on, waits) = std::sync::mpsc::channel::<()>();
    let late = faults.clone();
    let watch = std::thread::spawn(move || {
        if waits.recv_timeout(Duration::from_secs(30)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            late.release_syncs();
        }
    });
    rig.turn();
    drop(went_on);
    watch.join().expect("no panic");
    assert_eq!((rig.pending(), inline_flushes(&rig)), (1, 0));
    assert_eq!(rig.get("T", 0, 0).1.len(), 0, "nothing is visible before it is durable");
    faults.release_syncs();
    rig.until("the ack", |rig| rig.pending() == 0);
    assert!(rig.outcomes.iter().any(|(number, outcome)| *number == ack && outcome.status == PutStatus::Ok));
    assert_eq!(rig.read_all("T", 0).len(), 2);
    drop(rig.stop());
}

/// A range behind another shard's unwritten one is not acknowledged, however durable it is by itself.
#[test]
fn an_inline_ack_waits_for_all_before_it() {
    for way in WAYS {
        let dir = Dir::new("inline-hole");
        let (mut options, faults) = faulty(&dir, way);
        options.shards = 2;
        let mut rig = Rig::open(options);
        let topic =
            |shard| (0..).map(|n| format!("T{n}")).find(|topic| engine::owner(topic, 0, 2) == shard).expect("one");
        let (hole, behind) = (topic(0), topic(1));
        let before = faults.syncs();
        faults.fail_writes(0, 1, ENOSPC);
        rig.put(&[msg(&hole, 0, "a")], true).expect("taken");
        rig.put(&[msg(&behind, 0, "b")], true).expect("taken");
        rig.turn();
        assert_eq!((rig.pending(), rig.shared.flushed(), faults.syncs()), (2, rig.shared.log_min(), before), "{way:?}");
        rig.until("both acks", |rig| rig.pending() == 0);
        assert!(rig.outcomes.drain(..).all(|(_, outcome)| outcome.status == PutStatus::Ok));
        assert_eq!(rig.shared.flushed(), rig.shared.watermark());
        assert_eq!((rig.read_all(&hole, 0).len(), rig.read_all(&behind, 0).len()), (1, 1));
        drop(rig.stop());
    }
}

#[test]
fn auto_syncs_on_the_shard_once_the_disk_has_shown_to_be_fast() {
    let dir = Dir::new("auto");
    let (options, _) = faulty(&dir, FlushWay::Auto);
    let mut rig = Rig::open(options);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let mut sent = 0;
    // A busy machine may show stalls, which are remembered for ten seconds.
    while inline_flushes(&rig) < 100 {
        rig.send_ok(&msg("T", 0, "x"));
        sent += 1;
        assert!(std::time::Instant::now() < deadline, "{sent} sent, {} syncs inline", inline_flushes(&rig));
    }
    let flushes = rig.shared.counters().flushes.load(Ordering::Relaxed);
    assert!(flushes >= inline_flushes(&rig) + 24, "the first ones are the thread's");
    assert_eq!(rig.read_all("T", 0).len(), sent);
    drop(rig.stop());
}
