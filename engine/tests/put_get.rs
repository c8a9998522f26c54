//! What is put is read back: against a model, over file ends, under each flush mode, with several shards.

mod common;

use std::collections::HashMap;

use common::{Dir, Msg, Rig, SEGMENT, msg, options, records, sync};
use engine::{GetStatus, PutRefused, PutStatus, TagFilter};
use proptest::prelude::*;
use protocol::message::tags_code;

#[derive(Clone, Debug)]
enum Step {
    Put { topic: u8, queue_id: u32, sizes: Vec<usize>, tag: u8, half: bool },
    Commit { shard: usize },
    Collect,
    Housekeep,
    Restart { clean: bool },
    DeleteTopic { topic: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let sizes = prop::collection::vec(prop_oneof![0usize..300, 3000usize..9000], 1..4);
    prop_oneof![
        12 => (0u8..3, 0u32..3, sizes, 0u8..3, prop::bool::weighted(0.1)).prop_map(|(topic, queue_id, sizes, tag, half)| Step::Put { topic, queue_id, sizes, tag, half }),
        4 => (0usize..4).prop_map(|shard| Step::Commit { shard }),
        3 => Just(Step::Collect),
        1 => Just(Step::Housekeep),
        1 => any::<bool>().prop_map(|clean| Step::Restart { clean }),
        1 => (0u8..3).prop_map(|topic| Step::DeleteTopic { topic }),
    ]
}

/// Topic and queue id, to the bodies and tags that must be there, in order.
type Model = HashMap<(String, u32), Vec<(Vec<u8>, String)>>;

fn check_queue(rig: &mut Rig, topic: &str, queue_id: u32, want: &[(Vec<u8>, String)]) {
    let short = |(at, body): (i64, Vec<u8>)| (at, body.first_chunk::<4>().copied().map(u32::from_be_bytes), body.len());
    let got: Vec<_> = rig.read_all(topic, queue_id).into_iter().map(short).collect();
    let want_all: Vec<_> = (0i64..).zip(want.iter().map(|(body, _)| body.clone())).map(short).collect();
    assert_eq!(got, want_all, "{topic} {queue_id}");
    let codes = [tags_code("t1") as i32];
    let (mut offset, mut tagged) = (0, Vec::new());
    loop {
        let (result, ranges) = rig.get_with(topic, queue_id, |get| {
            get.offset = offset;
            get.filter = TagFilter::Codes(&codes);
        });
        tagged.extend(records(&ranges));
        if result.next_begin_offset <= offset {
            break;
        }
        offset = result.next_begin_offset;
    }
    let want_tagged: Vec<_> =
        (0i64..).zip(want).filter(|(_, (_, tag))| tag == "t1").map(|(at, (body, _))| (at, body.clone())).collect();
    assert!(tagged == want_tagged, "{topic} {queue_id} by tag");
}

fn run(shards: usize, sync_flush: bool, steps: Vec<Step>) {
    let dir = Dir::new("model");
    let make = || {
        let mut options = if sync_flush { sync(options(dir.path())) } else { options(dir.path()) };
        options.shards = shards;
        options
    };
    let mut rig = Rig::open(make());
    let mut model = Model::new();
    let mut serial = 0u32;
    let settle = |rig: &mut Rig| {
        // Under SYNC_FLUSH what was put without waiting is acknowledged before it is visible.
        rig.until("all acks", |rig| rig.pending() == 0 && rig.shared.readable() == rig.shared.log_max());
        rig.collect();
        assert!(rig.outcomes.drain(..).all(|(_, outcome)| outcome.status == PutStatus::Ok));
    };
    for step in steps {
        match step {
            Step::Put { topic, queue_id, sizes, tag, half } => {
                let messages: Vec<Msg> = sizes
                    .iter()
                    .map(|size| {
                        serial += 1;
                        let mut body = serial.to_be_bytes().to_vec();
                        body.resize(4 + size, serial as u8);
                        let mut message = msg(&format!("T{topic}"), queue_id, body);
                        message.tag = format!("t{tag}");
                        message.sys_flag = if half { 0x4 } else { 0 };
                        message
                    })
                    .collect();
                match rig.put(&messages, !serial.is_multiple_of(3)) {
                    Ok(_) if !half => {
                        let queue = model.entry((messages[0].topic.clone(), queue_id)).or_default();
                        queue.extend(messages.into_iter().map(|message| (message.body, message.tag)));
                    }
                    Ok(_) => {}
                    Err(PutRefused::BodyTooLarge { .. }) => {
                        let size: usize = messages.iter().map(|message| message.body.len()).sum();
                        assert!(size + 500 > SEGMENT as usize);
                    }
                    Err(refused) => panic!("{refused}"),
                }
            }
            Step::Commit { shard } => {
                let shard = shard % rig.stores.len();
                rig.stores[shard].commit().expect("the log works");
            }
            Step::Collect => rig.collect(),
            Step::Housekeep => rig.housekeep(),
            Step::Restart { clean } => {
                settle(&mut rig);
                if clean {
                    drop(rig.stop())
                } else {
                    rig.kill()
                }
                rig = Rig::open(make());
                assert_eq!(rig.report.damaged, []);
                assert_eq!(rig.report.abnormal, !clean);
                for ((topic, queue_id), want) in &model {
                    check_queue(&mut rig, topic, *queue_id, want);
                }
            }
            Step::DeleteTopic { topic } => {
                let topic = format!("T{topic}");
                settle(&mut rig);
                rig.stores.iter_mut().for_each(|store| store.delete_topic(&topic));
                model.retain(|(name, _), _| *name != topic);
            }
        }
    }
    settle(&mut rig);
    for ((topic, queue_id), want) in &model {
        check_queue(&mut rig, topic, *queue_id, want);
    }
    rig.stop();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 200, max_shrink_time: 30_000, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_its_model(
        shards in prop::sample::select(vec![1usize, 2, 4]),
        sync_flush in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        run(shards, sync_flush, steps);
    }
}

#[test]
fn statuses_and_next_offsets_are_javas() {
    let dir = Dir::new("statuses");
    let mut rig = Rig::open(options(dir.path()));
    let check = |rig: &mut Rig, offset: i64, want: GetStatus, next: i64| {
        let (result, _) = rig.get("T", 0, offset);
        assert_eq!((result.status, result.next_begin_offset), (want, next), "at {offset}");
    };
    check(&mut rig, 0, GetStatus::NoMessageInQueue, 0);
    check(&mut rig, 5, GetStatus::NoMessageInQueue, 0);
    for n in 0..3u8 {
        rig.send_ok(&msg("T", 0, [n]));
    }
    check(&mut rig, -1, GetStatus::OffsetTooSmall, 0);
    check(&mut rig, 0, GetStatus::Found, 3);
    check(&mut rig, 2, GetStatus::Found, 3);
    check(&mut rig, 3, GetStatus::OffsetOverflowOne, 3);
    check(&mut rig, 4, GetStatus::OffsetOverflowBadly, 3);
    check(&mut rig, i64::MAX, GetStatus::OffsetOverflowBadly, 3);
    check(&mut rig, i64::MIN, GetStatus::OffsetTooSmall, 0);
    let (result, _) = rig.get_with("T", 0, |get| get.filter = TagFilter::Codes(&[9]));
    assert_eq!((result.status, result.next_begin_offset), (GetStatus::NoMatchedMessage, 3));
}

#[test]
fn an_answer_is_bounded_and_joins_what_lies_together() {
    let dir = Dir::new("bounds");
    let mut options = options(dir.path());
    options.transfer.memory_bytes = 2000;
    options.transfer.disk_count = 2;
    let mut rig = Rig::open(options.clone());
    for n in 0..100u8 {
        rig.put(&[msg("T", 0, vec![n; 100])], true).expect("taken");
    }
    rig.turn();
    let check = |rig: &mut Rig, max_messages: usize, max_bytes: usize, want: usize, want_ranges: usize| {
        let (result, ranges) =
            rig.get_with("T", 0, |get| (get.max_messages, get.max_bytes) = (max_messages, max_bytes));
        assert_eq!((result.messages, result.next_begin_offset, ranges.len()), (want, want as i64, want_ranges));
    };
    // A record here has 192 bytes.
    check(&mut rig, 5, usize::MAX, 5, 1);
    check(&mut rig, 1000, usize::MAX, 10, 1);
    check(&mut rig, 1000, 400, 2, 1);
    check(&mut rig, 1000, 1, 1, 1);
    check(&mut rig, 0, 0, 1, 1);
    let scanned = rig.get_with("T", 0, |get| get.filter = TagFilter::Codes(&[1])).0;
    assert_eq!((scanned.status, scanned.next_begin_offset), (GetStatus::NoMatchedMessage, 100));
    drop(rig.stop());
    options.transfer.memory_distance_bytes = 0;
    let mut rig = Rig::open(options);
    let (result, _) = rig.get("T", 0, 0);
    assert_eq!((result.messages, result.suggest_slave), (2, true), "far behind the end the limits of disk hold");
}

#[test]
fn a_scan_without_a_match_ends_after_800_units() {
    let dir = Dir::new("scan");
    let mut options = options(dir.path());
    options.segment_size = 1 << 20;
    let mut rig = Rig::open(options);
    for _ in 0..900 {
        rig.put(&[msg("T", 0, "")], false).expect("taken");
    }
    rig.turn();
    let next = |rig: &mut Rig, max| {
        let (result, _) = rig.get_with("T", 0, |get| (get.max_messages, get.filter) = (max, TagFilter::Codes(&[1])));
        assert_eq!(result.status, GetStatus::NoMatchedMessage);
        result.next_begin_offset
    };
    assert_eq!([next(&mut rig, 32), next(&mut rig, 850)], [800, 850]);
}

#[test]
fn too_large_puts_are_refused_and_leave_nothing_behind() {
    let dir = Dir::new("large");
    let mut options = options(dir.path());
    options.max_body_size = 20_000;
    let mut rig = Rig::open(options);
    let check = |rig: &mut Rig, messages: &[Msg], want: &str| {
        let refused = rig.put(messages, true).expect_err("refused").to_string();
        assert!(refused.contains(want), "{refused}");
    };
    check(&mut rig, &[msg("T", 0, vec![0; 20_001])], "20001 bytes, at most 20000");
    check(&mut rig, &[msg("T", 0, vec![0; 16_290])], "at most 16376");
    check(&mut rig, &[msg("T", 0, vec![0; 9000]), msg("T", 0, vec![0; 9000])], "at most 16376");
    check(&mut rig, &[msg(&"t".repeat(128), 0, "")], "topic of 128 bytes, at most 127");
    let mut long = msg("T", 0, "x");
    long.tag = "t".repeat(32_767);
    check(&mut rig, &[msg("T", 0, "x"), long], "properties of 32772 bytes");
    check(&mut rig, &[msg("T", 0, "x"), msg("T", 1, "x")], "one queue only");
    check(&mut rig, &[msg("T", u32::MAX, "x")], "does not fit");
    for topic in ["", "..", "a/b"] {
        check(&mut rig, &[msg(topic, 0, "x")], "cannot name a directory");
    }
    let outcome = rig.send_ok(&msg("T", 0, vec![7; 16_280 - 92 + 4]));
    assert_eq!(
        (outcome.queue_offset, outcome.physical_offset),
        (0, 0),
        "the largest that fits fills the file but for the blank"
    );
    let outcome = rig.send_ok(&msg("T", 0, "next"));
    assert_eq!((outcome.queue_offset, outcome.physical_offset), (1, SEGMENT as i64));
    assert_eq!(rig.read_all("T", 0).len(), 2);
}

#[test]
fn a_batch_has_consecutive_offsets_in_one_file() {
    let dir = Dir::new("batch");
    let mut rig = Rig::open(options(dir.path()));
    rig.send_ok(&msg("T", 0, vec![0; 12_000]));
    let batch: Vec<_> = (1..4u8).map(|n| msg("T", 0, vec![n; 1500])).collect();
    let ack = rig.put(&batch, true).expect("taken");
    rig.until("the ack", |rig| rig.pending() == 0);
    let outcome = rig.outcomes.iter().find(|(number, _)| *number == ack).expect("there").1.clone();
    let more = outcome.more.expect("two more");
    assert_eq!((outcome.queue_offset, outcome.physical_offset), (1, SEGMENT as i64));
    assert_eq!(more[..], [SEGMENT as i64 + 1592, SEGMENT as i64 + 2 * 1592]);
    assert_eq!(rig.arrivals.iter().map(|arrival| arrival.2).collect::<Vec<_>>(), [0, 1, 2, 3]);
    for (physical, n) in [(outcome.physical_offset, 1u8), (more[0], 2), (more[1], 3)] {
        let range = rig.shared.record(physical).expect("a record");
        assert_eq!(records(&[range]), [(i64::from(n), vec![n; 1500])]);
    }
    for wrong in [-1, 1, SEGMENT as i64 - 8, SEGMENT as i64 + 1, more[1] + 1592, i64::MAX] {
        assert!(rig.shared.record(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn delayed_messages_carry_their_delivery_time() {
    let dir = Dir::new("delay");
    let mut rig = Rig::open(options(dir.path()));
    let outcome = rig.send_ok(&msg("SCHEDULE_TOPIC_XXXX", 2, "later"));
    let arrival = rig.arrivals.pop().expect("one");
    assert_eq!(arrival.3, outcome.store_timestamp + 10_000);
}

#[test]
fn offsets_are_found_by_time() {
    let dir = Dir::new("time");
    let mut rig = Rig::open(options(dir.path()));
    let first = rig.send_ok(&msg("T", 0, "a")).store_timestamp;
    rig.until("a later clock", |rig| {
        let store = rig.store("T", 1);
        let slot = store.queue("T", 1);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        let _ = store.max_offset(slot);
        now as i64 > first + 20
    });
    let second = rig.send_ok(&msg("T", 0, "b")).store_timestamp;
    let store = rig.store("T", 0);
    let slot = store.queue("T", 0);
    assert_eq!(
        [0, first, first + 1, second - 1, second, i64::MAX].map(|time| store.offset_by_time(slot, time)),
        [0, 0, 0, 1, 1, 1]
    );
    assert_eq!(
        [store.store_time(slot, 0), store.store_time(slot, 1), store.store_time(slot, 2)],
        [Some(first), Some(second), None]
    );
}

#[test]
fn a_topic_deleted_and_made_again_starts_at_zero() {
    let dir = Dir::new("again");
    let mut rig = Rig::open(options(dir.path()));
    for n in 0..5u8 {
        rig.send_ok(&msg("T", 0, [n]));
    }
    rig.put(&[msg("T", 0, "unseen")], true).expect("taken");
    let old = rig.store("T", 0).queue("T", 0);
    rig.store("T", 0).delete_topic("T");
    assert!(!dir.path().join("consumequeue/T").exists());
    rig.arrivals.clear();
    let outcome = rig.send_ok(&msg("T", 0, "new"));
    assert_eq!(outcome.queue_offset, 0);
    assert_eq!(rig.arrivals.len(), 1, "what was pending for the old queue arrives nowhere");
    assert_eq!(rig.read_all("T", 0), [(0, b"new".to_vec())]);
    let mut ranges = Vec::new();
    let get = engine::Get { slot: old, offset: 0, max_messages: 1, max_bytes: 1, filter: TagFilter::All };
    assert_eq!(rig.store("T", 0).get(get, &mut ranges).status, GetStatus::NoMatchedLogicQueue);
    rig.kill();
    // All of it is dispatched again, but not what belonged to the deleted queue.
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!(rig.read_all("T", 0), [(0, b"new".to_vec())]);
    rig.store("T", 0).delete_topic("T");
    rig.kill();
    let mut rig = Rig::open(options(dir.path()));
    assert_eq!(rig.get("T", 0, 0).0.status, GetStatus::NoMessageInQueue);
    assert_eq!(rig.send_ok(&msg("T", 0, "newer")).queue_offset, 0);
}

/// The next file is made before it is needed, zeroed past the page cache where the file system can.
#[test]
fn the_next_file_is_made_ahead() {
    let dir = Dir::on_disk("ahead");
    let mut options = options(dir.path());
    options.prepare = engine::PreparePolicy::Zeroed { slice_bytes: 4096, pause: std::time::Duration::ZERO };
    let mut rig = Rig::open(options);
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    for n in 0..6u8 {
        rig.send_ok(&msg("T", 0, vec![n; 9000]));
        let ahead = common::segment_path(dir.path(), SEGMENT * (u64::from(n) + 1));
        rig.until("the next file", |rig| count(&rig.shared.counters().prepared_segments) > u64::from(n));
        assert_eq!(std::fs::metadata(ahead).expect("there").len(), SEGMENT);
    }
    let counters = rig.shared.counters();
    assert_eq!(count(&counters.inline_segments), 0);
    assert_eq!(rig.read_all("T", 0).len(), 6);
    drop(rig.stop());
    assert!(!common::segment_path(dir.path(), SEGMENT * 6).exists(), "a file made ahead goes at a clean stop");
}

/// What is not in the page cache is told as cold, so that no shard waits for it; reading it makes it hot.
#[test]
fn ranges_outside_the_page_cache_are_told() {
    let dir = Dir::on_disk("cold");
    let mut options = options(dir.path());
    options.segment_size = 32 << 20;
    let mut rig = Rig::open(options.clone());
    for n in 0..300u32 {
        rig.put(&[msg("T", 0, vec![n as u8; 100_000])], true).expect("taken");
        rig.turn();
    }
    assert!((0..300).all(|at| !rig.get("T", 0, at).0.cold), "written a moment ago");
    drop(rig.stop());
    let path = common::segment_path(dir.path(), 0);
    let file = std::fs::File::open(&path).expect("there");
    file.sync_all().expect("synced");
    let mut rig = Rig::open(options);
    // The start has looked at some records through the mapping; those stay.
    engine::io::drop_cache(&file);
    let cold = (0..300).find(|at| rig.get("T", 0, *at).0.cold).expect("most are cold");
    assert_eq!(rig.shared.counters().cold_gets.load(std::sync::atomic::Ordering::Relaxed), 1);
    std::fs::read(path).expect("read");
    assert!(!rig.get("T", 0, cold).0.cold);
}
