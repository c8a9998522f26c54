//! The body of REGISTER_BROKER (103): which topics a broker serves.
//!
//! Only parses, within bounds; the route table decides what becomes of it. Runs on the name server's thread.
//!
//! Three forms (RocketMQ 4.9.7, RegisterBrokerBody):
//!
//! JSON `{"filterServerList":[..],"topicConfigSerializeWrapper":{"dataVersion":{..},"topicConfigTable":{"T":{..}}}}`;
//! before 3.0.11 only the inner wrapper; and compressed, one zlib stream of
//!
//! ```text
//! 4 + n  DataVersion as JSON, length first
//! 4      number of topics
//! 4 + n  per topic: "name readQueueNums writeQueueNums perm topicFilterType"
//! 4 + n  filter servers as a JSON array
//! ```

use std::fmt;
use std::io::Read;

use flate2::read::ZlibDecoder;
use protocol::json;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::route_table::{DataVersion, QueueData};

/// Bytes a compressed body may grow to.
pub const INFLATED_MAX: usize = 64 << 20;
/// Bytes of JSON the tolerant parser is given: it builds the whole tree, the strict one does not.
const LENIENT_MAX: usize = 4 << 20;
/// Topics one body may name. More than the table holds, so that the table can tell what it left out.
const TOPICS_MAX: usize = 1_000_000;

/// A parsed body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RegisterBody {
    /// The version of the broker's topic table; all zero when the body names none.
    pub version: DataVersion,
    /// Topic and queue data, in the order of the body.
    pub topics: Vec<(String, QueueData)>,
    /// None: the body says nothing of filter servers.
    pub filter_servers: Option<Vec<String>>,
    /// Topic lines of a compressed body that have another shape.
    pub malformed: usize,
}

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyError(String);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "register body cannot be read: {}", self.0)
    }
}

fn error(text: impl fmt::Display) -> BodyError {
    BodyError(text.to_string())
}

/// Reads a body; `inflated_max` bounds the bytes a compressed one grows to.
pub fn parse(body: &[u8], is_compressed: bool, inflated_max: usize) -> Result<RegisterBody, BodyError> {
    if body.is_empty() {
        return Ok(RegisterBody::default());
    }
    if !is_compressed {
        return Ok(object::<WireBody>(body)?.into());
    }
    let mut inflated = Vec::new();
    let limit = u64::try_from(inflated_max).unwrap_or(u64::MAX).saturating_add(1);
    ZlibDecoder::new(body)
        .take(limit)
        .read_to_end(&mut inflated)
        .map_err(|cause| error(format_args!("zlib: {cause}")))?;
    if inflated.len() > inflated_max {
        return Err(error(format_args!("it inflates to more than {inflated_max} bytes")));
    }
    parse_inflated(&inflated)
}

fn parse_inflated(mut bytes: &[u8]) -> Result<RegisterBody, BodyError> {
    let version = object::<Option<WireVersion>>(part(&mut bytes, "data version")?)?;
    let count = number(&mut bytes, "number of topics")?;
    let mut body = RegisterBody { version: version.unwrap_or_default().into(), ..RegisterBody::default() };
    if count > TOPICS_MAX {
        return Err(error(format_args!("it names {count} topics, more than {TOPICS_MAX}")));
    }
    for _ in 0..count {
        match topic_line(part(&mut bytes, "topic")?) {
            Some(topic) => body.topics.push(topic),
            None => body.malformed += 1,
        }
    }
    let filter_servers = part(&mut bytes, "filter servers")?;
    if !filter_servers.is_empty() {
        body.filter_servers = json::<Option<Vec<String>>>(filter_servers)?;
    }
    Ok(body)
}

fn number(bytes: &mut &[u8], what: &str) -> Result<usize, BodyError> {
    let (word, rest) =
        bytes.split_first_chunk::<4>().ok_or_else(|| error(format_args!("it ends before the {what}")))?;
    *bytes = rest;
    let value = i32::from_be_bytes(*word);
    usize::try_from(value).map_err(|_| error(format_args!("{what}: {value} is negative")))
}

