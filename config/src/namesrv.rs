//! What a nameserver runs with, as plain typed fields. Built once at start from [`Values`]; touches nothing outside.

use crate::keys::Role;
use crate::report::{Report, Severity};
use crate::settings::{ServerSettings, port, unsigned};
use crate::values::Values;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesrvSettings {
    /// The `-c` file as it was named.
    pub config_file: Option<PathBuf>,
    pub rocketmq_home: Option<PathBuf>,
    /// listenPort; beside a broker in one process namesrvListenPort
    pub listen_port: u16,
    pub server: ServerSettings,
    pub pin_shards: bool,
    /// kvConfigPath, a file
    pub kv_config_path: PathBuf,
    /// configStorePath: where a changed configuration is written to; the `-c` file if there is one.
    pub config_store_path: PathBuf,
    pub order_message_enable: bool,
    /// scanNotActiveBrokerInterval
    pub scan_interval_ms: u64,
    /// brokerChannelExpiredTime: a broker silent for so long is forgotten.
    pub broker_expiry_ms: u64,
    pub admin_remote_enable: bool,
}

impl NamesrvSettings {
    pub(crate) fn build(values: &mut Values, report: &mut Report) -> NamesrvSettings {
        // As in Java, the file that was read is the one that is written.
        if values.role() == Role::Namesrv
            && let Some(file) = values.file().map(str::to_owned)
        {
            values.derive("configStorePath", file);
        }
        let path = |key: &str, report: &mut Report| {
            let text = values.text(key).unwrap_or_default();
            if text.is_empty() {
                let text = format!("{key} is empty; name a file or remove it for its default");
                values.say(report, Severity::Error, key, text);
            }
            PathBuf::from(text)
        };
        NamesrvSettings {
            config_file: values.file().map(PathBuf::from),
            rocketmq_home: values.text("rocketmqHome").map(PathBuf::from),
            listen_port: port(values, if values.role() == Role::AllInOne { "namesrvListenPort" } else { "listenPort" }),
            server: ServerSettings::read(values, report),
            pin_shards: values.boolean("pinShards"),
            kv_config_path: path("kvConfigPath", report),
            config_store_path: path("configStorePath", report),
            order_message_enable: values.boolean("orderMessageEnable"),
            scan_interval_ms: unsigned(values, "scanNotActiveBrokerInterval"),
            broker_expiry_ms: unsigned(values, "brokerChannelExpiredTime"),
            admin_remote_enable: values.boolean("adminRemoteEnable"),
        }
    }
}
