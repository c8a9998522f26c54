//! Starts after crashes and over damaged, foreign or half made files.

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::{Dir, Msg, Rig, SEGMENT, msg, options, segment_path};
use engine::{DamagedRange, PutStatus, StoreOptions};

/// Three queues with messages of some sizes; the physical end of each message in order.
fn fill(rig: &mut Rig, count: usize) -> Vec<(Msg, i64)> {
    (0..count)
        .map(|n| {
            let mut message = msg("T", n as u32 % 3, vec![n as u8 + 1; 20 + 37 * (n % 5)]);
            message.tag = format!("tag{}", n % 2);
            let outcome = rig.send_ok(&message);
            let size = rig.shared.record(outcome.physical_offset).map_or(0, |range| range.len);
            (message, outcome.physical_offset + size as i64)
        })
        .collect()
}

/// Every queue holds exactly those of `sent` that end at or before `end`, in order.
fn check_prefix(rig: &mut Rig, sent: &[(Msg, i64)], end: i64) {
    for queue_id in 0..3 {
        let want: Vec<_> =
            sent.iter().filter(|(m, at)| m.queue_id == queue_id && *at <= end).map(|(m, _)| m.body.clone()).collect();
        let got: Vec<_> = rig.read_all("T", queue_id).into_iter().map(|(_, body)| body).collect();
        assert!(got == want, "queue {queue_id}: {} messages instead of {} (end {end})", got.len(), want.len());
    }
}

fn overwrite(path: &Path, from: u64, to: u64, byte: u8) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("there");
    file.write_all_at(&vec![byte; (to - from) as usize], from).expect("written");
}

fn log_bytes(dir: &Dir) -> Vec<Vec<u8>> {
    let mut names: Vec<_> =
        fs::read_dir(dir.path().join("commitlog")).expect("there").map(|e| e.expect("entry").path()).collect();
    names.sort();
    names.iter().map(|path| fs::read(path).expect("read")).collect()
}

/// The log cut at every byte of its last three records, followed by zeros, and by rubbish: what lies before the cut is
/// there, nothing else is, a second start finds nothing to do, and the log goes on.
#[test]
fn a_log_cut_at_any_byte_keeps_its_whole_records() {
    let dir = Dir::new("cut");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 12);
    rig.kill();
    let end = sent.last().expect("some").1;
    let from = sent[sent.len() - 4].1;
    for cut in from..=end {
        let record = sent.iter().map(|(_, at)| *at).filter(|at| *at <= cut).max().expect("some");
        // The CRC covers the body only, so rubbish in the properties (they take 10 bytes here, at the record's end)
        // cannot be told; zeros can.
        let in_properties = sent.iter().any(|(_, at)| cut < *at && cut > *at - 10 && *at > record);
        let garbage = if cut % 2 == 0 || in_properties { 0 } else { 0xff };
        let copy = dir.copy("cut-copy");
        overwrite(&segment_path(copy.path(), 0), cut as u64, (end + 50) as u64, garbage);
        let want_end = sent.iter().map(|(_, at)| *at).filter(|at| *at <= cut).max().expect("some");
        let mut rig = Rig::open(options(copy.path()));
        assert_eq!(
            (rig.report.to, rig.report.abnormal, &rig.report.damaged[..]),
            (want_end, true, &[][..]),
            "cut at {cut}"
        );
        check_prefix(&mut rig, &sent, want_end);
        rig.kill();
        let once = log_bytes(&copy);
        let rig = Rig::open(options(copy.path()));
        assert_eq!((rig.report.to, rig.report.cut_bytes), (want_end, 0), "cut at {cut}");
        rig.kill();
        assert!(once == log_bytes(&copy), "a second recovery changes nothing");
        assert!(once[0][want_end as usize..].iter().all(|byte| *byte == 0));
        let mut rig = Rig::open(options(copy.path()));
        let outcome = rig.send_ok(&msg("T", 0, "next"));
        assert_eq!(outcome.physical_offset, want_end);
        let before = sent.iter().filter(|(m, at)| m.queue_id == 0 && *at <= want_end).count();
        assert_eq!(outcome.queue_offset, before as i64);
    }
}

