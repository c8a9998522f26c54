//! Starts after the machine went down: what no flush had covered goes from the first torn record on, whatever is whole
//! behind it; what was durable stays, damage in it included.

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::{Dir, Msg, Rig, SEGMENT, msg, options, segment_path, sync};
use engine::checkpoint::{Checkpoint, Extension, boot_hash};
use engine::{DamagedRange, PutStatus};

const QUEUES: u32 = 3;

/// A message and where its record lies.
#[derive(Clone)]
struct Sent {
    message: Msg,
    begin: i64,
    end: i64,
}

/// Messages of three queues over some files.
fn fill(rig: &mut Rig, count: usize) -> Vec<Sent> {
    (0..count)
        .map(|n| {
            let message = msg("T", n as u32 % QUEUES, vec![n as u8 + 1; 1000 + 37 * (n % 5)]);
            let begin = rig.send_ok(&message).physical_offset;
            let size = rig.shared.record(begin).map_or(0, |range| range.len);
            Sent { message, begin, end: begin + size as i64 }
        })
        .collect()
}

fn read(root: &Path) -> Checkpoint {
    Checkpoint::read(&root.join("checkpoint")).expect("read")
}

/// Makes the checkpoint one of another boot and changes it otherwise.
fn change_checkpoint(root: &Path, change: impl FnOnce(&mut Extension)) {
    let mut checkpoint = read(root);
    let extension = checkpoint.extension.as_mut().expect("a running store has our part");
    extension.boot = !boot_hash();
    change(extension);
    checkpoint.write(&root.join("checkpoint")).expect("written");
}

fn tear(root: &Path, from: i64, to: i64, byte: u8) {
    let (base, len) = (from as u64 / SEGMENT * SEGMENT, (to - from) as usize);
    let file = fs::OpenOptions::new().write(true).open(segment_path(root, base)).expect("there");
    file.write_all_at(&vec![byte; len], from as u64 - base).expect("written");
}

fn bodies(sent: &[Sent], queue_id: u32) -> Vec<(i64, Vec<u8>)> {
    let mine = sent.iter().filter(|sent| sent.message.queue_id == queue_id);
    (0..).zip(mine.map(|sent| sent.message.body.clone())).collect()
}

fn check_is(rig: &mut Rig, sent: &[Sent], name: &str) {
    for queue_id in 0..QUEUES {
        assert!(rig.read_all("T", queue_id) == bodies(sent, queue_id), "{name}: queue {queue_id}");
    }
}

/// Torn bytes in the middle of files, at a file's end and at its beginning, over several files: the log ends there, so
/// do the queues, even where their files knew more, and both go on without gaps; a second start has nothing to do.
#[test]
fn the_log_ends_at_the_first_torn_record() {
    let dir = Dir::new("torn");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 60);
    rig.kill();
    let border = sent.iter().position(|sent| sent.begin == SEGMENT as i64).expect("several files");
    assert!(sent[59].end > 4 * SEGMENT as i64);
    let check = |name: &str, torn: &[usize], byte: u8, knows_boot: bool, knew_all: bool| {
        let copy = dir.copy("torn-copy");
        if knew_all {
            // Queue files got further than the log did.
            Rig::open(options(copy.path())).kill();
        }
        change_checkpoint(copy.path(), |own| {
            *own = Extension {
                boot: if knows_boot { own.boot } else { 0 },
                log_only: true,
                dispatched: 0,
                durable: 0,
                ..*own
            };
        });
        for n in torn {
            let Sent { begin, end, .. } = sent[*n];
            let from = if *n == border { begin } else { begin + 200 };
            tear(copy.path(), from, from.midpoint(end), byte);
        }
        let first = torn[0];
        let mut rig = Rig::open(options(copy.path()));
        let report = rig.report.clone();
        let dropped = 60 - first - torn.len();
        assert_eq!(
            (report.abnormal, report.records, report.dropped_records),
            (true, first as u64, dropped as u64),
            "{name}"
        );
        assert_eq!(report.damaged, [], "{name}");
        let end = sent[first].begin;
        assert_eq!(report.to, end, "{name}");
        assert!(!knew_all || report.lost_messages == 60 - first as u64, "{name}: {report:?}");
        check_is(&mut rig, &sent[..first], name);
        rig.kill();
        let mut rig = Rig::open(options(copy.path()));
        assert_eq!((rig.report.to, rig.report.cut_bytes, rig.report.dropped_records), (end, 0, 0), "{name}: again");
        assert_eq!(rig.report.damaged, [], "{name}: again");
        let mut all = sent[..first].to_vec();
        for lost in &sent[first..] {
            rig.send_ok(&lost.message);
            all.push(lost.clone());
        }
        check_is(&mut rig, &all, name);
        drop(rig.stop());
        check_is(&mut Rig::open(options(copy.path())), &all, name);
    };
    for byte in [0, 0xff] {
        for knew_all in [false, true] {
            check("one in the middle", &[20], byte, true, knew_all);
            check("some", &[20, 22, 40, 41, 58], byte, true, knew_all);
            check("the last before a border", &[border - 1], byte, true, knew_all);
            check("the first behind a border", &[border, 50], byte, true, knew_all);
            check("a machine without boot ids", &[20, 40], byte, false, knew_all);
        }
    }
}

