//! The end of a case: every queue of every replica read to its end, and the whole history judged.
//!
//! Owns the drains and the file a bad history is kept in. Must not judge: the checker does.

use std::fs::File;
use std::io::BufWriter;

use checker::{Report, check, write_jsonl};

use crate::cluster::{Cluster, traffic::History};
use crate::drain;
use crate::load::LoadTopic;
use crate::recorder::Recorder;

/// Client numbers of the drains: one a broker.
const DRAIN_CLIENT: u32 = 900;

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