/// A cut at the border of two files: the blank, the last record before it and the first behind it.
#[test]
fn a_cut_at_a_file_border_keeps_its_whole_records() {
    let dir = Dir::new("border");
    let mut rig = Rig::open(options(dir.path()));
    let mut sent = Vec::new();
    for n in 0..8u8 {
        let mut message = msg("T", 0, vec![n + 1; 4994]);
        message.tag = "t".to_string();
        let outcome = rig.send_ok(&message);
        sent.push((message, outcome.physical_offset + 5092));
    }
    rig.kill();
    let segment = SEGMENT as i64;
    for cut in [3 * 5092 - 1, 3 * 5092, 3 * 5092 + 4, 3 * 5092 + 8, segment - 1, segment, segment + 1, segment + 5092] {
        let copy = dir.copy("border-copy");
        if cut < segment {
            overwrite(&segment_path(copy.path(), 0), cut as u64, SEGMENT, 0);
        }
        overwrite(&segment_path(copy.path(), SEGMENT), (cut - segment).max(0) as u64, SEGMENT, 0);
        for base in [2 * SEGMENT, 3 * SEGMENT] {
            let _ = fs::remove_file(segment_path(copy.path(), base));
        }
        let mut rig = Rig::open(options(copy.path()));
        let end = rig.report.to;
        let whole = sent.iter().map(|(_, at)| *at).filter(|at| *at <= cut).max().expect("some");
        assert!(end == whole || end == segment && whole == 3 * 5092, "cut {cut}: end {end}, whole {whole}");
        check_prefix(&mut rig, &sent, cut);
        let next = rig.send_ok(&msg("T", 0, vec![9; 5000]));
        assert_eq!(next.queue_offset, sent.iter().filter(|(_, at)| *at <= cut).count() as i64);
        rig.kill();
        let mut rig = Rig::open(options(copy.path()));
        assert_eq!((rig.report.cut_bytes, &rig.report.damaged[..]), (0, &[][..]));
        assert_eq!(rig.read_all("T", 0).len() as i64, next.queue_offset + 1);
    }
}

#[test]
fn damage_in_the_middle_is_reported_kept_and_stepped_over() {
    let dir = Dir::new("damage");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 30);
    rig.kill();
    let (from, to) = (sent[9].1, sent[12].1);
    // The head of one record, the body of the next, all of the third.
    for (a, b) in [(from, from + 10), (sent[10].1 + 90, sent[10].1 + 95), (sent[11].1, to)] {
        overwrite(&segment_path(dir.path(), 0), a as u64, b as u64, 0xee);
    }
    let before = log_bytes(&dir);
    for round in 0..2 {
        let mut rig = Rig::open(options(dir.path()));
        assert_eq!(rig.report.damaged, [DamagedRange { from, to }], "start {round}");
        assert_eq!((rig.report.to, rig.report.cut_bytes), (sent[29].1, 0));
        assert_eq!(rig.shared.damaged(), [DamagedRange { from, to }]);
        for queue_id in 0..3u32 {
            let mine = sent.iter().enumerate().filter(|(_, (m, _))| m.queue_id == queue_id);
            let want: Vec<_> = (0i64..)
                .zip(mine)
                .filter(|(_, (n, _))| !(10..13).contains(n))
                .map(|(at, (_, (m, _)))| (at, m.body.clone()))
                .collect();
            assert!(rig.read_all("T", queue_id) == want, "queue {queue_id}: the others keep their offsets");
        }
        rig.kill();
        assert!(before == log_bytes(&dir), "what is damaged is kept");
    }
}

