//! Plans of any wish: nothing on a host clashes, copies lie apart, and every file is one the broker accepts.

use std::path::{Path, PathBuf};
use std::process::Command;

use config::{BrokerRole, BrokerSettings, Environment, NamesrvSettings, Source};
use proptest::prelude::*;
use ringmq::cluster::{File, Host, Plan, Wishes, files, plan, port_table};

fn wishes(topology: &str, hosts: &str) -> Wishes {
    Wishes {
        topology: topology.parse().unwrap_or_else(|error| panic!("{error}")),
        hosts: hosts.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect(),
        namesrv: Vec::new(),
        store_root: "/data/rocketmq".into(),
        cluster: "DefaultCluster".into(),
        listen_port: 10911,
        namesrv_port: 9876,
        shared_hosts: false,
    }
}

fn environment() -> Environment {
    let variables = [("HOME".to_owned(), "/home/mq".to_owned())].into();
    Environment { variables, user_home: Some("/home/mq".into()), ..Environment::default() }
}

fn settings(file: &File) -> BrokerSettings {
    let source = Source { name: "planned", bytes: file.text.as_bytes() };
    let loaded = config::load_broker(Some(source), &[], &environment());
    loaded.settings.unwrap_or_else(|| panic!("{}:\n{}", file.path.display(), loaded.report))
}

/// Everything a host's programs take, by what the broker and nameserver themselves read out of the files.
fn check_host(host: &Host, files: &[File]) {
    let of_host = |name: &str| {
        let path = PathBuf::from(&host.name).join(name);
        files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no file {}", path.display()))
    };
    let brokers: Vec<BrokerSettings> = host.brokers.iter().map(|broker| settings(of_host(&broker.file))).collect();
    let mut ports: Vec<u16> = Vec::new();
    let mut homes: Vec<PathBuf> = Vec::new();
    for (planned, broker) in host.brokers.iter().zip(&brokers) {
        let rows = config::check::broker_ports(broker);
        let taken: Vec<u16> = rows.iter().map(|row| row.port).collect();
        assert_eq!(taken, planned.ports().map(|(port, _)| port), "what the plan says and what the broker takes");
        assert_eq!(taken, [broker.listen_port, broker.listen_port - 2, broker.listen_port + 1]);
        ports.extend(taken);
        homes.push(broker.store.root.clone());
        for (key, path) in broker.store.paths() {
            assert!(path.starts_with(&broker.store.root), "{key} {} lies elsewhere", path.display());
        }
        assert_eq!(broker.broker_id, planned.id as i64);
        assert_eq!(broker.broker_role == BrokerRole::Slave, planned.id > 0);
    }
    for namesrv in &host.namesrv {
        let source = Source { name: "planned", bytes: of_host(&namesrv.file).text.as_bytes() };
        let loaded = config::load_namesrv(Some(source), &[], &environment());
        let settings: NamesrvSettings = loaded.settings.unwrap_or_else(|| panic!("{}", loaded.report));
        assert_eq!(settings.listen_port, namesrv.port);
        ports.push(settings.listen_port);
        homes.push(settings.kv_config_path.parent().map(Path::to_owned).unwrap_or_default());
    }
    ports.sort_unstable();
    let count = ports.len();
    ports.dedup();
    assert_eq!(ports.len(), count, "a port of {} is taken twice: {host:?}", host.name);
    for (at, home) in homes.iter().enumerate() {
        for other in homes.iter().skip(at + 1) {
            assert!(!home.starts_with(other) && !other.starts_with(home), "{} and {}", home.display(), other.display());
        }
    }
    for (at, broker) in brokers.iter().enumerate() {
        for other in brokers.iter().skip(at + 1) {
            let clashes = config::check::check_neighbours(broker, other);
            assert!(clashes.is_empty(), "{clashes:?}");
        }
    }
}

