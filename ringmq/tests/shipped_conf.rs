//! Every file of `conf/` is one that the broker starts with, and those meant for one host can run beside each other.

use std::fs;
use std::path::{Path, PathBuf};

use config::{BrokerSettings, Environment, Role};

fn conf() -> PathBuf {
    let ringmq = Path::new(env!("CARGO_MANIFEST_DIR"));
    ringmq.parent().unwrap_or(ringmq).join("conf")
}

fn environment() -> Environment {
    let variables = [("HOME".to_owned(), "/home/mq".to_owned())].into();
    Environment { variables, user_home: Some("/home/mq".into()), ..Environment::default() }
}

fn load(file: &str) -> BrokerSettings {
    let path = conf().join(file);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let source = config::Source { name: file, bytes: &bytes };
    let loaded = config::load_broker(Some(source), &[], &environment());
    loaded.settings.unwrap_or_else(|| panic!("{}", loaded.report))
}

#[test]
fn every_file_passes_the_check() {
    let mut count = 0;
    for entry in fs::read_dir(conf()).into_iter().flatten().flatten() {
        let path = entry.path();
        let files: Vec<PathBuf> = match path.is_dir() {
            true => fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect(),
            false => vec![path],
        };
        for file in files {
            let report = config::check_file(Role::Broker, &file, &[], &environment());
            assert!(report.is_ok(), "{report}");
            count += 1;
        }
    }
    assert!(count >= 15, "only {count} files found");
}

#[test]
fn brokers_meant_for_one_host_do_not_clash() {
    let together: &[&[&str]] = &[
        &["2m-2s-async/broker-a.properties", "2m-2s-async/broker-b-s.properties"],
        &["2m-2s-async/broker-b.properties", "2m-2s-async/broker-a-s.properties"],
        &["2m-2s-sync/broker-a.properties", "2m-2s-sync/broker-b-s.properties"],
        &["2m-2s-sync/broker-b.properties", "2m-2s-sync/broker-a-s.properties"],
        &["1m-2s/broker-a.properties", "1m-2s/broker-a-s1.properties", "1m-2s/broker-a-s2.properties"],
    ];
    for files in together {
        let brokers: Vec<BrokerSettings> = files.iter().map(|file| load(file)).collect();
        for (at, broker) in brokers.iter().enumerate() {
            for other in brokers.iter().skip(at + 1) {
                let clashes = config::check::check_neighbours(broker, other);
                assert!(clashes.is_empty(), "{clashes:?}");
                let (a, b) = (&broker.store.root, &other.store.root);
                assert!(!a.starts_with(b) && !b.starts_with(a), "{} and {}", a.display(), b.display());
            }
        }
    }
}
