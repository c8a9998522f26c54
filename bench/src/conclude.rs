//! From what threads and main thread saw to the result.
//!
//! Owns the choice of the main figures and all arithmetic on them; every number is finite. Main thread, after the load.

use crate::histogram;
use crate::machine::{Usage, Used};
use crate::phases::Phases;
use crate::recorder::{Failure, Tally};
use crate::result::{BrokerUse, Received, RunResult, Second, SentShare, Verified};
use crate::run::Plan;
use crate::stop;
use crate::template::Manner;
use crate::verify::{self, Acks};
use crate::worker::Findings;

/// What came of a run.
pub struct Done {
    pub result: RunResult,
    pub first_error: Option<String>,
    /// A connection broke or a message is lost or damaged: the program fails.
    pub has_failed: bool,
}

/// What the main thread saw between begin and end.
pub struct Seen {
    pub used: (Usage, Usage),
    pub fdatasyncs: Option<u64>,
    /// Messages stored by the broker's own count, for one-way sends.
    pub stored: u64,
    pub stored_seconds: f64,
}

/// All threads' findings together.
#[derive(Default)]
pub struct Sum {
    pub sends: Tally,
    pub receipts: Tally,
    pub pulls: u64,
    pub acks: Vec<(Acks, u64)>,
}

impl Sum {
    /// Adds them up.
    pub fn of(findings: Vec<Findings>) -> Sum {
        let mut sum = Sum::default();
        for found in findings {
            sum.sends.add(&found.sends);
            if let Some(receipts) = &found.receipts {
                sum.receipts.add(receipts);
            }
            sum.pulls += found.pulls;
            sum.acks.extend(found.acks.map(|acks| (acks, found.sequences)));
        }
        sum
    }
}

/// Everything a run leaves.
pub struct Ended {
    pub sum: Sum,
    pub seen: Seen,
    pub series: Vec<Second>,
    pub verified: Option<Verified>,
    /// What is wrong with the messages, in words.
    pub trouble: Option<String>,
    pub notes: Vec<String>,
    /// A thread could not go on, or the broker could not be asked afterwards.
    pub has_failed: bool,
}

impl Ended {
    /// What was measured stays, but the run has failed and says why.
    pub fn fail_if(&mut self, what: &str, result: Result<(), String>) {
        if let Err(problem) = result {
            self.notes.push(format!("{what}: {problem}"));
            self.trouble = Some(problem);
            self.has_failed = true;
        }
    }
}

/// The result.
pub fn conclude(plan: &Plan<'_>, phases: &Phases, mut ended: Ended) -> Done {
    let is_one_way = plan.manner == Manner::OneWay;
    let seconds = phases.measured_seconds();
    let rate = |messages: u64, seconds: f64| if seconds > 0.0 { messages as f64 / seconds } else { 0.0 };
    let mut receipts = std::mem::take(&mut ended.sum.receipts);
    let received = plan.reading.map(|(_, groups)| {
        let expected = ended.sum.sends.all * u64::from(groups);
        let missing = expected.saturating_sub(receipts.all);
        if missing > 0 {
            receipts.fail(Failure::NotReceived, missing, || format!("{missing} acked messages were not received"));
        }
        Received {
            groups: u64::from(groups),
            expected,
            messages: receipts.all,
            missing,
            pulls: ended.sum.pulls,
            rate: rate(receipts.messages, seconds),
            latency_us: histogram::latency(&receipts.latency),
        }
    });
    let sent = SentShare {
        messages: ended.sum.sends.all,
        rate: rate(ended.sum.sends.messages, seconds),
        latency_us: histogram::latency(&ended.sum.sends.latency),
    };
    let main = if plan.is_of_receipts { &receipts } else { &ended.sum.sends };
    let (messages, seconds) =
        if is_one_way { (ended.seen.stored, ended.seen.stored_seconds) } else { (main.messages, seconds) };
    let bytes = match is_one_way {
        // Of the messages sent their mean; the broker counts messages only.
        true => (main.bytes as f64 / main.messages.max(1) as f64 * messages as f64) as u64,
        false => main.bytes,
    };
    let used: Used = ended.seen.used.1.since(&ended.seen.used.0, messages, &plan.load.pid);
    let mut all = Tally::default();
    all.add(&ended.sum.sends);
    all.add(&receipts);
    let is_sound = ended.verified.as_ref().is_none_or(verify::is_good);
    let result = RunResult {
        what: plan.what.to_owned(),
        seconds,
        messages,
        bytes,
        bad: all.bad(),
        errors: all.errors(),
        rate: rate(messages, seconds),
        latency_us: histogram::latency(&main.latency),
        percentiles: histogram::curve(&main.latency),
        histogram: (!main.latency.is_empty()).then(|| histogram::encode(&main.latency)).flatten(),
        lateness_us: histogram::latency(&ended.sum.sends.lateness),
        series: ended.series,
        broker: used.broker.map(|broker| BrokerUse { fdatasyncs: ended.seen.fdatasyncs, ..broker }),
        loader: used.loader,
        others_cpu_percent: used.others_cpu_percent,
        verified: ended.verified,
        received,
        sent: plan.reading.map(|_| sent),
        notes: ended.notes,
        complete: !stop::is_asked() && !ended.has_failed,
        ..RunResult::default()
    };
    Done { result, first_error: ended.trouble.or(all.first_error), has_failed: ended.has_failed || !is_sound }
}
