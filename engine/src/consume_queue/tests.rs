//! Consume queues against a model, by hand-made files, and at every place a file can end.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::scratch::Scratch;
use super::*;

/// Ten units a file.
const FILE_SIZE: u64 = 200;

fn unit(n: i64) -> Unit {
    Unit { physical_offset: 1000 + n * 100, size: 100, tags_code: n * 7 }
}

fn open(dir: &Path) -> ConsumeQueue {
    ConsumeQueue::open(dir, FILE_SIZE).expect("open")
}

fn all(queue: &mut ConsumeQueue) -> Vec<Unit> {
    let mut out = Vec::new();
    let (min, max) = (queue.min_offset(), queue.max_offset());
    assert_eq!(queue.read(min, usize::MAX, &mut out).expect("read") as i64, max - min);
    out
}

fn names(dir: &Path) -> Vec<(String, u64)> {
    let mut names: Vec<(String, u64)> = fs::read_dir(dir)
        .expect("list")
        .map(|entry| {
            let entry = entry.expect("entry");
            (entry.file_name().to_string_lossy().into_owned(), entry.metadata().expect("metadata").len())
        })
        .collect();
    names.sort();
    names
}

fn filled(dir: &Path, units: i64) -> ConsumeQueue {
    let mut queue = open(dir);
    for n in 0..units {
        queue.push(unit(n));
    }
    queue.write_back().expect("write back");
    queue
}

/// Pre-allocates files as Java does and puts `units` into them.
fn java_files(dir: &Path, files: u64, units: i64) {
    fs::create_dir_all(dir).expect("dir");
    let mut bytes: Vec<u8> = (0..units).flat_map(|n| unit(n).encode()).collect();
    bytes.resize((files * FILE_SIZE) as usize, 0);
    for (i, chunk) in bytes.chunks(FILE_SIZE as usize).enumerate() {
        fs::write(dir.join(format!("{:020}", i as u64 * FILE_SIZE)), chunk).expect("file");
    }
}

#[test]
fn files_are_java_s() {
    let scratch = Scratch::new("cq");
    let dir = scratch.path().join("T/0");
    let mut queue = filled(&dir, 21);
    assert_eq!(
        names(&dir),
        [0, 200, 400].map(|base| (format!("{base:020}"), FILE_SIZE)),
        "exact sizes, names of 20 digits"
    );
    let second = fs::read(dir.join(format!("{:020}", 200))).expect("read");
    assert_eq!(second[..20], unit(10).encode());
    let third = fs::read(dir.join(format!("{:020}", 400))).expect("read");
    assert_eq!((&third[..20], &third[20..]), (&unit(20).encode()[..], &[0; 180][..]));
    let paths = queue.paths_to_sync();
    assert_eq!(paths.len(), 6, "three files, three directories: {paths:?}");
    assert!(paths.contains(&dir) && paths.contains(&scratch.path().to_owned()));
    assert!(queue.paths_to_sync().is_empty());
    queue.push(unit(21));
    queue.sync().expect("sync");
    assert_eq!(queue.dirty_bytes(), 0);
}

#[test]
fn preallocated_files_end_at_their_last_unit() {
    for units in 0..=30 {
        let scratch = Scratch::new("cq");
        java_files(scratch.path(), 3, units);
        let mut queue = open(scratch.path());
        assert_eq!((queue.min_offset(), queue.max_offset()), (0, units));
        let end = if units == 0 { 0 } else { unit(units - 1).physical_end() };
        assert_eq!(queue.max_physical_end(), end);
        assert_eq!(all(&mut queue), (0..units).map(unit).collect::<Vec<_>>());
        queue.push(unit(units));
        queue.write_back().expect("write back");
        assert_eq!(all(&mut open(scratch.path())), (0..=units).map(unit).collect::<Vec<_>>());
    }
}

