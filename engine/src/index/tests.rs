//! The index against Java's layout, its chains, damage and the follower.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use protocol::message::{NewRecord, encode, properties, stamp, sys_flag};

use super::follow::Walker;
use super::*;
use crate::consume_queue::scratch::Scratch;

const SEGMENT: usize = 4096;

/// A commitlog in memory.
#[derive(Default)]
struct Log(Mutex<LogState>);

#[derive(Default)]
struct LogState {
    segments: BTreeMap<i64, Vec<u8>>,
    end: i64,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.0.lock().expect("log")
    }

    /// Appends a record and returns its physical offset.
    fn append(&self, topic: &str, unique: &str, keys: &str, stored_ms: i64, flags: i32) -> i64 {
        let mut text = Vec::new();
        for (name, value) in [(properties::names::UNIQ_KEY, unique), (properties::names::KEYS, keys)] {
            properties::append(&mut text, name, value);
        }
        let mut bytes = Vec::new();
        let host = "127.0.0.1:10911".parse().expect("address");
        let record = NewRecord {
            topic,
            queue_id: 0,
            flag: 0,
            sys_flag: flags,
            born_timestamp: stored_ms,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"a body",
            properties: &[&text],
        };
        encode(&record, &mut bytes).expect("encode");
        let mut log = self.lock();
        let room = SEGMENT - log.end as usize % SEGMENT;
        if bytes.len() + 8 > room {
            let mut blank = (room as u32).to_be_bytes().to_vec();
            blank.extend(0xCBD4_3194u32.to_be_bytes());
            blank.resize(room, 0);
            log.push(&blank);
        }
        let at = log.end;
        stamp(&mut bytes, 0, at, stored_ms);
        log.push(&bytes);
        at
    }
}

impl LogState {
    fn push(&mut self, bytes: &[u8]) {
        let base = self.end - self.end % SEGMENT as i64;
        self.segments.entry(base).or_default().extend_from_slice(bytes);
        self.end += bytes.len() as i64;
    }
}

impl LogReader for Log {
    fn readable(&self) -> i64 {
        self.lock().end
    }

    fn log_min(&self) -> i64 {
        self.lock().segments.keys().next().copied().unwrap_or(0)
    }

    fn read_at(&self, physical: i64, f: &mut dyn FnMut(&[u8])) -> bool {
        let log = self.lock();
        let within = physical as usize % SEGMENT;
        match log.segments.get(&(physical - within as i64)).and_then(|segment| segment.get(within..)) {
            Some(bytes) => {
                f(bytes);
                true
            }
            None => false,
        }
    }

    fn next_segment_start(&self, physical: i64) -> i64 {
        physical - physical % SEGMENT as i64 + SEGMENT as i64
    }
}

fn options(slots: u32, entries: u32) -> IndexOptions {
    IndexOptions { slots, entries, ..IndexOptions::default() }
}

fn open(dir: &Path, options: IndexOptions) -> Arc<Index> {
    Arc::new(Index::open(dir, options, true, 0).expect("open"))
}

/// Indexes all there is, on this thread.
fn catch_up(index: &Arc<Index>, log: &Arc<Log>) {
    let mut walker = Walker { index: index.clone(), log: log.clone(), keys: Vec::new() };
    while walker.step().expect("step") {}
    assert_eq!(index.followed_to(), log.readable());
}

fn find(index: &Index, key: &str) -> Vec<i64> {
    index.query("T", key, 64, 0, i64::MAX).physical_offsets
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).expect("list").map(|entry| entry.expect("entry").path()).collect();
    paths.sort();
    paths
}

/// A log of `count` records with the unique keys u0, u1 … and keys `even` or `odd`, a second apart.
fn numbered(count: i64) -> (Arc<Log>, Vec<i64>) {
    let log = Arc::new(Log::default());
    let offsets = (0..count)
        .map(|n| log.append("T", &format!("u{n}"), if n % 2 == 0 { "even" } else { "odd" }, 1_000_000 + n * 1000, 0))
        .collect();
    (log, offsets)
}

fn newest_first(offsets: &[i64], parity: usize) -> Vec<i64> {
    let mut found: Vec<i64> = offsets.iter().skip(parity).step_by(2).copied().collect();
    found.reverse();
    found.truncate(64);
    found
}

