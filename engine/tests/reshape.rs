//! Taking back what a slave received: nothing readable is deleted, nothing cut comes back, copying goes on.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::slave::{Queue, beside, boundaries, contents, feed, log_bytes, master, messages, settle, slave_options};
use common::{Dir, Rig, SEGMENT, msg, records, sync};
use engine::checkpoint::Checkpoint;
use engine::io::{Disk, Faults};
use engine::{GetStatus, ReceiveError};

/// Directories set aside beside one, in order.
fn set_aside(root: &Path, name: &str) -> Vec<PathBuf> {
    let prefix = format!("{name}.aside-");
    let entries = fs::read_dir(root).expect("listed").map(|entry| entry.expect("listed").path());
    let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
    let mut paths: Vec<_> = entries.filter(is_it).collect();
    paths.sort();
    paths
}

/// A slave with all of a log, and that log.
fn full_slave(dir: &Dir, log: &[u8], shards: usize) -> Rig {
    let mut options = slave_options(dir.path());
    (options.shards, options.index.enable) = (shards, true);
    let mut slave = Rig::open(options);
    let mut receiver = slave.shared.receiver().expect("a slave");
    feed(&mut receiver, log, 5000).expect("taken");
    settle(&mut slave);
    slave
}

/// Cut anywhere, even inside a record or at a file's first byte, the slave ends at the boundary before, durably, serves
/// what is left, and takes another master's log from there on.
#[test]
fn a_cut_log_goes_on_with_other_bytes() {
    let master_dir = Dir::new("cut-master");
    let common = messages(70);
    let mut old = master(master_dir.path(), &common);
    let fork_dir = Dir::new("cut-fork");
    let log = log_bytes(&old);
    let ends = boundaries(&log);
    let segment = SEGMENT as i64;
    assert!(log.len() as i64 > 2 * segment);
    let all_old = contents(&mut old);
    let places = [0, 1, ends[3], ends[3] + 1, segment - 1, segment, segment + 1, 2 * segment, log.len() as i64 - 1];
    for (number, place) in places.into_iter().enumerate() {
        let to = ends[ends.partition_point(|end| *end <= place) - 1];
        // Another master that has the same log up to the cut, and goes on differently.
        let dir = Dir::new("cut-slave");
        let mut slave = full_slave(&dir, &log, 1 + number % 2);
        assert_eq!(contents(&mut slave), all_old);
        let (_, held) = slave.get("A", 0, 0);
        let held_before = records(&held);
        let mut receiver = slave.shared.receiver().expect("a slave");
        assert_eq!(beside(&mut slave, &mut receiver, |receiver| receiver.cut_to(place)), Ok(to), "{place}");
        assert_eq!((receiver.end(), receiver.watermark(), receiver.durable()), (to, to, to), "{place}");
        assert_eq!(records(&held), held_before, "who holds a range still reads what it was");
        let aside = set_aside(dir.path(), "commitlog");
        let kept = fs::read(aside[0].join(format!("{:020}", to / segment * segment))).expect("the old file");
        let base = (to / segment * segment) as usize;
        let old_part = &log[base..log.len().min(base + segment as usize)];
        assert!(kept[..old_part.len()] == *old_part, "{place}: set aside whole");
        slave.turn();
        let count = |list: &[Queue]| list.iter().map(|queue| queue.2.len()).sum::<usize>();
        assert!(count(&contents(&mut slave)) < count(&all_old), "{place}");
        for (topic, queue_id, list) in contents(&mut slave) {
            let store = slave.store(&topic, queue_id);
            let slot = store.queue(&topic, queue_id);
            let end = list.last().map_or(0, |(offset, _)| offset + 1);
            assert_eq!([store.max_offset(slot), store.next_offset(slot)], [end; 2], "{topic} {queue_id} {place}");
        }
        assert!(log_bytes(&slave) == log[..to as usize]);
        drop(receiver);
        if number % 3 == 0 {
            slave.kill();
        } else {
            drop(slave.stop());
        }
        // What was cut does not come back with a start.
        let mut options = slave_options(dir.path());
        options.shards = 1 + number % 2;
        let mut slave = Rig::open(options);
        assert_eq!((slave.report.to, slave.report.damaged.len()), (to, 0), "{place}");
        // The other master: the same messages up to the cut, then one that is not in the old log.
        let fork = Dir::new("cut-other");
        let mut other = Rig::open(common::options(fork.path()));
        let same = ends.partition_point(|end| *end <= to) - 1;
        let mut sent = 0;
        while other.shared.watermark() < to && sent < same {
            other.send_ok(&common[sent]);
            sent += 1;
        }
        let mut receiver = slave.shared.receiver().expect("a slave");
        // Times differ between two masters, so the fork's bytes are the old ones with its own behind them.
        for body in 0..30 {
            other.send_ok(&msg("A", 1, vec![body; 700]));
        }
        let other_log = log_bytes(&other);
        let shared_part = other_log.len().min(to as usize);
        let mut fork_log = log[..shared_part].to_vec();
        fork_log.extend_from_slice(&other_log[shared_part..]);
        feed(&mut receiver, &fork_log, 900).expect("taken");
        settle(&mut slave);
        assert!(log_bytes(&slave) == fork_log);
        assert_eq!(contents(&mut slave), contents(&mut other), "{place}");
        drop(receiver);
        drop(slave.stop());
    }
    drop(fork_dir);
}

