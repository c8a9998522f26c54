//! From what threads and main thread saw to the result.
//!
//! Owns the choice of the main figures and all arithmetic on them; every number is finite. Main thread, after the load.

use crate::counts::Counts;
use crate::histogram;
use crate::machine::{Usage, Used};
use crate::phases::Phases;
use crate::recorder::{Failure, Tally};
use crate::result::{Received, RunResult, Second, SentShare, Verified};
use crate::run::Plan;
use crate::stop;
use crate::template::Manner;
use crate::verify::{self, Acks};
use crate::worker::Findings;

/// What came of a run.
pub struct Done {
    pub result: RunResult,
    pub first_error: Option<String>,
    /// What `result.failed` says: the program fails.
    pub has_failed: bool,
}

/// What the main thread saw between begin and end.
pub struct Seen {
    pub used: (Usage, Usage),
    pub counts: Counts,
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
    // What a signal cut short has messages on the way. Damage is nothing a load beyond the limits brings about.
    let is_cut = stop::is_asked();
    let has_faults = all.bad() > 0 && !is_cut && !plan.load.allow_errors;
    let has_failed = ended.has_failed || !is_sound || has_faults || all.count(Failure::Damaged) > 0;
    ended.notes.extend(ended.verified.as_ref().and_then(verify::unchecked));
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
        broker: used.broker.map(|broker| broker.with(ended.seen.counts)),
        loader: used.loader,
        others_cpu_percent: used.others_cpu_percent,
        verified: ended.verified,
        received,
        sent: plan.reading.map(|_| sent),
        notes: ended.notes,
        complete: !is_cut && !ended.has_failed,
        failed: has_failed,
        ..RunResult::default()
    };
    Done { result, first_error: ended.trouble.or(all.first_error), has_failed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Measure};
    use clap::Parser;

    /// A run of three sends of which something failed: whether the run did.
    #[track_caller]
    fn check(arguments: &str, failure: Option<Failure>, verified: Option<Verified>, has_failed: bool) {
        let line = format!("mqbench produce --broker 127.0.0.1:1 {arguments}");
        let Ok(Measure::Produce(produce)) = Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.measure) else {
            panic!("{line} was not read");
        };
        let manner = if produce.one_way { Manner::OneWay } else { Manner::Sync };
        let plan = Plan { what: "produce", load: &produce.load, manner, reading: None, is_of_receipts: false };
        let mut sum = Sum::default();
        (sum.sends.all, sum.sends.messages) = (3, 3);
        if let Some(failure) = failure {
            sum.sends.fail(failure, 2, || "words".into());
        }
        let used = (Usage::without_others(&[]), Usage::without_others(&[]));
        let seen = Seen { used, counts: Counts::default(), stored: 3, stored_seconds: 1.0 };
        let (series, trouble, notes) = (Vec::new(), None, Vec::new());
        let ended = Ended { sum, seen, series, verified, trouble, notes, has_failed: false };
        let done = conclude(&plan, &Phases::new(0, 1), ended);
        assert_eq!((done.has_failed, done.result.failed), (has_failed, has_failed), "{line} {failure:?}");
        // All of it was measured, and the figures are there.
        assert!(done.result.complete && done.result.rate > 0.0);
        assert_eq!(done.result.bad, if failure.is_some() { 2 } else { 0 });
        let unchecked = verified.is_some_and(|verified| verified.unchecked > 0);
        assert_eq!(done.result.notes.iter().any(|note| note.contains("not looked for")), unchecked);
    }

    #[test]
    fn what_failed_fails_the_run_unless_it_is_allowed() {
        check("", None, None, false);
        check("--allow-errors", None, None, false);
        for failure in [Failure::Code(2), Failure::NoAnswer, Failure::NotSent, Failure::NotReceived] {
            check("", Some(failure), None, true);
            check("--allow-errors", Some(failure), None, false);
        }
        check("--one-way", Some(Failure::NotStored), None, true);
        check("--one-way --allow-errors", Some(Failure::NotStored), None, false);
    }

    #[test]
    fn damage_and_loss_are_never_allowed() {
        check("--allow-errors", Some(Failure::Damaged), None, true);
        for verified in [Verified { lost: 1, ..Verified::default() }, Verified { damaged: 1, ..Verified::default() }] {
            check("--verify --allow-errors", None, Some(verified), true);
        }
        check("--verify", None, Some(Verified { acked: 9, unchecked: 4, ..Verified::default() }), false);
    }
}
