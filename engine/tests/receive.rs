//! A slave's store: its log is a prefix of the master's at every byte, and what is readable is whole.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::slave::{boundaries, contents, feed, log_bytes, master, messages, settle, slave_options};
use common::{Dir, Rig, SEGMENT, msg, options, segment_path, sync};
use engine::io::{Disk, Faults};
use engine::{FlushMode, PutRefused, ReceiveError};
use proptest::prelude::*;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const MINUTE: Duration = Duration::from_secs(60);

/// Byte by byte over records, blanks and file ends: the end is what was fed, the watermark the last whole record's end.
#[test]
fn the_watermark_is_the_last_record_that_is_whole_at_every_byte() {
    let (master_dir, slave_dir) = (Dir::new("bytes-master"), Dir::new("bytes-slave"));
    let rig = master(master_dir.path(), &messages(80));
    let log = log_bytes(&rig);
    assert!(log.len() > 2 * SEGMENT as usize, "two blanks");
    let ends = boundaries(&log);
    let slave = Rig::open(slave_options(slave_dir.path()));
    let mut receiver = slave.shared.receiver().expect("a slave");
    assert!(slave.shared.receiver().is_none(), "one at a time");
    for at in 0..log.len() {
        receiver.append(at as i64, &log[at..=at]).expect("taken");
        let end = at as i64 + 1;
        let whole = ends[ends.partition_point(|boundary| *boundary <= end) - 1];
        assert_eq!((receiver.end(), receiver.watermark(), receiver.durable()), (end, whole, whole), "byte {at}");
    }
    assert_eq!(log_bytes(&slave), log);
    drop(receiver);
    assert!(slave.shared.receiver().is_some(), "given back");
    drop(rig);
    for base in (0..log.len() as u64).step_by(SEGMENT as usize) {
        let file = |dir: &Dir| std::fs::read(segment_path(dir.path(), base)).expect("read");
        assert!(file(&master_dir) == file(&slave_dir), "the file at {base} is the master's, byte for byte");
    }
}

/// Shards follow to the same queues the master has, with any number of shards, and the slave reads them.
#[test]
fn consumers_find_on_the_slave_what_they_find_on_the_master() {
    let check = |shards: usize, flush: FlushMode| {
        let (master_dir, slave_dir) = (Dir::new("same-master"), Dir::new("same-slave"));
        let mut rig = master(master_dir.path(), &messages(200));
        let mut options = slave_options(slave_dir.path());
        (options.shards, options.flush) = (shards, flush);
        let mut slave = Rig::open(options.clone());
        let mut receiver = slave.shared.receiver().expect("a slave");
        feed(&mut receiver, &log_bytes(&rig), 333).expect("taken");
        settle(&mut slave);
        assert_eq!(receiver.durable(), receiver.end());
        let want = contents(&mut rig);
        assert_eq!(contents(&mut slave), want, "{shards} shards, {flush:?}");
        let tags = |rig: &Rig| {
            let mut arrivals = rig.arrivals.clone();
            arrivals.sort();
            arrivals
        };
        assert_eq!(tags(&slave), tags(&rig), "held pulls are woken as on the master");
        drop(receiver);
        drop(slave.stop());
        let mut slave = Rig::open(options);
        assert!(!slave.report.abnormal);
        assert_eq!(slave.report.records, 0, "a clean stop leaves nothing to read");
        assert_eq!(contents(&mut slave), want);
        drop(slave.stop());
    };
    check(1, FlushMode::Async);
    check(3, FlushMode::Async);
    check(2, FlushMode::Sync);
}

