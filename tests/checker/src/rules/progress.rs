//! C8: a group's offset never passes a message that nobody of the group was given.
//!
//! Owns the frontier of deliveries of one group in one queue. Must not ask whether a message is a good one (C2, C4 do).
//! Runs on the caller's thread.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use crate::check::Queues;
use crate::record::{Op, Record};
use crate::report::{Report, Rule};

pub(crate) fn check(queues: &Queues<'_>, report: &mut Report) {
    for ((topic, queue), records) in queues {
        for (group, events) in &records.groups {
            one_group(group, topic, *queue, records.min_offset(), events, report);
        }
    }
}

fn one_group(group: &str, topic: &str, queue: u32, min_offset: i64, events: &[&Record], report: &mut Report) {
    let mut events = events.to_vec();
    // A delivery counts once it has returned; an offset counts from the moment it is given to the broker (or, for an
    // answer, from the moment it arrives). At one instant the delivery comes first.
    events.sort_by_key(|event| match event.op {
        Op::Pull => (event.t_ret, 0),
        Op::Commit => (event.t_call, 1),
        _ => (event.t_ret, 1),
    });
    let mut delivered = HashSet::new();
    let mut ahead = BinaryHeap::new();
    let mut frontier = min_offset;
    for event in events {
        if event.op == Op::Pull {
            if !delivered.insert(event.queue_offset) {
                report.redelivered += 1;
            }
            ahead.push(Reverse(event.queue_offset));
            while let Some(Reverse(offset)) = ahead.peek().copied()
                && offset <= frontier
            {
                ahead.pop();
                frontier = frontier.max(offset.saturating_add(1));
            }
        } else if event.queue_offset > frontier {
            let what = if event.op == Op::Commit { "committed" } else { "stands at" };
            report.broken(Rule::C8ProgressSkipsNothing, || {
                format!("{group} {what} {topic}/{queue}@{} but was never given offset {frontier}", event.queue_offset)
            });
        }
    }
}
