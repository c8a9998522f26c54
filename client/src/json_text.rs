//! Writing the few JSON bodies this crate sends, and reaching into those it reads.
//!
//! Owns string quoting and the names of what is missing. Must not know a body's meaning. Any thread.

use crate::error::Error;

/// A JSON string with its quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The items of a list, already JSON, joined.
pub(crate) fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    format!("[{}]", items.join(","))
}

/// What is missing in the body of an answer.
pub(crate) fn missing(request: i32, member: &str) -> Error {
    Error::malformed(request, format!("the body has no {member}"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_json_forbids_in_strings_is_escaped() {
        assert_eq!(quoted("a\"b\\c\u{1}ü"), "\"a\\\"b\\\\c\\u0001ü\"");
    }
}
