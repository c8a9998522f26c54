//! Scenario files: what is measured, on which brokers, and what is aimed at.
//!
//! Owns the TOML form, its defaults and every check of it. Must not start or measure anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Used without `--scenario`.
const BUILT_IN: &str = include_str!("../../../perf/scenarios/peers.toml");
/// Subcommands that take `--warm` and `--seconds`.
pub const TIMED: &[&str] = &["produce", "end-to-end", "mixed", "fan-out"];
const FLUSH_MODES: &[&str] = &["ASYNC_FLUSH", "SYNC_FLUSH"];
/// The most brokers one variation may make of one.
const VARIANTS_MAX: usize = 64;

/// A whole scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Names the report's files.
    pub name: String,
    #[serde(default)]
    pub title: String,
    #[serde(default = "five")]
    pub rounds: u32,
    /// Load on each fresh broker before its first workload: a JVM needs it to compile, everyone gets it.
    #[serde(default = "six")]
    pub jit_seconds: u64,
    #[serde(default = "three")]
    pub warm_seconds: u64,
    #[serde(default = "eight")]
    pub seconds: u64,
    /// Each broker is started in each of these.
    #[serde(default = "single")]
    pub replication: Vec<Replication>,
    /// Values for `{key}` in the lines of the steps.
    #[serde(default)]
    pub parameters: BTreeMap<String, Scalar>,
    /// Replaces parameters under `--quick`.
    #[serde(default)]
    pub quick: BTreeMap<String, Scalar>,
    #[serde(default)]
    pub java: Java,
    /// RingMQ, once or with several configurations; the plain one when none is given.
    #[serde(default, rename = "side")]
    pub sides: Vec<Side>,
    /// As `--peer`.
    #[serde(default)]
    pub peers: Vec<String>,
    #[serde(rename = "broker")]
    pub brokers: Vec<Broker>,
    /// Panels of the picture for a README.
    #[serde(default, rename = "chart")]
    pub charts: Vec<Chart>,
}

/// Whether a slave runs beside a broker, and what the broker waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replication {
    /// ASYNC_MASTER without a slave.
    #[default]
    Single,
    /// ASYNC_MASTER with one slave.
    AsyncSlave,
    /// SYNC_MASTER with one slave: an ack waits for it.
    SyncSlave,
}

impl Replication {
    /// As in scenarios and reports.
    pub fn name(self) -> &'static str {
        match self {
            Replication::Single => "single",
            Replication::AsyncSlave => "async-slave",
            Replication::SyncSlave => "sync-slave",
        }
    }
}

/// Memory of the Java peers, as -Xmx takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Java {
    pub heap: String,
    pub nameserver_heap: String,
}

impl Default for Java {
    fn default() -> Self {
        Java { heap: "2g".into(), nameserver_heap: "512m".into() }
    }
}

/// One configuration of RingMQ.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    pub name: String,
    /// Lines of its configuration file.
    #[serde(default)]
    pub settings: BTreeMap<String, Scalar>,
}

/// A broker that is started afresh for every side and round, and the steps it goes through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    pub name: String,
    /// One broker for each of these.
    #[serde(default = "async_flush")]
    pub flush: Vec<String>,
    /// Configuration of all sides here.
    #[serde(default)]
    pub settings: BTreeMap<String, Scalar>,
    /// RingMQ once for each value: `vary.flushWay = ["ring", "thread"]`.
    #[serde(default)]
    pub vary: BTreeMap<String, Vec<Scalar>>,
    /// Whether peers are measured here.
    #[serde(default = "yes")]
    pub peers: bool,
    /// Whether the JIT's load comes first.
    #[serde(default = "yes")]
    pub jit: bool,
    /// What is asked of the machine itself in the same round.
    #[serde(default)]
    pub probes: Vec<Probe>,
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// A measurement of the machine without any broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// Latency of durable 4 KiB writes.
    Disk,
    /// Rate of sendfile over loopback.
    Loopback,
}

impl Probe {
    /// As in the scenario and in references of aims.
    pub fn name(self) -> &'static str {
        match self {
            Probe::Disk => "disk",
            Probe::Loopback => "loopback",
        }
    }
}

/// One thing done with a running broker: a line for mqbench, or an action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub name: String,
    /// Subcommand and arguments, without --broker, --pid and --json.
    #[serde(default)]
    pub mqbench: Option<String>,
    #[serde(default)]
    pub action: Option<Action>,
    /// False: a preparation, not in the report.
    #[serde(default = "yes")]
    pub measured: bool,
    #[serde(default)]
    pub aims: Vec<Aim>,
}