fn check_plan(wishes: &Wishes, plan: &Plan) {
    let files = files(plan, "SYNC_FLUSH");
    let mut paths: Vec<&PathBuf> = files.iter().map(|file| &file.path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), files.len(), "two files of one name");
    plan.hosts.iter().for_each(|host| check_host(host, &files));

    let copies = wishes.topology.slaves_each + 1;
    let all: Vec<(&str, &str, usize)> = plan
        .hosts
        .iter()
        .flat_map(|host| host.brokers.iter().map(|broker| (broker.name.as_str(), host.name.as_str(), broker.id)))
        .collect();
    assert_eq!(all.len(), wishes.topology.masters * copies);
    for (name, host, id) in &all {
        let same = all.iter().filter(|other| other.0 == *name);
        assert_eq!(same.clone().filter(|other| other.2 == *id).count(), 1, "{name} {id} is planned twice");
        if !wishes.shared_hosts {
            assert_eq!(same.filter(|other| other.1 == *host).count(), 1, "two copies of {name} on {host}");
            assert!(*id > 0 || all.iter().filter(|other| other.1 == *host && other.2 == 0).count() == 1);
        }
    }
    // Every port that the plan takes stands in the table for the firewall.
    let table = port_table(plan);
    for host in &plan.hosts {
        for (port, _) in host.brokers.iter().flat_map(|broker| broker.ports()) {
            let row = |line: &str| line.starts_with(&host.name) && line.contains(&format!(" {port} "));
            assert!(table.lines().any(row), "{port} of {} is not in\n{table}", host.name);
        }
    }
}