/// Under SYNC_FLUSH a slave vouches only for what it has flushed, and is told when that moves.
#[test]
fn a_slave_with_sync_flush_vouches_for_what_is_flushed() {
    let (master_dir, slave_dir) = (Dir::new("durable-master"), Dir::new("durable-slave"));
    let log = log_bytes(&master(master_dir.path(), &messages(20)));
    let faults = Arc::new(Faults::default());
    let mut options = sync(slave_options(slave_dir.path()));
    options.disk = Disk::with_faults(faults.clone());
    let mut slave = Rig::open(options);
    let mut receiver = slave.shared.receiver().expect("a slave");
    let watch = receiver.watch_durable().expect("made");
    faults.hold_syncs();
    assert_eq!(watch.arm(0), 0);
    feed(&mut receiver, &log, 500).expect("taken");
    faults.wait_for_held_sync();
    slave.turn();
    assert_eq!((receiver.watermark(), receiver.durable()), (log.len() as i64, 0));
    assert_eq!((slave.shared.readable(), slave.arrivals.len()), (0, 0));
    faults.release_syncs();
    let mut seen = 0;
    while seen < log.len() as i64 {
        assert!(watch.wait(MINUTE), "durable bytes are told");
        watch.clear();
        seen = watch.arm(receiver.durable());
    }
    settle(&mut slave);
    assert!(!slave.arrivals.is_empty());
    drop(receiver);
    drop(slave.stop());
}

/// Where recovery finds the end of what was received up to `cut`. Of a blank the first eight bytes say everything.
fn recovered(log: &[u8], ends: &[i64], cut: i64) -> i64 {
    let whole = ends[ends.partition_point(|boundary| *boundary <= cut) - 1];
    let is_blank = log.get(whole as usize + 4..whole as usize + 8) == Some(&0xcbd4_3194_u32.to_be_bytes()[..]);
    if is_blank && cut >= whole + 8 { (whole / SEGMENT as i64 + 1) * SEGMENT as i64 } else { whole }
}

/// A slave killed or stopped inside a record, a blank, or a file's end starts with the whole records before it and
/// takes the rest.
#[test]
fn a_restart_inside_a_record_goes_on_at_its_beginning() {
    let master_dir = Dir::new("restart-master");
    let mut rig = master(master_dir.path(), &messages(60));
    let (log, want) = (log_bytes(&rig), contents(&mut rig));
    let ends = boundaries(&log);
    let segment = SEGMENT as i64;
    let blank = ends[ends.partition_point(|end| *end < segment) - 1];
    let record = ends[20];
    let cuts = [1, 7, 8, 9, record - 1, record, record + 1, record + 40, record + 95];
    let cuts = cuts.into_iter().chain([blank + 1, blank + 8, segment - 1, segment, segment + 1, log.len() as i64]);
    for (number, cut) in cuts.enumerate() {
        let dir = Dir::new("restart-slave");
        let flush = if number % 2 == 0 { FlushMode::Async } else { FlushMode::Sync };
        let options = || {
            let mut options = slave_options(dir.path());
            options.flush = flush;
            options
        };
        for clean in [false, true] {
            let mut slave = Rig::open(options());
            let mut receiver = slave.shared.receiver().expect("a slave");
            let whole = ends[ends.partition_point(|boundary| *boundary <= cut) - 1];
            let was = receiver.end();
            // The second time everything up to the cut is there already.
            feed(&mut receiver, &log[..cut as usize], 700).expect("taken");
            settle(&mut slave);
            drop(receiver);
            if clean {
                drop(slave.stop())
            } else {
                slave.kill()
            }
            let kept = if clean { whole } else { recovered(&log, &ends, cut) };
            // The first restart may have completed a blank.
            let whole = kept.max(was);
            let slave = Rig::open(options());
            assert_eq!(slave.report.abnormal, !clean);
            assert_eq!(slave.report.damaged, [], "cut at {cut}");
            let receiver = slave.shared.receiver().expect("a slave");
            assert_eq!((receiver.end(), receiver.watermark()), (whole, whole), "cut at {cut}, clean {clean}");
            assert!(log_bytes(&slave) == log[..whole as usize], "cut at {cut}");
            drop(receiver);
            drop(slave.stop());
        }
        let mut slave = Rig::open(options());
        let mut receiver = slave.shared.receiver().expect("a slave");
        feed(&mut receiver, &log, 4096).expect("taken");
        settle(&mut slave);
        assert!(log_bytes(&slave) == log, "cut at {cut}");
        assert_eq!(contents(&mut slave), want, "cut at {cut}");
        drop(receiver);
        drop(slave.stop());
    }
}