/// An emptied slave keeps all it had beside, and may begin anywhere a file begins.
#[test]
fn an_emptied_store_begins_anew_and_keeps_the_old_one_aside() {
    let master_dir = Dir::new("clear-master");
    let mut rig = master(master_dir.path(), &messages(70));
    let mut with_key = msg("A", 0, "indexed");
    with_key.tag = "t\u{2}KEYS\u{1}k".to_string();
    rig.send_ok(&with_key);
    let log = log_bytes(&rig);
    let dir = Dir::new("clear-slave");
    let mut slave = full_slave(&dir, &log, 2);
    slave.until("the index", |rig| rig.shared.indexed_to() == rig.shared.readable());
    assert_eq!(slave.shared.query("A", "k", 9, 0, i64::MAX).ranges.len(), 1);
    let mut receiver = slave.shared.receiver().expect("a slave");
    let segment = SEGMENT as i64;
    let (start, end) = (0, log.len() as i64);
    assert_eq!(receiver.begin_at(segment), Err(ReceiveError::NotEmpty { start, end }));
    assert_eq!(beside(&mut slave, &mut receiver, engine::Receiver::clear), Ok(()));
    assert_eq!((receiver.start(), receiver.end(), receiver.durable()), (0, 0, 0));
    let aside = set_aside(dir.path(), "commitlog");
    for base in (0..end).step_by(SEGMENT as usize) {
        let old = fs::read(aside[0].join(format!("{base:020}"))).expect("kept");
        let part = &log[base as usize..log.len().min((base + segment) as usize)];
        assert!(old[..part.len()] == *part);
    }
    assert_eq!(set_aside(dir.path(), "consumequeue").len(), 1);
    assert_eq!(set_aside(dir.path(), "index").len(), 1);
    for (topic, queue_id, found) in contents(&mut slave) {
        assert_eq!(found, [], "{topic} {queue_id}");
    }
    assert_eq!(slave.get("A", 0, 0).0.status, GetStatus::NoMessageInQueue);
    let not = ReceiveError::NotFileStart { offset: segment + 1, file_size: segment };
    assert_eq!(receiver.begin_at(segment + 1), Err(not));
    assert_eq!(receiver.begin_at(-segment), Err(ReceiveError::NotFileStart { offset: -segment, file_size: segment }));
    assert_eq!(beside(&mut slave, &mut receiver, |receiver| receiver.begin_at(segment)), Ok(()));
    assert_eq!((receiver.start(), receiver.end()), (segment, segment));
    assert!(receiver.append(0, &log[..10]).is_err());
    feed(&mut receiver, &log, 3000).expect("taken");
    settle(&mut slave);
    // Queues begin in the middle and have the master's offsets.
    let want: Vec<_> = contents(&mut rig)
        .into_iter()
        .map(|(topic, queue_id, list)| {
            let store = rig.store(&topic, queue_id);
            let slot = store.queue(&topic, queue_id);
            let is_kept = |offset: i64, store: &mut engine::ShardStore<u64>| {
                store.locate(slot, offset).is_some_and(|(physical, _)| physical >= segment)
            };
            let kept = list.into_iter().filter(|(offset, _)| is_kept(*offset, store)).collect::<Vec<_>>();
            (topic, queue_id, kept)
        })
        .collect();
    assert_eq!(contents(&mut slave), want);
    drop(receiver);
    slave.kill();
    let mut options = slave_options(dir.path());
    options.shards = 2;
    let mut slave = Rig::open(options);
    assert_eq!((slave.shared.log_min(), slave.report.to, slave.report.damaged.len()), (segment, end, 0));
    assert_eq!(contents(&mut slave), want);
    drop(slave.stop());
}

