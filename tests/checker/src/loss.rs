//! C11: what a crash under a lossy promise may take with it: the youngest messages, and of those only what was acked
//! shortly before.
//!
//! Owns the comparison of acks with the first drain after a crash. Must not judge what the other rules judge: the
//! history it hands on leaves out what was lost, so that they can. Runs on the caller's thread.

use std::collections::{HashMap, HashSet};

use crate::record::{Op, Record, status};

/// Examples kept of what is wrong.
const EXAMPLES_MAX: usize = 8;

/// What a crash took.
#[derive(Clone, Debug, Default)]
pub struct Loss {
    /// Messages acked before the crash and not found by the drain.
    pub lost: usize,
    /// Messages given to a consumer before the crash and not found by the drain.
    pub delivered_and_lost: usize,
    /// How long before the crash the oldest lost message was acked, ns; 0 when none was lost.
    pub oldest_ns: u64,
    /// How the lost ones are no suffix of their queue or of the log, and how many.
    pub holes: Vec<String>,
    pub holes_count: usize,
    /// The history without what was lost: its acks count as open, its deliveries are gone.
    pub remaining: Vec<Record>,
}

/// Compares the acks and deliveries before `crash_ns` (the run's clock) with the drains of `records`. Acks that came
/// later were given by a process whose disk had no power any more: they count as open.
pub fn loss(records: &[Record], crash_ns: u64) -> Loss {
    let mut loss = Loss::default();
    let mut max_offsets: HashMap<(&str, u32), i64> = HashMap::new();
    let mut read = HashSet::new();
    let mut last_byte = -1;
    for record in records {
        let queue = (record.topic.as_str(), record.queue);
        match record.op {
            Op::Edges => {
                max_offsets.insert(queue, record.max_offset);
            }
            Op::Drain => {
                read.insert((queue, record.queue_offset, record.uid));
                last_byte = last_byte.max(record.physical_offset);
            }
            _ => {}
        }
    }
    for record in records {
        let queue = (record.topic.as_str(), record.queue);
        let max_offset = max_offsets.get(&queue).copied().unwrap_or(0);
        let mut kept = record.clone();
        match record.op {
            Op::Send if record.status == status::OK && !read.contains(&(queue, record.queue_offset, record.uid)) => {
                kept.status = status::UNKNOWN;
                if record.t_ret <= crash_ns {
                    loss.lost += 1;
                    loss.oldest_ns = loss.oldest_ns.max(crash_ns.saturating_sub(record.t_ret));
                    if record.queue_offset < max_offset || record.physical_offset < last_byte {
                        loss.hole(record, max_offset, last_byte);
                    }
                }
            }
            Op::Pull if record.queue_offset >= max_offset => {
                loss.delivered_and_lost += 1;
                continue;
            }
            // An offset beyond what was recovered says nothing any more; the broker takes it back (asked separately).
            Op::Commit if record.queue_offset > max_offset => continue,
            _ => {}
        }
        loss.remaining.push(kept);
    }
    loss
}

impl Loss {
    fn hole(&mut self, record: &Record, max_offset: i64, last_byte: i64) {
        self.holes_count += 1;
        if self.holes.len() < EXAMPLES_MAX {
            self.holes.push(format!(
                "{:?} acked at {}/{}@{} (byte {}) is gone, though the queue goes to {max_offset} and the log beyond byte \
                 {last_byte}",
                record.uid, record.topic, record.queue, record.queue_offset, record.physical_offset
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Uid;

    const CRASH: u64 = 1000;

    fn record(op: Op, offset: i64, t_ret: u64) -> Record {
        Record {
            client: 0,
            op,
            topic: "T".into(),
            queue: 0,
            group: String::new(),
            uid: Some(Uid { producer: 0, seq: offset as u64 }),
            crc: 1,
            t_call: t_ret,
            t_ret,
            status: 0,
            queue_offset: offset,
            physical_offset: offset * 100,
            max_offset: 0,
        }
    }

    /// Ten messages acked at 100, 200, ...; of them `found` are drained.
    fn history(found: &[i64]) -> Vec<Record> {
        let mut records: Vec<Record> =
            (0..10).map(|offset| record(Op::Send, offset, 100 * (offset as u64 + 1))).collect();
        records.extend((0..10).map(|offset| record(Op::Pull, offset, 100 * (offset as u64 + 1))));
        let mut edges = record(Op::Edges, 0, 2000);
        edges.max_offset = found.iter().max().map_or(0, |last| last + 1);
        records.push(edges);
        records.extend(found.iter().map(|offset| record(Op::Drain, *offset, 2000)));
        records
    }

    #[track_caller]
    fn check(found: &[i64], lost: usize, oldest_ns: u64, holes: usize) -> Loss {
        let loss = loss(&history(found), CRASH);
        assert_eq!((loss.lost, loss.oldest_ns, loss.holes_count), (lost, oldest_ns, holes), "{loss:?}");
        loss
    }

    #[test]
    fn a_suffix_and_its_age() {
        let all: Vec<i64> = (0..10).collect();
        assert_eq!(check(&all, 0, 0, 0).delivered_and_lost, 0);
        let loss = check(&all[..7], 3, 200, 0);
        assert_eq!(loss.delivered_and_lost, 3);
        assert!(crate::check(&loss.remaining).is_clean(), "{}", crate::check(&loss.remaining));
        assert_eq!(check(&[], 10, 900, 0).delivered_and_lost, 10);
    }

    #[test]
    fn a_hole_is_no_suffix() {
        check(&[0, 1, 2, 4, 5, 6, 7, 8, 9], 1, 600, 1);
    }

    #[test]
    fn an_ack_after_the_crash_promises_nothing() {
        let mut records = history(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        records.push(record(Op::Send, 10, CRASH + 1));
        let loss = loss(&records, CRASH);
        assert_eq!(loss.lost, 0, "{loss:?}");
        assert!(crate::check(&loss.remaining).is_clean(), "{}", crate::check(&loss.remaining));
    }
}