#[test]
fn a_piece_that_does_not_fit_is_refused_and_nothing_is_taken() {
    let (master_dir, slave_dir) = (Dir::new("refuse-master"), Dir::new("refuse-slave"));
    let log = log_bytes(&master(master_dir.path(), &messages(60)));
    let mut slave = Rig::open(slave_options(slave_dir.path()));
    assert_eq!(slave.put(&[msg("A", 0, "x")], true), Err(PutRefused::Slave));
    let mut receiver = slave.shared.receiver().expect("a slave");
    let first = SEGMENT as usize - 10;
    feed(&mut receiver, &log[..first], 1000).expect("taken");
    let end = first as i64;
    for offset in [0, end - 1, end + 1, -1, i64::MIN, i64::MAX] {
        assert_eq!(receiver.append(offset, &log[..1]), Err(ReceiveError::NotAtEnd { offset, end }));
    }
    let crosses = receiver.append(end, &log[first..first + 11]);
    let (file_end, file_size) = (SEGMENT as i64, SEGMENT as i64);
    assert_eq!(crosses, Err(ReceiveError::CrossesFile { offset: end, len: 11, file_end, file_size }));
    assert_eq!(receiver.append(end, &[]), Ok(()));
    assert_eq!(receiver.end(), end);
    feed(&mut receiver, &log, 1000).expect("what fits is taken");
    for (from, len) in [(0, 10), (end - 5, 40), (0, usize::MAX), (log.len() as i64, 5), (log.len() as i64 - 3, 10)] {
        let from_byte = from as usize;
        let want = &log[from_byte..log.len().min(from_byte.saturating_add(len))];
        assert!(receiver.read(from, len).expect("read") == want, "{from} {len}");
    }
    for outside in [-1, log.len() as i64 + 1, i64::MAX] {
        assert!(matches!(receiver.read(outside, 1), Err(ReceiveError::Outside { .. })));
        assert!(matches!(receiver.boundary_near(outside), Err(ReceiveError::Outside { .. })));
        assert!(matches!(receiver.cut_to(outside), Err(ReceiveError::Outside { .. })));
    }
    drop(receiver);
    drop(slave.stop());
}

#[test]
fn boundaries_are_found_from_nearby() {
    use protocol::message::layout::BLANK_MAGIC;

    let (master_dir, slave_dir) = (Dir::new("near-master"), Dir::new("near-slave"));
    let segment = 256 << 10;
    let mut master_options = options(master_dir.path());
    master_options.segment_size = segment;
    let mut rig = Rig::open(master_options);
    for message in messages(900) {
        rig.send_ok(&message);
    }
    let log = log_bytes(&rig);
    assert!(log.len() > segment as usize + (100 << 10), "farther in a file than is looked at first");
    let ends = boundaries(&log);
    let mut options = slave_options(slave_dir.path());
    options.segment_size = segment;
    let slave = Rig::open(options);
    let mut receiver = slave.shared.receiver().expect("a slave");
    for piece in log.chunks(32 << 10) {
        receiver.append(receiver.end(), piece).expect("chunks end with files");
    }
    for at in (0..=log.len() as i64).step_by(1013).chain(ends.iter().copied()) {
        let want = ends[ends.partition_point(|end| *end <= at) - 1];
        assert_eq!(receiver.boundary_near(at), Ok(want), "{at}");
        // A blank has no record in it, the one before it counts.
        let is_blank = log.get(want as usize + 4..want as usize + 8) == Some(&BLANK_MAGIC.to_be_bytes());
        let record = if is_blank { ends[ends.partition_point(|end| *end < want) - 1] } else { want };
        assert_eq!(receiver.record_before(at), Ok(record), "{at}");
    }
}