/// What is no workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Resident and anonymous memory now.
    Memory,
    /// Time from the broker's command to its first ack, of the latest start.
    Start,
    /// SIGKILL in the midst of the step's load (or of plain sends), start again, time to the first ack.
    KillAndRestart,
    /// Starts an empty slave beside the broker (which must have none) and waits until it has the whole log.
    CatchUp,
}

/// What one figure of a step should be. Exactly one bound is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aim {
    pub figure: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least_times_peer: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_times_peer: Option<f64>,
    /// Of the sum of the medians in `reference`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least_times_reference: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_times_reference: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference: Vec<Reference>,
    /// Under this replication mode only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
}

impl Aim {
    fn bounds(&self) -> [Option<f64>; 6] {
        [
            self.at_least,
            self.at_most,
            self.at_least_times_peer,
            self.at_most_times_peer,
            self.at_least_times_reference,
            self.at_most_times_reference,
        ]
    }

    fn needs_reference(&self) -> bool {
        self.at_least_times_reference.is_some() || self.at_most_times_reference.is_some()
    }
}

/// A figure of the same side in another step, or of a probe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// A step's name, or `disk`, `loopback`.
    pub step: String,
    pub figure: String,
    /// Counts so often; once where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<f64>,
    /// Of this replication mode; without it of the aim's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
}

/// A panel of bars.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    pub title: String,
    pub step: String,
    pub figure: String,
    /// Behind the number.
    #[serde(default)]
    pub unit: String,
}

/// A value of a configuration or a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    Bool(bool),
    Whole(i64),
    Fraction(f64),
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Bool(value) => value.fmt(formatter),
            Scalar::Whole(value) => value.fmt(formatter),
            Scalar::Fraction(value) => value.fmt(formatter),
            Scalar::Text(value) => value.fmt(formatter),
        }
    }
}

fn five() -> u32 {
    5
}
fn six() -> u64 {
    6
}
fn three() -> u64 {
    3
}
fn eight() -> u64 {
    8
}
fn yes() -> bool {
    true
}
fn single() -> Vec<Replication> {
    vec![Replication::Single]
}
fn async_flush() -> Vec<String> {
    vec!["ASYNC_FLUSH".into()]
}

impl Scenario {
    /// Reads a file, or the built-in one, and checks it.
    pub fn load(path: Option<&Path>) -> Result<Scenario, String> {
        let Some(path) = path else { return Scenario::parse(BUILT_IN, "the built-in scenario") };
        let text = fs::read_to_string(path).map_err(|error| format!("scenario {}: {error}", path.display()))?;
        Scenario::parse(&text, &format!("scenario {}", path.display()))
    }

    /// `place` is named in errors.
    pub fn parse(text: &str, place: &str) -> Result<Scenario, String> {
        let mut scenario: Scenario = toml::from_str(text).map_err(|error| format!("{place}: {error}"))?;
        if scenario.sides.is_empty() {
            scenario.sides.push(Side { name: "ringmq".into(), settings: BTreeMap::new() });
        }
        scenario.check().map_err(|problem| format!("{place}: {problem}"))?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.contains(['/', '\0']) {
            return Err(format!("name = {:?} does not do as a file name", self.name));
        }
        if self.rounds == 0 || self.seconds == 0 {
            return Err("rounds and seconds must be 1 or more".into());
        }
        let modes: BTreeSet<Replication> = self.replication.iter().copied().collect();
        if modes.is_empty() || modes.len() != self.replication.len() {
            return Err("replication must give one or more modes, each once".into());
        }
        let sides: BTreeSet<&str> = self.sides.iter().map(|side| side.name.as_str()).collect();
        if sides.len() != self.sides.len() || sides.contains("machine") {
            return Err("the names of the sides must differ, and none may be machine".into());
        }
        for key in self.quick.keys() {
            if !self.parameters.contains_key(key) {
                return Err(format!("[quick] {key} is none of [parameters]"));
            }
        }
        let mut names = BTreeSet::new();
        for broker in &self.brokers {
            if !names.insert(&broker.name) {
                return Err(format!("two brokers are named {}", broker.name));
            }
            broker.check().map_err(|problem| format!("broker {}: {problem}", broker.name))?;
        }
        if self.brokers.is_empty() {
            return Err("there is no [[broker]]".into());
        }
        self.check_references()
    }

