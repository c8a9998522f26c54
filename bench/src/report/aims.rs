//! Aims against what was measured.
//!
//! Owns the comparison: medians over the rounds. Pure. What was not measured is not judged, and says so; with failed
//! requests no aim is met.

use serde::{Deserialize, Serialize};

use crate::matrix::plan;
use crate::matrix::scenario::{Aim, Broker};
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
    /// What the verdict rests on where that is not plain: fewer rounds than asked for, failed requests.
    #[serde(default)]
    pub notes: Vec<String>,
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
    for broker in &report.scenario.brokers {
        for step in broker.steps.iter().filter(|step| step.measured && !step.aims.is_empty()) {
            for row in report.rows_of(broker, step) {
                let (ours, peers) = sides(report, broker, &row);
                let aims =
                    step.aims.iter().filter(|aim| aim.replication.is_none_or(|mode| mode.name() == row.replication));
                for (aim, ours) in aims.flat_map(|aim| ours.iter().map(move |ours| (aim, ours))) {
                    let is_of_peer = matches!(bound(aim).1, Against::Peer) && !peers.is_empty();
                    let peers = if is_of_peer { peers.as_slice() } else { &["-"] };
                    judged.extend(peers.iter().map(|peer| one(report, &row, aim, ours, peer)));
                }
            }
        }
    }
    judged
}

/// RingMQ's sides and the peers that have a run in the row or should have one.
fn sides<'a>(report: &'a Report, broker: &Broker, row: &Row) -> (Vec<&'a str>, Vec<&'a str>) {
    let due = plan::ringmq_sides(&report.scenario, broker);
    let is_here = |name: &str| report.runs.iter().any(|run| run.side == name && run.is_of(row));
    let named = |is_ringmq: bool, is_due: &dyn Fn(&str) -> bool| {
        let sides = report.sides.iter().filter(|side| side.is_ringmq == is_ringmq);
        let wanted = sides.map(|side| side.name.as_str()).filter(|name| is_here(name) || is_due(name));
        wanted.collect()
    };
    // A peer that ran already is measured where it fits only; one that is started here, everywhere.
    let is_peer_due = |name: &str| broker.peers && plan::peer(name).is_ok();
    (named(true, &|name| due.iter().any(|side| side.name == name)), named(false, &is_peer_due))
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
                    let mode = reference.replication.map(|mode| format!(", {}", mode.name())).unwrap_or_default();
                    format!("{times}{} of {:?}{mode}", heading(&reference.figure), reference.step)
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
    let our_faults = faults(report, row, ours);
    let mut notes = Vec::new();
    notes.extend(fewer_rounds(report, row, ours, &aim.figure));
    if matches!(against, Against::Peer) && peer != "-" {
        notes.extend(fewer_rounds(report, row, peer, &aim.figure));
        notes.extend(faults(report, row, peer));
    }
    let is_sound = our_faults.is_none();
    notes.extend(our_faults);
    AimRow {
        label: row.label.clone(),
        figure: aim.figure.clone(),
        ours: ours.into(),
        peer: peer.into(),
        our_values,
        other_values,
        ratio,
        aim: words,
        met: if is_sound {
            judged.map(|found| if is_least { found >= value } else { found <= value })
        } else {
            Some(false)
        },
        notes,
    }
}

/// That a figure is of fewer rounds than the scenario has; nothing where it was not measured at all.
fn fewer_rounds(report: &Report, row: &Row, side: &str, figure: &str) -> Option<String> {
    let (found, rounds) = (report.values(row, side, figure).len(), report.scenario.rounds as usize);
    (found > 0 && found < rounds).then(|| format!("{side}: {found} of {rounds} rounds"))
}

/// What failed in the runs that count.
fn faults(report: &Report, row: &Row, side: &str) -> Option<String> {
    let kinds = [("bad", "failed"), ("missing", "not received"), ("lost", "lost"), ("damaged", "damaged")];
    let found: Vec<String> = kinds
        .into_iter()
        .filter_map(|(figure, words)| {
            let sum: f64 = report.values(row, side, figure).iter().sum();
            (sum > 0.0).then(|| format!("{sum:.0} {words}"))
        })
        .collect();
    (!found.is_empty()).then(|| format!("{side}: {}", found.join(", ")))
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
        let mode = reference.replication.map_or(own.replication.as_str(), |mode| mode.name());
        let fits = |row: &&&Row| row.replication == mode || row.replication.is_empty();
        let in_mode = || fitting.iter().filter(fits);
        let row = in_mode().find(|row| row.flush == own.flush).or_else(|| in_mode().next())?;
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
        // Three of five rounds are whole here, and one of the peer's.
        assert_eq!(row.notes.iter().any(|note| note == "ringmq: 3 of 5 rounds"), row.figure == "rate");
        assert_eq!(row.notes.iter().any(|note| note == "java-4.9.7: 1 of 5 rounds"), row.peer != "-");
    }

    const TIMES_PEER: &str = "{ figure = 'rate', at_least_times_peer = 6.5 }";

    /// After a change of the report: the verdict, and the words in its notes.
    #[track_caller]
    fn check_changed(change: impl FnOnce(&mut Report), met: Option<bool>, words: &[&str]) {
        let mut report = report(TIMES_PEER);
        change(&mut report);
        report.judge();
        let [row] = report.aims.as_slice() else { panic!("{:?}", report.aims) };
        assert_eq!((row.ours.as_str(), row.peer.as_str(), row.met), ("ringmq", "java-4.9.7", met));
        let notes = row.notes.join("; ");
        assert!(words.iter().all(|words| notes.contains(words)), "{words:?} in {notes:?}");
    }

    #[test]
    fn with_failed_requests_no_aim_is_met() {
        for (figure, words) in [("bad", "ringmq: 2 failed"), ("missing", "2 not received"), ("lost", "2 lost")] {
            let change = |report: &mut Report| report.runs[1].figures.extend([(figure.to_owned(), 2.0)]);
            check_changed(change, Some(false), &[words]);
        }
        // The run failed for it, and its figures stay.
        let failed = |report: &mut Report| {
            let run = &mut report.runs[1];
            run.failure = Some("2 × 2: SYSTEM_BUSY".into());
            run.result = Some(crate::result::RunResult { failed: true, complete: true, ..Default::default() });
            run.figures.insert("bad".into(), 2.0);
        };
        check_changed(failed, Some(false), &["ringmq: 3 of 5 rounds", "ringmq: 2 failed"]);
        // Nor where nothing but failures came, so that there is no figure.
        let nothing = |report: &mut Report| {
            for run in report.runs.iter_mut().filter(|run| run.side == "ringmq") {
                run.figures = [("bad".to_owned(), 1.0)].into();
            }
        };
        check_changed(nothing, Some(false), &["ringmq: 3 failed"]);
        // The peer's are told; they are no failure of ours.
        let peers = |report: &mut Report| report.runs[5].figures.extend([("bad".to_owned(), 7.0)]);
        check_changed(peers, Some(true), &["java-4.9.7: 7 failed"]);
    }

    #[test]
    fn who_has_no_run_has_a_row_that_says_so() {
        check_changed(|report| report.runs.retain(|run| run.side != "ringmq"), None, &[]);
        check_changed(|report| report.runs.retain(|run| run.side != "java-4.9.7"), None, &[]);
        check_changed(|report| report.runs.clear(), None, &[]);
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