/// A flipped bit in a record: it and everything behind it stays unread, and nothing more is taken until the log is cut.
#[test]
fn an_unsound_record_stops_the_log_until_it_is_cut() {
    let (master_dir, slave_dir) = (Dir::new("unsound-master"), Dir::new("unsound-slave"));
    let mut rig = master(master_dir.path(), &messages(30));
    let log = log_bytes(&rig);
    let ends = boundaries(&log);
    let record = ends[10];
    let mut slave = Rig::open(slave_options(slave_dir.path()));
    let mut receiver = slave.shared.receiver().expect("a slave");
    // Size, magic, physical offset, body: each is looked at.
    for place in [0, 3, 4, 35, 95] {
        let mut bad = log.clone();
        bad[record as usize + place] ^= 0x40;
        let error = feed(&mut receiver, &bad, 5000).expect_err("seen");
        let ReceiveError::Unsound(unsound) = error else { panic!("{error}") };
        assert_eq!((unsound.physical, receiver.watermark()), (record, record), "byte {place}");
        assert_eq!(receiver.unsound(), Some(unsound.clone()));
        let end = receiver.end();
        assert_eq!(receiver.append(end, &log[end as usize..][..1]), Err(ReceiveError::Unsound(unsound)));
        settle(&mut slave);
        assert_eq!((receiver.durable(), slave.shared.readable()), (record, record));
        assert_eq!(receiver.cut_to(end), Ok(record), "what was never readable goes at once");
        assert_eq!((receiver.end(), receiver.unsound()), (record, None));
    }
    feed(&mut receiver, &log, 5000).expect("the right bytes");
    settle(&mut slave);
    assert_eq!(contents(&mut slave), contents(&mut rig));
}

#[test]
fn without_room_a_piece_is_refused_and_taken_later() {
    let (master_dir, slave_dir) = (Dir::new("room-master"), Dir::new("room-slave"));
    let log = log_bytes(&master(master_dir.path(), &messages(60)));
    let faults = Arc::new(Faults::default());
    let mut options = slave_options(slave_dir.path());
    options.disk = Disk::with_faults(faults.clone());
    options.retention.interval_when_full = Duration::from_millis(1);
    let mut slave = Rig::open(options);
    let mut receiver = slave.shared.receiver().expect("a slave");
    faults.fail_writes(0, 3, ENOSPC);
    for _ in 0..3 {
        let error = receiver.append(0, &log[..100]).expect_err("no space");
        assert!(matches!(error, ReceiveError::NoRoom(_)) && error.is_passing(), "{error}");
        assert_eq!(receiver.end(), 0);
    }
    faults.fail_allocations(0, u64::MAX, ENOSPC);
    let error = feed(&mut receiver, &log, 1000).expect_err("no next file");
    assert!(error.is_passing(), "{error}");
    assert_eq!(receiver.end(), SEGMENT as i64, "the file there is is filled");
    faults.fail_allocations(0, 0, 0);
    slave.until("room", |_| match feed(&mut receiver, &log, 1000) {
        Ok(()) => true,
        Err(error) => {
            assert!(error.is_passing(), "{error}");
            false
        }
    });
    assert!(log_bytes(&slave) == log);
    faults.fail_writes(0, 1, EIO);
    let error = receiver.append(receiver.end(), &log[..1]).expect_err("a broken disk");
    assert!(matches!(error, ReceiveError::Failed(_)) && !error.is_passing(), "{error}");
    assert!(matches!(receiver.append(receiver.end(), &log[..1]), Err(ReceiveError::Failed(_))), "for good");
}

