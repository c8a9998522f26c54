//! Aims against what was measured.
//!
//! Owns the comparison: medians over the rounds. Pure. What was not measured is not judged.

use serde::{Deserialize, Serialize};

use crate::matrix::scenario::Aim;
use crate::report::figures::{self, heading, spread, text};
use crate::report::model::{MACHINE, Report, Row};

/// One aim of one side, judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AimRow {
    /// What was done.
    pub label: String,
    pub figure: String,
    pub ours: String,
    /// `-` for an aim without one.
    pub peer: String,
    /// Min, median, max.
    pub our_values: Option<[f64; 3]>,
    /// Of the peer, or of the reference (where several are added up: the sum of medians).
    pub other_values: Option<[f64; 3]>,
    /// Ours by the other's, medians.
    pub ratio: Option<f64>,
    /// In words.
    pub aim: String,
    /// `None`: not all of it was measured.
    pub met: Option<bool>,
}

/// What a bound is compared with.
enum Against {
    Itself,
    Peer,
    Reference,
}

/// All aims of the scenario over all rows, RingMQ's sides and peers.
pub fn judge(report: &Report) -> Vec<AimRow> {
    let mut judged = Vec::new();
    for row in report.rows() {
        let steps = report.scenario.brokers.iter().flat_map(|broker| &broker.steps);
        let aims = steps.filter(|step| step.measured && step.name == row.step).flat_map(|step| &step.aims);
        let is_here = |name: &str| report.runs.iter().any(|run| run.side == name && run.step == row.step);
        for aim in aims {
            for ours in report.sides.iter().filter(|side| side.is_ringmq && is_here(&side.name)) {
                let peers = report.sides.iter().filter(|side| !side.is_ringmq && is_here(&side.name));
                let mut peers: Vec<&str> = peers.map(|side| side.name.as_str()).collect();
                if !matches!(bound(aim).1, Against::Peer) || peers.is_empty() {
                    peers = vec!["-"];
                }
                judged.extend(peers.into_iter().map(|peer| one(report, &row, aim, &ours.name, peer)));
            }
        }
    }
    judged
}

/// The factor or value, what it is compared with, whether it is a lower bound.
fn bound(aim: &Aim) -> (f64, Against, bool) {
    let all = [
        (aim.at_least, Against::Itself, true),
        (aim.at_most, Against::Itself, false),
        (aim.at_least_times_peer, Against::Peer, true),
        (aim.at_most_times_peer, Against::Peer, false),
        (aim.at_least_times_reference, Against::Reference, true),
        (aim.at_most_times_reference, Against::Reference, false),
    ];
    let given = all.into_iter().find_map(|(value, against, least)| value.map(|value| (value, against, least)));
    given.unwrap_or((0.0, Against::Itself, true))
}

fn one(report: &Report, row: &Row, aim: &Aim, ours: &str, peer: &str) -> AimRow {
    let (value, against, is_least) = bound(aim);
    let word = if is_least { "at least" } else { "at most" };
    let our_values = values(report, row, ours, &aim.figure);
    let (other_values, words) = match against {
        Against::Itself => (None, format!("{word} {}", text(&aim.figure, value))),
        Against::Peer => (values(report, row, peer, &aim.figure), format!("{word} {value} × the peer's")),
        Against::Reference => {
            let names: Vec<String> = aim
                .reference
                .iter()
                .map(|reference| {
                    let times = reference.times.map(|times| format!("{times} × ")).unwrap_or_default();
                    format!("{times}{} of {:?}", heading(&reference.figure), reference.step)
                })
                .collect();
            (referred(report, row, aim, ours), format!("{word} {value} × ({})", names.join(" + ")))
        }
    };
    let ratio = match (our_values, other_values) {
        (Some(ours), Some(other)) if other[1] > 0.0 => Some(ours[1] / other[1]),
        _ => None,
    };
    let judged = if matches!(against, Against::Itself) { our_values.map(|values| values[1]) } else { ratio };
    AimRow {
        label: row.label.clone(),
        figure: aim.figure.clone(),
        ours: ours.into(),
        peer: peer.into(),
        our_values,
        other_values,
        ratio,
        aim: words,
        met: judged.map(|found| if is_least { found >= value } else { found <= value }),
    }
}

fn values(report: &Report, row: &Row, side: &str, figure: &str) -> Option<[f64; 3]> {
    let spread = spread(&report.values(row, side, figure))?;
    Some([spread.min, spread.median, spread.max])
}

