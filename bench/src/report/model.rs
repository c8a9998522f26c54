//! What a matrix measured, as its JSON has it.
//!
//! Owns the shape of a report. Must not render. Reports written by earlier versions stay readable: fields get defaults.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::matrix::facts::Fact;
use crate::matrix::scenario::{Broker, Scenario, Step};
use crate::report::aims::{self, AimRow};
use crate::result::RunResult;

/// The side of the probes.
pub const MACHINE: &str = "machine";

/// A whole report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub name: String,
    pub title: String,
    /// When it began, UTC.
    pub date: String,
    pub command: String,
    /// False when Ctrl-C cut it short.
    pub complete: bool,
    pub machine: Vec<Fact>,
    pub sides: Vec<SideFacts>,
    /// As it was in force: with the command line's changes.
    pub scenario: Scenario,
    pub runs: Vec<Run>,
    #[serde(default)]
    pub aims: Vec<AimRow>,
}

/// A side and what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideFacts {
    pub name: String,
    pub is_ringmq: bool,
    pub version: String,
}

/// One step of one side in one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// From 0.
    pub round: u32,
    pub broker: String,
    #[serde(default)]
    pub flush: String,
    #[serde(default)]
    pub replication: String,
    /// The step's name, or the probe's, or `start` and `stop` when that failed.
    pub step: String,
    pub side: String,
    /// Since the beginning of the report.
    pub at_seconds: f64,
    pub took_seconds: f64,
    #[serde(default)]
    pub command: String,
    /// See `figures`.
    pub figures: BTreeMap<String, f64>,
    #[serde(default)]
    pub result: Option<RunResult>,
    #[serde(default)]
    pub failure: Option<String>,
    pub complete: bool,
}

impl Run {
    /// What it found, for the eye.
    pub fn line(&self) -> String {
        let head = format!("{} | {} | ", self.side, self.step);
        if let Some(failure) = &self.failure {
            return format!("{head}FAILED: {failure}");
        }
        let wanted = ["rate", "p50_us", "p999_us", "cpu_us_per_message", "mb_s", "ms", "anon_mib", "odsync_p50_us"];
        let told = wanted.iter().filter_map(|name| {
            self.figures.get(*name).map(|value| format!("{name} {}", crate::report::figures::text(name, *value)))
        });
        head + &told.collect::<Vec<_>>().join(", ")
    }
}

/// A row of the report: a step under one flush and replication mode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub step: String,
    pub flush: String,
    pub replication: String,
    /// The step's name, with the modes where the scenario has several.
    pub label: String,
}

impl Report {
    /// The rows of a step, measured or not.
    pub fn rows_of(&self, broker: &Broker, step: &Step) -> Vec<Row> {
        let mut rows = Vec::new();
        for flush in &broker.flush {
            for replication in &self.scenario.replication {
                let mut label = step.name.clone();
                if broker.flush.len() > 1 {
                    label += &format!(", {flush}");
                }
                if self.scenario.replication.len() > 1 {
                    label += &format!(", {}", replication.name());
                }
                let (step, flush) = (step.name.clone(), flush.clone());
                let replication = replication.name().to_owned();
                rows.push(Row { step, flush, replication, label });
            }
        }
        rows
    }

    /// The rows that were measured, in the scenario's order; the probes' come last.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for broker in &self.scenario.brokers {
            let steps = broker.steps.iter().filter(|step| step.measured);
            rows.extend(steps.flat_map(|step| self.rows_of(broker, step)));
        }
        for probe in ["disk", "loopback"] {
            let label = format!("{probe} (the machine itself)");
            rows.push(Row { step: probe.into(), flush: String::new(), replication: String::new(), label });
        }
        rows.retain(|row| self.runs.iter().any(|run| run.is_of(row)));
        rows
    }

    /// All that a side did in a row and whose figures count.
    pub fn runs_of<'a>(&'a self, row: &'a Row, side: &'a str) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(move |run| run.side == side && run.is_of(row) && run.counts())
    }

    /// A figure over the rounds. Runs that were cut short do not count.
    pub fn values(&self, row: &Row, side: &str, figure: &str) -> Vec<f64> {
        self.runs_of(row, side).filter(|run| run.complete).filter_map(|run| run.figures.get(figure).copied()).collect()
    }

    /// The names of the sides with something in the row, the machine's included.
    pub fn sides_of(&self, row: &Row) -> Vec<&str> {
        let sides = self.sides.iter().map(|side| side.name.as_str()).chain([MACHINE]);
        sides.filter(|side| self.runs_of(row, side).next().is_some()).collect()
    }

    /// Fills in `aims`.
    pub fn judge(&mut self) {
        self.aims = aims::judge(self);
    }

    /// Reads what `mqbench matrix` wrote.
    pub fn read(path: &Path) -> Result<Report, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{} is no report: {error}", path.display()))
    }
}

impl Run {
    /// Whether its figures count: it did not fail, or only requests and messages did while all of it was measured.
    pub fn counts(&self) -> bool {
        self.failure.is_none() || self.is_measured()
    }

    /// Whether its loader failed for what the broker answered, and not for being unable to measure.
    pub fn is_measured(&self) -> bool {
        self.result.as_ref().is_some_and(|result| result.failed && result.complete)
    }

    /// Whether it belongs to the row.
    pub fn is_of(&self, row: &Row) -> bool {
        self.step == row.step && self.flush == row.flush && self.replication == row.replication
    }
}