/// Consume queues cut, emptied, filled with rubbish, with wrong units, or gone: after a clean stop and after a crash.
#[test]
fn wrong_consume_queues_are_built_again() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 6] = [
        ("all gone", |root| fs::remove_dir_all(root.join("consumequeue")).expect("removed")),
        ("one gone", |root| fs::remove_dir_all(root.join("consumequeue/T/1")).expect("removed")),
        ("one emptied", |root| fs::remove_file(root.join("consumequeue/T/2/00000000000000000000")).expect("removed")),
        ("units zeroed", |root| overwrite(&root.join("consumequeue/T/0/00000000000000000000"), 40, 140, 0)),
        ("units shifted", |root| {
            let path = root.join("consumequeue/T/0/00000000000000000000");
            let mut bytes = fs::read(&path).expect("read");
            bytes.rotate_left(20);
            fs::write(&path, bytes).expect("written");
        }),
        ("rubbish behind", |root| overwrite(&root.join("consumequeue/T/0/00000000000000000000"), 400, 1000, 0x11)),
    ];
    for clean in [true, false] {
        let dir = Dir::new("queues");
        let mut rig = Rig::open(options(dir.path()));
        let sent = fill(&mut rig, 60);
        if clean {
            drop(rig.stop())
        } else {
            rig.kill()
        }
        // The crash leaves the units in memory behind; a start writes them.
        if !clean {
            Rig::open(options(dir.path())).kill();
        }
        let end = sent[59].1;
        for (name, harm) in harms {
            let copy = dir.copy("queues-copy");
            harm(copy.path());
            let mut rig = Rig::open(options(copy.path()));
            assert_eq!((rig.report.to, rig.report.abnormal), (end, !clean), "{name}");
            check_prefix(&mut rig, &sent, end);
            let outcome = rig.send_ok(&msg("T", 0, "next"));
            assert_eq!(outcome.queue_offset, 20, "{name}, clean {clean}");
            drop(rig.stop());
            let rig = Rig::open(options(copy.path()));
            assert_eq!((rig.report.records, rig.report.rebuilt_queues), (0, 0), "{name}: settled after a clean stop");
        }
    }
}

/// After a checkpoint a crash reads only what came behind it.
#[test]
fn a_checkpoint_bounds_the_start() {
    let dir = Dir::new("bound");
    let mut options = options(dir.path());
    options.checkpoint_interval = std::time::Duration::from_millis(1);
    let mut rig = Rig::open(options.clone());
    let mut sent = fill(&mut rig, 40);
    let written = |rig: &Rig| rig.shared.counters().checkpoints.load(std::sync::atomic::Ordering::Relaxed);
    let read = || engine::checkpoint::Checkpoint::read(&dir.path().join("checkpoint")).expect("read").extension;
    let end = sent[39].1;
    rig.until("a checkpoint", |rig| written(rig) > 0 && read().is_some_and(|own| own.dispatched == end));
    rig.kill();
    let mut rig = Rig::open(common::options(dir.path()));
    assert_eq!((rig.report.from, rig.report.records, rig.report.abnormal), (end, 0, true));
    let more: Vec<_> = fill(&mut rig, 7);
    sent.extend(more);
    rig.kill();
    let mut rig = Rig::open(common::options(dir.path()));
    assert_eq!((rig.report.from, rig.report.records, rig.report.rebuilt_queues), (end, 7, 0));
    check_prefix(&mut rig, &sent, i64::MAX);
    rig.kill();
    // Gone, torn, or a directory: more is read, the same is found.
    let harms: [fn(&Path); 4] = [
        |path| fs::remove_file(path).expect("removed"),
        |path| fs::write(path, b"").expect("emptied"),
        |path| overwrite(path, 100, 101, 0x77),
        |path| {
            fs::remove_file(path).expect("removed");
            fs::create_dir(path).expect("made");
        },
    ];
    for harm in harms {
        let copy = dir.copy("bound-copy");
        harm(&copy.path().join("checkpoint"));
        let mut rig = Rig::open(common::options(copy.path()));
        assert_eq!((rig.report.from, rig.report.records), (0, 47));
        check_prefix(&mut rig, &sent, i64::MAX);
        drop(rig.stop());
        assert_eq!(Rig::open(common::options(copy.path())).report.records, 0);
    }
}

