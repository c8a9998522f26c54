//! Precedence, derived values, clashes and the printed forms.

use config::check::{broker_ports, check_neighbours, port_table};
use config::nic::Interface;
use config::{BrokerRole, BrokerSettings, Environment, NamesrvSettings, Role, Source};
use config::{InitialSync, ReplicationSettings, Resync};
use config::{check_file, load_all_in_one, load_broker, load_namesrv, print};
use std::path::Path;

fn environment() -> Environment {
    Environment {
        variables: [("NAMESRV_ADDR".to_owned(), "env:9876".to_owned())].into(),
        user_home: Some("/home/mq".into()),
        host_name: Some("host-1".into()),
        cores: 4,
        interfaces: Vec::new(),
    }
}

fn source(text: &str) -> Option<Source<'_>> {
    Some(Source { name: "a.conf", bytes: text.as_bytes() })
}

#[test]
fn defaults_are_those_of_java() {
    let s = load_broker(None, &[], &environment()).settings.expect("defaults are sound");
    assert_eq!((s.cluster_name.as_str(), s.broker_name.as_str()), ("DefaultCluster", "host-1"));
    assert_eq!((s.listen_port, s.vip_port, s.ha_listen_port, s.shards), (10911, 10909, 10912, 3));
    assert_eq!((s.default_topic_queues, s.register_interval_ms, s.register_timeout_ms), (8, 30_000, 6_000));
    assert_eq!(s.store.root, Path::new("/home/mq/store"));
    assert_eq!(s.store.delay_levels_ms.len(), 18);
    assert_eq!(s.store.delay_levels_ms.last(), Some(&7_200_000));
    assert_eq!((s.store.flush_interval_ms, s.store.sync_flush_timeout_ms), (500, 5_000));
    assert_eq!(s.server.bind_address.to_string(), "0.0.0.0");
    let r = &s.replication;
    assert_eq!((r.heartbeat_interval_ms, r.housekeeping_ms, r.batch_size), (5_000, 20_000, 32_768));
    assert_eq!((r.fall_behind_max, r.slave_timeout_ms), (268_435_456, 3_000));
    assert_eq!((r.slave_read_enable, r.offset_check_in_slave, r.master_address.as_deref()), (false, false, None));
    assert_eq!((r.initial_sync, r.resync), (InitialSync::All, Resync::Never));
    let n = load_namesrv(None, &[], &environment()).settings.expect("defaults are sound");
    assert_eq!((n.listen_port, n.broker_expiry_ms), (9876, 120_000));
    assert_eq!(n.kv_config_path, Path::new("/home/mq/namesrv/kvConfig.json"));
}

#[test]
fn command_line_beats_file_beats_environment() {
    for (file, option, expected) in [
        (None, None, "env:9876"),
        (Some("namesrvAddr=file:9876"), None, "file:9876"),
        (Some("namesrvAddr=file:9876"), Some(("namesrvAddr", "flag:9876")), "flag:9876"),
    ] {
        let options: Vec<_> = option.into_iter().collect();
        let loaded = load_broker(file.and_then(source), &options, &environment());
        assert_eq!(loaded.settings.expect("sound").namesrv_addrs, [expected]);
    }
    let bad = load_broker(None, &[("namesrvAddr", "a,b")], &environment());
    let report = bad.report.to_string();
    assert!(bad.settings.is_none() && report.starts_with("command line: error: namesrvAddr=a,b: "), "{report}");
}

#[test]
fn the_all_in_one_stays_on_loopback() {
    let bare = Environment { variables: Default::default(), ..environment() };
    let s = load_all_in_one(None, &[], &bare).settings.expect("sound");
    assert_eq!((s.namesrv.listen_port, s.broker.listen_port), (9876, 10911));
    assert_eq!(
        (s.broker.broker_ip1.as_str(), s.broker.namesrv_addrs.as_slice()),
        ("127.0.0.1", &["127.0.0.1:9876".to_owned()][..])
    );
    assert!(s.broker.server.bind_address.is_loopback() && s.namesrv.server.bind_address.is_loopback());
    let clash = load_all_in_one(source("listenPort=9877\nnamesrvAddr=127.0.0.1:9000"), &[], &bare);
    assert!(clash.settings.is_some(), "{}", clash.report);
    let clash = load_all_in_one(source("listenPort=9878\nnamesrvAddr=h:1"), &[], &bare);
    assert!(clash.report.to_string().contains("port 9876 is wanted twice: namesrvListenPort and listenPort - 2"));
}

