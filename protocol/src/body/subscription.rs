//! What a group wants of a topic, and the parsing of tag expressions. Plain values, any core.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::message::java_hash;

/// The expression that takes every message.
pub const SUBSCRIBE_ALL: &str = "*";
/// Expression type: tags joined by `||`.
pub const EXPRESSION_TAG: &str = "TAG";
/// Expression type: a condition over properties.
pub const EXPRESSION_SQL92: &str = "SQL92";

/// One subscription. Lists hold each element once; a client may send a topic-less one, which is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionData {
    /// Filter classes, of 4.x's filter servers.
    pub class_filter_mode: bool,
    /// Hashes of the tags.
    pub code_set: BTreeSet<i32>,
    /// TAG or SQL92.
    pub expression_type: String,
    /// The expression as written.
    pub sub_string: String,
    /// When it was made, ms; a later one replaces an earlier one.
    pub sub_version: i64,
    /// The tags; none means all.
    pub tags_set: BTreeSet<String>,
    /// Topic.
    pub topic: String,
}

impl Default for SubscriptionData {
    fn default() -> Self {
        SubscriptionData {
            class_filter_mode: false,
            code_set: BTreeSet::new(),
            expression_type: EXPRESSION_TAG.to_owned(),
            sub_string: String::new(),
            sub_version: 0,
            tags_set: BTreeSet::new(),
            topic: String::new(),
        }
    }
}

/// An expression without a single tag in it, such as `||`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionError {
    /// The expression.
    pub expression: String,
}

impl fmt::Display for SubscriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tag expression {:?} has no tag in it; write * or tags joined by ||", self.expression)
    }
}

impl std::error::Error for SubscriptionError {}

impl SubscriptionData {
    /// Parses an expression of tags: `*` and the empty one take all, else `A || B`. The version stays 0.
    pub fn parse_tags(topic: &str, expression: &str) -> Result<SubscriptionData, SubscriptionError> {
        let mut data = SubscriptionData { topic: topic.to_owned(), ..SubscriptionData::default() };
        if expression.is_empty() || expression == SUBSCRIBE_ALL {
            data.sub_string = SUBSCRIBE_ALL.to_owned();
            return Ok(data);
        }
        data.sub_string = expression.to_owned();
        for tag in expression.split("||").map(str::trim).filter(|tag| !tag.is_empty()) {
            data.tags_set.insert(tag.to_owned());
            data.code_set.insert(java_hash(tag));
        }
        // Java splits `||` into nothing and refuses that; blanks between bars it passes over, and then takes all.
        let empty = expression.bytes().all(|byte| byte == b'|') && expression.len().is_multiple_of(2);
        if data.tags_set.is_empty() && empty {
            return Err(SubscriptionError { expression: expression.to_owned() });
        }
        Ok(data)
    }

    /// Parses an expression of a type: none and TAG are tags, anything else is kept as it is for who can evaluate it.
    pub fn parse(topic: &str, expression: &str, expression_type: Option<&str>) -> Result<Self, SubscriptionError> {
        match expression_type {
            None | Some("" | EXPRESSION_TAG) => Self::parse_tags(topic, expression),
            Some(other) => Ok(SubscriptionData {
                topic: topic.to_owned(),
                sub_string: expression.to_owned(),
                expression_type: other.to_owned(),
                ..SubscriptionData::default()
            }),
        }
    }

    /// Whether the tags decide; an empty type means TAG too.
    pub fn is_tag_type(&self) -> bool {
        self.expression_type.is_empty() || self.expression_type == EXPRESSION_TAG
    }

    /// Whether a message with this tags code may be wanted: the broker's half of the filter. Hashes collide, so the
    /// client compares the tags themselves again.
    pub fn matches_code(&self, tags_code: i64) -> bool {
        self.sub_string == SUBSCRIBE_ALL
            || self.code_set.is_empty()
            || i32::try_from(tags_code).is_ok_and(|code| self.code_set.contains(&code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, want: Option<(&str, &[&str])>) {
        let parsed = SubscriptionData::parse_tags("T", expression).ok();
        let want = want.map(|(sub_string, tags)| SubscriptionData {
            topic: "T".into(),
            sub_string: sub_string.into(),
            tags_set: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            code_set: tags.iter().map(|tag| java_hash(tag)).collect(),
            ..SubscriptionData::default()
        });
        assert_eq!(parsed, want, "{expression:?}");
    }

    #[test]
    fn tag_expressions_are_read_as_java_reads_them() {
        check("*", Some(("*", &[])));
        check("", Some(("*", &[])));
        check("TagA", Some(("TagA", &["TagA"])));
        check("TagA || TagB||TagA", Some(("TagA || TagB||TagA", &["TagA", "TagB"])));
        check(" 中文 ||", Some((" 中文 ||", &["中文"])));
        check("A|B", Some(("A|B", &["A|B"])));
        check(" || ", Some((" || ", &[])));
        check("||", None);
        check("||||", None);
    }

    #[test]
    fn codes_match_by_set_or_all() {
        let some = SubscriptionData::parse_tags("T", "TagA || polygenelubricants").expect("tags");
        assert!(some.matches_code(crate::message::tags_code("TagA")));
        assert!(some.matches_code(i64::from(i32::MIN)));
        assert!(!some.matches_code(0));
        assert!(!some.matches_code(i64::from(java_hash("TagA")) + (1 << 32)));
        assert!(SubscriptionData::parse_tags("T", "*").expect("all").matches_code(5));
    }

    #[test]
    fn other_expressions_are_kept() {
        let data = SubscriptionData::parse("T", "a > 5", Some("SQL92")).expect("kept");
        assert_eq!((&*data.sub_string, &*data.expression_type, data.is_tag_type()), ("a > 5", "SQL92", false));
        assert!(SubscriptionData::parse("T", "x", None).expect("tags").is_tag_type());
    }
}
