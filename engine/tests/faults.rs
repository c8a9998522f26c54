//! A disk that fails, is full, or is slow: what is promised, refused, and taken up again.

mod common;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Dir, Rig, msg, options, sync};
use engine::io::{Disk, Faults, Space, SpaceProbe};
use engine::{FlushMode, FlushWay, GetStatus, PutRefused, PutStatus, StoreOptions};

fn faulty(dir: &Dir, flush: FlushMode) -> (StoreOptions, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let mut options = options(dir.path());
    options.flush = flush;
    options.disk = Disk::with_faults(faults.clone());
    options.retention.interval_when_full = Duration::from_millis(1);
    (options, faults)
}

/// Under SYNC_FLUSH nothing is acknowledged or visible before its flush; what did not ask to wait is acknowledged.
#[test]
fn under_sync_flush_an_ack_and_a_read_wait_for_the_flush() {
    let dir = Dir::new("sync");
    let (options, faults) = faulty(&dir, FlushMode::Sync);
    let mut rig = Rig::open(options);
    rig.send_ok(&msg("T", 0, "first"));
    faults.hold_syncs();
    let waits = rig.put(&[msg("T", 0, "waits")], true).expect("taken");
    let quick = rig.put(&[msg("T", 0, "does not")], false).expect("taken");
    rig.turn();
    faults.wait_for_held_sync();
    rig.turn();
    let acked: Vec<_> = rig.outcomes.drain(..).map(|(ack, outcome)| (ack, outcome.status)).collect();
    assert_eq!(acked, [(quick, PutStatus::Ok)]);
    let (result, _) = rig.get("T", 0, 1);
    assert_eq!((result.status, result.max_offset), (GetStatus::OffsetOverflowOne, 1));
    assert_eq!((rig.arrivals.len(), rig.pending()), (1, 1));
    assert!(rig.shared.readable() < rig.shared.watermark());
    assert!(rig.shared.record(rig.shared.readable()).is_none(), "nor by its physical offset");
    faults.release_syncs();
    rig.until("the ack", |rig| {
        rig.outcomes.iter().any(|(ack, outcome)| *ack == waits && outcome.status == PutStatus::Ok)
    });
    rig.until("both to be visible", |rig| rig.arrivals.len() == 3);
    assert_eq!(rig.read_all("T", 0).len(), 3);
    drop(rig.stop());
}

#[test]
fn a_late_flush_is_told_and_the_message_becomes_visible_all_the_same() {
    let dir = Dir::new("timeout");
    let (mut options, faults) = faulty(&dir, FlushMode::Sync);
    options.sync_flush_timeout = Duration::from_millis(20);
    let mut rig = Rig::open(options);
    faults.hold_syncs();
    let outcome = rig.send(&msg("T", 0, "late"));
    assert_eq!(outcome.status, PutStatus::FlushTimeout);
    assert_eq!(rig.get("T", 0, 0).0.status, GetStatus::NoMessageInQueue);
    assert_eq!(rig.shared.counters().flush_timeouts.load(Ordering::Relaxed), 1);
    faults.release_syncs();
    rig.until("the message", |rig| !rig.arrivals.is_empty());
    assert_eq!(rig.read_all("T", 0), [(0, b"late".to_vec())]);
    assert_eq!(rig.outcomes, [], "one answer only");
}

#[test]
fn one_flush_serves_all_that_came_meanwhile() {
    let dir = Dir::new("group");
    let (options, faults) = faulty(&dir, FlushMode::Sync);
    let mut rig = Rig::open(options);
    faults.hold_syncs();
    rig.put(&[msg("T", 0, "first")], true).expect("taken");
    rig.turn();
    faults.wait_for_held_sync();
    for _ in 0..50 {
        rig.put(&[msg("T", 0, "x")], true).expect("taken");
        rig.turn();
    }
    let before = faults.syncs();
    faults.release_syncs();
    rig.until("all acks", |rig| rig.pending() == 0);
    assert_eq!(rig.outcomes.len(), 51);
    assert!(faults.syncs() - before <= 3, "{} syncs for 51 messages", faults.syncs() - before);
}