#[test]
fn the_bytes_are_java_s() {
    let scratch = Scratch::new("index");
    let index = open(scratch.path(), options(3, 6));
    let log = Arc::new(Log::default());
    // "T#a".hashCode() = 84·31² + 35·31 + 97 = 81906, "T#b" 81907, "T#d" 81909; modulo 3: 0, 1, 0.
    let first = log.append("T", "a", "b d", 10_500, 0);
    let second = log.append("T", "a", "", 13_499, 0);
    catch_up(&index, &log);
    assert_eq!(index.flush().expect("flush"), 13_499);
    let mut expected: Vec<u8> = Vec::new();
    for long in [10_500, 13_499, first, second] {
        expected.extend(long.to_be_bytes());
    }
    // Two slots used, next entry 5; slots: entry 4, entry 2, none.
    for word in [2u32, 5, 4, 2, 0] {
        expected.extend(word.to_be_bytes());
    }
    expected.extend([0; 20]);
    for (hash, physical, seconds, previous) in
        [(81_906u32, first, 0u32, 0u32), (81_907, first, 0, 0), (81_909, first, 0, 1), (81_906, second, 2, 3)]
    {
        expected.extend(hash.to_be_bytes());
        expected.extend(physical.to_be_bytes());
        expected.extend(seconds.to_be_bytes());
        expected.extend(previous.to_be_bytes());
    }
    expected.resize(40 + 3 * 4 + 6 * 20, 0);
    let paths = files(scratch.path());
    assert_eq!(paths.len(), 1);
    assert!(name::is_name(paths[0].file_name().and_then(|n| n.to_str()).expect("name")), "{paths:?}");
    assert_eq!(fs::read(&paths[0]).expect("read"), expected);
    assert_eq!(Layout { slots: 5_000_000, entries: 20_000_000 }.file_size(), 420_000_040);
}

#[test]
fn queries_go_by_key_topic_time_and_count() {
    let (log, offsets) = numbered(20);
    let scratch = Scratch::new("index");
    for (slots, entries) in [(100, 1000), (1, 1000), (7, 9), (1, 3), (5, 2)] {
        let dir = scratch.path().join(format!("{slots}-{entries}"));
        let index = open(&dir, options(slots, entries));
        assert_eq!(index.query("T", "u1", 9, 0, i64::MAX), QueryIndex::default());
        catch_up(&index, &log);
        let t = |n: i64| 1_000_000 + n * 1000;
        let check = |topic: &str, key: &str, max: usize, begin: i64, end: i64, expected: &[i64]| {
            let found = index.query(topic, key, max, begin, end);
            let what = format!("{topic} {key} max {max} {begin}..{end} in {slots} slots, {entries} entries");
            assert_eq!(found.physical_offsets, expected, "{what}");
            assert_eq!((found.last_update_timestamp, found.last_update_physical), (t(19), offsets[19]), "{what}");
        };
        for pass in ["in memory", "on disk"] {
            for n in 0..20 {
                check("T", &format!("u{n}"), 64, 0, i64::MAX, &offsets[n..=n]);
            }
            check("T", "even", 64, 0, i64::MAX, &newest_first(&offsets, 0));
            check("T", "even", 3, 0, i64::MAX, &newest_first(&offsets, 0)[..3]);
            check("T", "even", 0, 0, i64::MAX, &[]);
            check("T", "odd", 64, t(3), t(7), &[offsets[7], offsets[5], offsets[3]]);
            check("T", "odd", 64, t(4), t(4), &[]);
            check("T", "odd", 64, t(19), i64::MAX, &[offsets[19]]);
            check("T", "odd", 64, i64::MIN, t(1), &[offsets[1]]);
            check("T", "odd", 64, t(1) + 500, t(3) - 1, &[offsets[1]]);
            check("T", "odd", 64, t(9), t(3), &[]);
            check("T", "odd", 64, t(50), t(60), &[]);
            check("U", "odd", 64, 0, i64::MAX, &[]);
            check("T", "", 64, 0, i64::MAX, &[]);
            if pass == "in memory" {
                index.relax().expect("relax");
            }
        }
        index.flush().expect("flush");
        let again = open(&dir, options(slots, entries));
        assert_eq!(again.followed_to(), offsets[19]);
        for n in 0..20 {
            assert_eq!(find(&again, &format!("u{n}")), &offsets[n..=n], "reopened, {slots} slots, {entries} entries");
        }
        // The records behind the last indexed one are found again and not doubled.
        catch_up(&again, &log);
        assert_eq!(find(&again, "odd"), newest_first(&offsets, 1));
    }
}

