//! Files as users write them: read with the settings they mean, or refused with the line that helps.

use config::{BrokerRole, BrokerSettings, Environment, FlushDiskType, Loaded, Source, load_broker};
use std::path::Path;

fn environment() -> Environment {
    Environment {
        variables: [("ROCKETMQ_HOME".to_owned(), "/opt/rocketmq".to_owned())].into(),
        user_home: Some("/home/mq".into()),
        host_name: Some("host-1".into()),
        cores: 4,
        interfaces: Vec::new(),
    }
}

fn load(file: &str) -> Loaded<BrokerSettings> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field").join(file);
    let bytes = std::fs::read(path).expect("the sample lies beside the test");
    load_broker(Some(Source { name: file, bytes: &bytes }), &[], &environment())
}

/// Errors and warnings of a file are exactly these lines, each given by its start and a part of its rest.
fn check(file: &str, expected: &[(&str, &str)]) {
    let lines: Vec<String> = load(file).report.lines().into_iter().filter(|line| !line.contains("note: ")).collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (start, part) in expected {
        assert!(
            lines.iter().any(|line| line.starts_with(start) && line.contains(part)),
            "{start} … {part} in {lines:#?}"
        );
    }
}

fn settings(file: &str) -> BrokerSettings {
    let loaded = load(file);
    let report = loaded.report;
    loaded.settings.unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn a_master_of_4_3_runs_as_its_file_says() {
    check("master-4.3.properties", &[]);
    let s = settings("master-4.3.properties");
    assert_eq!((s.cluster_name.as_str(), s.broker_name.as_str(), s.broker_id), ("rocketmq-cluster", "broker-a", 0));
    assert_eq!(s.namesrv_addrs, ["rocketmq-nameserver1:9876", "rocketmq-nameserver2:9876"]);
    assert_eq!((s.listen_port, s.vip_port, s.ha_listen_port), (10911, 10909, 10912));
    assert_eq!((s.default_topic_queues, s.auto_create_topic_enable), (4, true));
    assert_eq!((s.store.delete_hours.as_slice(), s.store.file_reserved_ms), (&[4][..], 120 * 3_600_000));
    assert_eq!((s.store.disk_used_percent_expired, s.store.body_size_max), (88, 65_536));
    assert_eq!((s.store.segment_size, s.store.consume_queue_file_size), (1 << 30, 6_000_000));
    assert_eq!(s.store.consume_queue_file_size_java44, Some(300_000));
    let paths: Vec<_> = s.store.paths().iter().map(|(_, path)| path.display().to_string()).collect();
    let names = ["", "/commitlog", "/consumequeue", "/index", "/checkpoint", "/abort", "/config", "/lock"];
    assert_eq!(paths, names.map(|name| format!("/usr/local/rocketmq/store{name}")));
}

#[test]
fn keys_without_effect_are_named_once_with_the_reason() {
    let report = load("master-4.3.properties").report.to_string();
    for part in [
        "without effect: pullMessageThreadPoolNums, sendMessageThreadPoolNums (one thread per core",
        "mapedFileSizeConsumeQueue=300000 counts units of 20 bytes: files of 6000000 bytes",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }
}

#[test]
fn a_second_master_with_blanks_and_variables() {
    check(
        "master-sync-flush.properties",
        &[
            ("master-sync-flush.properties:9:16: warning", "listenPort + 1, that is 10922"),
            ("master-sync-flush.properties:16:1: warning", "is read as destroyMapedFileIntervalForcibly"),
        ],
    );
    let s = settings("master-sync-flush.properties");
    assert_eq!((s.broker_name.as_str(), s.broker_ip1.as_str()), ("broker-b", "172.17.4.61"));
    assert_eq!(s.namesrv_addrs, ["172.17.4.60:9876", "172.17.4.61:9876"]);
    assert_eq!((s.listen_port, s.ha_listen_port), (10921, 10922));
    assert_eq!(s.store.root, Path::new("/opt/rocketmq/store-b"));
    assert_eq!(s.store.commitlog_dir, Path::new("/opt/rocketmq/store-b/commitlog"));
    assert_eq!(s.store.flush_disk_type, FlushDiskType::Sync);
    assert_eq!(s.store.consume_queue_file_size, 60_000_000);
}

#[test]
fn a_file_from_a_windows_editor() {
    check("windows-editor.properties", &[("windows-editor.properties:2:1: warning", "brokerIP is read as brokerIP1")]);
    let s = settings("windows-editor.properties");
    assert_eq!((s.broker_ip1.as_str(), s.listen_port), ("192.168.1.20", 11911));
    assert_eq!((s.store.consume_queue_file_size, s.store.consume_queue_file_size_java44), (6_000_020, None));
    assert_eq!(s.store.root, Path::new("/data/rocketmq/store"));
}

#[test]
fn features_that_are_not_here_stop_the_start() {
    check("dledger-n0.conf", &[("dledger-n0.conf:8:23: error", "this version does not have DLedger; set it to false")]);
}

#[test]
fn a_master_and_a_slave_of_2m_2s() {
    check("slave-2m-2s.properties", &[]);
    let s = settings("slave-2m-2s.properties");
    assert_eq!((s.broker_role, s.broker_id, s.listen_port, s.ha_listen_port), (BrokerRole::Slave, 1, 10920, 10921));
    check("master-2m-2s-sync.properties", &[]);
    let s = settings("master-2m-2s-sync.properties");
    assert_eq!((s.broker_role, s.store.flush_disk_type), (BrokerRole::SyncMaster, FlushDiskType::Sync));
}

#[test]
fn one_directory_for_everything_is_explained() {
    check(
        "one-directory.properties",
        &[(
            "one-directory.properties:8:11: error",
            "storePathRootDir, storePathCommitLog, storePathConsumeQueue, storePathIndex, storeCheckpoint, abortFile all name \
             /data/rocketmq/store; keep storePathRootDir and remove the others",
        )],
    );
}

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    let file = "mistakes.properties";
    let at = |place: &str| format!("{file}:{place}");
    let starts: Vec<(String, &str)> = [
        ("2:1: warning", "did you mean brokerIP1 (address announced to clients"),
        ("3:10: error", "brokerId=1 with brokerRole=ASYNC_MASTER"),
        ("4:12: error", "a comment needs a line of its own: listenPort=10911"),
        ("5:13: error", "separated by a semicolon, not by a comma"),
        ("6:15: error", "did you mean SYNC_FLUSH?"),
        ("7:23: error", "true or false expected"),
        ("8:12: error", "4点 is no hour"),
        ("9:18: error", "environment variable ROCKETMQ_HOMEE is not set"),
        ("10:16: error", "storePathIndex (/data/commitlog/index) lies inside storePathCommitLog (/data/commitlog)"),
        ("12:23: warning", "outside 10 to 95, 95 is used"),
        ("14:1: warning", "this value counts, not brokerName at 13:12"),
        ("15:11: error", "does not have access control; set it to false"),
        ("16:1: warning", "kvConfigPath is a key of mqnamesrv, mqbroker ignores it"),
        ("17:1: warning", "did you mean storeCheckpoint"),
    ]
    .map(|(place, part)| (at(place), part))
    .into();
    let expected: Vec<(&str, &str)> = starts.iter().map(|(start, part)| (start.as_str(), *part)).collect();
    check(file, &expected);
    assert!(load(file).settings.is_none());
}