#[test]
fn after_a_failed_flush_nothing_is_acknowledged_ever_again() {
    let dir = Dir::new("eio");
    let (mut options, faults) = faulty(&dir, FlushMode::Sync);
    let told = Arc::new(AtomicU32::new(0));
    let count = told.clone();
    options.on_failure = Some(Arc::new(move |failed| {
        assert!(failed.to_string().contains("fdatasync"));
        count.fetch_add(1, Ordering::SeqCst);
    }));
    let mut rig = Rig::open(options);
    rig.send_ok(&msg("T", 0, "good"));
    // Only one sync fails; a second try would succeed and would be a lie.
    faults.fail_syncs(0, 1, libc_eio());
    let outcome = rig.send(&msg("T", 0, "bad"));
    assert_eq!(outcome.status, PutStatus::Failed);
    assert_eq!(rig.put(&[msg("T", 0, "more")], true), Err(PutRefused::Failed));
    assert_eq!(rig.put(&[msg("T", 0, "more")], false), Err(PutRefused::Failed));
    assert!(rig.stores[0].commit().is_err());
    rig.until("the word to the process", |_| told.load(Ordering::SeqCst) > 0);
    assert_eq!(told.load(Ordering::SeqCst), 1);
    assert_eq!(rig.read_all("T", 0), [(0, b"good".to_vec())], "what was promised is still read");
    rig.stores[0].shutdown();
    assert!(rig.shared.stop().is_err());
    assert!(dir.path().join("abort").exists(), "the next start recovers");
    drop(rig);
    let mut rig = Rig::open(sync(common::options(dir.path())));
    assert!(rig.report.abnormal);
    let got = rig.read_all("T", 0);
    assert_eq!(got[0], (0, b"good".to_vec()));
    assert_eq!(rig.send_ok(&msg("T", 0, "on")).queue_offset, got.len() as i64);
    drop(rig.stop());
}

/// Units of a queue whose files cannot be written stay in memory; puts are refused until they can.
#[test]
fn a_consume_queue_that_cannot_be_written_holds_puts_back() {
    let dir = Dir::new("queue-fails");
    let mut rig = Rig::open(options(dir.path()));
    // A file where the queue's directory would be.
    std::fs::write(dir.path().join("consumequeue/T"), "in the way").expect("written");
    rig.until("a refusal", |rig| rig.put(&[msg("T", 0, "b")], true).is_err());
    let refused = rig.put(&[msg("T", 0, "c")], true).expect_err("refused").to_string();
    assert!(refused.contains("consume queue"), "{refused}");
    std::fs::remove_file(dir.path().join("consumequeue/T")).expect("removed");
    rig.until("puts", |rig| rig.put(&[msg("T", 0, "d")], true).is_ok());
    rig.until("all acks", |rig| rig.pending() == 0);
    let before = rig.read_all("T", 0);
    drop(rig.stop());
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!(rig.read_all("T", 0), before);
}

fn libc_eio() -> i32 {
    5
}

fn libc_emfile() -> i32 {
    24
}

fn libc_enospc() -> i32 {
    28
}

#[test]
fn after_a_failed_write_nothing_is_acknowledged() {
    let dir = Dir::new("write-eio");
    let (options, faults) = faulty(&dir, FlushMode::Async);
    let mut rig = Rig::open(options);
    rig.send_ok(&msg("T", 0, "good"));
    faults.fail_writes(0, 1, libc_eio());
    assert_eq!(rig.send(&msg("T", 0, "bad")).status, PutStatus::Failed);
    assert_eq!(rig.put(&[msg("T", 0, "more")], true), Err(PutRefused::Failed));
    assert!(rig.shared.failure().is_some_and(|failed| failed.reason.contains("at byte")));
    rig.kill();
    let mut rig = Rig::open(common::options(dir.path()));
    assert_eq!(rig.read_all("T", 0), [(0, b"good".to_vec())]);
}

/// A write that finds no space keeps its place, is tried again, and is acknowledged in the end; meanwhile sends are
/// refused with path and key.
#[test]
fn a_write_without_space_is_refused_then_made_good() {
    let dir = Dir::new("write-full");
    let (options, faults) = faulty(&dir, FlushMode::Async);
    let mut rig = Rig::open(options);
    rig.send_ok(&msg("T", 0, "a"));
    faults.fail_writes(0, 3, libc_enospc());
    let ack = rig.put(&[msg("T", 0, "b")], true).expect("taken");
    rig.turn();
    let refused = rig.put(&[msg("T", 0, "c")], true).expect_err("refused");
    assert!(matches!(&refused, PutRefused::DiskFull { path, .. } if path.ends_with("commitlog")), "{refused}");
    assert!(rig.stores[0].is_writable().is_err());
    assert_eq!(rig.read_all("T", 0).len(), 1, "reads go on");
    rig.until("the ack", |rig| rig.pending() == 0);
    assert!(rig.outcomes.iter().any(|(number, outcome)| *number == ack && outcome.status == PutStatus::Ok));
    rig.send_ok(&msg("T", 0, "c"));
    assert_eq!(rig.read_all("T", 0).len(), 3);
    drop(rig.stop());
    let mut rig = Rig::open(common::options(dir.path()));
    assert_eq!((rig.report.records, rig.read_all("T", 0).len()), (0, 3));
}