/// After a power cut pages of later pieces may be there and earlier ones not. A slave keeps the part without holes; a
/// master, whose messages nobody else may have, keeps both sides.
#[test]
fn a_hole_left_by_a_crash_ends_a_slaves_log() {
    let (master_dir, slave_dir) = (Dir::new("hole-master"), Dir::new("hole-slave"));
    let mut rig = master(master_dir.path(), &messages(60));
    let log = log_bytes(&rig);
    let ends = boundaries(&log);
    let mut slave = Rig::open(slave_options(slave_dir.path()));
    let mut receiver = slave.shared.receiver().expect("a slave");
    feed(&mut receiver, &log[..ends[5] as usize], 1000).expect("taken");
    settle(&mut slave);
    drop(receiver);
    drop(slave.stop());
    let mut slave = Rig::open(slave_options(slave_dir.path()));
    let mut receiver = slave.shared.receiver().expect("a slave");
    feed(&mut receiver, &log, 1000).expect("taken");
    settle(&mut slave);
    drop(receiver);
    slave.kill();
    let hole = ends[10] as u64;
    let file = std::fs::OpenOptions::new().write(true).open(segment_path(slave_dir.path(), 0)).expect("opened");
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 64], hole).expect("written");
    let as_master = slave_dir.copy("hole-kept");
    let kept = Rig::open(options(as_master.path()));
    assert_eq!((kept.report.to, kept.report.damaged.len()), (log.len() as i64, 1));
    let mut slave = Rig::open(slave_options(slave_dir.path()));
    assert_eq!((slave.report.to, slave.report.damaged.len()), (hole as i64, 0));
    let mut receiver = slave.shared.receiver().expect("a slave");
    feed(&mut receiver, &log, 1000).expect("taken again");
    settle(&mut slave);
    assert_eq!(contents(&mut slave), contents(&mut rig));
    drop(receiver);
    drop(slave.stop());
    assert!(log_bytes(&Rig::open(slave_options(slave_dir.path()))) == log);
}

/// The master deletes a topic and makes it again; the slave keeps the old queue until the new one's first message.
#[test]
fn a_topic_made_again_on_the_master_begins_again_on_the_slave() {
    let (master_dir, slave_dir) = (Dir::new("again-master"), Dir::new("again-slave"));
    let mut rig = Rig::open(options(master_dir.path()));
    for number in 0..70 {
        rig.send_ok(&msg("A", 0, format!("old {number}")));
    }
    let old = log_bytes(&rig);
    rig.store("A", 0).delete_topic("A");
    for number in 0..5 {
        rig.send_ok(&msg("A", 0, format!("new {number}")));
    }
    let log = log_bytes(&rig);
    let mut slave = Rig::open(slave_options(slave_dir.path()));
    let mut receiver = slave.shared.receiver().expect("a slave");
    feed(&mut receiver, &old, 1000).expect("taken");
    settle(&mut slave);
    slave.housekeep();
    assert_eq!(slave.read_all("A", 0).len(), 70);
    feed(&mut receiver, &log, 1000).expect("taken");
    settle(&mut slave);
    let want = contents(&mut rig);
    assert_eq!(want[0].2.len(), 5);
    assert_eq!(contents(&mut slave), want);
    drop(receiver);
    slave.kill();
    let mut slave = Rig::open(slave_options(slave_dir.path()));
    assert_eq!(contents(&mut slave), want, "and after a crash");
    drop(slave.stop());
}

/// A record that claims a queue offset its queue cannot have gets no place, as in recovery; those behind it do.
#[test]
fn a_record_with_an_impossible_queue_offset_gets_no_place() {
    let (master_dir, slave_dir) = (Dir::new("offset-master"), Dir::new("offset-slave"));
    let mut rig = Rig::open(options(master_dir.path()));
    for number in 0..6 {
        rig.send_ok(&msg("A", 0, format!("{number}")));
    }
    let mut log = log_bytes(&rig);
    let third = boundaries(&log)[3] as usize;
    // Offset 3 becomes 1: the checksum covers the body only.
    log[third + 20..third + 28].copy_from_slice(&1i64.to_be_bytes());
    let mut slave = Rig::open(slave_options(slave_dir.path()));
    let mut receiver = slave.shared.receiver().expect("a slave");
    feed(&mut receiver, &log, 100).expect("taken");
    settle(&mut slave);
    let found: Vec<_> = slave.read_all("A", 0).into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(found, [0, 1, 2, 4, 5]);
}

