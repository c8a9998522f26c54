//! What master and slaves of one set agree on, for the `replication` crate and the broker's roles.
//!
//! Owns the typed fields and the rules between them. Nothing here touches disk or network.

use crate::broker::{BrokerRole, BrokerSettings};
use crate::report::{Report, Severity};
use crate::settings::{check_address, unsigned};
use crate::values::Values;

/// haInitialSync: what a slave without a log copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialSync {
    /// All that the master still has.
    All,
    /// From the start of the master's last file on, as Java's slaves do.
    LastFile,
}

/// haResync: what a slave does whose log is not the beginning of its master's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resync {
    /// It copies nothing and says why.
    Never,
    /// It sets its own files aside and copies anew.
    Aside,
}

/// Replication between a master and its slaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationSettings {
    /// haMasterAddress, `host:port`
    pub master_address: Option<String>,
    /// haSendHeartbeatInterval
    pub heartbeat_interval_ms: u64,
    /// haHousekeepingInterval
    pub housekeeping_ms: u64,
    /// haCopyTablesInterval
    pub copy_tables_interval_ms: u64,
    /// haSlavesMax
    pub slaves_max: usize,
    /// haTransferBatchSize, bytes
    pub batch_size: usize,
    /// haSlaveFallbehindMax, bytes
    pub fall_behind_max: u64,
    pub slave_timeout_ms: u64,
    pub initial_sync: InitialSync,
    pub resync: Resync,
    pub slave_read_enable: bool,
    pub offset_check_in_slave: bool,
}

impl ReplicationSettings {
    pub(crate) fn read(values: &Values, report: &mut Report) -> ReplicationSettings {
        let number = |key: &str| unsigned(values, key);
        let master_address = values.text("haMasterAddress").map(str::trim).filter(|text| !text.is_empty());
        if let Some(address) = master_address
            && let Err(problem) = check_address(address)
        {
            let text = format!("haMasterAddress={address}: {problem}; write it as 192.168.0.1:10912");
            values.say(report, Severity::Error, "haMasterAddress", text);
        }
        ReplicationSettings {
            master_address: master_address.map(str::to_owned),
            heartbeat_interval_ms: number("haSendHeartbeatInterval"),
            housekeeping_ms: number("haHousekeepingInterval"),
            slaves_max: number("haSlavesMax") as usize,
            copy_tables_interval_ms: number("haCopyTablesInterval"),
            batch_size: number("haTransferBatchSize") as usize,
            fall_behind_max: number("haSlaveFallbehindMax"),
            slave_timeout_ms: number("slaveTimeout"),
            initial_sync: match values.text("haInitialSync") {
                Some("lastFile") => InitialSync::LastFile,
                _ => InitialSync::All,
            },
            resync: match values.text("haResync") {
                Some("aside") => Resync::Aside,
                _ => Resync::Never,
            },
            slave_read_enable: values.boolean("slaveReadEnable"),
            offset_check_in_slave: values.boolean("offsetCheckInSlave"),
        }
    }
}

/// What a role needs, and what says nothing in it.
pub(crate) fn check(settings: &BrokerSettings, values: &Values, report: &mut Report) {
    let replication = &settings.replication;
    let slave = settings.broker_role == BrokerRole::Slave;
    match &replication.master_address {
        Some(address) if !slave => {
            let text = format!(
                "haMasterAddress={address} does not count: brokerRole={} copies from nobody",
                settings.broker_role.name()
            );
            values.say(report, Severity::Warning, "haMasterAddress", text);
        }
        Some(address) if is_own(settings, address) => {
            let text = format!("haMasterAddress={address} is this slave's own replication port; name its master's");
            values.say(report, Severity::Error, "haMasterAddress", text);
        }
        None if slave && settings.namesrv_addrs.is_empty() => {
            let text = "brokerRole=SLAVE and nobody tells where the master is: set namesrvAddr (or haMasterAddress)";
            values.say(report, Severity::Warning, "brokerRole", text);
        }
        _ => {}
    }
    if replication.housekeeping_ms <= replication.heartbeat_interval_ms {
        let text = format!(
            "haHousekeepingInterval={} is not above haSendHeartbeatInterval={}: idle links are closed between two signs of life",
            replication.housekeeping_ms, replication.heartbeat_interval_ms
        );
        let key = match values.is_set("haHousekeepingInterval") {
            true => "haHousekeepingInterval",
            false => "haSendHeartbeatInterval",
        };
        values.say(report, Severity::Warning, key, text);
    }
}

fn is_own(settings: &BrokerSettings, address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let here = ["127.0.0.1", "localhost", "[::1]", settings.broker_ip1.as_str(), settings.broker_ip2.as_str()];
    here.contains(&host) && port == settings.ha_listen_port.to_string()
}
