//! What a check found: violations counted by rule, with a few examples of each, and the figures of the run.
//!
//! Owns the report and its text. Must not judge. Plain data, any thread.

use std::collections::BTreeMap;
use std::fmt;

/// Examples kept for each rule; the rest is counted only.
const EXAMPLES_MAX: usize = 8;

/// The rules, by the numbers the promises of the project use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every acked message is readable (or behind the queue's min offset).
    C1AckedIsReadable,
    /// What is read was sent, with these bytes, and lies once in one queue unless the client sent it again.
    C2NoPhantom,
    /// A definitely refused message is not readable.
    C3RefusedIsAbsent,
    /// One offset has one value, for every reader at every time.
    C4OneOffsetOneValue,
    /// The drain reads min..max without gap or repeat.
    C5DenseOffsets,
    /// The offset of the ack is the offset where the message is read.
    C6AckOffsetIsReadOffset,
    /// What was acked before something else was sent lies before it; a producer's messages lie in his order.
    C7Order,
    /// A group's offset never passes a message the group was not given.
    C8ProgressSkipsNothing,
    /// A lookup by key or id finds the message where the drain read it.
    C10LookupFinds,
}

/// One broken promise.
#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: Rule,
    pub text: String,
}

/// The outcome of a check.
#[derive(Clone, Debug, Default)]
pub struct Report {
    counts: BTreeMap<Rule, usize>,
    examples: BTreeMap<Rule, Vec<String>>,
    pub sends: usize,
    pub acked: usize,
    pub unknown: usize,
    pub refused: usize,
    /// Messages with an open outcome that turned out to be stored.
    pub unknown_but_readable: usize,
    pub drained: usize,
    pub delivered: usize,
    /// Deliveries of an offset that the same group had been given before.
    pub redelivered: usize,
    /// Messages that lie more than once because the client sent them again.
    pub duplicates_by_retry: usize,
    pub lookups: usize,
}

impl Report {
    pub(crate) fn broken(&mut self, rule: Rule, text: impl FnOnce() -> String) {
        *self.counts.entry(rule).or_default() += 1;
        let examples = self.examples.entry(rule).or_default();
        if examples.len() < EXAMPLES_MAX {
            examples.push(text());
        }
    }

    /// No rule is broken.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// How often this rule is broken.
    pub fn count(&self, rule: Rule) -> usize {
        self.counts.get(&rule).copied().unwrap_or(0)
    }

    /// The broken rules, ascending.
    pub fn rules(&self) -> impl Iterator<Item = Rule> + '_ {
        self.counts.keys().copied()
    }

    /// The kept examples.
    pub fn violations(&self) -> impl Iterator<Item = Violation> + '_ {
        self.examples
            .iter()
            .flat_map(|(rule, texts)| texts.iter().map(|text| Violation { rule: *rule, text: text.clone() }))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sends {} (acked {}, refused {}, open {} of which stored {}), drained {}, delivered {} (again {}), \
             duplicates by retry {}, lookups {}",
            self.sends,
            self.acked,
            self.refused,
            self.unknown,
            self.unknown_but_readable,
            self.drained,
            self.delivered,
            self.redelivered,
            self.duplicates_by_retry,
            self.lookups
        )?;
        for (rule, count) in &self.counts {
            write!(f, "\n{rule:?}: broken {count} times")?;
            for text in self.examples.get(rule).into_iter().flatten() {
                write!(f, "\n  {text}")?;
            }
        }
        Ok(())
    }
}
