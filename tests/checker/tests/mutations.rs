//! Checks the checker: a sound history passes, and each way to break it is caught by the rule meant for it.
//!
//! Owns a made-up run of three producers over two queues and the mutations. Needs no broker.

use checker::{Op, Record, Report, Rule, Uid, check, read_jsonl, status, write_jsonl};

const QUEUES: u32 = 2;
const EACH: u64 = 37;

fn base(client: u32, op: Op, queue: u32, at: u64) -> Record {
    Record {
        client,
        op,
        topic: "Orders".into(),
        queue,
        group: String::new(),
        uid: None,
        crc: 0,
        t_call: at,
        t_ret: at + 5,
        status: 0,
        queue_offset: -1,
        physical_offset: -1,
        max_offset: 0,
    }
}

fn crc(uid: Uid) -> u32 {
    uid.producer.wrapping_mul(0x9e37_79b9) ^ uid.seq as u32
}

/// A sound run: sends (every 10th open, half of those stored; every 13th refused), one group reading and committing,
/// edges, a drain and lookups of everything.
fn sound() -> Vec<Record> {
    let mut records = Vec::new();
    let mut next = [0i64; QUEUES as usize];
    let mut stored: Vec<(u32, i64, i64, Uid)> = Vec::new();
    let mut at = 100;
    for seq in 0..EACH {
        for producer in 0..3 {
            let uid = Uid { producer, seq };
            let queue = (seq as u32 + producer) % QUEUES;
            let mut send = base(producer, Op::Send, queue, at);
            send.uid = Some(uid);
            send.crc = crc(uid);
            at += 10;
            let open = seq % 10 == 9;
            if seq % 13 == 12 {
                send.status = 14;
            } else {
                send.status = if open { status::UNKNOWN } else { status::OK };
                if !open || producer == 1 {
                    let offset = next[queue as usize];
                    let byte = stored.len() as i64 * 100;
                    next[queue as usize] += 1;
                    stored.push((queue, offset, byte, uid));
                    if !open {
                        (send.queue_offset, send.physical_offset) = (offset, byte);
                    }
                }
            }
            records.push(send);
        }
    }
    let read = |op, client, (queue, offset, byte, uid): (u32, i64, i64, Uid), at| {
        let mut read = base(client, op, queue, at);
        read.uid = Some(uid);
        read.crc = crc(uid);
        (read.queue_offset, read.physical_offset) = (offset, byte);
        read
    };
    for message in &stored {
        at += 10;
        let mut pull = read(Op::Pull, 10, *message, at);
        pull.group = "G".into();
        records.push(pull);
        let mut commit = base(10, Op::Commit, message.0, at + 6);
        commit.group = "G".into();
        commit.queue_offset = message.1 + 1;
        records.push(commit);
    }
    for queue in 0..QUEUES {
        let mut progress = base(10, Op::Progress, queue, at + 50);
        progress.group = "G".into();
        progress.queue_offset = next[queue as usize];
        records.push(progress);
        let mut edges = base(20, Op::Edges, queue, at + 60);
        edges.queue_offset = 0;
        edges.max_offset = next[queue as usize];
        records.push(edges);
    }
    for message in &stored {
        records.push(read(Op::Drain, 20, *message, at + 100));
        records.push(read(Op::Lookup, 21, *message, at + 200));
    }
    records
}

fn find(records: &[Record], op: Op, nth: usize) -> usize {
    records
        .iter()
        .enumerate()
        .filter(|(_, record)| record.op == op && record.queue == 0 && (op != Op::Send || record.status == 0))
        .map(|(index, _)| index)
        .nth(nth)
        .expect("the sound history is long enough")
}

/// Breaks the sound history and expects exactly these rules to be named.
#[track_caller]
fn caught(expected: &[Rule], mutate: impl FnOnce(&mut Vec<Record>)) -> Report {
    let mut records = sound();
    mutate(&mut records);
    let report = check(&records);
    assert_eq!(report.rules().collect::<Vec<_>>(), expected, "{report}");
    report
}

#[test]
fn a_sound_history_passes() {
    let report = caught(&[], |_| {});
    assert!(report.is_clean());
    assert_eq!((report.sends, report.acked, report.unknown, report.refused), (111, 96, 9, 6), "{report}");
    assert_eq!(report.unknown_but_readable, 3, "{report}");
}

#[test]
fn a_history_survives_its_text_form() {
    let mut text = Vec::new();
    write_jsonl(&mut text, &sound()).unwrap();
    assert_eq!(read_jsonl(&text[..]).unwrap(), sound());
    let error = read_jsonl(&b"{\"client\":1}\n"[..]).unwrap_err().to_string();
    assert!(error.starts_with("line 1 of the history is no record"), "{error}");
}