#[test]
fn a_queue_that_starts_in_the_middle_is_pre_blanked() {
    let scratch = Scratch::new("cq");
    let mut queue = open(scratch.path());
    queue.start_at(27).expect("start");
    assert_eq!((queue.min_offset(), queue.max_offset()), (27, 27));
    for n in 27..32 {
        queue.push(unit(n));
    }
    assert!(queue.start_at(3).is_err());
    queue.write_back().expect("write back");
    let first = fs::read(scratch.path().join(format!("{:020}", 400))).expect("the file of offset 27");
    assert_eq!(first[..140], Unit::PRE_BLANK.encode().repeat(7));
    for queue in [&mut queue, &mut open(scratch.path())] {
        assert_eq!((queue.min_offset(), queue.max_offset()), (27, 32));
        assert_eq!(all(queue), (27..32).map(unit).collect::<Vec<_>>());
        let mut out = Vec::new();
        assert_eq!(queue.read(26, 9, &mut out).expect("below min"), 0);
    }
}

#[test]
fn an_emptied_queue_may_start_elsewhere() {
    let scratch = Scratch::new("cq");
    let mut queue = filled(scratch.path(), 15);
    queue.truncate_to(0).expect("truncate");
    queue.fill_gap_to(44).expect("start");
    queue.push(unit(44));
    queue.write_back().expect("write back");
    let mut queue = open(scratch.path());
    assert_eq!((queue.min_offset(), queue.max_offset()), (44, 45));
    assert_eq!(all(&mut queue), [unit(44)]);
}

#[test]
fn lost_messages_leave_blank_units() {
    let scratch = Scratch::new("cq");
    let mut queue = filled(scratch.path(), 8);
    queue.fill_gap_to(5).expect("nothing to do");
    queue.fill_gap_to(25).expect("fill");
    queue.push(unit(25));
    queue.write_back().expect("write back");
    assert!(queue.fill_gap_to(i64::MAX).is_err());
    for mut queue in [queue, open(scratch.path())] {
        assert_eq!((queue.min_offset(), queue.max_offset()), (0, 26));
        assert_eq!(queue.max_physical_end(), unit(25).physical_end());
        let units = all(&mut queue);
        assert!(units[8..25].iter().all(|unit| unit.is_valid() && unit.is_blank()));
        queue.correct_min(unit(7).physical_end()).expect("correct");
        assert_eq!(queue.min_offset(), 25, "the first message, not the first blank");
        let mut time = |unit: Unit| Some(unit.physical_offset);
        queue.correct_min(0).expect("correct");
        assert_eq!(queue.search_by_time(unit(3).physical_offset, 26, &mut time).expect("search"), 3);
        assert_eq!(queue.search_by_time(unit(24).physical_offset, 26, &mut time).expect("search"), 25);
    }
}

