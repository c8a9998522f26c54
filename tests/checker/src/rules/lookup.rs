//! C10: a search by key or by id finds what the drain read, where the drain read it.
//!
//! Owns the tie between lookups and the drain. Must not judge the drain itself. Runs on the caller's thread.

use std::collections::HashMap;

use crate::check::Queues;
use crate::report::{Report, Rule};

pub(crate) fn check(queues: &Queues<'_>, report: &mut Report) {
    for ((topic, queue), records) in queues {
        let mut read_at = HashMap::new();
        for read in &records.drains {
            read_at.entry(read.uid).or_insert_with(Vec::new).push((read.queue_offset, read.physical_offset, read.crc));
        }
        for lookup in &records.lookups {
            let Some(places) = read_at.get(&lookup.uid) else { continue };
            if lookup.status != 0 {
                report.broken(Rule::C10LookupFinds, || {
                    format!("{topic}/{queue}: {:?} is readable but a lookup answers code {}", lookup.uid, lookup.status)
                });
            } else if !places.contains(&(lookup.queue_offset, lookup.physical_offset, lookup.crc)) {
                report.broken(Rule::C10LookupFinds, || {
                    format!(
                        "{topic}/{queue}: a lookup finds {:?} at ({}, {}, {:08x}), the drain at {places:?}",
                        lookup.uid, lookup.queue_offset, lookup.physical_offset, lookup.crc
                    )
                });
            }
        }
    }
}