fn part<'a>(bytes: &mut &'a [u8], what: &str) -> Result<&'a [u8], BodyError> {
    let len = number(bytes, what)?;
    let (part, rest) = bytes.split_at_checked(len).ok_or_else(|| error(format_args!("it ends within the {what}")))?;
    *bytes = rest;
    Ok(part)
}

/// `name readQueueNums writeQueueNums perm topicFilterType`, exactly five words.
fn topic_line(line: &[u8]) -> Option<(String, QueueData)> {
    let mut words = str::from_utf8(line).ok()?.split(' ');
    let name = words.next().filter(|name| !name.is_empty())?;
    let [read_queue_nums, write_queue_nums, perm] =
        [words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?];
    words.next()?;
    let queue_data = QueueData { read_queue_nums, write_queue_nums, perm, topic_sys_flag: 0 };
    words.next().is_none().then(|| (name.to_string(), queue_data))
}

/// Strict JSON first, which is what brokers send and which needs no tree; then what fastjson would also take.
fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(strict) if bytes.len() > LENIENT_MAX => Err(error(strict)),
        Err(_) => json::read(bytes).map_err(error),
    }
}

/// The same for a type that stands for an object: an array would be taken for its members in order.
fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    match bytes.trim_ascii_start().first() {
        Some(b'[') => Err(error("it is a JSON array, not an object")),
        _ => json(bytes),
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireBody {
    filter_server_list: Option<Vec<String>>,
    topic_config_serialize_wrapper: Option<WireWrapper>,
    // The members of the wrapper itself: brokers before 3.0.11 send it bare.
    data_version: Option<WireVersion>,
    topic_config_table: Option<WireTopics>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireWrapper {
    data_version: Option<WireVersion>,
    topic_config_table: Option<WireTopics>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireVersion {
    timestamp: i64,
    counter: Option<i64>,
    state_version: i64,
}

impl From<WireVersion> for DataVersion {
    fn from(wire: WireVersion) -> DataVersion {
        DataVersion {
            timestamp: wire.timestamp,
            counter: wire.counter.unwrap_or_default(),
            state_version: wire.state_version,
        }
    }
}

/// The defaults are those of Java's TopicConfig.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireTopic {
    topic_name: Option<String>,
    read_queue_nums: i32,
    write_queue_nums: i32,
    perm: i32,
    topic_sys_flag: i32,
}

impl Default for WireTopic {
    fn default() -> WireTopic {
        WireTopic { topic_name: None, read_queue_nums: 16, write_queue_nums: 16, perm: 6, topic_sys_flag: 0 }
    }
}

/// A map read straight into the list the table takes.
struct WireTopics(Vec<(String, QueueData)>);

impl<'de> Deserialize<'de> for WireTopics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<WireTopics, D::Error> {
        struct Topics;
        impl<'de> Visitor<'de> for Topics {
            type Value = WireTopics;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from topic to its configuration")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<WireTopics, M::Error> {
                let mut topics = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if topics.len() >= TOPICS_MAX {
                        map.next_value::<IgnoredAny>()?;
                        return Err(serde::de::Error::custom(format_args!("more than {TOPICS_MAX} topics")));
                    }
                    let Some(topic) = map.next_value::<Option<WireTopic>>()? else { continue };
                    let queue_data = QueueData {
                        read_queue_nums: topic.read_queue_nums,
                        write_queue_nums: topic.write_queue_nums,
                        perm: topic.perm,
                        topic_sys_flag: topic.topic_sys_flag,
                    };
                    topics.push((topic.topic_name.unwrap_or(key), queue_data));
                }
                Ok(WireTopics(topics))
            }
        }
        deserializer.deserialize_map(Topics)
    }
}