/// Below what the checkpoint vouches for, damage is the disk's: told and kept, also where it reaches the torn part.
#[test]
fn damage_in_what_was_durable_is_kept() {
    let dir = Dir::new("vouched");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 60);
    rig.kill();
    let range = |from: usize, to: usize| DamagedRange { from: sent[from].begin, to: sent[to].begin };
    // Vouched for up to where message 30 begins, by a checkpoint or by a recovery.
    let check = |torn: &[usize], damaged: &[DamagedRange], end: i64| {
        for (dispatched, durable) in [(30, 1), (1, 30), (30, 30)] {
            let copy = dir.copy("vouched-copy");
            change_checkpoint(copy.path(), |own| {
                let (dispatched, durable) = (sent[dispatched].begin, sent[durable].begin);
                *own = Extension { log_only: true, dispatched, durable, ..*own };
            });
            for n in torn {
                tear(copy.path(), sent[*n].begin + 200, sent[*n].end - 100, 0xee);
            }
            let mut rig = Rig::open(options(copy.path()));
            assert_eq!((&rig.report.damaged[..], rig.report.to), (damaged, end), "{torn:?}");
            let outcome = rig.send(&msg("T", 0, "next"));
            assert_eq!((outcome.status, outcome.physical_offset), (PutStatus::Ok, end), "{torn:?}");
        }
    };
    check(&[10], &[range(10, 11)], sent[59].end);
    check(&[10, 11, 40], &[range(10, 12)], sent[40].begin);
    check(&[29, 30, 31], &[range(29, 30)], sent[30].begin);
    check(&[30, 31], &[], sent[30].begin);
}

/// Damage kept after a killed process stays kept when the machine goes down next: what was flushed behind it since was
/// acknowledged, and a recovery made the rest durable.
#[test]
fn what_a_recovery_kept_is_not_cut_by_the_next_one() {
    let dir = Dir::new("kept");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 20);
    rig.kill();
    tear(dir.path(), sent[5].begin, sent[5].end, 0);
    let damaged = [DamagedRange { from: sent[5].begin, to: sent[5].end }];
    let mut rig = Rig::open(sync(options(dir.path())));
    assert_eq!((&rig.report.damaged[..], rig.report.dropped_records), (&damaged[..], 0), "the same boot");
    assert_eq!(read(dir.path()).extension.map(|own| own.durable), Some(sent[19].end));
    let acked = rig.send_ok(&msg("T", 2, "flushed"));
    rig.kill();
    change_checkpoint(dir.path(), |_| ());
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!((&rig.report.damaged[..], rig.report.dropped_records), (&damaged[..], 0));
    let end = rig.report.to;
    assert_eq!(rig.read_all("T", 2).last(), Some(&(acked.queue_offset, b"flushed".to_vec())));
    rig.kill();
    // Nor by a start in the boot after, which finds whatever the first one left.
    change_checkpoint(dir.path(), |_| ());
    assert_eq!(Rig::open(options(dir.path())).report.to, end);
}

/// A start that ends before it is through leaves the next one knowing as much.
#[test]
fn a_recovery_that_fails_forgets_nothing() {
    let dir = Dir::new("recovery-fails");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 60);
    rig.kill();
    change_checkpoint(dir.path(), |_| ());
    tear(dir.path(), sent[20].begin + 200, sent[20].end, 0);
    for sync in 0..4 {
        let faults = std::sync::Arc::new(engine::io::Faults::default());
        faults.fail_syncs(sync, 1, 5);
        let mut failing = options(dir.path());
        failing.disk = engine::io::Disk::with_faults(faults);
        let _ = Rig::try_open(failing).map(Rig::kill);
        change_checkpoint(dir.path(), |_| ());
    }
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!((rig.report.to, &rig.report.damaged[..]), (sent[20].begin, &[][..]));
    check_is(&mut rig, &sent[..20], "after failures");
}

/// Without our part of the checkpoint nobody can tell; what is whole is kept, as Java keeps it.
#[test]
fn a_store_that_cannot_tell_keeps_what_is_whole() {
    let dir = Dir::new("cannot-tell");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 30);
    rig.kill();
    fs::write(dir.path().join("checkpoint"), [0; 4096]).expect("written");
    tear(dir.path(), sent[20].begin, sent[20].end, 0);
    let rig = Rig::open(options(dir.path()));
    assert_eq!(rig.report.damaged, [DamagedRange { from: sent[20].begin, to: sent[20].end }]);
    assert_eq!((rig.report.to, rig.report.dropped_records), (sent[29].end, 0));
}

/// A topic deleted in the part that is lost: what is sent after the start is its own.
#[test]
fn a_deletion_beyond_the_cut_takes_nothing_that_comes_later() {
    let dir = Dir::new("deletion-lost");
    let mut rig = Rig::open(options(dir.path()));
    let sent = fill(&mut rig, 30);
    rig.store("T", 0).delete_topic("T");
    rig.kill();
    change_checkpoint(dir.path(), |own| *own = Extension { log_only: true, dispatched: 0, durable: 0, ..*own });
    tear(dir.path(), sent[20].begin, sent[20].end, 0);
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!(rig.report.to, sent[20].begin);
    rig.send_ok(&msg("T", 0, "new"));
    rig.kill();
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!(rig.read_all("T", 0), [(0, b"new".to_vec())]);
}
