//! What was found in a configuration: errors, warnings and notes with their place, as lines of text.
//!
//! Owns the form of the lines only; what is wrong is decided by `values` and `check`.

use crate::properties::Place;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The program does not start.
    Error,
    /// It starts, and the operator should look.
    Warning,
    /// It starts, and this is how the file was understood.
    Note,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One finding. Prints as `broker.conf:3:12: error: …`; without a place as `broker.conf: error: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// The file, or what stands in for it ("command line", "environment").
    pub source: Option<String>,
    pub place: Option<Place>,
    pub text: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}:")?;
            if let Some(place) = self.place {
                write!(f, "{place}:")?;
            }
            write!(f, " ")?;
        }
        write!(f, "{}: {}", self.severity.word(), self.text)
    }
}

/// All findings about one configuration, in the order they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub fn push(&mut self, severity: Severity, source: Option<&str>, place: Option<Place>, text: impl Into<String>) {
        let source = source.map(str::to_owned);
        self.diagnostics.push(Diagnostic { severity, source, place, text: text.into() });
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(move |d| d.severity == severity)
    }

    pub fn errors(&self) -> usize {
        self.of(Severity::Error).count()
    }

    pub fn warnings(&self) -> usize {
        self.of(Severity::Warning).count()
    }

    pub fn is_ok(&self) -> bool {
        self.errors() == 0
    }

    /// One line a finding: by place first, then what has no place, each in the order found.
    pub fn lines(&self) -> Vec<String> {
        let mut sorted: Vec<&Diagnostic> = self.diagnostics.iter().collect();
        sorted.sort_by_key(|d| (d.place.is_none(), d.place));
        sorted.iter().map(|d| d.to_string()).collect()
    }
}

/// All lines, one a row, ending in a line feed unless empty.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
