//! C4 and C5: one offset has one value for ever, and a drain finds every offset from min to max once.
//!
//! Owns the offsets of one queue. Must not ask who sent a message. Runs on the caller's thread.

use std::collections::{BTreeMap, HashMap};

use crate::check::{Queue, Queues};
use crate::report::{Report, Rule};
use crate::rules::readable::place;

pub(crate) fn check(queues: &Queues<'_>, report: &mut Report) {
    for ((topic, queue), records) in queues {
        one_value(records, report);
        dense(topic, *queue, records, report);
    }
}

fn one_value(records: &Queue<'_>, report: &mut Report) {
    let mut values = HashMap::new();
    for read in records.pulls.iter().chain(&records.drains) {
        let value = (read.uid, read.crc, read.physical_offset);
        let first = *values.entry(read.queue_offset).or_insert(value);
        if first != value {
            report.broken(Rule::C4OneOffsetOneValue, || {
                format!("{} was read as {first:?} and as {value:?} (uid, crc, byte)", place(read))
            });
        }
    }
    let mut acked = HashMap::new();
    for send in records.sends.iter().filter(|send| send.status == 0 && send.queue_offset >= 0) {
        let first = *acked.entry(send.queue_offset).or_insert(send.uid);
        if first != send.uid {
            report.broken(Rule::C4OneOffsetOneValue, || {
                format!("{} was acked to {first:?} and to {:?}", place(send), send.uid)
            });
        }
    }
}

fn dense(topic: &str, queue: u32, records: &Queue<'_>, report: &mut Report) {
    // Several readers may drain one queue; each must see all of it.
    let mut readers: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for read in &records.drains {
        readers.entry(read.client).or_default().push(read.queue_offset);
    }
    for edges in &records.edges {
        readers.entry(edges.client).or_default();
    }
    for (client, offsets) in readers {
        let edges = records.edges.iter().find(|edges| edges.client == client);
        let mut next = match edges {
            Some(edges) => edges.queue_offset,
            None => offsets.first().copied().unwrap_or(0),
        };
        for offset in offsets {
            if offset != next {
                report.broken(Rule::C5DenseOffsets, || {
                    format!("{topic}/{queue}: the drain of client {client} reads offset {offset} where {next} is due")
                });
            }
            next = offset.saturating_add(1);
        }
        if let Some(edges) = edges
            && next != edges.max_offset
        {
            report.broken(Rule::C5DenseOffsets, || {
                format!(
                    "{topic}/{queue}: the drain of client {client} ends before {next}, the queue says {}",
                    edges.max_offset
                )
            });
        }
    }
}