prop_compose! {
    fn any_wishes()(
        masters in 1usize..=7,
        slaves_each in 0usize..=3,
        sync in any::<bool>(),
        hosts in 1usize..=9,
        namesrv in prop::collection::vec((0usize..=9, prop_oneof![Just(9876u16), 10_905u16..10_945, 1u16..]), 0..4),
        listen_port in prop_oneof![Just(10_911u16), 10_900u16..10_950, 0u16..40, 65_480u16..],
        shared_hosts in any::<bool>(),
        root in prop_oneof![Just("/data/rocketmq"), Just("/data//mq/"), Just("${HOME}/mq")],
    ) -> Wishes {
        let flavour = if slaves_each == 0 { "noslave".into() } else {
            format!("{}s-{}", masters * slaves_each, if sync { "sync" } else { "async" })
        };
        Wishes {
            namesrv: namesrv.iter().map(|(host, port)| format!("host-{host}:{port}")).collect(),
            hosts: (0..hosts).map(|host| format!("host-{host}")).collect(),
            store_root: root.into(),
            listen_port,
            shared_hosts,
            ..wishes(&format!("{masters}m-{flavour}"), "")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_clashes_in_any_plan(wishes in any_wishes()) {
        match plan(&wishes) {
            Ok(plan) => check_plan(&wishes, &plan),
            Err(why) => {
                let topology = wishes.topology;
                let copies = topology.slaves_each + 1;
                let count = wishes.hosts.len();
                let namesrv: std::collections::BTreeSet<&String> = wishes.namesrv.iter().collect();
                let justified = !wishes.shared_hosts && (copies > count || topology.masters > count)
                    || topology.masters * copies < count
                    || namesrv.len() < wishes.namesrv.len()
                    || !(100..=65_000).contains(&wishes.listen_port);
                prop_assert!(justified, "refused without need: {why}: {wishes:?}");
            }
        }
    }
}

#[track_caller]
fn check_places(topology: &str, hosts: &str, want: &str) {
    let plan = plan(&wishes(topology, hosts)).unwrap_or_else(|why| panic!("{why}"));
    let lines: Vec<String> = plan
        .hosts
        .iter()
        .map(|host| {
            let namesrv = host.namesrv.iter().map(|namesrv| format!(" namesrv:{}", namesrv.port));
            let brokers = host
                .brokers
                .iter()
                .map(|broker| format!(" {}:{}", broker.file.trim_end_matches(".properties"), broker.listen_port));
            format!("{}:{}", host.name, namesrv.chain(brokers).collect::<String>())
        })
        .collect();
    assert_eq!(lines.join(" | "), want);
}

#[test]
fn slaves_lie_crosswise() {
    check_places(
        "2m-2s-sync",
        "h1,h2",
        "h1: namesrv:9876 broker-a:10911 broker-b-s:10921 | h2: namesrv:9876 broker-b:10911 broker-a-s:10921",
    );
    check_places(
        "2m-2s-async",
        "h1,h2,h3,h4",
        "h1: namesrv:9876 broker-a:10911 | h2: namesrv:9876 broker-b:10911 | h3: namesrv:9876 broker-a-s:10911 | \
         h4: broker-b-s:10911",
    );
    check_places(
        "1m-2s",
        "h1,h2,h3",
        "h1: namesrv:9876 broker-a:10911 | h2: namesrv:9876 broker-a-s1:10911 | h3: namesrv:9876 broker-a-s2:10911",
    );
    check_places("2m-noslave", "h1,h2", "h1: namesrv:9876 broker-a:10911 | h2: namesrv:9876 broker-b:10911");
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut Wishes), want: &str) {
    let mut wishes = wishes("2m-2s-sync", "h1,h2");
    change(&mut wishes);
    match plan(&wishes) {
        Ok(plan) => panic!("{want} expected: {plan:?}"),
        Err(why) => assert!(why.contains(want), "{why}"),
    }
}

#[test]
fn impossible_plans_are_refused_with_the_reason() {
    check_refused(|wishes| wishes.hosts.clear(), "no hosts");
    check_refused(|wishes| wishes.hosts.truncate(1), "2 copies of each broker, and 1 host(s) cannot hold them apart");
    check_refused(|wishes| wishes.hosts.push("H1".into()), "named twice");
    check_refused(|wishes| wishes.hosts.push("127.0.0.1".into()), "means another machine on each host");
    check_refused(|wishes| wishes.hosts.push("h3:10911".into()), "neither a port nor an IPv6 address");
    check_refused(|wishes| wishes.hosts.push("..".into()), "no host name");
    check_refused(|wishes| wishes.hosts.push("a/b".into()), "'/' is no part of a host name");
    check_refused(|wishes| wishes.hosts.push("10.0.0.256".into()), "no IPv4 address");
    let more = |wishes: &mut Wishes| wishes.hosts.extend(["h3", "h4", "h5"].map(str::to_owned));
    check_refused(more, "nothing would run on h5: 2m-2s-sync has 4 brokers");
    check_refused(|wishes| wishes.topology.masters = 3, "3 masters for 2 host(s)");
    check_refused(|wishes| wishes.listen_port = 2, "no ports are left on h1");
    check_refused(|wishes| wishes.listen_port = 65_534, "no ports are left on h");
    check_refused(|wishes| wishes.namesrv_port = 0, "--namesrv-port 0");
    check_refused(|wishes| wishes.namesrv = vec!["h1:x".into()], "the port is no number");
    check_refused(|wishes| wishes.namesrv = vec!["h1".into(), "H1:9876".into()], "named twice");
    check_refused(|wishes| wishes.store_root = "store".into(), "give an absolute directory");
    check_refused(|wishes| wishes.store_root = "/".into(), "give an absolute directory");
    check_refused(|wishes| wishes.store_root = "/data/../x".into(), "give an absolute directory");
    check_refused(|wishes| wishes.store_root = "/data/a b".into(), "' ' makes trouble");
    check_refused(|wishes| wishes.cluster = "a=b".into(), "a cluster's name");
}

#[test]
fn a_port_of_the_nameserver_is_left_alone() {
    let wishes = Wishes { namesrv: vec!["h1:10912".into(), "h9".into()], ..wishes("2m-2s-sync", "h1,h2") };
    let plan = plan(&wishes).unwrap_or_else(|why| panic!("{why}"));
    check_plan(&wishes, &plan);
    assert_eq!(plan.hosts[0].brokers[0].listen_port, 10921);
    assert_eq!(plan.namesrv_addr, "h1:10912;h9:9876");
    assert!(plan.notes.iter().any(|note| note.contains("h9:9876 is none of the planned hosts")), "{:?}", plan.notes);
}

#[test]
fn one_host_is_taken_when_it_is_wished() {
    let wishes = Wishes { shared_hosts: true, ..wishes("2m-2s-async", "127.0.0.1") };
    let plan = plan(&wishes).unwrap_or_else(|why| panic!("{why}"));
    check_plan(&wishes, &plan);
    assert!(plan.notes.iter().any(|note| note.contains("its end takes both copies")), "{:?}", plan.notes);
}

#[test]
fn nothing_is_overwritten() {
    let folder = std::env::temp_dir().join(format!("ringmq-plan-{}", std::process::id()));
    let planned = plan(&wishes("1m-2s", "h1,h2,h3")).unwrap_or_else(|why| panic!("{why}"));
    let files = files(&planned, "ASYNC_FLUSH");
    ringmq::cluster::write(&folder, &files).unwrap_or_else(|why| panic!("{why}"));
    let script = std::fs::read_to_string(folder.join("h2/start.sh")).unwrap_or_default();
    assert!(script.contains("bin/mqbroker\" -c \"$here/broker-a-s1.properties\""), "{script}");
    let sound = Command::new("/bin/sh").arg("-n").arg(folder.join("h2/start.sh")).status();
    let homeless = Command::new(folder.join("h2/start.sh")).env_remove("ROCKETMQ_HOME").output();
    let again = ringmq::cluster::write(&folder, &files);
    let _ = std::fs::remove_dir_all(&folder);
    assert!(sound.is_ok_and(|status| status.success()), "{script}");
    let homeless = homeless.unwrap_or_else(|error| panic!("start.sh can be run as it lies there: {error}"));
    assert!(!homeless.status.success());
    assert!(String::from_utf8_lossy(&homeless.stderr).contains("set it to the installation"), "{homeless:?}");
    assert!(again.is_err_and(|why| why.contains("is not empty")));
}

/// Runs a host's start.sh in an installation of stand-ins, which note their arguments and refuse what `unsound` names.
fn start(name: &str, unsound: &str) -> (Option<i32>, String, String) {
    let folder = std::env::temp_dir().join(format!("ringmq-start-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let planned = plan(&wishes("2m-2s-sync", "h1,h2")).unwrap_or_else(|why| panic!("{why}"));
    ringmq::cluster::write(&folder.join("plan"), &files(&planned, "ASYNC_FLUSH")).unwrap_or_else(|why| panic!("{why}"));
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).expect("bin");
    // A pipe ends when its last writer does: reading it waits for the programs in the background.
    let stand_in = format!("echo \"${{0##*/}} ${{2##*/}} $3\" >&9\n[ \"${{2##*/}}\" != '{unsound}' ]\n");
    for program in ["mqnamesrv", "mqbroker"] {
        std::fs::write(bin.join(program), &stand_in).expect("a stand-in");
    }
    let script = format!("sh {}/plan/h1/start.sh 9>&1 >{}/said", folder.display(), folder.display());
    let mut shell = Command::new("/bin/sh");
    let home = if name == "homeless" { Path::new("/nowhere") } else { &folder };
    let output = shell.arg("-c").arg(script).env("ROCKETMQ_HOME", home).output().expect("sh runs");
    let said = std::fs::read_to_string(folder.join("said")).unwrap_or_default();
    let _ = std::fs::remove_dir_all(&folder);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), said + &text(&output.stderr))
}

#[test]
fn start_sh_checks_all_and_then_starts_all() {
    let checks = "mqnamesrv namesrv.properties --check\nmqbroker broker-a.properties --check\nmqbroker \
                  broker-b-s.properties --check\n";
    let (code, ran, said) = start("sound", "");
    assert_eq!(code, Some(0), "{said}");
    let started = ran.strip_prefix(checks).unwrap_or_else(|| panic!("{ran}"));
    let mut started: Vec<&str> = started.lines().map(str::trim_end).collect();
    started.sort_unstable();
    assert_eq!(
        started,
        ["mqbroker broker-a.properties", "mqbroker broker-b-s.properties", "mqnamesrv namesrv.properties"]
    );
    assert!(said.contains("mqadmin clusterList -n 'h1:9876;h2:9876'"), "{said}");

    let (code, ran, _) = start("unsound", "broker-b-s.properties");
    assert_eq!((code, ran.as_str()), (Some(1), checks), "nothing starts");
    let (code, ran, said) = start("homeless", "");
    assert_eq!((code, ran.as_str()), (Some(1), ""));
    assert!(said.contains("there is no /nowhere/bin/mqbroker; set ROCKETMQ_HOME"), "{said}");
}