#[test]
fn a_lost_acked_message_is_c1() {
    // Lost at the end of the queue and forgotten by its edges, so that only the ack remembers it.
    caught(&[Rule::C1AckedIsReadable], |records| {
        let last = records.iter().rposition(|r| r.op == Op::Drain && r.queue == 0).unwrap();
        let offset = records[last].queue_offset;
        records.retain(|r| !(r.queue == 0 && r.queue_offset == offset && r.op != Op::Send && r.op != Op::Commit));
        for record in records.iter_mut() {
            if record.op == Op::Edges && record.queue == 0 {
                record.max_offset = offset;
            }
        }
        records.retain(|r| !(r.group == "G" && r.queue == 0 && r.queue_offset == offset + 1));
    });
}

#[test]
fn a_drained_queue_with_a_hole_is_c1_and_c5() {
    caught(&[Rule::C1AckedIsReadable, Rule::C5DenseOffsets], |records| {
        let index = find(records, Op::Drain, 5);
        records.remove(index);
    });
}

#[test]
fn nothing_drained_at_all_is_c1_and_c5() {
    caught(&[Rule::C1AckedIsReadable, Rule::C5DenseOffsets], |records| records.retain(|r| r.op != Op::Drain));
}

#[test]
fn a_message_stored_twice_is_c2() {
    caught(&[Rule::C2NoPhantom], |records| {
        let index = records.iter().rposition(|r| r.op == Op::Drain && r.queue == 0).unwrap();
        let mut again = records[index].clone();
        again.queue_offset += 1;
        again.physical_offset += 100_000;
        records.push(again);
        for record in records.iter_mut() {
            if record.op == Op::Edges && record.queue == 0 {
                record.max_offset += 1;
            }
        }
    });
}

#[test]
fn a_message_stored_twice_by_a_retry_is_counted_only() {
    let report = caught(&[], |records| {
        let index = records.iter().rposition(|r| r.op == Op::Drain && r.queue == 0).unwrap();
        let mut again = records[index].clone();
        again.queue_offset += 1;
        again.physical_offset += 100_000;
        let uid = again.uid;
        records.push(again);
        for record in records.iter_mut() {
            if record.op == Op::Edges && record.queue == 0 {
                record.max_offset += 1;
            }
        }
        let mut open = records.iter().find(|r| r.op == Op::Send && r.uid == uid).unwrap().clone();
        open.status = status::UNKNOWN;
        (open.queue_offset, open.physical_offset) = (-1, -1);
        records.push(open);
    });
    assert_eq!(report.duplicates_by_retry, 1);
}

#[test]
fn an_offset_drained_twice_is_c5() {
    caught(&[Rule::C5DenseOffsets], |records| {
        let index = find(records, Op::Drain, 7);
        let again = records[index].clone();
        records.insert(index + 1, again);
    });
}

#[test]
fn two_messages_swapped_are_c6() {
    // Both were acked at other places; the readers agree with each other.
    let report = {
        let mut records = sound();
        let (a, b) = (records[find(&records, Op::Drain, 3)].clone(), records[find(&records, Op::Drain, 4)].clone());
        for record in records.iter_mut().filter(|r| r.op != Op::Send && r.queue == 0 && r.uid.is_some()) {
            let other = if record.uid == a.uid {
                &b
            } else if record.uid == b.uid {
                &a
            } else {
                continue;
            };
            (record.uid, record.crc) = (other.uid, other.crc);
        }
        check(&records)
    };
    assert_eq!(report.count(Rule::C6AckOffsetIsReadOffset), 2, "{report}");
}

#[test]
fn altered_bytes_are_c2() {
    caught(&[Rule::C2NoPhantom], |records| {
        let uid = records[find(records, Op::Drain, 6)].uid;
        for record in records.iter_mut().filter(|r| r.op != Op::Send && r.uid == uid) {
            record.crc ^= 1;
        }
    });
}

#[test]
fn bytes_altered_between_two_reads_are_c4_too() {
    caught(&[Rule::C2NoPhantom, Rule::C4OneOffsetOneValue, Rule::C10LookupFinds], |records| {
        let index = find(records, Op::Drain, 6);
        records[index].crc ^= 1;
    });
}

#[test]
fn a_phantom_is_c2() {
    caught(&[Rule::C2NoPhantom], |records| {
        let uid = records[find(records, Op::Drain, 6)].uid;
        let ghost = Uid { producer: 77, seq: 1 };
        records.retain(|r| !(r.op == Op::Send && r.uid == uid));
        for record in records.iter_mut().filter(|r| r.uid == uid) {
            record.uid = Some(ghost);
        }
    });
}

#[test]
fn a_message_in_another_queue_is_c2() {
    let mut records = sound();
    let index = records.iter().rposition(|r| r.op == Op::Drain && r.queue == 0).unwrap();
    let mut stray = records[index].clone();
    stray.queue = 1;
    stray.queue_offset = records.iter().filter(|r| r.op == Op::Drain && r.queue == 1).count() as i64;
    records.push(stray);
    assert!(check(&records).count(Rule::C2NoPhantom) > 0);
}

