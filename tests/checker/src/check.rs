//! Runs every rule over one history.
//!
//! Owns the order of the rules and the grouping of records by queue. Must not hold a rule itself: each lies in its own
//! file of `rules`. Runs on the caller's thread.

use std::collections::{BTreeMap, HashMap};

use crate::record::{Op, Record, Uid, status};
use crate::report::Report;
use crate::rules;

/// The records of one queue, by kind, in the order of the history.
#[derive(Default)]
pub(crate) struct Queue<'a> {
    pub sends: Vec<&'a Record>,
    pub pulls: Vec<&'a Record>,
    pub drains: Vec<&'a Record>,
    pub edges: Vec<&'a Record>,
    pub lookups: Vec<&'a Record>,
    /// Pulls, commits and progress answers of each group.
    pub groups: BTreeMap<&'a str, Vec<&'a Record>>,
}

impl Queue<'_> {
    /// The lowest readable offset at the drain, 0 when no edges were recorded.
    pub fn min_offset(&self) -> i64 {
        self.edges.iter().map(|record| record.queue_offset).max().unwrap_or(0)
    }
}

pub(crate) type Queues<'a> = BTreeMap<(&'a str, u32), Queue<'a>>;
/// Every send of a message: more than one means the client tried again.
pub(crate) type Sends<'a> = HashMap<Uid, Vec<&'a Record>>;

/// Judges a whole history. The drain must have been recorded, or every acked message counts as lost.
pub fn check(records: &[Record]) -> Report {
    let mut report = Report::default();
    let mut queues: Queues<'_> = BTreeMap::new();
    let mut sends: Sends<'_> = HashMap::new();
    for record in records {
        let queue = queues.entry((record.topic.as_str(), record.queue)).or_default();
        match record.op {
            Op::Send => {
                report.sends += 1;
                match record.status {
                    status::OK => report.acked += 1,
                    code if status::is_definite_refusal(code) => report.refused += 1,
                    _ => report.unknown += 1,
                }
                queue.sends.push(record);
                if let Some(uid) = record.uid {
                    sends.entry(uid).or_default().push(record);
                }
            }
            Op::Pull => {
                report.delivered += 1;
                queue.pulls.push(record);
                queue.groups.entry(record.group.as_str()).or_default().push(record);
            }
            Op::Commit | Op::Progress => queue.groups.entry(record.group.as_str()).or_default().push(record),
            Op::Drain => {
                report.drained += 1;
                queue.drains.push(record);
            }
            Op::Edges => queue.edges.push(record),
            Op::Lookup => {
                report.lookups += 1;
                queue.lookups.push(record);
            }
        }
    }
    rules::readable::check(&queues, &sends, &mut report);
    rules::offsets::check(&queues, &mut report);
    rules::order::check(&queues, &mut report);
    rules::progress::check(&queues, &mut report);
    rules::lookup::check(&queues, &mut report);
    report
}