/// What Java 4.9.7 expects of a store that was stopped: exact sizes, no foreign files, checkpoint, no abort file.
#[test]
fn a_clean_stop_leaves_what_java_opens() {
    let dir = Dir::new("clean");
    let mut rig = Rig::open(options(dir.path()));
    fs::write(dir.path().join("commitlog/00000000000000999999.tmp"), "half made").expect("written");
    let sent = fill(&mut rig, 200);
    assert!(dir.path().join("abort").is_file());
    drop(rig.stop());
    assert!(!dir.path().join("abort").exists());
    let end = sent[199].1;
    let names: Vec<_> = {
        let mut names: Vec<_> = fs::read_dir(dir.path().join("commitlog"))
            .expect("there")
            .map(|e| e.expect("entry").file_name().into_string().expect("utf-8"))
            .collect();
        names.sort();
        names
    };
    let want: Vec<_> = (0..=(end as u64 / SEGMENT)).map(|n| format!("{:020}", n * SEGMENT)).collect();
    assert_eq!(names, want);
    for entry in walk(dir.path()) {
        let len = fs::metadata(&entry).expect("there").len();
        match entry.to_string_lossy() {
            name if name.contains("/commitlog/") => assert_eq!(len, SEGMENT),
            name if name.contains("/consumequeue/") => assert_eq!(len, 1000),
            name if name.ends_with("/checkpoint") => assert_eq!(len, 4096),
            name => assert!(name.ends_with("/lock"), "{name}"),
        }
    }
    let checkpoint = engine::checkpoint::Checkpoint::read(&dir.path().join("checkpoint")).expect("read");
    assert!(checkpoint.timestamps.physic > 0 && checkpoint.timestamps.physic == checkpoint.timestamps.logics);
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// A store as Java leaves it: Java's three numbers only, a zeroed file made ahead, a consume queue file made ahead.
#[test]
fn a_store_java_stopped_opens_in_place() {
    for abnormal in [false, true] {
        let dir = Dir::new("java");
        let mut rig = Rig::open(options(dir.path()));
        let sent = fill(&mut rig, 200);
        drop(rig.stop());
        let end = sent[199].1;
        let checkpoint = dir.path().join("checkpoint");
        let mut bytes = fs::read(&checkpoint).expect("read");
        bytes[24..].fill(0);
        fs::write(&checkpoint, bytes).expect("written");
        let ahead = fs::File::create(segment_path(dir.path(), (end as u64 / SEGMENT + 1) * SEGMENT)).expect("made");
        ahead.set_len(SEGMENT).expect("sized");
        if abnormal {
            fs::write(dir.path().join("abort"), "").expect("written");
        }
        let mut rig = Rig::open(options(dir.path()));
        assert_eq!((rig.report.to, rig.report.rebuilt_queues, rig.report.cut_bytes), (end, 0, 0));
        check_prefix(&mut rig, &sent, end);
        assert_eq!(rig.send_ok(&msg("T", 0, "next")).physical_offset, end);
    }
}

#[test]
fn what_cannot_be_a_store_is_refused_with_words() {
    let check = |prepare: fn(&Path), change: fn(&mut StoreOptions), want: &[&str]| {
        let dir = Dir::new("refused");
        let mut rig = Rig::open(options(dir.path()));
        fill(&mut rig, 200);
        drop(rig.stop());
        prepare(dir.path());
        let mut options = options(dir.path());
        change(&mut options);
        let error = Rig::try_open(options).err().expect("refused").to_string();
        assert!(want.iter().all(|part| error.contains(part)), "{error}");
    };
    check(
        |_| (),
        |o| o.segment_size = 32768,
        &["00000000000000000000", "16384 bytes", "mappedFileSizeCommitLog=32768"],
    );
    check(
        |root| fs::write(root.join("commitlog/00000000000000016384"), "short").expect("written"),
        |_| (),
        &["00000000000000016384 has 5 bytes", "mappedFileSizeCommitLog=16384"],
    );
    check(
        |root| fs::remove_file(root.join("commitlog/00000000000000016384")).expect("removed"),
        |_| (),
        &["00000000000000032768", "should be 00000000000000016384"],
    );
    check(
        |root| {
            fs::create_dir_all(root.join("abort/full")).expect("made");
        },
        |_| (),
        &["abort"],
    );
    check(
        |root| {
            fs::remove_dir_all(root.join("commitlog")).expect("removed");
            fs::create_dir(root.join("commitlog")).expect("made");
        },
        |_| (),
        &["no commitlog file", "storePathCommitLog", "mounted", "checkpoint"],
    );
    check(|_| (), |o| o.index_dir = o.commitlog_dir.clone(), &["storePathCommitLog", "storePathIndex"]);
    let dir = Dir::new("twice");
    let rig = Rig::open(options(dir.path()));
    let error = Rig::try_open(options(dir.path())).err().expect("refused").to_string();
    assert!(error.contains("lock") && error.contains("storePathRootDir"), "{error}");
    drop(rig);
    Rig::open(options(dir.path()));
}

#[test]
fn leftovers_of_a_crash_while_files_are_made_are_removed() {
    let dir = Dir::new("leftovers");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 30);
    rig.kill();
    let next = (sent[29].1 as u64 / SEGMENT + 1) * SEGMENT;
    let mut base = next;
    while segment_path(dir.path(), base).exists() {
        base += SEGMENT;
    }
    fs::write(segment_path(dir.path(), base), "").expect("empty");
    fs::write(dir.path().join(format!("commitlog/{base:020}.tmp")), "half").expect("written");
    fs::create_dir(dir.path().join("commitlog/lost+found")).expect("made");
    fs::create_dir(dir.path().join("consumequeue/Unfinished")).expect("made");
    let mut rig = Rig::open(options(dir.path()));
    check_prefix(&mut rig, &sent, i64::MAX);
    assert!(!dir.path().join(format!("commitlog/{base:020}.tmp")).exists());
    assert!(dir.path().join("commitlog/lost+found").exists());
}

