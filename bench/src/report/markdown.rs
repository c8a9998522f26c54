//! The report as Markdown.
//!
//! Owns its layout. Pure.

use std::fmt::Write;

use crate::report::aims::AimRow;
use crate::report::figures::{self, ALL, Figure, Spread, heading, spread, text};
use crate::report::model::{Report, Row};

/// Above so much CPU of others a row was disturbed.
pub const DISTURBED_PERCENT: f64 = 30.0;

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut page = String::new();
    let title = if report.title.is_empty() { &report.name } else { &report.title };
    line(&mut page, &format!("# {title}\n\n{}. {}\n", report.date, rounds(report)));
    if !report.complete {
        line(&mut page, "**Incomplete: it was interrupted; what was measured until then is here.**\n");
    }
    line(&mut page, &format!("    {}\n", report.command));
    for (name, value) in facts(report) {
        line(&mut page, &format!("- {name}: {value}"));
    }
    line(&mut page, "- every figure: min / **median** / max over the rounds");
    if !report.aims.is_empty() {
        line(&mut page, "\n## Aims\n\n| what | figure | ours | peer or reference | ratio of medians | aim | met |");
        line(&mut page, "|---|---|---|---|---|---|---|");
        report.aims.iter().for_each(|aim| line(&mut page, &aim_line(aim)));
    }
    line(&mut page, "\n## Figures");
    for row in report.rows() {
        table(&mut page, report, &row);
    }
    let failures = failures(report);
    if !failures.is_empty() {
        line(&mut page, "\n## Failed\n");
        failures.iter().for_each(|failure| line(&mut page, &format!("- {}", failure.replace('\n', " / "))));
    }
    page
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

/// How many rounds, of what length.
pub fn rounds(report: &Report) -> String {
    let scenario = &report.scenario;
    let done = report.runs.iter().map(|run| run.round + 1).max().unwrap_or(0);
    format!(
        "{done} of {} interleaved rounds; each workload {} s after {} s of warm-up, each broker after {} s of load",
        scenario.rounds, scenario.seconds, scenario.warm_seconds, scenario.jit_seconds
    )
}

/// Machine, modes, sides.
pub fn facts(report: &Report) -> Vec<(String, String)> {
    let mut facts = report.machine.clone();
    facts.push((
        "replication".into(),
        report.scenario.replication.iter().map(|mode| mode.name()).collect::<Vec<_>>().join(", ")
            + " (single: ASYNC_MASTER without a slave; async-slave, sync-slave: ASYNC_MASTER, SYNC_MASTER with one slave on the \
               same machine, which flushes as its master does and whose CPU counts)",
    ));
    facts.extend(report.sides.iter().map(|side| (side.name.clone(), side.version.clone())));
    facts
}

/// `1 / **2** / 3`
fn shown(figure: &str, spread: Spread) -> String {
    format!("{} / **{}** / {}", text(figure, spread.min), text(figure, spread.median), text(figure, spread.max))
}

fn shown_values(figure: &str, values: Option<[f64; 3]>) -> String {
    values.map_or("-".into(), |[min, median, max]| shown(figure, Spread { min, median, max }))
}

/// Met, missed, or not known; and what must be known about it.
pub fn verdict(aim: &AimRow) -> String {
    let word = match aim.met {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not measured",
    };
    if aim.notes.is_empty() { word.into() } else { format!("{word} ({})", aim.notes.join("; ")) }
}

/// `4.13×`
pub fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or("-".into(), |ratio| if ratio < 0.1 { format!("{ratio:.3}×") } else { format!("{ratio:.2}×") })
}

fn aim_line(aim: &AimRow) -> String {
    let other = shown_values(&aim.figure, aim.other_values);
    let other = if aim.peer == "-" { other } else { format!("{}: {other}", aim.peer) };
    format!(
        "| {} | {} | {}: {} | {other} | {} | {} | {} |",
        aim.label,
        heading(&aim.figure),
        aim.ours,
        shown_values(&aim.figure, aim.our_values),
        ratio(aim.ratio),
        aim.aim,
        verdict(aim)
    )
}

/// The figures that some side has in the row, but for those that are all zero and say nothing.
pub fn columns(report: &Report, row: &Row) -> Vec<&'static Figure> {
    let sides = report.sides_of(row);
    let silent = ["bad", "lost", "damaged", "missing"];
    // Memory has its own step; within a workload it is in the JSON only.
    let is_workload = sides.iter().any(|side| !report.values(row, side, "rate").is_empty());
    let wanted = |figure: &&Figure| {
        let values: Vec<f64> = sides.iter().flat_map(|side| report.values(row, side, figure.name)).collect();
        let says = !silent.contains(&figure.name) || values.iter().any(|value| *value != 0.0);
        let fits = !(is_workload && ["rss_mib", "anon_mib"].contains(&figure.name));
        !values.is_empty() && says && fits
    };
    ALL.iter().filter(wanted).collect()
}

fn table(page: &mut String, report: &Report, row: &Row) {
    let columns = columns(report, row);
    if columns.is_empty() {
        return;
    }
    let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
    line(page, &format!("\n### {}\n\n{}| side | {} |", row.label, mode(row), headings.join(" | ")));
    line(page, &format!("|---|{}", "---|".repeat(columns.len())));
    for side in report.sides_of(row) {
        let mut text = format!("| {side} |");
        for column in &columns {
            let values = spread(&report.values(row, side, column.name));
            let cell = values.map_or("-".into(), |spread| shown(column.name, spread));
            // Writing to a string does not fail.
            let _ = write!(text, " {cell} |");
        }
        line(page, &text);
    }
    for note in notes(report, row) {
        line(page, &format!("\n{note}"));
    }
}

/// The modes of a row, in words; empty for probes.
pub fn mode(row: &Row) -> String {
    if row.flush.is_empty() { String::new() } else { format!("{}, {}\n\n", row.flush, row.replication) }
}

/// What must be known to read a row: disturbance, runs cut short, notes of the loader.
pub fn notes(report: &Report, row: &Row) -> Vec<String> {
    let mut notes = Vec::new();
    for side in report.sides_of(row) {
        let others = report.values(row, side, "others_cpu_percent");
        if figures::spread(&others).is_some_and(|spread| spread.max > DISTURBED_PERCENT) {
            notes.push(format!(
                "Disturbed: beside {side} other processes took more than {DISTURBED_PERCENT:.0} % of a core."
            ));
        }
        if report.runs_of(row, side).any(|run| !run.complete) {
            notes.push(format!("A run of {side} was cut short and does not count."));
        }
        let own = report.runs_of(row, side).filter_map(|run| run.result.as_ref()).flat_map(|result| &result.notes);
        let mut own: Vec<String> = own.map(|note| format!("{side}: {note}")).collect();
        own.dedup();
        own.truncate(5);
        notes.extend(own);
    }
    notes
}

/// Runs that failed, in words.
pub fn failures(report: &Report) -> Vec<String> {
    let failed = report.runs.iter().filter_map(|run| run.failure.as_ref().map(|failure| (run, failure)));
    failed
        .map(|(run, failure)| {
            format!("round {}, {} {}, {}, {}: {failure}", run.round + 1, run.broker, run.flush, run.side, run.step)
        })
        .collect()
}
