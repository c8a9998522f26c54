//! Histories as JSON lines: one record a line, so that a failed run's evidence can be kept, read and judged again.
//!
//! Owns the reading and writing. Must not judge. Any thread.

use std::fmt;
use std::io::{self, BufRead, Write};

use crate::record::Record;

/// Why a history could not be read.
#[derive(Debug)]
pub enum HistoryError {
    Io(io::Error),
    Line { number: usize, problem: String },
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::Io(error) => write!(f, "the history cannot be read: {error}"),
            HistoryError::Line { number, problem } => write!(f, "line {number} of the history is no record: {problem}"),
        }
    }
}

impl std::error::Error for HistoryError {}

/// Reads records until the end; empty lines are skipped.
pub fn read_jsonl(from: impl BufRead) -> Result<Vec<Record>, HistoryError> {
    let mut records = Vec::new();
    for (index, line) in from.lines().enumerate() {
        let line = line.map_err(HistoryError::Io)?;
        if line.trim().is_empty() {
            continue;
        }
        records.push(
            serde_json::from_str(&line)
                .map_err(|error| HistoryError::Line { number: index + 1, problem: error.to_string() })?,
        );
    }
    Ok(records)
}

/// Writes one record a line.
pub fn write_jsonl(mut to: impl Write, records: &[Record]) -> io::Result<()> {
    for record in records {
        serde_json::to_writer(&mut to, record)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}