#[test]
fn values_that_do_not_fit_together_are_refused() {
    for (text, part) in [
        ("brokerName=", "brokerName is empty"),
        ("brokerIP1=10.0.0.1:10911", "without a port"),
        ("brokerIP1=300.0.0.1", "an IP address or host name"),
        ("listenPort=2", "a number from 3 to 65534"),
        ("listenPort=65535", "a number from 3 to 65534"),
        ("brokerId=99999999999999999999", "a whole number (long) expected"),
        ("maxMessageSize=", "the value is empty"),
        ("brokerPermission=3", "2, 4 or 6 expected"),
        ("bindAddress=eth0", "an IP address of this host"),
        ("storePathRootDir=~/store", "~ is not expanded"),
        ("storePathCommitLog=/a,/b", "names several directories"),
        ("storePathRootDir=/s\nstorePathIndex=/s/x/../commitlog/", "all name /s/commitlog"),
        ("storePathRootDir=/s\nabortFile=/s/config/abort", "lies inside storePathRootDir/config"),
        ("storePathRootDir=/s/log\nstorePathCommitLog=/s", "storePathRootDir (/s/log) lies inside storePathCommitLog"),
        ("namesrvAddr=127.0.0.1:10911", "this broker's own port (listenPort)"),
        ("messageStorePlugIn=a.B", "Java store plug-ins; remove the key"),
        ("enableDLedgerCommitLog=true", "does not have DLedger"),
        ("brokerRole=SLAVE\nhaMasterAddress=h:10912", "a slave's brokerId is more than 0"),
        ("brokerRole=SLAVE\nbrokerId=-1", "a number from 0"),
        ("brokerRole=SYNC_MASTER\nbrokerId=1", "a master has brokerId=0"),
        ("brokerRole=SLAVE\nbrokerId=1\nhaMasterAddress=h", "h has no port; write it as 192.168.0.1:10912"),
        ("brokerRole=SLAVE\nbrokerId=1\nhaMasterAddress=localhost:10912", "this slave's own replication port"),
        ("duplicationEnable=true", "confirmed copies before dispatch"),
        ("fetchNamesrvAddrByAddressServer=true", "set namesrvAddr"),
    ] {
        let report = BrokerSettings::from_text(text).expect_err(text).to_string();
        assert!(report.contains(part), "{part} in {report}");
    }
}

#[test]
fn replication_is_read_as_it_is_written() {
    let s = BrokerSettings::from_text(
        "brokerRole=SLAVE\nbrokerId=2\nhaMasterAddress= 10.0.0.1:10912 \nhaInitialSync=lastFile\nhaResync=aside\n\
         slaveReadEnable=true\noffsetCheckInSlave=true\nslaveTimeout=500\nhaSlaveFallbehindMax=1000\n\
         haTransferBatchSize=65536\nhaCopyTablesInterval=70\nhaSlavesMax=3\nhaSendHeartbeatInterval=100\nhaHousekeepingInterval=900",
    )
    .expect("sound");
    assert_eq!((s.broker_role, s.broker_id), (BrokerRole::Slave, 2));
    let expected = ReplicationSettings {
        master_address: Some("10.0.0.1:10912".into()),
        heartbeat_interval_ms: 100,
        housekeeping_ms: 900,
        copy_tables_interval_ms: 70,
        slaves_max: 3,
        batch_size: 65_536,
        fall_behind_max: 1_000,
        slave_timeout_ms: 500,
        initial_sync: InitialSync::LastFile,
        resync: Resync::Aside,
        slave_read_enable: true,
        offset_check_in_slave: true,
    };
    assert_eq!(s.replication, expected);
}