/// What another thread sends: ranges never cross a file, and whoever is armed is woken by the next message.
#[test]
fn a_thread_outside_the_shards_sees_the_log_grow() {
    let dir = Dir::new("watch");
    let mut rig = Rig::open(options(dir.path()));
    let watch = rig.shared.watch_log().expect("made");
    assert_eq!(watch.arm(0), 0);
    assert!(!watch.wait(Duration::ZERO));
    assert!(rig.shared.log_range(0, 10).is_none());
    let shared = rig.shared.clone();
    let all = messages(60);
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut idle = 0;
        while bytes.len() < (SEGMENT + SEGMENT / 2) as usize {
            let seen = bytes.len() as i64;
            match shared.log_range(seen, 1500) {
                Some(range) => {
                    assert!(range.len <= 1500 && range.physical() == seen);
                    bytes.extend_from_slice(range.bytes());
                }
                None => {
                    if watch.arm(seen) == seen {
                        idle += 1;
                        assert!(watch.wait(MINUTE), "woken");
                        watch.clear();
                    }
                }
            }
        }
        (bytes, idle)
    });
    for message in &all {
        rig.send_ok(message);
    }
    let (bytes, idle) = reader.join().expect("no panic");
    assert!(log_bytes(&rig)[..bytes.len()] == bytes[..] && idle <= all.len() + 1);
    for outside in [-1, rig.shared.watermark(), i64::MAX] {
        assert!(rig.shared.log_range(outside, 10).is_none(), "{outside}");
    }
    assert!(rig.shared.log_range(0, 0).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Pieces of any sizes, with restarts between any two: always a prefix, in the end the same store.
    #[test]
    fn a_slaves_log_is_always_a_prefix(
        pieces in prop::collection::vec((1usize..3000, 0u8..12), 1..60),
        sync_flush in any::<bool>(),
    ) {
        let (master_dir, slave_dir) = (Dir::new("prefix-master"), Dir::new("prefix-slave"));
        let mut rig = master(master_dir.path(), &messages(70));
        let log = log_bytes(&rig);
        let ends = boundaries(&log);
        let options = || {
            let mut options = slave_options(slave_dir.path());
            options.flush = if sync_flush { FlushMode::Sync } else { FlushMode::Async };
            options
        };
        let mut slave = Rig::open(options());
        for (piece, then) in pieces {
            let mut receiver = slave.shared.receiver().expect("a slave");
            let until = log.len().min(receiver.end() as usize + piece);
            feed(&mut receiver, &log[..until], piece).expect("taken");
            let whole = ends[ends.partition_point(|boundary| *boundary <= until as i64) - 1];
            prop_assert_eq!((receiver.end(), receiver.watermark()), (until as i64, whole));
            prop_assert!(receiver.read(0, usize::MAX).expect("read") == log[..until]);
            drop(receiver);
            if then < 2 {
                let kept = if then == 0 { whole } else { recovered(&log, &ends, until as i64) };
                if then == 0 { drop(slave.stop()) } else { slave.kill() }
                slave = Rig::open(options());
                prop_assert_eq!(slave.shared.watermark(), kept);
            } else if then < 6 {
                slave.turn();
            }
            prop_assert!(log.starts_with(&log_bytes(&slave)));
        }
        let mut receiver = slave.shared.receiver().expect("a slave");
        feed(&mut receiver, &log, 2000).expect("taken");
        settle(&mut slave);
        prop_assert_eq!(contents(&mut slave), contents(&mut rig));
    }
}
