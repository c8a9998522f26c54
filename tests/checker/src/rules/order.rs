//! C7: acked before sent means stored before, and a producer's messages lie in the order he sent them.
//!
//! Owns the order inside one queue. Must not compare queues. Runs on the caller's thread.

use std::collections::HashMap;

use crate::check::{Queue, Queues};
use crate::record::{Record, Uid};
use crate::report::{Report, Rule};
use crate::rules::readable::place;

pub(crate) fn check(queues: &Queues<'_>, report: &mut Report) {
    for records in queues.values() {
        real_time(records, report);
        producer_order(records, report);
    }
}

/// For A and B in one queue: t_ret(A) < t_call(B) => offset(A) < offset(B).
fn real_time(records: &Queue<'_>, report: &mut Report) {
    let mut by_call: Vec<&Record> =
        records.sends.iter().copied().filter(|send| send.status == 0 && send.queue_offset >= 0).collect();
    let mut by_return = by_call.clone();
    by_call.sort_by_key(|send| send.t_call);
    by_return.sort_by_key(|send| send.t_ret);
    let mut returned = by_return.into_iter().peekable();
    let mut highest: Option<&Record> = None;
    for send in by_call {
        while let Some(before) = returned.next_if(|before| before.t_ret < send.t_call) {
            if highest.is_none_or(|highest| highest.queue_offset < before.queue_offset) {
                highest = Some(before);
            }
        }
        if let Some(before) = highest
            && before.queue_offset >= send.queue_offset
        {
            report.broken(Rule::C7Order, || {
                format!(
                    "{:?} at {} was acked before {:?} at {} was sent",
                    before.uid,
                    place(before),
                    send.uid,
                    place(send)
                )
            });
        }
    }
}

/// A producer's sequence ascends along the queue; only messages sent once count, a retry may lie later.
fn producer_order(records: &Queue<'_>, report: &mut Report) {
    let mut tries: HashMap<Uid, usize> = HashMap::new();
    for uid in records.sends.iter().filter_map(|send| send.uid) {
        *tries.entry(uid).or_default() += 1;
    }
    let mut reads: Vec<&Record> = records.drains.clone();
    reads.sort_by_key(|read| read.queue_offset);
    let mut last: HashMap<u32, Uid> = HashMap::new();
    for read in reads {
        let Some(uid) = read.uid.filter(|uid| tries.get(uid) == Some(&1)) else { continue };
        if let Some(before) = last.insert(uid.producer, uid)
            && before.seq > uid.seq
        {
            report.broken(Rule::C7Order, || {
                format!("{uid} at {} lies behind {before} of the same producer", place(read))
            });
        }
    }
}
