//! JSON: the hand-written header scanner, the escapes it shares with the writers, the lenient reader and the fastjson
//! writer for bodies and tables.
//!
//! Owns no data; every reader is bounded in depth and size. Any core.

pub(crate) mod coerce;
pub(crate) mod escape;
pub mod fastjson;
mod flat;
pub(crate) mod header;
pub mod lenient;
mod reference;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// It is not JSON, not even in the wider sense of fastjson.
    Syntax {
        /// Byte of the text.
        at: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// It is JSON of another shape.
    Shape(String),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { at, problem } => write!(f, "JSON, byte {at}: {problem}"),
            Self::Shape(problem) => write!(f, "JSON of another shape than expected: {problem}"),
        }
    }
}

impl std::error::Error for JsonError {}

/// Reads a value from standard or fastjson text, with fastjson's coercions: nulls count as absent, numbers may be
/// quoted.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    // Nearly all texts are standard JSON of just the right shape; only the others are worth a tree. A reference is
    // standard JSON too, but of another meaning.
    let references = text.contains(&b'$') && text.windows(4).any(|window| window == b"$ref");
    match serde_json::from_slice(text) {
        Ok(value) if !references => Ok(value),
        _ => read_value(lenient::parse(text)?),
    }
}

/// Reads a value from a tree, with fastjson's coercions.
pub fn read_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, JsonError> {
    T::deserialize(coerce::Coerce(value)).map_err(|error| JsonError::Shape(error.to_string()))
}

/// Writes standard JSON, compact.
///
/// # Panics
/// When the type has maps whose keys cannot be strings, which none of [`crate::body`] has.
pub fn write<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("bodies have keys that are strings or integers")
}