impl From<WireBody> for RegisterBody {
    fn from(wire: WireBody) -> RegisterBody {
        let wrapper = wire
            .topic_config_serialize_wrapper
            .unwrap_or(WireWrapper { data_version: wire.data_version, topic_config_table: wire.topic_config_table });
        RegisterBody {
            version: wrapper.data_version.unwrap_or_default().into(),
            topics: wrapper.topic_config_table.map(|topics| topics.0).unwrap_or_default(),
            filter_servers: wire.filter_server_list,
            malformed: 0,
        }
    }
}

/// The data version of a QUERY_DATA_VERSION (322); its body is DataVersion as JSON.
pub fn parse_version(body: &[u8]) -> Result<DataVersion, BodyError> {
    if body.is_empty() {
        return Ok(DataVersion::default());
    }
    Ok(object::<Option<WireVersion>>(body)?.unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write;

    fn queue_data(read: i32, write: i32, perm: i32, flag: i32) -> QueueData {
        QueueData { read_queue_nums: read, write_queue_nums: write, perm, topic_sys_flag: flag }
    }

    fn body(topics: &[(&str, QueueData)], filter_servers: Option<&[&str]>) -> RegisterBody {
        RegisterBody {
            version: DataVersion { timestamp: 5, counter: 2, state_version: 0 },
            topics: topics.iter().map(|(topic, queue_data)| (topic.to_string(), *queue_data)).collect(),
            filter_servers: filter_servers.map(|list| list.iter().map(|s| s.to_string()).collect()),
            malformed: 0,
        }
    }

    fn sized(out: &mut Vec<u8>, part: &[u8]) {
        out.extend_from_slice(&(part.len() as i32).to_be_bytes());
        out.extend_from_slice(part);
    }

    fn plain(version: &str, lines: &[&str], filter_servers: &str) -> Vec<u8> {
        let mut out = Vec::new();
        sized(&mut out, version.as_bytes());
        out.extend_from_slice(&(lines.len() as i32).to_be_bytes());
        lines.iter().for_each(|line| sized(&mut out, line.as_bytes()));
        sized(&mut out, filter_servers.as_bytes());
        out
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[track_caller]
    fn check(text: &str, expected: RegisterBody) {
        assert_eq!(parse(text.as_bytes(), false, INFLATED_MAX).unwrap(), expected, "{text}");
    }

    #[test]
    fn json_bodies_of_all_ages() {
        // As a 4.9.7 broker writes it.
        check(
            r#"{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{"counter":2,"timestamp":5},"topicConfigTable":{"T":{"order":false,"perm":6,"readQueueNums":8,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":1,"writeQueueNums":4}}}}"#,
            body(&[("T", queue_data(8, 4, 6, 1))], Some(&[])),
        );
        // Before 3.0.11: the wrapper alone.
        check(
            r#"{"dataVersion":{"counter":2,"timestamp":5},"topicConfigTable":{"T":{"perm":6,"readQueueNums":8,"writeQueueNums":4}}}"#,
            body(&[("T", queue_data(8, 4, 6, 0))], None),
        );
        // 5.x adds members; missing ones have Java's defaults.
        check(
            r#"{"topicConfigSerializeWrapper":{"dataVersion":{"counter":2,"stateVersion":0,"timestamp":5},"mappingDataVersion":{},"topicConfigTable":{"T":{"attributes":{},"topicName":"T"},"U":null},"topicQueueMappingInfoMap":{}},"filterServerList":["f:1"]}"#,
            body(&[("T", queue_data(16, 16, 6, 0))], Some(&["f:1"])),
        );
        // What only fastjson reads.
        check(
            "{topicConfigSerializeWrapper:{'dataVersion':{counter:2,timestamp:5,},topicConfigTable:{'T':{perm:2}}}}",
            body(&[("T", queue_data(16, 16, 2, 0))], None),
        );
        check("{}", RegisterBody::default());
        check("", RegisterBody::default());
    }

    #[test]
    fn compressed_bodies() {
        let version = r#"{"counter":2,"timestamp":5}"#;
        let good = plain(version, &["T 8 4 6 SINGLE_TAG", "%RETRY%g 1 1 6 SINGLE_TAG"], r#"["f:1"]"#);
        let expected = body(&[("T", queue_data(8, 4, 6, 0)), ("%RETRY%g", queue_data(1, 1, 6, 0))], Some(&["f:1"]));
        assert_eq!(parse(&deflate(&good), true, INFLATED_MAX).unwrap(), expected);
        assert_eq!(parse(&deflate(&good), true, good.len()).unwrap(), expected);

        let odd = ["a b 8 4 6 SINGLE_TAG", "T 8 4 6", "T x 4 6 SINGLE_TAG", "", "U 8 4 6 MULTI_TAG"];
        let parsed = parse(&deflate(&plain(version, &odd, "")), true, INFLATED_MAX).unwrap();
        assert_eq!(parsed, RegisterBody { malformed: 4, ..body(&[("U", queue_data(8, 4, 6, 0))], None) });
    }

    #[test]
    fn bad_bodies_are_refused_with_a_cause() {
        let good = plain("{}", &["T 8 4 6 SINGLE_TAG"], "[]");
        let packed = deflate(&good);
        for (bytes, cause) in [
            (b"not zlib".to_vec(), "zlib"),
            (packed[..packed.len() - 8].to_vec(), "zlib"),
            (deflate(&good[..3]), "it ends before the data version"),
            (deflate(&good[..5]), "it ends within the data version"),
            (deflate(&good[..good.len() - 1]), "it ends within the filter servers"),
            (deflate(&[0, 0, 0, 2, b'{', b'}', 0x7f, 0xff, 0xff, 0xff]), "more than 1000000"),
            (deflate(&[0xff; 8]), "negative"),
        ] {
            let found = parse(&bytes, true, INFLATED_MAX).unwrap_err().to_string();
            assert!(found.contains(cause), "{found:?} does not name {cause:?}");
        }
        for text in ["[]", "{", "\"x\"", r#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"T":{"perm":"x"}}}}"#] {
            assert!(parse(text.as_bytes(), false, INFLATED_MAX).is_err(), "{text}");
        }
        let bomb = deflate(&vec![0; 1 << 20]);
        assert!(parse(&bomb, true, 1 << 16).unwrap_err().to_string().contains("more than 65536 bytes"));
    }

    #[test]
    fn any_cut_of_a_body_is_an_error_not_a_panic() {
        let good = plain("{}", &["T 8 4 6 SINGLE_TAG", "U 1 1 6 SINGLE_TAG"], "[]");
        for len in 0..good.len() {
            assert!(parse_inflated(&good[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn sixty_thousand_topics_are_read_quickly() {
        let mut text = String::from(r#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"#);
        let mut lines = Vec::new();
        for i in 0..60_000 {
            let comma = if i > 0 { "," } else { "" };
            text += &format!(
                r#"{comma}"topic-{i:05}":{{"order":false,"perm":6,"readQueueNums":8,"topicFilterType":"SINGLE_TAG","topicName":"topic-{i:05}","topicSysFlag":0,"writeQueueNums":8}}"#
            );
            lines.push(format!("topic-{i:05} 8 8 6 SINGLE_TAG"));
        }
        text += "}}}";
        let packed = deflate(&plain("{}", &lines.iter().map(String::as_str).collect::<Vec<_>>(), "[]"));
        let start = std::time::Instant::now();
        let from_json = parse(text.as_bytes(), false, INFLATED_MAX).unwrap();
        let from_zlib = parse(&packed, true, INFLATED_MAX).unwrap();
        assert_eq!((from_json.topics.len(), &from_json.topics), (60_000, &from_zlib.topics));
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