#[test]
fn values_that_mean_something_else_are_warned_of() {
    for (text, part) in [
        ("mappedFileSizeCommitLog=65536", "cannot hold a message of maxMessageSize"),
        ("maxMessageSize=16777216", "frameMaxLength=16777216 cannot carry"),
        ("diskSpaceCleanForciblyRatio=95", "sends are refused before space is made"),
        ("haMasterAddress=h:10912", "brokerRole=ASYNC_MASTER copies from nobody"),
        ("brokerRole=SLAVE\nbrokerId=1", "nobody tells where the master is"),
        ("haHousekeepingInterval=5000", "is not above haSendHeartbeatInterval=5000"),
        ("registerNameServerPeriod=5", "outside 10000 to 60000, 10000 is used"),
    ] {
        let loaded = load_broker(source(text), &[], &Environment::default());
        let report = loaded.report.to_string();
        assert!(loaded.settings.is_some() && loaded.report.warnings() == 1 && report.contains(part), "{report}");
    }
}

#[test]
fn the_announced_address_is_the_best_card_and_a_guess_is_said() {
    let card = |name: &str, address: &str| Interface {
        name: name.into(),
        address: address.parse().expect("an address"),
        up: true,
        loopback: name == "lo",
        point_to_point: false,
    };
    let cards = vec![card("lo", "127.0.0.1"), card("docker0", "172.17.0.1"), card("eth0", "10.0.0.5")];
    let environment = Environment { interfaces: cards, ..environment() };
    let guessed = load_broker(None, &[], &environment);
    assert_eq!(guessed.settings.as_ref().map(|s| s.broker_ip1.as_str()), Some("10.0.0.5"));
    assert!(guessed.report.to_string().contains("10.0.0.5 of eth0 is announced"), "{}", guessed.report);
    let told = load_broker(source("brokerIP1=10.0.0.9"), &[], &environment);
    assert_eq!((told.report.warnings(), told.settings.map(|s| s.broker_ip1)), (0, Some("10.0.0.9".into())));
}

#[test]
fn two_brokers_on_one_host() {
    let load = |text: &str| BrokerSettings::from_text(text).expect("sound");
    let master = load("brokerName=a\nstorePathRootDir=/s");
    let slave = load("brokerName=b\nlistenPort=10912\nstorePathRootDir=/s/slave");
    let clashes = check_neighbours(&master, &slave);
    assert_eq!(clashes.len(), 1, "{clashes:?}");
    assert!(clashes.iter().any(|line| line.contains("port 10912 is listenPort + 1 of a and listenPort of b")));
    let copy = load("brokerName=b\nlistenPort=10921\nstorePathRootDir=/s/");
    let clashes = check_neighbours(&master, &copy);
    assert!(clashes.iter().any(|line| line.contains("own storePathRootDir")), "{clashes:?}");
    let apart = load("brokerName=b\nlistenPort=10921\nstorePathRootDir=/t");
    assert_eq!(check_neighbours(&master, &apart), [""; 0]);
    let table = port_table(&broker_ports(&master));
    assert_eq!(
        table,
        "10911 clients (listenPort), 10909 clients, VIP channel (listenPort - 2), 10912 replication (listenPort + 1)"
    );
}

