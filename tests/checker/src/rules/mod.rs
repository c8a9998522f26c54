//! The rules, one promise a file.
//!
//! Owns nothing itself. Each rule reads the grouped records and adds to the report; none changes a record.

pub(crate) mod lookup;
pub(crate) mod offsets;
pub(crate) mod order;
pub(crate) mod progress;
pub(crate) mod readable;