    /// Steps are spoken of by name, so each has its own; what is spoken of must be there.
    fn check_references(&self) -> Result<(), String> {
        let mut known = BTreeSet::from(["disk", "loopback"]);
        for step in self.brokers.iter().flat_map(|broker| &broker.steps).filter(|step| step.measured) {
            if !known.insert(&step.name) {
                return Err(format!("two measured steps are named {:?}", step.name));
            }
        }
        let aims = self.brokers.iter().flat_map(|broker| &broker.steps).flat_map(|step| &step.aims);
        let spoken = aims.flat_map(|aim| &aim.reference).map(|reference| &reference.step);
        for name in spoken.chain(self.charts.iter().map(|chart| &chart.step)) {
            if !known.contains(name.as_str()) {
                return Err(format!("{name:?} is spoken of, and there is no such measured step or probe"));
            }
        }
        let mut lines = self.brokers.iter().flat_map(|broker| &broker.steps).filter_map(|step| step.mqbench.as_ref());
        lines.try_for_each(|line| self.fill_in(line).map(|_| ()))
    }

    /// The line with its `{key}`s replaced by parameters.
    pub fn fill_in(&self, line: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(line.len());
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('{') {
            let (key, after) = after.split_once('}').ok_or_else(|| format!("no }} after {{ in {line:?}"))?;
            let value =
                self.parameters.get(key).ok_or_else(|| format!("{{{key}}} in {line:?} is none of [parameters]"))?;
            filled.push_str(before);
            filled.push_str(&value.to_string());
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// `KEY=VALUE` of the command line.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (key, value) =
            assignment.split_once('=').ok_or_else(|| format!("--set {assignment}: KEY=VALUE expected"))?;
        let known: Vec<String> = self.parameters.keys().cloned().collect();
        let slot = self
            .parameters
            .get_mut(key)
            .ok_or_else(|| format!("--set {key}: the scenario's parameters are {}", known.join(", ")))?;
        *slot = value.parse().map_or_else(|_| Scalar::Text(value.into()), Scalar::Whole);
        Ok(())
    }

    /// A parameter that is a number of something.
    pub fn number(&self, key: &str, default: u64) -> Result<u64, String> {
        match self.parameters.get(key) {
            None => Ok(default),
            Some(Scalar::Whole(value)) if *value >= 0 => Ok(value.unsigned_abs()),
            Some(other) => Err(format!("parameter {key} = {other} is no number")),
        }
    }

    /// One round of one second each, with the parameters of `[quick]`.
    pub fn quicken(&mut self, jit_seconds: u64) {
        (self.rounds, self.seconds, self.warm_seconds, self.jit_seconds) = (1, 1, 0, jit_seconds);
        self.peers.clear();
        for (key, value) in &self.quick {
            self.parameters.insert(key.clone(), value.clone());
        }
    }
}

impl Broker {
    fn check(&self) -> Result<(), String> {
        self.flush.iter().try_for_each(|mode| known("flush", mode, FLUSH_MODES))?;
        let variants = self.vary.values().map(Vec::len).try_fold(1usize, |all, more| all.checked_mul(more));
        if self.flush.is_empty() || !variants.is_some_and(|count| (1..=VARIANTS_MAX).contains(&count)) {
            return Err(format!("flush and vary must give 1 to {VARIANTS_MAX} brokers"));
        }
        if self.steps.is_empty() {
            return Err("there is no [[broker.step]]".into());
        }
        self.steps.iter().try_for_each(|step| step.check().map_err(|problem| format!("step {}: {problem}", step.name)))
    }
}

impl Step {
    fn check(&self) -> Result<(), String> {
        let is_restart = self.action == Some(Action::KillAndRestart);
        match (&self.mqbench, self.action) {
            (None, None) => return Err("neither mqbench nor action is given".into()),
            (Some(_), Some(_)) if !is_restart => return Err("both mqbench and action are given".into()),
            _ => {}
        }
        if let Some(line) = &self.mqbench {
            for own in ["--broker", "--pid", "--json"] {
                if line.split_whitespace().any(|word| word == own || word.starts_with(&format!("{own}="))) {
                    return Err(format!("{own} is given by the matrix itself"));
                }
            }
        }
        for aim in &self.aims {
            if aim.bounds().iter().flatten().count() != 1 {
                return Err(format!("the aim for {} needs exactly one bound", aim.figure));
            }
            if aim.needs_reference() == aim.reference.is_empty() {
                return Err(format!("the aim for {}: a reference goes with at_…_times_reference", aim.figure));
            }
        }
        Ok(())
    }
}

fn known(what: &str, value: &str, all: &[&str]) -> Result<(), String> {
    if all.contains(&value) {
        return Ok(());
    }
    Err(format!("{what} = {value:?} is unknown; one of {} expected", all.join(", ")))
}
