//! `--verify`: reads every queue from where it stood before the run and lets the ledger judge.
//!
//! Owns the reading only. Main thread, after the load.

use client::Broker;
use protocol::message::Record;

use crate::cli::Load;
use crate::queues::Queues;
use crate::ranges::{Manner, QueueRange, Ranges};
use crate::result::Verified;
use crate::verify::Ledger;

const IN_FLIGHT: u32 = 8;
const BATCH: u32 = 32;

/// What came of it, with the first trouble in words.
pub fn verify(
    load: &Load,
    queues: &Queues,
    from: &[i64],
    mut ledger: Ledger<'_>,
) -> Result<(Verified, Option<String>), String> {
    let mut broker = Broker::connect(load.broker).map_err(|error| error.to_string())?;
    let ends = queues.max_offsets(&mut broker)?;
    let mut ranges = Vec::new();
    let mut numbers = Vec::new();
    for (index, (begin, end)) in from.iter().zip(&ends).enumerate() {
        if begin < end {
            let (topic, queue) = queues.name(index);
            ranges.push(QueueRange { topic: topic.to_owned(), queue: queue as i32, begin: *begin, end: *end });
            numbers.push(index as u32);
        }
    }
    let manner = Manner {
        broker: load.broker,
        group: "CID_mqbench_verify",
        batch: BATCH,
        bytes: None,
        in_flight: IN_FLIGHT,
        connections: 1,
        form: load.form.into(),
    };
    let mut reading = Ranges::connect(manner, ranges)?;
    let is_whole = reading.read_all(|batch| {
        let queue = numbers.get(batch.index).copied().unwrap_or(0);
        let mut rest = batch.body;
        while !rest.is_empty() {
            let record = Record::decode(rest)
                .map_err(|error| format!("a message from offset {} on cannot be read: {error}", batch.from))?;
            let offset = u64::try_from(record.queue_offset).unwrap_or(u64::MAX);
            ledger.read(queue, offset, record.body, record.body_crc_ok());
            rest = rest.get(record.total_size as usize..).unwrap_or_default();
        }
        Ok(())
    })?;
    if !is_whole {
        return Err("a signal ended the verification: nothing can be said".into());
    }
    Ok(ledger.finish())
}
