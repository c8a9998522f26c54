//! What values mean together: ports, paths, roles and sizes that clash inside one file or between two.
//!
//! Reads settings and reports; changes nothing and looks at no disk. Paths are compared as text after removing `.`,
//! `..` and doubled slashes, so a link that leads to the same place is not seen here.

use crate::broker::{BrokerRole, BrokerSettings};
use crate::environment::Environment;
use crate::keys::Role;
use crate::namesrv::NamesrvSettings;
use crate::report::{Report, Severity};
use crate::values::{Source, Values};
use std::path::{Component, Path, PathBuf};

/// Checks one file as a start with these keys on the command line would, without starting. A file that cannot be read is
/// an error in the report.
pub fn check_file(role: Role, path: &Path, command_line: &[(&str, &str)], environment: &Environment) -> Report {
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => {
            let source = Source { name: &name, bytes: &bytes };
            match role {
                Role::Broker => crate::load_broker(Some(source), command_line, environment).report,
                Role::Namesrv => crate::load_namesrv(Some(source), command_line, environment).report,
                Role::AllInOne => crate::load_all_in_one(Some(source), command_line, environment).report,
            }
        }
        Err(error) => {
            let mut report = Report::default();
            report.push(
                Severity::Error,
                Some(&name),
                None,
                format!("cannot be read: {error}; check the path after -c"),
            );
            report
        }
    }
}

/// One listening port of a program and the key that places it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRow {
    pub port: u16,
    pub purpose: &'static str,
    /// The key and the rule, such as `listenPort - 2`.
    pub key: &'static str,
}

/// The ports a broker takes, main port first.
pub fn broker_ports(settings: &BrokerSettings) -> Vec<PortRow> {
    let replication = match settings.broker_role {
        BrokerRole::Slave => "replication, once it is a master",
        BrokerRole::AsyncMaster | BrokerRole::SyncMaster => "replication",
    };
    vec![
        PortRow { port: settings.listen_port, purpose: "clients", key: "listenPort" },
        PortRow { port: settings.vip_port, purpose: "clients, VIP channel", key: "listenPort - 2" },
        PortRow { port: settings.ha_listen_port, purpose: replication, key: "listenPort + 1" },
    ]
}

pub fn namesrv_ports(settings: &NamesrvSettings, role: Role) -> Vec<PortRow> {
    let key = if role == Role::AllInOne { "namesrvListenPort" } else { "listenPort" };
    vec![PortRow { port: settings.listen_port, purpose: "nameserver", key }]
}

/// `10911 clients (listenPort), 10909 clients, VIP channel (listenPort - 2), …` for the log at start.
pub fn port_table(rows: &[PortRow]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| format!("{} {} ({})", row.port, row.purpose, row.key)).collect();
    rows.join(", ")
}

/// Whether two brokers with these settings can run on one host: ports, and paths of their stores.
pub fn check_neighbours(a: &BrokerSettings, b: &BrokerSettings) -> Vec<String> {
    let name = |settings: &BrokerSettings| match &settings.config_file {
        Some(file) => file.display().to_string(),
        None => settings.broker_name.clone(),
    };
    let (a_name, b_name) = (name(a), name(b));
    let mut clashes = Vec::new();
    for x in broker_ports(a) {
        for y in broker_ports(b).into_iter().filter(|y| y.port == x.port) {
            clashes.push(format!(
                "port {} is {} of {a_name} and {} of {b_name}; give one of them a listenPort at least 4 away",
                x.port, x.key, y.key
            ));
        }
    }
    for (key, path) in a.store.paths() {
        for (other_key, other) in b.store.paths() {
            if normal(path) == normal(other) {
                clashes.push(format!(
                    "{} is {key} of {a_name} and {other_key} of {b_name}; give each broker its own storePathRootDir",
                    path.display()
                ));
            }
        }
    }
    clashes
}

pub(crate) fn check_broker(settings: &BrokerSettings, values: &Values, report: &mut Report) {
    check_paths(settings, values, report);
    check_identity(settings, values, report);
    check_sizes(settings, values, report);
    check_own_ports(settings, values, report);
    crate::replication::check(settings, values, report);
}

pub(crate) fn check_all_in_one(
    broker: &BrokerSettings,
    namesrv: &NamesrvSettings,
    values: &Values,
    report: &mut Report,
) {
    for row in broker_ports(broker).iter().filter(|row| row.port == namesrv.listen_port) {
        let text = format!(
            "port {} is wanted twice: namesrvListenPort and {}; set one of the two elsewhere",
            row.port, row.key
        );
        let key = if values.is_set("namesrvListenPort") { "namesrvListenPort" } else { "listenPort" };
        values.say(report, Severity::Error, key, text);
    }
}