/// The sum of what is referred to; `None` when a part was not measured.
fn referred(report: &Report, own: &Row, aim: &Aim, ours: &str) -> Option<[f64; 3]> {
    let rows = report.rows();
    let mut sum = [0.0; 3];
    for reference in &aim.reference {
        let fitting: Vec<&Row> = rows.iter().filter(|row| row.step == reference.step).collect();
        let row = fitting.iter().find(|row| row.flush == own.flush).or(fitting.first())?;
        let side = if row.flush.is_empty() { MACHINE } else { ours };
        let found = figures::spread(&report.values(row, side, &reference.figure))?;
        for (slot, value) in sum.iter_mut().zip([found.min, found.median, found.max]) {
            *slot += value * reference.times.unwrap_or(1.0);
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::scenario::Scenario;
    use crate::report::model::{Run, SideFacts};

    /// Two sides and a probe; ours sends 700, 600 and 650 a second, the peer 100.
    fn report(aim: &str) -> Report {
        let text = format!(
            "name = 'x'\n[[broker]]\nname = 'a'\nprobes = ['disk']\n[[broker.step]]\nname = 's'\nmqbench = 'produce'\n\
             aims = [{aim}]\n[[broker.step]]\nname = 't'\nmqbench = 'produce'\n"
        );
        let scenario = Scenario::parse(&text, "here").unwrap();
        let run = |side: &str, step: &str, round, figure: &str, value| Run {
            round,
            broker: "a".into(),
            flush: if side == MACHINE { String::new() } else { "ASYNC_FLUSH".into() },
            replication: if side == MACHINE { String::new() } else { "single".into() },
            step: step.into(),
            side: side.into(),
            figures: [(figure.to_owned(), value)].into(),
            complete: true,
            ..Run::default()
        };
        let mut cut = run("ringmq", "s", 3, "rate", 1.0);
        cut.complete = false;
        let mut failed = run("ringmq", "s", 3, "rate", 1.0);
        failed.failure = Some("broke".into());
        let mut report = Report {
            scenario,
            sides: vec![
                SideFacts { name: "ringmq".into(), is_ringmq: true, version: String::new() },
                SideFacts { name: "java-4.9.7".into(), is_ringmq: false, version: String::new() },
            ],
            runs: vec![
                run("ringmq", "s", 0, "rate", 700.0),
                run("ringmq", "s", 1, "rate", 600.0),
                run("ringmq", "s", 2, "rate", 650.0),
                cut,
                failed,
                run("java-4.9.7", "s", 0, "rate", 100.0),
                run("ringmq", "t", 0, "rate", 300.0),
                run(MACHINE, "disk", 0, "odsync_p50_us", 25.0),
            ],
            ..Report::default()
        };
        report.judge();
        report
    }

    #[track_caller]
    fn check(aim: &str, ratio: Option<f64>, met: Option<bool>, words: &str) {
        let report = report(aim);
        let [row] = report.aims.as_slice() else { panic!("{:?}", report.aims) };
        assert_eq!((row.ratio, row.met, row.aim.as_str()), (ratio, met, words));
        assert_eq!(row.our_values.is_some(), row.figure == "rate");
    }

    #[test]
    fn medians_are_compared() {
        check("{ figure = 'rate', at_least_times_peer = 6.5 }", Some(6.5), Some(true), "at least 6.5 × the peer's");
        check("{ figure = 'rate', at_least_times_peer = 7.0 }", Some(6.5), Some(false), "at least 7 × the peer's");
        check("{ figure = 'rate', at_most_times_peer = 0.5 }", Some(6.5), Some(false), "at most 0.5 × the peer's");
        check("{ figure = 'rate', at_least = 600 }", None, Some(true), "at least 600");
        check("{ figure = 'rate', at_most = 600 }", None, Some(false), "at most 600");
        check("{ figure = 'gone', at_most = 600 }", None, None, "at most 600.00");
    }

    #[test]
    fn references_are_added_up() {
        let both = "reference = [{ step = 't', figure = 'rate' }, { step = 'disk', figure = 'odsync_p50_us' }]";
        check(
            &format!("{{ figure = 'rate', at_most_times_reference = 2.0, {both} }}"),
            Some(2.0),
            Some(true),
            "at most 2 × (msg/s of \"t\" + O_DSYNC p50 ms of \"disk\")",
        );
        let gone = "reference = [{ step = 'disk', figure = 'gone' }]";
        let aim = format!("{{ figure = 'rate', at_most_times_reference = 2.0, {gone} }}");
        check(&aim, None, None, "at most 2 × (gone of \"disk\")");
    }
}
