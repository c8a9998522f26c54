//! What the tests of a slave's store share: a master's log as bytes, and a slave fed with it.

use std::path::Path;

use engine::{ReceiveError, Receiver, StoreOptions, StoreRole};

use super::{Msg, Rig, SEGMENT, msg, options};

/// The master's log as it was written, from its first byte to its end.
pub fn log_bytes(rig: &Rig) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(range) = rig.shared.log_range(bytes.len() as i64, usize::MAX) {
        assert!(range.position + range.len as u64 <= range.segment.size());
        bytes.extend_from_slice(range.bytes());
    }
    assert_eq!(bytes.len() as i64, rig.shared.watermark());
    bytes
}

/// Messages of several queues and sizes; every file ends with a blank.
pub fn messages(count: usize) -> Vec<Msg> {
    (0..count)
        .map(|number| {
            let body = vec![b'a' + (number % 26) as u8; 30 + number * 37 % 900];
            let mut message = msg(if number % 3 == 0 { "A" } else { "B" }, (number % 4) as u32, body);
            message.tag = format!("t{}", number % 5);
            // A half message takes no place in a queue.
            message.sys_flag = if number % 11 == 5 { 4 } else { 0 };
            message
        })
        .collect()
}

/// A master with these messages, all acknowledged.
pub fn master(root: &Path, messages: &[Msg]) -> Rig {
    let mut rig = Rig::open(options(root));
    for message in messages {
        rig.send_ok(message);
    }
    rig
}

/// Where records end, blanks included, in order.
pub fn boundaries(log: &[u8]) -> Vec<i64> {
    let mut ends = vec![0];
    let mut at = 0;
    while at < log.len() {
        at += u32::from_be_bytes(log[at..at + 4].try_into().expect("four")) as usize;
        ends.push(at as i64);
    }
    assert_eq!(at, log.len());
    ends
}

pub fn slave_options(root: &Path) -> StoreOptions {
    let mut options = options(root);
    options.role = StoreRole::Slave;
    options
}

/// Feeds the log from the receiver's end on, in pieces of at most `piece` bytes.
pub fn feed(receiver: &mut Receiver, log: &[u8], piece: usize) -> Result<(), ReceiveError> {
    while (receiver.end() as usize) < log.len() {
        let at = receiver.end() as usize;
        let file_end = (at / SEGMENT as usize + 1) * SEGMENT as usize;
        let to = (at + piece).min(file_end).min(log.len());
        receiver.append(at as i64, &log[at..to])?;
        assert_eq!(receiver.end() as usize, to);
    }
    Ok(())
}

/// Topic, queue id, and the messages: queue offset and body.
pub type Queue = (String, u32, Vec<(i64, Vec<u8>)>);

/// What consumers find: every queue with its messages.
pub fn contents(rig: &mut Rig) -> Vec<Queue> {
    let queues = ["A", "B"].into_iter().flat_map(|topic| (0..4).map(move |queue_id| (topic.to_string(), queue_id)));
    queues.map(|(topic, queue_id)| (topic.clone(), queue_id, rig.read_all(&topic, queue_id))).collect()
}

/// Turns until the shards have followed and everything is visible.
pub fn settle(rig: &mut Rig) {
    rig.until("the shards to follow", |rig| {
        rig.shared.dispatched() == rig.shared.watermark() && rig.shared.readable() == rig.shared.watermark()
    });
    rig.turn();
}

/// Does something with the receiver on a thread of its own while the shards turn.
pub fn beside<T: Send>(rig: &mut Rig, receiver: &mut Receiver, work: impl FnOnce(&mut Receiver) -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| work(receiver));
        rig.until("the receiver's thread", |_| thread.is_finished());
        thread.join().expect("no panic")
    })
}
