//! Configuration of broker and nameserver: RocketMQ's keys and files in, typed settings and findings out.
//!
//! ```text
//! file ─ properties ─ values (defaults < environment < file < command line) ─ broker / namesrv settings
//!                        │                                                  └ check: what clashes
//!                        └ print: -p, -m, GET_BROKER_CONFIG      keys: the table all of it stands on
//! ```
//! Pure: no network, threads or store. The only reads are the file that a check names and, once, the environment.

pub mod broker;
pub mod check;
pub mod doc;
pub mod environment;
pub mod keys;
pub mod namesrv;
pub mod nic;
pub mod print;
pub mod properties;
pub mod replication;
pub mod report;
pub mod settings;
pub mod values;

pub use broker::{BrokerRole, BrokerSettings, FlushDiskType, FlushWay, SegmentPrepare, StoreSettings};
pub use check::check_file;
pub use environment::Environment;
pub use keys::Role;
pub use namesrv::NamesrvSettings;
pub use properties::Properties;
pub use replication::{InitialSync, ReplicationSettings, Resync};
pub use report::{Report, Severity};
pub use settings::ServerSettings;
pub use values::{Source, Values};

/// A configuration that was read: what to run with, every value for `-p`, and what there is to say about it.
#[derive(Debug, Clone)]
pub struct Loaded<S> {
    /// `None` if the report holds an error: nothing may start then.
    pub settings: Option<S>,
    pub values: Values,
    pub report: Report,
}

/// Broker and nameserver in one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllInOneSettings {
    pub broker: BrokerSettings,
    pub namesrv: NamesrvSettings,
}

fn load<S>(
    role: Role,
    source: Option<Source<'_>>,
    command_line: &[(&str, &str)],
    environment: &Environment,
    build: impl FnOnce(&mut Values, &mut Report) -> S,
) -> Loaded<S> {
    let mut report = Report::default();
    let mut values = Values::resolve(role, source, command_line, environment, &mut report);
    let settings = build(&mut values, &mut report);
    Loaded { settings: report.is_ok().then_some(settings), values, report }
}

/// Settings of `mqbroker`. `command_line` holds keys by name: `-n a:9876` is `("namesrvAddr", "a:9876")`.
pub fn load_broker(
    source: Option<Source<'_>>,
    command_line: &[(&str, &str)],
    environment: &Environment,
) -> Loaded<BrokerSettings> {
    load(Role::Broker, source, command_line, environment, |values, report| {
        let settings = BrokerSettings::build(values, environment, report);
        check::check_broker(&settings, values, report);
        settings
    })
}

/// Settings of `mqnamesrv`.
pub fn load_namesrv(
    source: Option<Source<'_>>,
    command_line: &[(&str, &str)],
    environment: &Environment,
) -> Loaded<NamesrvSettings> {
    load(Role::Namesrv, source, command_line, environment, NamesrvSettings::build)
}

/// Settings of `ringmq`, on loopback unless the file says otherwise.
pub fn load_all_in_one(
    source: Option<Source<'_>>,
    command_line: &[(&str, &str)],
    environment: &Environment,
) -> Loaded<AllInOneSettings> {
    load(Role::AllInOne, source, command_line, environment, |values, report| {
        let namesrv = NamesrvSettings::build(values, report);
        let broker = BrokerSettings::build(values, environment, report);
        check::check_broker(&broker, values, report);
        check::check_all_in_one(&broker, &namesrv, values, report);
        AllInOneSettings { broker, namesrv }
    })
}

impl BrokerSettings {
    /// Settings from `key=value` lines alone, without an environment: for tests and tools. The error is the report.
    pub fn from_text(text: &str) -> Result<BrokerSettings, Report> {
        let source = Source { name: "text", bytes: text.as_bytes() };
        let loaded = load_broker(Some(source), &[], &Environment::default());
        let settings = loaded.settings.map(|settings| BrokerSettings { config_file: None, ..settings });
        settings.ok_or(loaded.report)
    }
}

impl NamesrvSettings {
    /// Settings from `key=value` lines alone, without an environment: for tests and tools. The error is the report.
    pub fn from_text(text: &str) -> Result<NamesrvSettings, Report> {
        let source = Source { name: "text", bytes: text.as_bytes() };
        let loaded = load_namesrv(Some(source), &[], &Environment::default());
        let settings = loaded.settings.map(|settings| NamesrvSettings { config_file: None, ..settings });
        settings.ok_or(loaded.report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keys::{Effect, Object};

    #[test]
    fn every_live_key_is_read_into_settings() {
        values::READS.with_borrow_mut(|reads| reads.clear());
        let environment = Environment::default();
        assert!(load_broker(None, &[], &environment).settings.is_some());
        assert!(load_namesrv(None, &[], &environment).settings.is_some());
        assert!(load_all_in_one(None, &[], &environment).settings.is_some());
        let reads = values::READS.with_borrow(|reads| reads.clone());
        for (object, key) in keys::all() {
            if key.effect == Effect::Live {
                assert!(reads.contains(key.name), "{}.{} is live and nobody reads it", object.name(), key.name);
            }
        }
        assert!(Object::ALL.len() > 1);
    }
}