/// A file behind the end that holds rubbish goes; records of another place that were copied there do not count.
#[test]
fn stale_records_behind_the_end_are_not_found_again() {
    let dir = Dir::new("stale");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 10);
    rig.kill();
    let end = sent[9].1;
    let path = segment_path(dir.path(), 0);
    let bytes = fs::read(&path).expect("read");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("there");
    file.write_all_at(&bytes[..2000], end as u64 + 64).expect("written");
    fs::write(segment_path(dir.path(), SEGMENT), &bytes).expect("a copy of the first file under the next name");
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!((rig.report.to, &rig.report.damaged[..]), (end, &[][..]));
    assert_eq!(rig.report.cut_bytes, 64 + last_nonzero(&bytes[..2000]) + last_nonzero(&bytes));
    assert!(!segment_path(dir.path(), SEGMENT).exists());
    check_prefix(&mut rig, &sent, end);
}

fn last_nonzero(bytes: &[u8]) -> u64 {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1)
}

/// The log lost its end with the machine, the consume queues kept theirs: they are cut, and that is told.
#[test]
fn a_lost_suffix_is_told_and_its_offsets_are_given_out_again() {
    let dir = Dir::new("suffix");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 30);
    drop(rig.stop());
    fs::write(dir.path().join("abort"), "").expect("written");
    fs::remove_file(dir.path().join("checkpoint")).expect("removed");
    overwrite(&segment_path(dir.path(), 0), sent[20].1 as u64, sent[29].1 as u64, 0);
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!((rig.report.to, rig.report.lost_messages), (sent[20].1, 9));
    check_prefix(&mut rig, &sent, sent[20].1);
    assert_eq!(rig.send_ok(&msg("T", 0, "again")).queue_offset, 7);
    drop(rig.stop());
    assert_eq!(Rig::open(options(dir.path())).report.lost_messages, 0);
}

