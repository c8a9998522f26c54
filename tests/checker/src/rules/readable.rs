//! C1, C2, C3 and C6: what was acked can be read, with its bytes, at the acked offset, and nothing else can.
//!
//! Owns the tie between sends and reads. Must not look at the order of messages. Runs on the caller's thread.

use std::collections::{HashMap, HashSet};

use crate::check::{Queues, Sends};
use crate::record::{Record, Uid, status};
use crate::report::{Report, Rule};

pub(crate) fn check(queues: &Queues<'_>, sends: &Sends<'_>, report: &mut Report) {
    let places = places(queues);
    for ((topic, queue), records) in queues {
        for read in records.pulls.iter().chain(&records.drains) {
            read_was_sent(read, sends, report);
        }
        let min_offset = records.min_offset();
        for send in &records.sends {
            let Some(uid) = send.uid else { continue };
            let found = places.get(&uid).map(Vec::as_slice).unwrap_or_default();
            match send.status {
                status::OK if send.queue_offset >= 0 && send.queue_offset < min_offset => {}
                status::OK => acked(send, found, (topic, *queue), report),
                code if status::is_definite_refusal(code) => {
                    let stored_by_another = sends[&uid].iter().any(|other| !status::is_definite_refusal(other.status));
                    if !found.is_empty() && !stored_by_another {
                        report.broken(Rule::C3RefusedIsAbsent, || {
                            format!("{uid} was refused with code {code} and is readable at {}", place(found[0]))
                        });
                    }
                }
                _ => report.unknown_but_readable += usize::from(!found.is_empty()),
            }
        }
    }
    for (uid, found) in &places {
        let tries = sends.get(uid).map_or(0, Vec::len);
        if found.len() > 1 && tries > 1 && found.len() <= tries {
            report.duplicates_by_retry += found.len() - 1;
        } else if found.len() > 1 && tries > 0 {
            report.broken(Rule::C2NoPhantom, || {
                format!(
                    "{uid} was sent {tries} times and lies {} times: {} and {}",
                    found.len(),
                    place(found[0]),
                    place(found[1])
                )
            });
        }
    }
}

/// Where the drain found each message: one entry a distinct place.
fn places<'a>(queues: &Queues<'a>) -> HashMap<Uid, Vec<&'a Record>> {
    let mut seen = HashSet::new();
    let mut places: HashMap<Uid, Vec<&Record>> = HashMap::new();
    for (name, records) in queues {
        for read in &records.drains {
            if let Some(uid) = read.uid
                && seen.insert((name, uid, read.queue_offset))
            {
                places.entry(uid).or_default().push(read);
            }
        }
    }
    places
}

fn read_was_sent(read: &Record, sends: &Sends<'_>, report: &mut Report) {
    let Some(uid) = read.uid else {
        report.broken(Rule::C2NoPhantom, || format!("the message at {} carries no uid", place(read)));
        return;
    };
    let Some(tries) = sends.get(&uid) else {
        report.broken(Rule::C2NoPhantom, || format!("{uid} at {} was never sent", place(read)));
        return;
    };
    let mine = |send: &&&Record| send.topic == read.topic && send.queue == read.queue;
    match tries.iter().find(mine) {
        None => report.broken(Rule::C2NoPhantom, || format!("{uid} was sent to another queue than {}", place(read))),
        Some(send) if send.crc != read.crc => report.broken(Rule::C2NoPhantom, || {
            format!("{uid} was sent with crc {:08x} and reads {:08x} at {}", send.crc, read.crc, place(read))
        }),
        Some(_) => {}
    }
}

fn acked(send: &Record, found: &[&Record], queue: (&str, u32), report: &mut Report) {
    let here = || found.iter().filter(|read| (read.topic.as_str(), read.queue) == queue);
    if here().next().is_none() {
        report.broken(Rule::C1AckedIsReadable, || {
            format!("{} was acked at {} and is not readable", uid_text(send), place(send))
        });
    } else if !here().any(|read| read.queue_offset == send.queue_offset) {
        report.broken(Rule::C6AckOffsetIsReadOffset, || {
            format!("{} was acked at {} and lies at {}", uid_text(send), place(send), place(found[0]))
        });
    } else if send.physical_offset >= 0
        && !here().any(|read| read.physical_offset < 0 || read.physical_offset == send.physical_offset)
    {
        report.broken(Rule::C6AckOffsetIsReadOffset, || {
            format!(
                "{} was acked at byte {} and lies at byte {}",
                uid_text(send),
                send.physical_offset,
                found[0].physical_offset
            )
        });
    }
}

fn uid_text(record: &Record) -> String {
    record.uid.map_or_else(|| "a message".into(), |uid| uid.to_string())
}

/// `topic/queue@offset`, as the reports name places.
pub(crate) fn place(record: &Record) -> String {
    format!("{}/{}@{}", record.topic, record.queue, record.queue_offset)
}