#[test]
fn files_that_do_not_fit_are_told_and_left() {
    let file = |base: u64| format!("{base:020}");
    // (what happened, min, max, whether it is damage)
    type Case<'a> = (&'a str, Box<dyn Fn(&Path)>, i64, i64, bool);
    let cases: Vec<Case> = vec![
        ("foreign names", Box::new(|dir| fs::write(dir.join("0000.bak"), "x").expect("write")), 0, 25, false),
        (
            "short last file",
            Box::new(move |dir| {
                fs::OpenOptions::new().write(true).open(dir.join(file(400))).expect("open").set_len(50).expect("cut")
            }),
            0,
            22,
            false,
        ),
        ("missing middle file", Box::new(move |dir| fs::remove_file(dir.join(file(200))).expect("rm")), 20, 25, true),
        (
            "short first file",
            Box::new(move |dir| {
                fs::OpenOptions::new().write(true).open(dir.join(file(0))).expect("open").set_len(60).expect("cut")
            }),
            10,
            25,
            true,
        ),
        ("odd base", Box::new(move |dir| fs::write(dir.join(file(407)), [0; 200]).expect("write")), 0, 25, true),
        (
            "absurd base",
            Box::new(move |dir| fs::write(dir.join("9".repeat(20)), [0; 200]).expect("write")),
            0,
            25,
            false,
        ),
        ("empty next file", Box::new(move |dir| fs::write(dir.join(file(600)), []).expect("write")), 0, 25, false),
    ];
    for (what, harm, min, max, damaged) in cases {
        let scratch = Scratch::new("cq");
        drop(filled(scratch.path(), 25));
        harm(scratch.path());
        let mut queue = open(scratch.path());
        assert_eq!((queue.min_offset(), queue.max_offset()), (min, max), "{what}");
        assert_eq!(queue.damage().is_some(), damaged, "{what}");
        assert_eq!(all(&mut queue), (min..max).map(unit).collect::<Vec<_>>(), "{what}");
        for n in max..max + 12 {
            queue.push(unit(n));
        }
        queue.write_back().expect("goes on");
        assert_eq!(all(&mut open(scratch.path())), (min..max + 12).map(unit).collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn a_queue_keeps_the_file_size_it_was_made_with() {
    for (units, configured) in [(5, 100), (5, 60), (25, 100), (25, 60), (25, 400), (45, 1000)] {
        let scratch = Scratch::new("cq");
        drop(filled(scratch.path(), units));
        let mut queue = ConsumeQueue::open(scratch.path(), configured).expect("open");
        assert_eq!(queue.file_size(), FILE_SIZE, "{units} units, configured {configured}");
        assert_eq!(queue.damage(), None);
        assert_eq!(all(&mut queue), (0..units).map(unit).collect::<Vec<_>>());
    }
    let scratch = Scratch::new("cq");
    assert_eq!(ConsumeQueue::open(scratch.path(), 301).expect("open").file_size(), 320, "rounded up to units");
}

#[test]
fn truncation_clears_stale_units() {
    let scratch = Scratch::new("cq");
    let mut queue = filled(scratch.path(), 25);
    // Units behind a hole, as a power cut leaves them: the end is found before the hole.
    fs::write(scratch.path().join(format!("{:020}", 400)), {
        let mut bytes = vec![0; FILE_SIZE as usize];
        bytes[160..180].copy_from_slice(&unit(28).encode());
        bytes
    })
    .expect("write");
    queue = ConsumeQueue::open(queue.dir(), FILE_SIZE).expect("open");
    assert_eq!(queue.max_offset(), 20);
    queue.truncate_after(unit(17).physical_end() + 50).expect("truncate");
    assert_eq!((queue.max_offset(), queue.max_physical_end()), (18, unit(17).physical_end()));
    for n in 18..28 {
        queue.push(unit(n));
    }
    queue.write_back().expect("write back");
    assert_eq!(open(scratch.path()).max_offset(), 28, "the stale unit 28 does not come back");
}

#[test]
fn expired_files_go_and_the_last_stays() {
    // (log min, files removed, min offset after)
    for (log_min, removed, min) in [
        (0, 0, 0),
        (unit(3).physical_offset, 0, 3),
        (unit(3).physical_offset + 1, 0, 4),
        (unit(9).physical_offset, 0, 9),
        (unit(10).physical_offset, 1, 10),
        (unit(20).physical_offset, 2, 20),
        (unit(99).physical_offset, 2, 25),
    ] {
        let scratch = Scratch::new("cq");
        let mut queue = filled(scratch.path(), 25);
        queue.release();
        assert_eq!(queue.delete_expired(log_min).expect("delete"), removed, "log min {log_min}");
        assert_eq!((queue.min_offset(), queue.max_offset()), (min, 25), "log min {log_min}");
        assert_eq!(names(scratch.path()).len(), 3 - removed);
        let mut again = open(scratch.path());
        again.correct_min(log_min).expect("correct");
        assert_eq!((again.min_offset(), again.max_offset()), (min, 25), "log min {log_min}");
    }
}

#[test]
fn a_destroyed_queue_leaves_nothing_of_ours() {
    let scratch = Scratch::new("cq");
    let topic = scratch.path().join("T");
    let zero = filled(&topic.join("0"), 25);
    let one = filled(&topic.join("1"), 1);
    fs::write(topic.join("1/note"), "the operator's").expect("write");
    zero.destroy().expect("destroy");
    one.destroy().expect("destroy");
    assert!(!topic.join("0").exists());
    assert_eq!(names(&topic.join("1")), [("note".to_owned(), 14)]);
    assert_eq!(open(&topic.join("1")).max_offset(), 0);
}

#[test]
fn search_by_time_takes_the_nearest_neighbour() {
    // Store times of units 0.., the instant asked for, and the expected offset.
    let check = |times: &[Option<i64>], visible: i64, timestamp: i64, expected: i64| {
        let scratch = Scratch::new("cq");
        let mut queue = filled(scratch.path(), times.len() as i64);
        let mut time = |unit: Unit| times[(unit.tags_code / 7) as usize];
        let found = queue.search_by_time(timestamp, visible, &mut time).expect("search");
        assert_eq!(found, expected, "{timestamp} in {times:?} below {visible}");
    };
    let plain: Vec<Option<i64>> = (0..15).map(|n| Some(100 + n * 10)).collect();
    for (timestamp, expected) in
        [(0, 0), (100, 0), (104, 0), (105, 0), (106, 1), (110, 1), (239, 14), (240, 14), (i64::MAX, 14), (i64::MIN, 0)]
    {
        check(&plain, 15, timestamp, expected);
    }
    check(&plain, 5, 999, 4);
    check(&plain, 0, 110, 0);
    check(&[], 0, 110, 0);
    let twins = [100, 110, 110, 110, 110, 120].map(Some);
    check(&twins, 6, 110, 1);
    check(&twins, 6, 114, 4);
    check(&twins, 6, 116, 5);
    let holes = [None, None, Some(100), None, None, None, Some(200), None];
    for (timestamp, expected) in [(0, 2), (100, 2), (149, 2), (151, 6), (200, 6), (900, 6)] {
        check(&holes, 8, timestamp, expected);
    }
    check(&[None, None], 2, 5, 0);
}

#[test]
fn spot_checks_find_wrong_units() {
    let scratch = Scratch::new("cq");
    let mut queue = filled(scratch.path(), 95);
    let mut asked = Vec::new();
    let mut right = |offset: i64, found: Unit| {
        asked.push(offset);
        found == unit(offset)
    };
    assert!(queue.verify_against(&mut right, 10).expect("verify"));
    assert!(asked.contains(&94) && asked.contains(&0) && asked.iter().any(|n| (40..60).contains(n)));
    assert!(!queue.verify_against(&mut |offset, _| offset != 90, 0).expect("verify"));
    assert!(!queue.verify_against(&mut |offset, _| offset != 0, 1).expect("verify"));
    assert!(open(&scratch.path().join("empty")).verify_against(&mut |_, _| false, 9).expect("verify"));
}

#[test]
fn a_zeroed_unit_is_never_served() {
    let scratch = Scratch::new("cq");
    let mut queue = filled(scratch.path(), 25);
    queue.release();
    let path = scratch.path().join(format!("{:020}", 0));
    let mut bytes = fs::read(&path).expect("read");
    bytes[80..100].fill(0);
    fs::write(&path, bytes).expect("write");
    let mut out = Vec::new();
    assert_eq!(queue.read(0, 20, &mut out).expect("those before it"), 4);
    let error = queue.read(4, 20, &mut out).expect_err("not a unit");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(queue.read(5, 100, &mut out).expect("those behind it"), 20);
}

#[test]
fn an_idle_queue_holds_nothing() {
    let scratch = Scratch::new("cq");
    let mut queue = open(scratch.path());
    for n in 0..10_000 {
        queue.push(unit(n));
        if queue.needs_write_back() {
            queue.write_back().expect("write back");
        }
        assert!(queue.tail.len() <= WRITE_BACK_UNITS + RECENT_UNITS);
    }
    queue.release();
    assert_eq!(queue.tail.len(), queue.dirty_units());
    queue.write_back().expect("write back");
    queue.release();
    assert_eq!(queue.tail.capacity(), 0);
    assert_eq!(all(&mut queue).len(), 10_000);
}

#[test]
fn a_failed_write_back_loses_nothing() {
    let scratch = Scratch::new("cq");
    let mut queue = open(&scratch.path().join("none"));
    fs::write(scratch.path().join("none"), "in the way").expect("write");
    for n in 0..600 {
        queue.push(unit(n));
    }
    let error = queue.write_back().expect_err("a file where the directory should be").to_string();
    assert!(error.contains("none"), "{error}");
    assert_eq!(queue.dirty_bytes(), 600 * UNIT_SIZE);
    fs::remove_file(scratch.path().join("none")).expect("rm");
    queue.write_back().expect("write back");
    assert_eq!(all(&mut open(&scratch.path().join("none"))).len(), 600);
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    WriteBack,
    Release,
    Reopen,
    TruncateAfter(usize),
    Expire(usize),
    Gap(i64),
    Read(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1usize..40).prop_map(Step::Push),
        1 => (600usize..700).prop_map(Step::Push),
        4 => Just(Step::WriteBack),
        2 => Just(Step::Release),
        2 => Just(Step::Reopen),
        2 => any::<usize>().prop_map(Step::TruncateAfter),
        1 => any::<usize>().prop_map(Step::Expire),
        1 => (1i64..30).prop_map(Step::Gap),
        6 => (any::<usize>(), 0usize..60).prop_map(|(from, max)| Step::Read(from, max)),
    ]
}

fn first_message(model: &[Unit], log_min: i64) -> usize {
    model.iter().position(|unit| !unit.is_blank() && unit.physical_offset >= log_min).unwrap_or(model.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// A list of units with a start is all a queue is; whatever happens to the files.
    #[test]
    fn behaves_like_a_list(steps in prop::collection::vec(step(), 1..60)) {
        let scratch = Scratch::new("cq");
        let mut queue = open(scratch.path());
        let mut model: Vec<Unit> = Vec::new();
        let (mut min, mut log_min, mut serial) = (0usize, 0i64, 0i64);
        for step in steps {
            match step {
                Step::Push(count) => {
                    for _ in 0..count {
                        model.push(unit(serial));
                        queue.push(unit(serial));
                        serial += 1;
                    }
                }
                Step::WriteBack => queue.write_back().expect("write back"),
                Step::Release => queue.release(),
                Step::Reopen => {
                    queue.write_back().expect("write back");
                    queue = open(scratch.path());
                    queue.correct_min(log_min).expect("correct");
                    min = first_message(&model, log_min);
                }
                Step::TruncateAfter(n) => {
                    let keep = if model.len() > min { min + n % (model.len() - min) } else { continue };
                    let end = model[keep].physical_end();
                    queue.truncate_after(end).expect("truncate");
                    model.retain(|unit| unit.physical_end() <= end);
                    min = min.min(model.len());
                }
                Step::Expire(n) => {
                    if model.len() > min {
                        log_min = log_min.max(model[min + n % (model.len() - min)].physical_offset);
                        queue.delete_expired(log_min).expect("delete");
                        min = first_message(&model, log_min);
                    }
                }
                Step::Gap(gap) => {
                    if model.is_empty() { continue }
                    queue.fill_gap_to(model.len() as i64 + gap).expect("gap");
                    let filler = Unit::gap(model[model.len() - 1].physical_end());
                    model.extend((0..gap).map(|_| filler));
                }
                Step::Read(from, max) => {
                    let from = from % (model.len() + 3);
                    let mut out = Vec::new();
                    queue.read(from as i64, max, &mut out).expect("read");
                    let expected: Vec<Unit> =
                        if from < min { Vec::new() } else { model.iter().skip(from).take(max).copied().collect() };
                    prop_assert_eq!(out, expected);
                }
            }
            prop_assert_eq!(queue.max_offset(), model.len() as i64);
            prop_assert_eq!(queue.min_offset(), min as i64);
            prop_assert_eq!(queue.max_physical_end(), model.last().map_or(0, Unit::physical_end));
        }
        prop_assert_eq!(&all(&mut queue), &model[min..]);
    }
}