#[test]
fn a_refused_message_that_is_readable_is_c3() {
    caught(&[Rule::C3RefusedIsAbsent], |records| {
        let index = find(records, Op::Send, 5);
        records[index].status = 14;
        (records[index].queue_offset, records[index].physical_offset) = (-1, -1);
    });
}

#[test]
fn an_offset_whose_value_changes_is_c4() {
    caught(&[Rule::C4OneOffsetOneValue], |records| {
        // The consumer was shown the next message of its queue at this offset.
        let (index, next) = (find(records, Op::Pull, 4), find(records, Op::Pull, 5));
        let value = (records[next].uid, records[next].crc);
        (records[index].uid, records[index].crc) = value;
    });
}

#[test]
fn one_offset_acked_twice_is_c4() {
    let mut records = sound();
    let (a, b) = (find(&records, Op::Send, 4), find(&records, Op::Send, 5));
    records[b].queue_offset = records[a].queue_offset;
    assert!(check(&records).count(Rule::C4OneOffsetOneValue) > 0);
}

#[test]
fn a_shifted_ack_offset_is_c6() {
    let mut records = sound();
    let index = find(&records, Op::Send, 8);
    records[index].queue_offset += 1;
    assert!(check(&records).count(Rule::C6AckOffsetIsReadOffset) == 1);
    let report = caught(&[Rule::C6AckOffsetIsReadOffset], |records| {
        let index = find(records, Op::Send, 8);
        records[index].physical_offset += 8;
    });
    assert_eq!(report.count(Rule::C6AckOffsetIsReadOffset), 1);
}

#[test]
fn an_ack_older_than_a_send_that_lies_before_it_is_c7() {
    caught(&[Rule::C7Order], |records| {
        // The later of two sends claims to have been over before the earlier one began.
        let (early, late) = (find(records, Op::Send, 2), find(records, Op::Send, 3));
        let call = records[early].t_call;
        (records[late].t_call, records[late].t_ret) = (call - 5, call - 1);
    });
}

#[test]
fn a_producer_out_of_his_own_order_is_c7() {
    let mut records = sound();
    // Producer 1's open but stored messages carry no ack, so only the producer's order can tell.
    let swap = |uid: Uid| match uid {
        Uid { producer: 1, seq: 9 } => Uid { producer: 1, seq: 29 },
        Uid { producer: 1, seq: 29 } => Uid { producer: 1, seq: 9 },
        other => other,
    };
    for record in records.iter_mut().filter(|r| r.op != Op::Send) {
        record.uid = record.uid.map(swap);
        if let Some(uid) = record.uid {
            record.crc = crc(uid);
        }
    }
    let report = check(&records);
    assert_eq!(report.rules().collect::<Vec<_>>(), [Rule::C7Order], "{report}");
}

#[test]
fn a_commit_past_a_message_never_delivered_is_c8() {
    caught(&[Rule::C8ProgressSkipsNothing], |records| {
        let index = find(records, Op::Pull, 9);
        records.remove(index);
    });
}

#[test]
fn a_stored_offset_nobody_committed_is_c8() {
    caught(&[Rule::C8ProgressSkipsNothing], |records| {
        let index = find(records, Op::Progress, 0);
        records[index].queue_offset += 1;
    });
}

#[test]
fn a_lookup_that_misses_is_c10() {
    caught(&[Rule::C10LookupFinds], |records| {
        let index = find(records, Op::Lookup, 3);
        records[index].status = 22;
    });
    caught(&[Rule::C10LookupFinds], |records| {
        let index = find(records, Op::Lookup, 3);
        records[index].physical_offset += 1;
    });
}

#[test]
fn messages_behind_the_min_offset_are_not_missed() {
    caught(&[], |records| {
        records.retain(|r| {
            !(r.queue == 0 && (0..5).contains(&r.queue_offset) && matches!(r.op, Op::Drain | Op::Pull | Op::Lookup))
        });
        for record in records.iter_mut().filter(|r| r.op == Op::Edges && r.queue == 0) {
            record.queue_offset = 5;
        }
    });
}

#[test]
fn half_a_million_records_take_seconds() {
    let mut records = Vec::new();
    for seq in 0..170_000u64 {
        let uid = Uid { producer: (seq % 8) as u32, seq };
        for (op, at) in [(Op::Send, seq * 10), (Op::Pull, seq * 10 + 7), (Op::Drain, 10_000_000 + seq)] {
            let mut record = base(op as u32, op, 0, at);
            record.uid = Some(uid);
            (record.queue_offset, record.physical_offset) = (seq as i64, seq as i64 * 100);
            records.push(record);
        }
    }
    let begun = std::time::Instant::now();
    let report = check(&records);
    assert!(report.is_clean(), "{report}");
    assert!(begun.elapsed().as_secs() < 20, "{:?}: the check is not n log n", begun.elapsed());
}