/// A cut that fails on its way lets nothing in before one succeeded; the old log is still there for a start.
#[test]
fn a_cut_that_fails_is_finished_before_anything_is_taken() {
    let master_dir = Dir::new("fail-master");
    let log = log_bytes(&master(master_dir.path(), &messages(28)));
    let ends = boundaries(&log);
    let dir = Dir::new("fail-slave");
    let faults = Arc::new(Faults::default());
    let mut options = slave_options(dir.path());
    options.disk = Disk::with_faults(faults.clone());
    options.checkpoint_interval = Duration::from_millis(1);
    let mut slave = Rig::open(options.clone());
    let mut receiver = slave.shared.receiver().expect("a slave");
    feed(&mut receiver, &log, 5000).expect("taken");
    settle(&mut slave);
    slave.until("a checkpoint", |_| dispatched(&dir) == log.len() as i64);
    // No other file is made, and fails, in place of the one that the cut makes.
    let files = 1 + log.len() as u64 / SEGMENT;
    slave.until("the next file", |rig| {
        let counters = rig.shared.counters();
        let made = [&counters.prepared_segments, &counters.inline_segments];
        made.map(|count| count.load(Ordering::Relaxed)).iter().sum::<u64>() >= files
    });
    faults.fail_allocations(0, 1, 28);
    // In the last file, and every queue keeps messages: only the checkpoint tells that some lost units.
    let place = ends[20];
    // Without housekeeping there is no new checkpoint.
    let cut = std::thread::scope(|scope| {
        let thread = scope.spawn(|| receiver.cut_to(place));
        while !thread.is_finished() {
            slave.turn();
        }
        thread.join().expect("no panic")
    });
    let error = cut.expect_err("no space");
    assert!(matches!(error, ReceiveError::Io { .. }), "{error}");
    let refused = receiver.append(receiver.end(), &log[..1]);
    assert!(matches!(refused, Err(ReceiveError::CutUnfinished { .. })), "{refused:?}");
    let copy = dir.copy("fail-copy");
    let started = Rig::open(slave_options(copy.path()));
    assert!(started.report.records > 0, "the old checkpoint vouches for nothing any more");
    assert!(started.shared.watermark() >= place, "a crash here leaves a longer log, not a shorter one");
    assert!(log.starts_with(&log_bytes(&started)));
    drop(started);
    assert_eq!(beside(&mut slave, &mut receiver, |receiver| receiver.cut_to(place)), Ok(place));
    feed(&mut receiver, &log, 5000).expect("taken");
    settle(&mut slave);
    assert!(log_bytes(&slave) == log);
    drop(receiver);
    drop(slave.stop());
    assert_eq!(Rig::open(options).report.to, log.len() as i64);
}

/// Where the checkpoint says that everything before it is durable and in its queues.
fn dispatched(dir: &Dir) -> i64 {
    let checkpoint = Checkpoint::read(&dir.path().join("checkpoint")).expect("read");
    checkpoint.extension.map_or(0, |extension| extension.dispatched)
}

/// What was flushed before a cut says nothing of the bytes that come to the same place later.
#[test]
fn after_a_cut_new_bytes_are_flushed_anew() {
    let master_dir = Dir::new("anew-master");
    let log = log_bytes(&master(master_dir.path(), &messages(30)));
    let to = boundaries(&log)[3];
    let dir = Dir::new("anew-slave");
    let faults = Arc::new(Faults::default());
    let mut options = sync(slave_options(dir.path()));
    options.disk = Disk::with_faults(faults.clone());
    let mut slave = Rig::open(options);
    let mut receiver = slave.shared.receiver().expect("a slave");
    feed(&mut receiver, &log, 5000).expect("taken");
    settle(&mut slave);
    assert_eq!(beside(&mut slave, &mut receiver, |receiver| receiver.cut_to(to)), Ok(to));
    faults.hold_syncs();
    feed(&mut receiver, &log, 5000).expect("taken");
    slave.turn();
    assert_eq!((receiver.watermark(), receiver.durable(), slave.shared.readable()), (log.len() as i64, to, to));
    faults.release_syncs();
    settle(&mut slave);
    assert_eq!(receiver.durable(), log.len() as i64);
    drop(receiver);
    drop(slave.stop());
}