/// One shard's write waits for space while another's succeeds: the first takes nothing into the batch that has its
/// place already.
#[test]
fn a_shard_that_waits_for_space_takes_nothing_whatever_the_others_do() {
    let dir = Dir::new("write-full-shards");
    let (mut options, faults) = faulty(&dir, FlushMode::Async);
    options.shards = 2;
    let mut rig = Rig::open(options);
    let topic = |shard| (0..).map(|n| format!("T{n}")).find(|topic| engine::owner(topic, 0, 2) == shard).expect("one");
    let (waits, goes_on) = (topic(0), topic(1));
    faults.fail_writes(0, 1, libc_enospc());
    rig.put(&[msg(&waits, 0, "a")], true).expect("taken");
    rig.put(&[msg(&goes_on, 0, "b")], true).expect("taken");
    rig.turn();
    let refused = rig.put(&[msg(&waits, 0, "too early")], true).expect_err("refused");
    assert!(matches!(&refused, PutRefused::DiskFull { .. }), "{refused}");
    rig.until("all acks", |rig| rig.pending() == 0);
    assert!(rig.outcomes.drain(..).all(|(_, outcome)| outcome.status == PutStatus::Ok));
    rig.send_ok(&msg(&waits, 0, "c"));
    assert_eq!(rig.read_all(&waits, 0), [(0, b"a".to_vec()), (1, b"c".to_vec())]);
    drop(rig.stop());
}

/// The first failed sync of a consume queue is the last checkpoint's end: a second try would succeed and be a lie.
#[test]
fn after_a_failed_sync_of_a_consume_queue_no_checkpoint_is_written() {
    let dir = Dir::new("queue-sync");
    let (options, faults) = faulty(&dir, FlushMode::Async);
    let mut rig = Rig::open(options);
    let ends = |rig: &Rig| rig.shared.flushed() == rig.shared.log_max();
    for topic in ["T", "U", "V"] {
        rig.send_ok(&msg(topic, 0, "x"));
    }
    rig.until("all to be flushed", |rig| ends(rig));
    let before = faults.syncs();
    faults.fail_syncs(0, 1, libc_eio());
    // A deletion asks for a checkpoint.
    rig.stores[0].delete_topic("U");
    rig.until("the sync", |_| faults.syncs() > before);
    rig.stores[0].delete_topic("V");
    rig.send_ok(&msg("T", 0, "y"));
    rig.until("all to be flushed", |rig| ends(rig));
    rig.stores[0].shutdown();
    rig.shared.stop().unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(rig.shared.counters().checkpoints.load(Ordering::Relaxed), 0);
    assert!(dir.path().join("abort").exists(), "the stop was not clean");
    drop(rig);
    let mut rig = Rig::open(common::options(dir.path()));
    assert!(rig.report.abnormal);
    assert_eq!(rig.read_all("T", 0).len(), 2);
}

#[test]
fn without_space_for_the_next_file_sends_are_refused_until_there_is_some() {
    for errno in [libc_enospc(), libc_emfile()] {
        the_next_file_fails_with(errno);
    }
}