#[test]
fn printed_as_java_prints() {
    let text = "listenPort=10921\nbrokerName=broker-a\nfoo=1\\\\2\nmapedFileSizeConsumeQueue=300000";
    let values = load_broker(source(text), &[], &environment()).values;
    let all = print::all(&values);
    let lines: Vec<&str> = all.lines().collect();
    let at = |line: &str| lines.iter().position(|l| *l == line).unwrap_or_else(|| panic!("{line} in {all}"));
    let order = [
        "rocketmqHome=",
        "namesrvAddr=env:9876",
        "brokerName=broker-a",
        "isolateLogEnable=false",
        "listenPort=10921",
        "clientWorkerThreads=4",
        "storePathRootDir=/home/mq/store",
        "storePathCommitLog=",
        "mappedFileSizeConsumeQueue=6000000",
        "haListenPort=10922",
        "isEnableBatchPush=false",
        "shardNums=3",
    ];
    assert!(order.map(at).is_sorted(), "{all}");
    let important: Vec<String> =
        print::important(&values).lines().map(|l| l.split('=').next().unwrap_or("").into()).collect();
    let expected = [
        "namesrvAddr",
        "brokerIP1",
        "brokerName",
        "brokerClusterName",
        "brokerId",
        "autoCreateTopicEnable",
        "autoCreateSubscriptionGroup",
        "msgTraceTopicName",
        "traceTopicEnable",
        "rejectTransactionMessage",
        "fetchNamesrvAddrByAddressServer",
        "transactionTimeOut",
        "transactionCheckMax",
        "transactionCheckInterval",
        "aclEnable",
        "storePathRootDir",
        "storePathCommitLog",
        "storePathDLedgerCommitLog",
        "flushIntervalCommitLog",
        "commitIntervalCommitLog",
        "flushCommitLogTimed",
        "deleteWhen",
        "fileReservedTime",
        "maxTransferBytesOnMessageInMemory",
        "maxTransferCountOnMessageInMemory",
        "maxTransferBytesOnMessageInDisk",
        "maxTransferCountOnMessageInDisk",
        "accessMessageInMemoryMaxRatio",
        "messageIndexEnable",
        "messageIndexSafe",
        "haMasterAddress",
        "brokerRole",
        "flushDiskType",
        "cleanFileForciblyEnable",
        "transientStorePoolEnable",
    ];
    assert_eq!(important, expected);
    let body = print::config_body(&values);
    assert!(
        !body.contains("storePathCommitLog=") && body.contains("listenPort=10921\n") && body.ends_with("foo=1\\\\2\n")
    );
    assert_eq!(config::Properties::parse(body.as_bytes()).get("foo"), Some("1\\2"));
}

#[test]
fn what_config_body_says_reads_back_as_the_same_settings() {
    let first = load_broker(source("listenPort=10921\nmaxMessageSize=65536\nbrokerName=中"), &[], &environment());
    let body = print::config_body(&first.values);
    let second = load_broker(source(&body), &[], &Environment::default());
    assert_eq!(second.settings, first.settings, "{}", second.report);
}

#[test]
fn a_nameserver_file() {
    let loaded = load_namesrv(source("listenPort=9877\nkvConfigPath=/d/kv.json\nbrokerName=a"), &[], &environment());
    let s = loaded.settings.expect("sound");
    assert_eq!(
        (s.listen_port, s.kv_config_path.as_path(), s.config_store_path.as_path()),
        (9877, Path::new("/d/kv.json"), Path::new("a.conf"))
    );
    assert!(loaded.report.to_string().contains("a.conf:3:1: warning: brokerName is a key of mqbroker"));
    assert!(print::all(&loaded.values).starts_with("rocketmqHome=\nkvConfigPath=/d/kv.json\nconfigStorePath=a.conf\n"));
    let report = NamesrvSettings::from_text("clusterTest=true").expect_err("not in this version").to_string();
    assert!(report.contains("set it to false"), "{report}");
}

#[test]
fn every_key_of_the_shipped_files_is_known() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf");
    let mut files = vec![root.join("broker.conf")];
    for entry in std::fs::read_dir(root.join("2m-noslave")).expect("conf/2m-noslave") {
        files.push(entry.expect("a directory entry").path());
    }
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let report = check_file(Role::Broker, &file, &[], &environment());
        assert_eq!(report.lines(), [""; 0]);
    }
}

/// What a start takes from its command line, a check takes from there, too.
#[test]
fn a_check_reads_the_command_line() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field/slave-2m-2s.properties");
    for (addresses, errors) in [("10.0.0.1:9876", 0), ("10.0.0.1:9876,10.0.0.2:9876", 1)] {
        let report = check_file(Role::Broker, &file, &[("namesrvAddr", addresses)], &environment());
        assert_eq!(report.errors(), errors, "{report}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    let report = check_file(Role::Broker, Path::new("/no/such/broker.conf"), &[], &environment());
    assert!(report.errors() == 1 && report.to_string().contains("/no/such/broker.conf: error: cannot be read"));
}

#[test]
fn the_page_of_keys_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    let page = std::fs::read_to_string(page).expect("docs/config.md");
    assert!(page == config::doc::config_md(), "docs/config.md is old: cargo run -p config --example config_doc");
}
