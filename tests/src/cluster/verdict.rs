//! The end of a case: every queue of every replica read to its end, and the whole history judged.
//!
//! Owns the drains and the file a bad history is kept in. Must not judge: the checker does.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::time::Duration;

use checker::{Op, Record, Report, check, status, write_jsonl};

use crate::cluster::{Cluster, Node, traffic::History};
use crate::drain;
use crate::load::LoadTopic;
use crate::recorder::Recorder;
use crate::wait;

/// What has been received becomes readable in a moment, whatever the master does.
const READABLE_MAX: Duration = Duration::from_secs(30);
/// Client numbers of the drains: one a broker.
const DRAIN_CLIENT: u32 = 900;

impl History {
    /// The sends that were acked.
    pub fn acks(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| record.op == Op::Send && record.status == status::OK)
    }

    /// No send that was begun and answered between two moments of the run's clock was acked.
    #[track_caller]
    pub fn assert_no_acks(&self, from: u64, to: u64) {
        let acks: Vec<&Record> = self.acks().filter(|ack| ack.t_call > from && ack.t_ret < to).collect();
        assert!(acks.is_empty(), "{} sends acked between {from} and {to} ns, the first {:?}", acks.len(), acks[0]);
    }

    /// Every acked message can be read at this broker, at its offset; answers how many. For the topic on one broker
    /// name only.
    pub fn assert_acks_are_on(&self, node: &Node) -> usize {
        let place = |record: &Record| (record.queue, record.queue_offset, record.uid);
        let mut broker = node.connect().unwrap_or_else(|error| panic!("{}: {error}", node.name()));
        for queue in 0..self.spec.queues {
            let last = self.acks().filter(|ack| ack.queue == queue as u32).map(|ack| ack.queue_offset).max();
            let Some(last) = last else { continue };
            wait::until(READABLE_MAX, || {
                broker.max_offset(&self.spec.topic, queue).is_ok_and(|max_offset| max_offset > last).then_some(())
            });
        }
        let mut recorder = Recorder::new(DRAIN_CLIENT, self.start);
        let topic = LoadTopic { name: self.spec.topic.clone(), queues: self.spec.queues };
        drain::topics(&mut broker, &mut recorder, &[topic]);
        let found: BTreeSet<_> =
            recorder.into_records().iter().filter(|record| record.op == Op::Drain).map(place).collect();
        let lost: Vec<&Record> = self.acks().filter(|ack| !found.contains(&place(ack))).collect();
        assert!(lost.is_empty(), "{} acked messages are not on {}, the first {:?}", lost.len(), node.name(), lost[0]);
        self.acks().count()
    }
}

impl Cluster {
    /// Drains the topic on every broker that runs, masters and slaves, and judges the history: replicas must tell the
    /// same of every offset. Call it when the replicas are in step.
    pub fn judge(&mut self, history: History) -> Report {
        let mut history = history;
        let topic = LoadTopic { name: history.spec.topic.clone(), queues: history.spec.queues };
        for number in 0..self.brokers.len() {
            if !self.brokers[number].is_running() {
                continue;
            }
            let mut recorder = Recorder::new(DRAIN_CLIENT + number as u32, history.start);
            recorder.set_suffix(&format!("@{}", self.spec(number).name));
            let mut broker = self.brokers[number].connect().unwrap_or_else(|error| panic!("{error}"));
            drain::topics(&mut broker, &mut recorder, std::slice::from_ref(&topic));
            history.records.extend(recorder.into_records());
        }
        let report = check(&history.records);
        if !report.is_clean() {
            let path = self.folder().join("history.jsonl");
            let kept = File::create(&path).and_then(|file| write_jsonl(BufWriter::new(file), &history.records));
            panic!("seed {}, history {} ({kept:?}):\n{report}", history.spec.seed, path.display());
        }
        println!("  {report}");
        report
    }
}