fn the_next_file_fails_with(errno: i32) {
    let dir = Dir::new("roll-full");
    let (options, faults) = faulty(&dir, FlushMode::Async);
    let mut rig = Rig::open(options);
    faults.fail_allocations(0, u64::MAX, errno);
    let mut taken = 0;
    let refused = loop {
        match rig.put(&[msg("T", 0, vec![1; 4000])], true) {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
        rig.turn();
        assert!(taken < 20, "the file has room for four");
    };
    let text = refused.to_string();
    if errno == libc_enospc() {
        assert!(matches!(refused, PutRefused::DiskFull { .. }) && text.contains("bytes free"), "{text}");
    } else {
        assert!(matches!(refused, PutRefused::NotWritable(_)) && text.contains("open files"), "{text}");
    }
    rig.until("the acks of what was taken", |rig| rig.pending() == 0);
    assert!(rig.outcomes.drain(..).all(|(_, outcome)| outcome.status == PutStatus::Ok));
    assert_eq!(rig.read_all("T", 0).len(), taken);
    faults.fail_allocations(0, 0, 0);
    rig.until("room", |rig| rig.stores[0].is_writable().is_ok());
    rig.send_ok(&msg("T", 0, vec![2; 4000]));
    assert_eq!(rig.read_all("T", 0).len(), taken + 1);
}

#[test]
fn short_writes_are_finished() {
    let dir = Dir::new("short");
    let (options, faults) = faulty(&dir, FlushMode::Sync);
    let mut rig = Rig::open(options);
    faults.short_writes(100);
    for n in 0..20u8 {
        rig.send_ok(&msg("T", 0, vec![n; 3000]));
    }
    rig.kill();
    let mut rig = Rig::open(common::options(dir.path()));
    assert_eq!((rig.read_all("T", 0).len(), &rig.report.damaged[..]), (20, &[][..]));
}

/// A disk whose fullness the test sets, and that counts how often it was looked at.
fn probe(percent: &Arc<AtomicU64>, looks: &Arc<AtomicU64>) -> SpaceProbe {
    let (percent, looks) = (percent.clone(), looks.clone());
    SpaceProbe::new(move |_| {
        let used = percent.load(Ordering::SeqCst);
        looks.fetch_add(1, Ordering::SeqCst);
        let free = (100 - used) << 20;
        Ok(Space::new(100 << 20, free, free))
    })
}

#[test]
fn a_full_disk_refuses_sends_and_takes_them_again_by_itself() {
    let dir = Dir::new("watch");
    let percent = Arc::new(AtomicU64::new(50));
    let mut options = options(dir.path());
    options.retention.space = probe(&percent, &Arc::default());
    options.retention.warning_percent = 90;
    options.retention.interval = Duration::from_millis(1);
    options.retention.interval_when_full = Duration::from_millis(1);
    let mut rig = Rig::open(options);
    rig.send_ok(&msg("T", 0, "a"));
    percent.store(91, Ordering::SeqCst);
    rig.until("a refusal", |rig| rig.stores[0].is_writable().is_err());
    let refused = rig.put(&[msg("T", 0, "b")], true).expect_err("refused");
    let text = refused.to_string();
    assert!(text.contains("91 % full") && text.contains("storePathCommitLog") && text.contains("9437184"), "{text}");
    assert_eq!(rig.read_all("T", 0).len(), 1);
    percent.store(90, Ordering::SeqCst);
    rig.until("room", |rig| rig.stores[0].is_writable().is_ok());
    rig.send_ok(&msg("T", 0, "b"));
}

/// Forced deletion takes the oldest files and never the last; a held file keeps its bytes; queues learn of it.
#[test]
fn forced_deletion_frees_the_oldest_files() {
    let dir = Dir::new("forced");
    let (percent, looks) = (Arc::new(AtomicU64::new(50)), Arc::new(AtomicU64::new(0)));
    let mut options = options(dir.path());
    options.retention.space = probe(&percent, &looks);
    options.retention.clean_forcibly = true;
    options.retention.interval = Duration::from_millis(1);
    options.retention.delete_pause = Duration::ZERO;
    let mut rig = Rig::open(options.clone());
    for n in 0..200u8 {
        rig.send_ok(&msg("T", u32::from(n % 2), vec![n; 1000]));
    }
    rig.until("all to be flushed", |rig| rig.shared.flushed() == rig.shared.log_max());
    let held = rig.get("T", 0, 0).1;
    percent.store(86, Ordering::SeqCst);
    rig.until("deletion", |rig| rig.shared.log_min() > 0);
    percent.store(50, Ordering::SeqCst);
    // A round that found it full may delete one more; so many looks later it is over, and another found nothing to do.
    let before = looks.load(Ordering::SeqCst);
    rig.until("the round's end", |_| looks.load(Ordering::SeqCst) >= before + 12);
    assert_eq!(common::records(&held)[0], (0, vec![0; 1000]), "a pull in flight keeps its file");
    assert!(!common::segment_path(dir.path(), 0).exists());
    let log_min = rig.shared.log_min();
    rig.until("the queues to follow", |rig| {
        let store = &mut rig.stores[0];
        [0, 1].into_iter().all(|id| {
            let slot = store.queue("T", id);
            let min = store.min_offset(slot);
            min > 0 && store.locate(slot, min).is_some_and(|(physical, _)| physical >= log_min)
        })
    });
    let slot = rig.stores[0].queue("T", 0);
    let min = rig.stores[0].min_offset(slot);
    let (result, _) = rig.get("T", 0, 0);
    assert_eq!((result.status, result.next_begin_offset), (GetStatus::OffsetTooSmall, min));
    let got = rig.read_all("T", 0);
    assert_eq!((got[0].0, got.len() as i64), (min, 100 - min));
    drop(held);
    rig.kill();
    // What was deleted stays deleted, and the offsets stay what they were.
    percent.store(50, Ordering::SeqCst);
    std::fs::remove_dir_all(dir.path().join("consumequeue")).expect("removed");
    let mut rig = Rig::open(options);
    assert_eq!(rig.shared.log_min(), log_min);
    assert_eq!(rig.read_all("T", 0), got);
    assert_eq!(rig.send_ok(&msg("T", 0, "next")).queue_offset, 100);
}

#[test]
fn expired_files_go_when_asked_for() {
    let dir = Dir::new("expired");
    let mut options = options(dir.path());
    options.retention.file_reserved = Duration::from_secs(3600);
    options.retention.delete_pause = Duration::ZERO;
    let mut rig = Rig::open(options);
    for n in 0..60u8 {
        rig.send_ok(&msg("T", 0, vec![n; 1000]));
    }
    rig.until("all to be flushed", |rig| rig.shared.flushed() == rig.shared.log_max());
    let old = std::time::SystemTime::now() - Duration::from_secs(2 * 3600);
    for base in [0, common::SEGMENT] {
        let file = std::fs::File::options().write(true).open(common::segment_path(dir.path(), base)).expect("there");
        file.set_modified(old).expect("set");
    }
    rig.shared.delete_expired_now();
    rig.until("deletion", |rig| rig.shared.counters().deleted_segments.load(Ordering::Relaxed) == 2);
    assert_eq!(rig.shared.log_min(), 2 * common::SEGMENT as i64);
    assert!(common::segment_path(dir.path(), 2 * common::SEGMENT).exists());
}

/// Who waits this long was not woken.
const LOST: Duration = Duration::from_secs(60);

/// Shards driven by threads: whoever waits is woken when the flusher or another shard moved what it waits for.
#[test]
fn waiting_shards_are_woken() {
    let thread = FlushWay::Thread;
    for (flush, way) in [
        (FlushMode::Async, thread),
        (FlushMode::Sync, thread),
        (FlushMode::Sync, FlushWay::Inline),
        (FlushMode::Sync, FlushWay::Auto),
    ] {
        let dir = Dir::new("threads");
        let mut options = options(dir.path());
        (options.flush, options.flush_way) = (flush, way);
        options.shards = 3;
        let opened = engine::open(options).unwrap_or_else(|error| panic!("{error}"));
        opened.mark_running().unwrap_or_else(|error| panic!("{error}"));
        let shared = opened.shared.clone();
        let failures = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = opened
            .shards
            .into_iter()
            .map(|seed| {
                let (shared, failures) = (shared.clone(), failures.clone());
                std::thread::spawn(move || {
                    let shard = seed.shard();
                    let mut store = seed.into_store::<u32>();
                    let me = std::thread::current();
                    shared.on_progress(shard, Box::new(move || me.unpark()));
                    let topic =
                        (0..).map(|n| format!("T{n}")).find(|topic| engine::owner(topic, 0, 3) == shard).expect("one");
                    let host = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
                    let (mut sent, mut acked, mut seen) = (0u32, 0u32, 0u32);
                    while seen < 500 {
                        if sent < 500 && sent - acked < 10 {
                            let body = sent.to_be_bytes();
                            let put = engine::PutMessage {
                                topic: &topic,
                                queue_id: 0,
                                flag: 0,
                                sys_flag: 0,
                                born_timestamp: 0,
                                born_host: host,
                                store_host: host,
                                reconsume_times: 0,
                                prepared_transaction_offset: 0,
                                body: &body,
                                properties: &[],
                                tags_code: 0,
                            };
                            store.put(&[put], true, sent).map_err(|(_, refused)| refused).expect("taken");
                            sent += 1;
                        }
                        store.commit().expect("the log works");
                        let (acked_before, seen_before) = (acked, seen);
                        store.take_acks(std::time::Instant::now(), |ack, outcome| {
                            if (ack, outcome.queue_offset, outcome.status) != (acked, i64::from(acked), PutStatus::Ok) {
                                failures.lock().expect("whole").push((ack, outcome));
                            }
                            acked += 1;
                        });
                        store.take_arrivals(|_, _, _| seen += 1);
                        if (acked, seen) == (acked_before, seen_before) && (sent == 500 || sent - acked == 10) {
                            // Nothing to do until woken.
                            let parked = std::time::Instant::now();
                            std::thread::park_timeout(LOST);
                            assert!(
                                parked.elapsed() < LOST,
                                "a wake was lost: {sent} sent, {acked} acked, {seen} seen"
                            );
                        }
                    }
                    store.shutdown();
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert!(failures.lock().expect("whole").is_empty());
        shared.stop().unwrap_or_else(|failed| panic!("{failed}"));
    }
}