#[test]
fn what_is_indexed_follows_the_transaction_type() {
    let scratch = Scratch::new("index");
    let index = open(scratch.path(), options(100, 1000));
    let log = Arc::new(Log::default());
    let indexed = |flags: i32, unique: &str, keys: &str| {
        log.append("T", unique, keys, 5000, flags);
        catch_up(&index, &log);
        unique.split(' ').chain(keys.split(' ')).filter(|key| !find(&index, key).is_empty()).count()
    };
    assert_eq!(indexed(sys_flag::TRANSACTION_NONE, "n", "k1  k2 "), 3);
    assert_eq!(indexed(sys_flag::TRANSACTION_PREPARED, "p", ""), 1);
    assert_eq!(indexed(sys_flag::TRANSACTION_COMMIT, "", "c"), 1);
    assert_eq!(indexed(sys_flag::TRANSACTION_ROLLBACK, "r", "r1"), 0);
    assert_eq!(indexed(sys_flag::TRANSACTION_NONE, "", ""), 0);
    assert_eq!(indexed(sys_flag::TRANSACTION_NONE, "twice", "twice"), 2, "said twice");
    assert_eq!(find(&index, "twice").len(), 1, "one answer a record");
}

#[test]
fn full_files_are_followed_by_new_ones() {
    let (log, offsets) = numbered(100);
    let scratch = Scratch::new("index");
    let index = open(scratch.path(), options(10, 21));
    catch_up(&index, &log);
    index.flush().expect("flush");
    let paths = files(scratch.path());
    assert_eq!(paths.len(), 10, "twenty entries a file, two a record");
    let headers: Vec<Header> =
        paths.iter().map(|path| Header::decode(fs::read(path).expect("read").first_chunk().expect("header"))).collect();
    for (i, header) in headers.iter().enumerate() {
        assert_eq!((header.begin_physical, header.end_physical), (offsets[i * 10], offsets[i * 10 + 9]));
        assert_eq!(header.next_entry, 21);
    }
    // Retention: never the newest.
    for (log_min, removed) in
        [(0, 0), (offsets[9], 0), (offsets[9] + 1, 1), (offsets[35], 2), (i64::MAX, 6), (i64::MAX, 0)]
    {
        assert_eq!(index.delete_expired(log_min).expect("delete"), removed, "log min {log_min}");
    }
    assert_eq!(files(scratch.path()), paths[9..]);
    assert_eq!(find(&index, "u99"), [offsets[99]]);
    assert_eq!(find(&index, "u3"), [0; 0]);
    // A bound on the number of files.
    let dir = scratch.path().join("bound");
    let index = open(&dir, IndexOptions { files_max: 3, ..options(10, 21) });
    catch_up(&index, &log);
    assert_eq!(files(&dir).len(), 3);
    assert_eq!(find(&index, "u70"), [offsets[70]]);
    assert_eq!(find(&index, "u69"), [0; 0]);
}

#[test]
fn an_unclean_end_keeps_what_the_checkpoint_vouches_for() {
    let t = |n: i64| 1_000_000 + n * 1000;
    // (checkpoint's index time, files kept)
    for (checkpoint_ms, kept) in [(0, 0), (t(9) - 1, 0), (t(9), 1), (t(30), 3), (t(34), 4), (i64::MAX, 4)] {
        let (log, offsets) = numbered(35);
        let scratch = Scratch::new("index");
        let index = open(scratch.path(), options(10, 21));
        catch_up(&index, &log);
        assert_eq!(index.flush().expect("flush"), t(34));
        // What a killed process leaves: slots and entries behind the header.
        let before = log.append("T", "lost", "odd", t(35), 0);
        catch_up(&index, &log);
        index.relax().expect("written, header not");
        drop(index);
        let index = Arc::new(Index::open(scratch.path(), options(10, 21), false, checkpoint_ms).expect("open"));
        assert_eq!(files(scratch.path()).len(), kept, "checkpoint {checkpoint_ms}");
        let end = [0, offsets[9], offsets[19], offsets[29], offsets[34]][kept];
        assert_eq!(index.followed_to(), end, "checkpoint {checkpoint_ms}");
        for (n, offset) in offsets.iter().enumerate() {
            let there = *offset <= end && kept > 0;
            assert_eq!(find(&index, &format!("u{n}")).len(), usize::from(there), "u{n}, checkpoint {checkpoint_ms}");
        }
        catch_up(&index, &log);
        let mut all = newest_first(&offsets, 1);
        all.insert(0, before);
        assert_eq!(find(&index, "odd"), all, "checkpoint {checkpoint_ms}");
        index.flush().expect("flush");
        assert_eq!(find(&open(scratch.path(), options(10, 21)), "odd"), all);
    }
}

