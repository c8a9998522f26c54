//! The configuration files of the brokers that are started here.
//!
//! Owns the keys both RingMQ and Java know. Must not start anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::matrix::ports::Ports;
use crate::matrix::scenario::{Replication, Scalar};

/// Which broker of a side a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// Takes the messages.
    Master,
    /// Copies the master's log.
    Slave,
}

/// The text of a broker's file: what it is and where its store lies; later settings replace earlier ones. Without
/// `ports` addresses are the command line's.
pub fn broker(
    folder: &Path,
    (flush, replication, member): (&str, Replication, Member),
    ports: Option<Ports>,
    settings: &[&BTreeMap<String, Scalar>],
) -> String {
    let store = folder.join("data/store").display().to_string();
    let role = match (member, replication) {
        (Member::Slave, _) => "SLAVE",
        (Member::Master, Replication::SyncSlave) => "SYNC_MASTER",
        (Member::Master, Replication::Single | Replication::AsyncSlave) => "ASYNC_MASTER",
    };
    let id = if member == Member::Slave { "1" } else { "0" };
    let mut lines: BTreeMap<String, String> = [
        ("brokerClusterName", "DefaultCluster".into()),
        ("brokerName", "broker-a".into()),
        ("brokerId", id.into()),
        ("brokerIP1", "127.0.0.1".into()),
        ("brokerIP2", "127.0.0.1".into()),
        ("brokerRole", role.into()),
        ("flushDiskType", flush.to_owned()),
        ("deleteWhen", "04".into()),
        ("fileReservedTime", "48".into()),
        ("storePathCommitLog", format!("{store}/commitlog")),
        ("storePathRootDir", store),
    ]
    .map(|(key, value): (&str, String)| (key.to_owned(), value))
    .into();
    if let Some(ports) = ports {
        lines.insert("namesrvAddr".into(), format!("127.0.0.1:{}", ports.nameserver));
        lines.insert("listenPort".into(), ports.broker.to_string());
        lines.insert("haListenPort".into(), (ports.broker + 1).to_string());
    }
    for (key, value) in settings.iter().copied().flatten() {
        lines.insert(key.clone(), value.to_string());
    }
    lines.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// Writes a small file.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_differ_in_role_id_and_ports() {
        let settings = BTreeMap::from([("fileReservedTime".to_owned(), Scalar::Whole(7))]);
        let check = |member, replication, ports, wanted: &[&str], unwanted: &str| {
            let text = broker(Path::new("/x"), ("SYNC_FLUSH", replication, member), ports, &[&settings]);
            for line in wanted {
                assert!(text.lines().any(|found| found == *line), "{line} in {text}");
            }
            assert!(!text.contains(unwanted), "{unwanted} in {text}");
        };
        let ports = Some(Ports { broker: 100, nameserver: 105 });
        let common = ["flushDiskType=SYNC_FLUSH", "fileReservedTime=7", "storePathRootDir=/x/data/store"];
        check(Member::Master, Replication::Single, None, &common, "listenPort");
        check(Member::Master, Replication::AsyncSlave, None, &["brokerRole=ASYNC_MASTER", "brokerId=0"], "SLAVE");
        check(Member::Master, Replication::SyncSlave, None, &["brokerRole=SYNC_MASTER", "brokerId=0"], "=SLAVE");
        let own = ["brokerRole=SLAVE", "brokerId=1", "listenPort=100", "haListenPort=101", "namesrvAddr=127.0.0.1:105"];
        check(Member::Slave, Replication::SyncSlave, ports, &own, "MASTER");
    }
}