/// A start that rebuilds queues and ends in the middle: the next one must not believe what is there.
#[test]
fn a_crash_while_queues_are_rebuilt_is_no_sound_store() {
    let dir = Dir::new("rebuild-crash");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 60);
    drop(rig.stop());
    fs::remove_dir_all(dir.path().join("consumequeue/T/1")).expect("removed");
    let faults = std::sync::Arc::new(engine::io::Faults::default());
    faults.fail_syncs(0, 1, 5);
    let mut failing = options(dir.path());
    failing.disk = engine::io::Disk::with_faults(faults);
    let error = Rig::try_open(failing).err().expect("the sync failed").to_string();
    assert!(error.contains("make durable"), "{error}");
    let read = || engine::checkpoint::Checkpoint::read(&dir.path().join("checkpoint")).expect("read");
    let queues_count = |own: engine::checkpoint::Extension| !own.log_only || own.clean;
    assert_eq!((read().extension.map(queues_count), read().timestamps.bound()), (Some(false), 0));
    assert!(engine::abort::tells_of_failure(&dir.path().join("abort")), "the page cache is not to be believed");
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!((rig.report.abnormal, rig.report.from, rig.report.records), (true, 0, 60));
    check_prefix(&mut rig, &sent, i64::MAX);
    assert_eq!(read().extension.map(|own| (own.dispatched, own.clean)), Some((sent[59].1, false)));
    rig.kill();
    assert_eq!(Rig::open(options(dir.path())).report.records, 0, "what was rebuilt is believed");
}

/// One record with a wrong queue offset, lower or higher, costs that record and no other.
#[test]
fn a_record_with_a_wrong_queue_offset_is_damage_of_its_own() {
    let dir = Dir::new("misplaced");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 30);
    rig.kill();
    fs::remove_dir_all(dir.path().join("consumequeue")).expect("removed");
    let (from, to) = (sent[19].1, sent[20].1);
    for wrong in [1, 4000, i64::MAX, -5] {
        let copy = dir.copy("misplaced-copy");
        let file = fs::OpenOptions::new().write(true).open(segment_path(copy.path(), 0)).expect("there");
        file.write_all_at(&i64::to_be_bytes(wrong), from as u64 + 20).expect("written");
        let mut rig = Rig::open(options(copy.path()));
        let want_damage = if wrong == 4000 { vec![] } else { vec![DamagedRange { from, to }] };
        assert_eq!((rig.report.to, &rig.report.damaged), (sent[29].1, &want_damage), "offset {wrong}");
        assert_eq!(rig.shared.record(from).is_some(), want_damage.is_empty(), "offset {wrong}");
        let want: Vec<_> = [0, 1, 2, 3, 4, 5, 7, 8, 9].map(|at| (at as i64, sent[at * 3 + 2].0.body.clone())).to_vec();
        assert!(rig.read_all("T", 2) == want, "offset {wrong}");
        assert_eq!(rig.send_ok(&msg("T", 2, "next")).queue_offset, 10);
    }
}

/// Half and rolled back messages take no queue offset, before a crash as after it.
#[test]
fn transactions_keep_their_places() {
    let dir = Dir::new("transactions");
    let mut rig = Rig::open(options(dir.path()));
    let mut bodies = Vec::new();
    for (n, sys_flag) in [0, 0x4, 0x8, 0xc, 0].into_iter().enumerate() {
        let mut message = msg("T", 0, [n as u8]);
        message.sys_flag = sys_flag;
        let outcome = rig.send_ok(&message);
        if matches!(sys_flag, 0 | 0x8) {
            assert_eq!(outcome.queue_offset, bodies.len() as i64);
            bodies.push((outcome.queue_offset, vec![n as u8]));
        } else {
            assert_eq!(outcome.queue_offset, 0);
        }
    }
    rig.kill();
    fs::remove_dir_all(dir.path().join("consumequeue")).expect("removed");
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!(rig.read_all("T", 0), bodies);
}

/// With several shards a killed process can leave a hole: a range one shard had reserved and not written, others behind
/// it. Nothing of that was acknowledged; what lies behind is kept.
#[test]
fn a_hole_between_shards_is_stepped_over() {
    let dir = Dir::new("hole");
    let mut options = options(dir.path());
    options.shards = 2;
    let mut rig = Rig::open(options.clone());
    let sent = fill(&mut rig, 9);
    rig.kill();
    overwrite(&segment_path(dir.path(), 0), sent[4].1 as u64, sent[5].1 as u64, 0);
    for shards in [2, 4, 1] {
        options.shards = shards;
        let mut rig = Rig::open(options.clone());
        assert_eq!(rig.report.damaged, [DamagedRange { from: sent[4].1, to: sent[5].1 }]);
        let outcome = rig.send(&msg("T", 5, "x"));
        assert_eq!(outcome.status, PutStatus::Ok);
        rig.kill();
    }
}
