//! Each case of `golden/`: what the commands print is what Java's mqadmin printed, byte for byte, when the same
//! nameservers and brokers answered it (`golden/capture/record.sh`).

mod play;

use admin::Ended;
use play::{Case, Play};

/// 2026-11-21 11:41:12 UTC
const NOW_MS: i64 = 1_795_261_272_000;

#[test]
fn what_is_printed_is_what_java_printed() {
    let cases = Case::all();
    assert!(cases.len() >= 16, "only {} cases found", cases.len());
    for case in cases {
        let played = Play { answers: case.answers(NOW_MS), now_ms: NOW_MS, namesrv: None }.run(&case.arguments());
        assert_eq!(played.out, case.java(), "{}", case.name);
        // Java ends with 0 in each case; the rows it left empty are failures here.
        let want = if case.name.ends_with("broker-away") { Ended::Failed } else { Ended::Well };
        assert_eq!(played.ended, want, "{}: {:?}", case.name, played.said);
    }
}

#[test]
fn who_is_away_is_named_with_the_reason() {
    let case = Case::named("cluster-list-broker-away");
    let played = Play { answers: case.answers(NOW_MS), now_ms: NOW_MS, namesrv: None }.run(&case.arguments());
    assert_eq!(
        played.said,
        [
            "broker broker-a (1) at 127.0.1.12:10921: request 28 GET_BROKER_RUNTIME_INFO was answered with \
             1 SYSTEM_ERROR: store is closing",
            "broker broker-b (1) at 127.0.1.11:10921: nobody plays this address",
        ]
    );
}

#[test]
fn json_holds_what_the_table_shows() {
    for case in Case::all() {
        let mut words = case.arguments();
        words.push("--json".into());
        let played = Play { answers: case.answers(NOW_MS), now_ms: NOW_MS, namesrv: None }.run(&words);
        let value: serde_json::Value =
            serde_json::from_str(&played.out).unwrap_or_else(|error| panic!("{}: {error}: {}", case.name, played.out));
        // The list of rows, and the members that the table shows as well.
        let (list, shown): (&str, &[&str]) = match (case.command(), case.name.as_str()) {
            (_, name) if name.starts_with("cluster-list-more") => ("brokers", &["cluster", "brokerName"]),
            ("clusterList", _) => ("brokers", &["cluster", "brokerName", "brokerId", "address", "version"]),
            ("topicRoute", _) => ("queueDatas", &["brokerName", "perm", "readQueueNums", "writeQueueNums"]),
            ("topicStatus", _) => ("queues", &["queueId", "minOffset", "maxOffset"]),
            (_, "broker-status" | "ha-status-slave") => ("brokers", &[]),
            _ => ("brokers", &["address"]),
        };
        let rows = value[list].as_array().unwrap_or_else(|| panic!("{}: no {list} in {value}", case.name));
        assert_eq!(rows.is_empty(), case.name == "cluster-list-empty", "{}", case.name);
        let java = case.java();
        for row in rows {
            for member in shown {
                // Indented JSON of Java has the quotes and escapes, a table has not.
                let quoted = row[*member].to_string();
                let is_there = java.contains(&quoted) || java.contains(quoted.trim_matches('"'));
                assert!(is_there, "{}: {member} {quoted}", case.name);
            }
        }
    }
}