#[test]
fn damaged_files_are_built_again() {
    let overwrite = |path: &Path, at: usize, bytes: &[u8]| {
        let mut content = fs::read(path).expect("read");
        content[at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(path, content).expect("write");
    };
    type Harm = Box<dyn Fn(&Path)>;
    let cases: Vec<(&str, Harm)> = vec![
        ("cut short", Box::new(|path| fs::write(path, [0; 30]).expect("write"))),
        ("another size", Box::new(|path| fs::write(path, vec![0; 999]).expect("write"))),
        ("zero header", Box::new(move |path| overwrite(path, 0, &[0; 40]))),
        ("begin time", Box::new(move |path| overwrite(path, 4, &[0x7F]))),
        ("end time", Box::new(move |path| overwrite(path, 12, &[0x7F]))),
        ("negative time", Box::new(move |path| overwrite(path, 0, &[0xFF]))),
        ("begin physical", Box::new(move |path| overwrite(path, 16, &[1]))),
        ("end physical", Box::new(move |path| overwrite(path, 24, &[0x7F]))),
        ("negative end", Box::new(move |path| overwrite(path, 24, &[0xFF]))),
        ("next entry", Box::new(move |path| overwrite(path, 36, &[0x7F]))),
        ("negative next entry", Box::new(move |path| overwrite(path, 36, &[0xFF]))),
        ("fewer entries", Box::new(move |path| overwrite(path, 39, &[7]))),
    ];
    for (what, harm) in cases {
        for victim in 0..4 {
            let (log, offsets) = numbered(35);
            let scratch = Scratch::new("index");
            let index = open(scratch.path(), options(10, 21));
            catch_up(&index, &log);
            index.flush().expect("flush");
            harm(&files(scratch.path())[victim]);
            let index = open(scratch.path(), options(10, 21));
            index.truncate_after(log.readable()).expect("truncate");
            assert!(index.followed_to() <= offsets[34]);
            catch_up(&index, &log);
            assert_eq!(find(&index, "even"), newest_first(&offsets, 0), "{what} in file {victim}");
            assert_eq!(find(&index, "odd"), newest_first(&offsets, 1), "{what} in file {victim}");
        }
    }
    assert!(Index::open(Path::new("/nowhere"), options(0, 5), true, 0).is_err());
    assert!(Index::open(Path::new("/nowhere"), options(5, 1), true, 0).is_err());
}

#[test]
fn another_setting_builds_the_index_again() {
    let (log, offsets) = numbered(35);
    let scratch = Scratch::new("index");
    let index = open(scratch.path(), options(10, 21));
    catch_up(&index, &log);
    index.flush().expect("flush");
    fs::write(scratch.path().join("note.txt"), "the operator's").expect("write");
    let index = open(scratch.path(), options(50, 500));
    assert_eq!(index.followed_to(), 0);
    catch_up(&index, &log);
    assert_eq!(find(&index, "odd"), newest_first(&offsets, 1));
    assert_eq!(files(scratch.path()).len(), 2);
}

#[test]
fn a_log_that_lost_its_end_takes_the_entries_along() {
    let (log, offsets) = numbered(35);
    let scratch = Scratch::new("index");
    let index = open(scratch.path(), options(10, 21));
    catch_up(&index, &log);
    index.flush().expect("flush");
    {
        let mut state = log.lock();
        let end = offsets[25];
        state.end = end;
        let base = end - end % SEGMENT as i64;
        state.segments.retain(|start, _| *start <= base);
        state.segments.get_mut(&base).expect("segment").truncate((end - base) as usize);
    }
    let again = log.append("T", "again", "odd", 1_025_000, 0);
    assert_eq!(again, offsets[25]);
    let index = open(scratch.path(), options(10, 21));
    index.truncate_after(again).expect("truncate");
    assert_eq!(index.followed_to(), offsets[19]);
    catch_up(&index, &log);
    assert_eq!(find(&index, "again"), [again]);
    assert_eq!(find(&index, "u25"), [0; 0]);
    assert_eq!(find(&index, "u24"), [offsets[24]]);
}

#[test]
fn the_walk_passes_over_damage_and_removed_segments() {
    let (log, offsets) = numbered(100);
    let lost = 40;
    {
        let mut state = log.lock();
        // One record damaged, one segment gone, and everything before the third segment expired.
        let at = offsets[lost];
        let base = at - at % SEGMENT as i64;
        assert!(at > base && offsets[lost + 1] < base + SEGMENT as i64, "in the middle of a segment");
        state.segments.get_mut(&base).expect("segment")[(at - base) as usize..][..8].fill(0xEE);
        let gone = base + SEGMENT as i64;
        state.segments.remove(&gone);
        state.segments.retain(|start, _| *start >= 2 * SEGMENT as i64);
    }
    let scratch = Scratch::new("index");
    let index = open(scratch.path(), options(10, 1000));
    catch_up(&index, &log);
    let state = log.lock();
    for (n, at) in offsets.iter().enumerate() {
        let there = n != lost && state.segments.contains_key(&(at - at % SEGMENT as i64));
        assert_eq!(find(&index, &format!("u{n}")).len(), usize::from(there), "u{n}");
    }
}

#[test]
fn the_end_of_a_growing_segment_is_not_skipped_with_its_damage() {
    let (log, offsets) = numbered(3);
    {
        let mut state = log.lock();
        let from = offsets[1] as usize;
        state.segments.get_mut(&0).expect("segment")[from..].fill(0);
    }
    let scratch = Scratch::new("index");
    let index = open(scratch.path(), options(10, 1000));
    catch_up(&index, &log);
    let later = log.append("T", "later", "", 9000, 0);
    catch_up(&index, &log);
    assert_eq!(find(&index, "later"), [later]);
    assert_eq!(find(&index, "u0"), [offsets[0]]);
}

#[test]
fn a_failure_is_tried_again_without_doubling() {
    let (log, offsets) = numbered(50);
    let scratch = Scratch::new("index");
    let dir = scratch.path().join("index");
    let index = open(&dir, options(1, 31));
    fs::write(&dir, "in the way").expect("write");
    let mut walker = Walker { index: index.clone(), log: log.clone(), keys: Vec::new() };
    for _ in 0..3 {
        assert!(walker.step().is_err());
    }
    fs::remove_file(&dir).expect("rm");
    catch_up(&index, &log);
    assert_eq!(find(&index, "odd"), newest_first(&offsets, 1));
    let entries: u32 = files(&dir).len() as u32 * 30;
    assert!((100..130).contains(&entries));
}

#[test]
fn the_follower_keeps_up_and_ends_flushed() {
    let (log, offsets) = numbered(30);
    let scratch = Scratch::new("index");
    let index = open(scratch.path(), options(10, 1000));
    let follower = index.clone().start_follower(log.clone()).expect("start");
    let reached = |end: i64| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while index.followed_to() < end {
            assert!(Instant::now() < deadline, "the follower stands at {}", index.followed_to());
            follower.notify();
            std::thread::yield_now();
        }
    };
    reached(log.readable());
    let later = log.append("T", "later", "", 1_040_000, 0);
    reached(log.readable());
    assert_eq!(find(&index, "later"), [later]);
    follower.stop();
    let again = open(scratch.path(), options(10, 1000));
    assert_eq!(find(&again, "later"), [later]);
    assert_eq!(find(&again, "u7"), [offsets[7]]);
    let disabled = open(scratch.path(), IndexOptions { enabled: false, ..options(10, 1000) });
    let follower = disabled.clone().start_follower(log).expect("start");
    follower.notify();
    assert_eq!(find(&disabled, "u7"), [offsets[7]], "old files are still asked");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes a file holds: no panic, no endless walk, no offset outside the log, and it goes on.
    #[test]
    fn any_bytes_are_survived(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        clean in any::<bool>(),
        slots in 1u32..20,
    ) {
        let (log, offsets) = numbered(30);
        let scratch = Scratch::new("index");
        let index = open(scratch.path(), options(slots, 45));
        catch_up(&index, &log);
        index.flush().expect("flush");
        for path in files(scratch.path()) {
            let mut bytes = fs::read(&path).expect("read");
            for (at, value) in &changes {
                let at = at.index(bytes.len());
                bytes[at] ^= value;
            }
            fs::write(&path, bytes).expect("write");
        }
        let index = Arc::new(Index::open(scratch.path(), options(slots, 45), clean, i64::MAX).expect("open"));
        index.truncate_after(log.readable()).expect("truncate");
        for key in ["even", "odd", "u1", "u29"] {
            for (begin, end) in [(0, i64::MAX), (i64::MIN, i64::MAX), (1_003_000, 1_009_000)] {
                let found = index.query("T", key, 64, begin, end);
                prop_assert!(found.physical_offsets.len() <= 64);
            }
        }
        let last = log.append("T", "last", "", 2_000_000, 0);
        catch_up(&index, &log);
        prop_assert_eq!(find(&index, "last"), vec![last]);
        prop_assert!(last > offsets[29]);
    }
}
