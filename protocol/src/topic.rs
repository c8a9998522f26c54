//! Names of topics and groups: the reserved ones, the derived ones, and what a name may look like.
//!
//! Names become names of directories, so whatever passes the checks here cannot leave a directory. Pure functions, any
//! core.

use std::fmt;

pub use crate::body::TopicConfig;

/// The topic new topics are modelled on.
pub const AUTO_CREATE_TOPIC: &str = "TBW102";
/// Where delayed messages wait.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Of the benchmark tools.
pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
/// Where half messages wait.
pub const TRANS_HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// What became of half messages.
pub const TRANS_OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Half messages that were asked about too often.
pub const TRANS_CHECK_MAX_TIME_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Message traces.
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// Of self tests.
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
/// Pulls that had to be corrected.
pub const OFFSET_MOVED_EVENT: &str = "OFFSET_MOVED_EVENT";

/// Begins the names of retry topics.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Begins the names of dead letter topics.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// Begins the names of system topics besides the listed ones; lower case only.
pub const SYSTEM_PREFIX: &str = "rmq_sys_";
/// Begins the names of groups that exist without being created.
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";
/// Ends the name of a cluster's reply topic.
pub const REPLY_POSTFIX: &str = "_REPLY_TOPIC";

/// Longest topic name.
pub const TOPIC_LEN_MAX: usize = 127;
/// Longest group name.
pub const GROUP_LEN_MAX: usize = 255;

/// The system topics that are told by their exact name.
pub const SYSTEM_TOPICS: [&str; 9] = [
    AUTO_CREATE_TOPIC,
    SCHEDULE_TOPIC,
    BENCHMARK_TOPIC,
    TRANS_HALF_TOPIC,
    TRACE_TOPIC,
    TRANS_OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_EVENT,
];

/// The topics producers must not send to (4.7.1 and later).
pub const NOT_WRITABLE_TOPICS: [&str; 6] = [
    SCHEDULE_TOPIC,
    TRANS_HALF_TOPIC,
    TRANS_OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_EVENT,
];

/// The groups every broker has.
pub const SYSTEM_GROUPS: [&str; 7] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
];

/// Whether a topic belongs to the system: such cannot be created or deleted by request.
pub fn is_system(topic: &str) -> bool {
    SYSTEM_TOPICS.contains(&topic) || topic.starts_with(SYSTEM_PREFIX)
}

/// Whether producers must not send to a topic.
pub fn is_not_writable(topic: &str) -> bool {
    NOT_WRITABLE_TOPICS.contains(&topic)
}

/// Whether a group exists without being created.
pub fn is_system_group(group: &str) -> bool {
    SYSTEM_GROUPS.contains(&group) || group.starts_with(SYSTEM_GROUP_PREFIX)
}

/// The retry topic of a group.
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// The dead letter topic of a group.
pub fn dlq_topic(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

/// Whether a topic is some group's retry topic.
pub fn is_retry(topic: &str) -> bool {
    topic.starts_with(RETRY_PREFIX)
}

/// Whether a topic is some group's dead letter topic.
pub fn is_dlq(topic: &str) -> bool {
    topic.starts_with(DLQ_PREFIX)
}

/// The reply topic of a cluster.
pub fn reply_topic(cluster: &str) -> String {
    format!("{cluster}{REPLY_POSTFIX}")
}

/// Why a name cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    /// `topic` or `group`.
    pub what: &'static str,
    /// Which of the rules it breaks.
    pub problem: NameProblem,
}

/// The rules of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameProblem {
    /// Empty or only white space.
    Blank,
    /// Longer than allowed.
    TooLong { len: usize, max: usize },
    /// A character outside `%|a-zA-Z0-9_-`.
    Character(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            NameProblem::Blank => write!(f, "the specified {} is blank", self.what),
            NameProblem::TooLong { len, max } => {
                write!(f, "the specified {} is longer than {} max length {max}: {len}", self.what, self.what)
            }
            NameProblem::Character(character) => write!(
                f,
                "the specified {} contains the illegal character {character:?}, allowing only ^[%|a-zA-Z0-9_-]+$",
                self.what
            ),
        }
    }
}

impl std::error::Error for NameError {}

fn check(what: &'static str, name: &str, max: usize) -> Result<(), NameError> {
    let allowed = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '%' | '|' | '_' | '-');
    let problem = if name.trim().is_empty() {
        NameProblem::Blank
    } else if let Some(character) = name.chars().find(|character| !allowed(character)) {
        NameProblem::Character(character)
    } else if name.len() > max {
        NameProblem::TooLong { len: name.len(), max }
    } else {
        return Ok(());
    };
    Err(NameError { what, problem })
}

/// Checks a topic name in the broker's order: blank, characters, length.
pub fn check_topic_name(topic: &str) -> Result<(), NameError> {
    check("topic", topic, TOPIC_LEN_MAX)
}

/// Checks a group name.
pub fn check_group_name(group: &str) -> Result<(), NameError> {
    check("group", group, GROUP_LEN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let long = "t".repeat(128);
        let topic = |name: &str| check_topic_name(name).err().map(|error| error.problem);
        for good in ["T", "%RETRY%G", "%DLQ%a-b_c", "a|b", &long[..127]] {
            assert_eq!(topic(good), None, "{good}");
        }
        assert_eq!(topic(""), Some(NameProblem::Blank));
        assert_eq!(topic(" \t"), Some(NameProblem::Blank));
        assert_eq!(topic(&long), Some(NameProblem::TooLong { len: 128, max: 127 }));
        assert_eq!(check_group_name(&long), Ok(()));
        assert!(check_group_name(&"g".repeat(256)).is_err());
        for bad in ["..", ".", "a/b", "../../etc", "a\0b", "a.b", "a b", "中", "a@b", "a\\b", "~"] {
            assert!(matches!(topic(bad), Some(NameProblem::Character(_))), "{bad}");
        }
        let text = check_topic_name("a/b").expect_err("refused").to_string();
        assert!(text.contains("topic") && text.contains("'/'"), "{text}");
    }

    #[test]
    fn kinds_of_topics_are_told_by_name() {
        assert!(SYSTEM_TOPICS.iter().all(|topic| is_system(topic) && check_topic_name(topic).is_ok()));
        assert!(NOT_WRITABLE_TOPICS.iter().all(|topic| is_not_writable(topic) && is_system(topic)));
        assert!(is_system("rmq_sys_x") && !is_system("RMQ_SYS_x") && !is_system("T"));
        assert!(is_system_group("CID_RMQ_SYS_TRANS") && is_system_group("TOOLS_CONSUMER") && !is_system_group("G"));
        assert!(!is_not_writable(AUTO_CREATE_TOPIC) && !is_not_writable(TRACE_TOPIC));
        assert_eq!((retry_topic("G"), dlq_topic("G")), ("%RETRY%G".to_owned(), "%DLQ%G".to_owned()));
        assert!(is_retry("%RETRY%G") && is_dlq("%DLQ%G") && !is_retry("G"));
        assert_eq!(reply_topic("C"), "C_REPLY_TOPIC");
    }
}
