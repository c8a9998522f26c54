//! Judges the history of a run: what was sent, acked, read and committed, against what the broker promises.
//!
//! Owns the rules C1-C8, C10 and C11 and the form of a history. Must not talk to a broker, read a clock or touch a store:
//! it sees records only, so that the same rules judge a process that was killed, a simulated cluster and a foreign
//! broker. Runs on the caller's thread, O(n log n) in the records.

mod check;
mod history;
mod loss;
mod record;
mod report;
mod rules;

pub use check::check;
pub use history::{HistoryError, read_jsonl, write_jsonl};
pub use loss::{Loss, loss};
pub use record::{Op, Record, Uid, status};
pub use report::{Report, Rule, Violation};
