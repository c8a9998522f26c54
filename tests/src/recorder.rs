//! Records of one client of a run, on the clock that all clients of the run share.
//!
//! Owns the clock's start and the records of its thread. Must not judge. One recorder a thread.

use std::time::Instant;

use checker::{Op, Record};

/// Collects records.
#[derive(Clone, Debug)]
pub struct Recorder {
    client: u32,
    start: Instant,
    suffix: String,
    records: Vec<Record>,
}

impl Recorder {
    /// A recorder of this client; `start` is the same for all of a run.
    pub fn new(client: u32, start: Instant) -> Self {
        Recorder { client, start, suffix: String::new(), records: Vec::new() }
    }

    /// Added to the topic of every record from now on: tells the queues of several brokers apart.
    pub fn set_suffix(&mut self, suffix: &str) {
        suffix.clone_into(&mut self.suffix);
    }

    /// The client's number.
    pub fn client(&self) -> u32 {
        self.client
    }

    /// Nanoseconds since the start of the run.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A record that began at `t_call` and ends now; the caller fills in the rest.
    pub fn record(&self, op: Op, topic: &str, queue: i32, t_call: u64) -> Record {
        Record {
            client: self.client,
            op,
            topic: format!("{topic}{}", self.suffix),
            queue: u32::try_from(queue).unwrap_or(u32::MAX),
            group: String::new(),
            uid: None,
            crc: 0,
            t_call,
            t_ret: self.now(),
            status: 0,
            queue_offset: -1,
            physical_offset: -1,
            max_offset: 0,
        }
    }

    /// Keeps a record.
    pub fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// A message as read: uid and crc are taken from its body.
    pub fn push_read(&mut self, op: Op, group: &str, message: &client::Message, t_call: u64) {
        let mut record = self.record(op, &message.topic, message.queue_id, t_call);
        record.group = group.to_owned();
        record.uid = crate::body::uid(message);
        record.crc = protocol::message::crc32(&message.body);
        (record.queue_offset, record.physical_offset) = (message.queue_offset, message.physical_offset);
        self.push(record);
    }

    /// An offset committed or answered.
    pub fn push_offset(&mut self, op: Op, group: &str, topic: &str, queue: i32, offset: i64, t_call: u64) {
        let mut record = self.record(op, topic, queue, t_call);
        record.group = group.to_owned();
        record.queue_offset = offset;
        self.push(record);
    }

    /// How many sends of it were acked.
    pub fn acked(&self) -> usize {
        self.records.iter().filter(|record| record.op == Op::Send && record.status == 0).count()
    }

    /// The records.
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }
}