/// A checkpoint never vouches for records the shards have not followed to.
#[test]
fn a_checkpoint_waits_for_the_shards_to_follow() {
    let master_dir = Dir::new("vouch-master");
    let log = log_bytes(&master(master_dir.path(), &messages(60)));
    let dir = Dir::new("vouch-slave");
    let mut options = slave_options(dir.path());
    options.checkpoint_interval = Duration::from_millis(1);
    let mut slave = Rig::open(options);
    let mut receiver = slave.shared.receiver().expect("a slave");
    feed(&mut receiver, &log, 5000).expect("taken");
    // Far more often than it follows the shard offers to report.
    for number in 0u64.. {
        slave.housekeep();
        let vouched = dispatched(&dir);
        assert!(vouched <= slave.shared.dispatched(), "{vouched}");
        if vouched == log.len() as i64 {
            break;
        }
        if number % 500 == 0 {
            slave.stores[0].follow(1);
        }
    }
    drop(receiver);
    slave.kill();
}

/// What was received before a shard's thread ran is followed, and a cut from before is carried out.
#[test]
fn a_shard_that_begins_late_misses_nothing() {
    let master_dir = Dir::new("late-master");
    let mut rig = master(master_dir.path(), &messages(30));
    let log = log_bytes(&rig);
    let dir = Dir::new("late-slave");
    let options = slave_options(dir.path());
    {
        let mut slave = full_slave(&dir, &log[..boundaries(&log)[20] as usize], 1);
        slave.turn();
        drop(slave.stop());
    }
    let opened = engine::open(options.clone()).expect("opened");
    opened.mark_running().expect("marked");
    let mut receiver = opened.shared.receiver().expect("a slave");
    feed(&mut receiver, &log[..boundaries(&log)[25] as usize], 500).expect("taken");
    let to = boundaries(&log)[10];
    let cut = std::thread::spawn(move || {
        let result = receiver.cut_to(to);
        (receiver, result)
    });
    // The cut takes the end back before it asks the shards.
    while opened.shared.watermark() > to {
        std::thread::yield_now();
    }
    let mut slave = Rig::from_opened(opened);
    slave.until("the cut", |_| cut.is_finished());
    let (mut receiver, result) = cut.join().expect("no panic");
    assert_eq!(result, Ok(to));
    assert_eq!(slave.shared.dispatched(), to);
    feed(&mut receiver, &log, 500).expect("taken");
    settle(&mut slave);
    assert_eq!(contents(&mut slave), contents(&mut rig));
    drop(receiver);
    drop(slave.stop());
    let opened = engine::open(options).expect("opened");
    opened.mark_running().expect("marked");
    let mut receiver = opened.shared.receiver().expect("a slave");
    rig.send_ok(&msg("A", 1, "more"));
    feed(&mut receiver, &log_bytes(&rig), 500).expect("taken");
    let mut slave = Rig::from_opened(opened);
    settle(&mut slave);
    assert_eq!(contents(&mut slave), contents(&mut rig));
    drop(receiver);
    drop(slave.stop());
}

/// A store that shuts down while a cut waits for its shards does not hang, and neither does the receiver.
#[test]
fn a_cut_ends_with_the_store() {
    let master_dir = Dir::new("stop-master");
    let log = log_bytes(&master(master_dir.path(), &messages(20)));
    let dir = Dir::new("stop-slave");
    let slave = full_slave(&dir, &log, 1);
    let mut receiver = slave.shared.receiver().expect("a slave");
    let shared = slave.shared.clone();
    let thread = std::thread::spawn(move || receiver.cut_to(10));
    // No shard turns; the stop is what ends the wait.
    let stopped = std::thread::spawn(move || shared.stop());
    assert_eq!(thread.join().expect("no panic"), Err(ReceiveError::ShuttingDown));
    stopped.join().expect("no panic").expect("stopped");
    drop(slave);
}