/// The path as text comparison needs it: no `.`, no `x/..`, no trailing slash.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Each store path needs a place of its own: the loaders of commit log, consume queues and index take every name in
/// their directory for theirs. Inside the root is where all of them belong.
fn check_paths(settings: &BrokerSettings, values: &Values, report: &mut Report) {
    const DIRECTORIES: [&str; 4] =
        ["storePathCommitLog", "storePathConsumeQueue", "storePathIndex", "storePathRootDir/config"];
    let paths = settings.store.paths();
    // The key to name and to point at; `root/config` and `root/lock` are placed by the root.
    let place = |key: &'static str| key.split('/').next().unwrap_or(key);
    let set = |key: &'static str| values.is_set(place(key));

    for (key, path) in paths {
        if path.starts_with("~") {
            let text = format!("{key}={}: ~ is not expanded; write the directory out or use ${{HOME}}", path.display());
            values.say(report, Severity::Error, place(key), text);
        }
    }
    if settings.store.commitlog_dir.to_string_lossy().contains(',') {
        let text = "storePathCommitLog names several directories; this version keeps the commit log in one";
        values.say(report, Severity::Error, "storePathCommitLog", text);
    }

    // All keys that name one directory in one line: that is one mistake, not six.
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut shared = false;
    for (_, path) in paths {
        let path = normal(path);
        if seen.contains(&path) {
            continue;
        }
        let same: Vec<&'static str> =
            paths.iter().filter(|(_, other)| normal(other) == path).map(|row| row.0).collect();
        if same.len() > 1 {
            shared = true;
            let remedy = match same.contains(&"storePathRootDir") {
                true => "keep storePathRootDir and remove the others, their defaults lie under it",
                false => "give each a path of its own, or remove them for the defaults under storePathRootDir",
            };
            let text = format!("{} all name {}; {remedy}", same.join(", "), path.display());
            let at = same.iter().rev().find(|key| set(key)).or(same.first());
            values.say(report, Severity::Error, at.map_or("storePathRootDir", |key| place(key)), text);
        }
        seen.push(path);
    }
    if shared {
        return;
    }
    let root = normal(&settings.store.root);
    for (outer_key, outer) in paths.into_iter().filter(|(key, _)| DIRECTORIES.contains(key)) {
        let outer_path = normal(outer);
        let root_inside = root != outer_path && root.starts_with(&outer_path);
        for (key, path) in paths {
            let path = normal(path);
            // What lies under a misplaced root moves with it.
            if root_inside && path != root && path.starts_with(&root) {
                continue;
            }
            if path != outer_path && path.starts_with(&outer_path) {
                let text = format!(
                    "{key} ({}) lies inside {outer_key} ({}), which must hold nothing else; move one of the two",
                    path.display(),
                    outer_path.display()
                );
                let at = if set(key) { key } else { outer_key };
                values.say(report, Severity::Error, place(at), text);
            }
        }
    }
}

fn check_identity(settings: &BrokerSettings, values: &Values, report: &mut Report) {
    let role = values.text("brokerRole").unwrap_or_default();
    let id = settings.broker_id;
    if settings.broker_role != BrokerRole::Slave && id != 0 {
        let text = format!(
            "brokerId={id} with brokerRole={role}: a master has brokerId=0, a slave needs brokerRole=SLAVE; change one"
        );
        values.say(report, Severity::Error, "brokerId", text);
    }
    if settings.broker_role == BrokerRole::Slave && id == 0 {
        let text = "brokerId=0 with brokerRole=SLAVE: a slave's brokerId is more than 0";
        values.say(report, Severity::Error, "brokerId", text);
    }
    if settings.broker_permission & !6 != 0 || settings.broker_permission == 0 {
        let text = format!("brokerPermission={}: 2, 4 or 6 expected", settings.broker_permission);
        values.say(report, Severity::Error, "brokerPermission", text);
    }
}

/// Bytes a record has beside its body: fixed fields, a topic of 127, properties of 32 KiB, the blank at a file's end.
const RECORD_OVERHEAD: u64 = 91 + 127 + 32_768 + 8;

fn check_sizes(settings: &BrokerSettings, values: &Values, report: &mut Report) {
    let body = settings.store.body_size_max as u64;
    let segment = settings.store.segment_size;
    if segment < body.saturating_add(RECORD_OVERHEAD) {
        let text = format!(
            "mappedFileSizeCommitLog={segment} cannot hold a message of maxMessageSize={body}; larger ones are refused"
        );
        values.say(report, Severity::Warning, "mappedFileSizeCommitLog", text);
    }
    let frame = settings.server.frame_size_max as u64;
    if frame < body.saturating_add(RECORD_OVERHEAD) {
        let text = format!("frameMaxLength={frame} cannot carry a message of maxMessageSize={body}; lower the latter");
        values.say(report, Severity::Warning, "maxMessageSize", text);
    }
    let store = &settings.store;
    if store.disk_used_percent_forcibly > store.disk_used_percent_full {
        let text = format!(
            "diskSpaceCleanForciblyRatio={} is above diskSpaceWarningLevelRatio={}: sends are refused before space is made",
            store.disk_used_percent_forcibly, store.disk_used_percent_full
        );
        values.say(report, Severity::Warning, "diskSpaceCleanForciblyRatio", text);
    }
    if let Some((spelling, units)) = values.written_as("mappedFileSizeConsumeQueue") {
        let text = format!(
            "{spelling}={units} counts units of 20 bytes: files of {} bytes",
            settings.store.consume_queue_file_size
        );
        values.say(report, Severity::Note, "mappedFileSizeConsumeQueue", text);
    }
}

/// A nameserver address that is one of this broker's own ports.
fn check_own_ports(settings: &BrokerSettings, values: &Values, report: &mut Report) {
    for addr in &settings.namesrv_addrs {
        let Some((host, port)) = addr.rsplit_once(':') else { continue };
        let here = ["127.0.0.1", "localhost", "[::1]", settings.broker_ip1.as_str()].contains(&host);
        let own = broker_ports(settings).into_iter().find(|row| row.port.to_string() == port);
        if here && let Some(row) = own {
            let text =
                format!("namesrvAddr {addr} is this broker's own port ({}); a nameserver listens on 9876", row.key);
            values.say(report, Severity::Error, "namesrvAddr", text);
        }
    }
}
