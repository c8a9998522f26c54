//! The one table of configuration keys: name, type, default, meaning and what the key does in this broker.
//!
//! Names, types, defaults and order are those of Apache RocketMQ 4.9.7 (`BrokerConfig`, `MessageStoreConfig`,
//! `NettyServerConfig`, `NettyClientConfig`, `NamesrvConfig`), misspelt ones too. Constant data: nothing is read here.
//! Everything else (settings, checks, `-p`, docs/config.md) is derived from this table.

mod aliases;
mod broker;
mod namesrv;
mod netty;
mod own;
mod store;

pub use aliases::{ALIASES, Alias, Conversion, alias};
pub use store::CONSUME_QUEUE_UNIT;

use crate::environment::Environment;

/// The configuration object a key belongs to, as Java groups them; `Own` are the keys of this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    Broker,
    NettyServer,
    NettyClient,
    Store,
    Namesrv,
    Own,
}

/// The program a file is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Broker,
    Namesrv,
    /// Broker and nameserver in one process, one file for both.
    AllInOne,
}

impl Object {
    /// In the order Java prints them, own keys last.
    pub const ALL: [Object; 6] =
        [Object::Broker, Object::NettyServer, Object::NettyClient, Object::Store, Object::Namesrv, Object::Own];

    pub fn name(self) -> &'static str {
        match self {
            Object::Broker => "BrokerConfig",
            Object::NettyServer => "NettyServerConfig",
            Object::NettyClient => "NettyClientConfig",
            Object::Store => "MessageStoreConfig",
            Object::Namesrv => "NamesrvConfig",
            Object::Own => "RingMQ",
        }
    }

    /// The keys in the order of Java's fields.
    pub fn keys(self) -> &'static [Key] {
        match self {
            Object::Broker => broker::KEYS,
            Object::NettyServer => netty::SERVER_KEYS,
            Object::NettyClient => netty::CLIENT_KEYS,
            Object::Store => store::KEYS,
            Object::Namesrv => namesrv::KEYS,
            Object::Own => own::KEYS,
        }
    }
}

impl Role {
    /// The objects fed from the file, in the order they are printed.
    pub fn objects(self) -> &'static [Object] {
        match self {
            Role::Broker => &[Object::Broker, Object::NettyServer, Object::NettyClient, Object::Store, Object::Own],
            Role::Namesrv => &[Object::Namesrv, Object::NettyServer, Object::Own],
            Role::AllInOne => {
                &[Object::Broker, Object::NettyServer, Object::NettyClient, Object::Store, Object::Namesrv, Object::Own]
            }
        }
    }

    pub fn program(self) -> &'static str {
        match self {
            Role::Broker => "mqbroker",
            Role::Namesrv => "mqnamesrv",
            Role::AllInOne => "ringmq",
        }
    }
}

/// What a value must look like. Java's int and long differ in range only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Path,
    Bool,
    /// A whole number from `min` to `max`. With `clamp`, a value outside is moved to the nearest end, as Java does.
    Number {
        java: &'static str,
        min: i64,
        max: i64,
        clamp: bool,
    },
    Choice(&'static [&'static str]),
}

impl Kind {
    /// The word of the `Type` column.
    pub fn name(self) -> String {
        match self {
            Kind::Text | Kind::Path => "String".into(),
            Kind::Bool => "boolean".into(),
            Kind::Number { java, .. } => java.into(),
            Kind::Choice(values) => values.join(" / "),
        }
    }
}

/// Where the value comes from when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    Value(&'static str),
    /// Java's null: unset, printed as `key=`.
    Null,
    Computed(Formula),
}

/// Defaults that depend on the machine or the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formula {
    RocketmqHome,
    NamesrvAddr,
    LocalAddress,
    HostName,
    StoreRoot,
    KvConfigPath,
    NamesrvProperties,
    ListenPort,
    BindAddress,
    Shards,
    Cores,
    MinCores4,
    MinCores32,
    Cores8,
    Cores16Twice,
    EndTransactionThreads,
}

impl Formula {
    pub fn describe(self) -> &'static str {
        match self {
            Formula::RocketmqHome => "environment variable ROCKETMQ_HOME",
            Formula::NamesrvAddr => "environment variable NAMESRV_ADDR",
            Formula::LocalAddress => "the best address of this host",
            Formula::HostName => "host name",
            Formula::StoreRoot => "~/store",
            Formula::KvConfigPath => "~/namesrv/kvConfig.json",
            Formula::NamesrvProperties => "the -c file, else ~/namesrv/namesrv.properties",
            Formula::ListenPort => "10911 (mqnamesrv: 9876)",
            Formula::BindAddress => "0.0.0.0 (ringmq: 127.0.0.1)",
            Formula::Shards => "cores - 1, at least 1",
            Formula::Cores => "cores",
            Formula::MinCores4 => "min(cores, 4)",
            Formula::MinCores32 => "min(32, cores)",
            Formula::Cores8 => "8 + cores",
            Formula::Cores16Twice => "16 + cores * 2",
            Formula::EndTransactionThreads => "max(8 + cores * 2, 16)",
        }
    }

    /// The default on this machine; `None` is Java's null.
    pub fn eval(self, role: Role, environment: &Environment) -> Option<String> {
        let cores = environment.cores.clamp(1, 65_536);
        let home = environment.user_home.as_deref().unwrap_or(".");
        let number = match self {
            Formula::RocketmqHome => return environment.variable("ROCKETMQ_HOME").map(str::to_owned),
            Formula::NamesrvAddr => return environment.variable("NAMESRV_ADDR").map(str::to_owned),
            Formula::LocalAddress if role == Role::AllInOne => return Some("127.0.0.1".into()),
            Formula::LocalAddress => {
                let ranked = crate::nic::rank(&environment.interfaces);
                return Some(ranked.first().map_or("127.0.0.1".into(), |best| best.interface.address.to_string()));
            }
            // Java's own answer when the host has no name.
            Formula::HostName => return Some(environment.host_name.clone().unwrap_or("DEFAULT_BROKER".into())),
            Formula::StoreRoot => return Some(format!("{home}/store")),
            Formula::KvConfigPath => return Some(format!("{home}/namesrv/kvConfig.json")),
            Formula::NamesrvProperties => return Some(format!("{home}/namesrv/namesrv.properties")),
            Formula::BindAddress if role == Role::AllInOne => return Some("127.0.0.1".into()),
            Formula::BindAddress => return Some("0.0.0.0".into()),
            Formula::ListenPort if role == Role::Namesrv => 9876,
            Formula::ListenPort => 10911,
            Formula::Shards => cores.saturating_sub(1).clamp(1, SHARDS_MAX as usize),
            Formula::Cores => cores,
            Formula::MinCores4 => cores.min(4),
            Formula::MinCores32 => cores.min(32),
            Formula::Cores8 => 8 + cores,
            Formula::Cores16Twice => 16 + cores * 2,
            Formula::EndTransactionThreads => (8 + cores * 2).max(cores.min(4) * 4),
        };
        Some(number.to_string())
    }
}

/// Shards a broker may have; the bound of `shardNums`.
pub const SHARDS_MAX: i64 = 256;

/// What a key does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Does what its meaning says.
    Live,
    /// Read and without effect, for this reason; nothing is lost by that.
    Accepted(&'static str),
    /// Part of `feature`, which this build does not have. A value that `switch` names is refused at start.
    Later { switch: Switch, feature: &'static str },
}

/// The values that would switch an absent feature on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Only a detail of the feature: harmless while the feature is off.
    Never,
    Value(&'static [&'static str]),
    /// Any text.
    Set,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub default: Default,
    pub meaning: &'static str,
    pub effect: Effect,
    /// Printed by `-m` (Java: `@ImportantField`).
    pub important: bool,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, default: Default) -> Key {
        Key { name, kind, default, meaning: "", effect: Effect::Live, important: false }
    }
    const fn important(self) -> Key {
        Key { important: true, ..self }
    }
    const fn live(self, meaning: &'static str) -> Key {
        Key { meaning, effect: Effect::Live, ..self }
    }
    const fn accepted(self, meaning: &'static str, reason: &'static str) -> Key {
        Key { meaning, effect: Effect::Accepted(reason), ..self }
    }
    const fn later(self, meaning: &'static str, switch: Switch, feature: &'static str) -> Key {
        Key { meaning, effect: Effect::Later { switch, feature }, ..self }
    }
}

const fn text(name: &'static str, default: &'static str) -> Key {
    Key::new(name, Kind::Text, Default::Value(default))
}
const fn null(name: &'static str) -> Key {
    Key::new(name, Kind::Text, Default::Null)
}
const fn null_path(name: &'static str) -> Key {
    Key::new(name, Kind::Path, Default::Null)
}
const fn computed(name: &'static str, kind: Kind, formula: Formula) -> Key {
    Key::new(name, kind, Default::Computed(formula))
}
const fn boolean(name: &'static str, default: bool) -> Key {
    Key::new(name, Kind::Bool, Default::Value(if default { "true" } else { "false" }))
}
const fn choice(name: &'static str, default: &'static str, values: &'static [&'static str]) -> Key {
    Key::new(name, Kind::Choice(values), Default::Value(default))
}
/// Any int Java takes.
const fn int(name: &'static str, default: &'static str) -> Key {
    int_in(name, default, i32::MIN as i64, i32::MAX as i64)
}
const fn long(name: &'static str, default: &'static str) -> Key {
    long_in(name, default, i64::MIN, i64::MAX)
}
const fn int_in(name: &'static str, default: &'static str, min: i64, max: i64) -> Key {
    Key::new(name, Kind::Number { java: "int", min, max, clamp: false }, Default::Value(default))
}
const fn long_in(name: &'static str, default: &'static str, min: i64, max: i64) -> Key {
    Key::new(name, Kind::Number { java: "long", min, max, clamp: false }, Default::Value(default))
}
const fn clamped(name: &'static str, default: &'static str, min: i64, max: i64) -> Key {
    Key::new(name, Kind::Number { java: "int", min, max, clamp: true }, Default::Value(default))
}
const INT: Kind = Kind::Number { java: "int", min: i32::MIN as i64, max: i32::MAX as i64, clamp: false };
/// Most times: at least a millisecond, at most what Java's int holds.
const INT_MAX: i64 = i32::MAX as i64;

// Reasons shared by many rows; a file that sets ten such keys gets one line.
const ONE_THREAD: &str = "one thread per core serves all requests, there are no thread pools to size";
const NO_QUEUE: &str = "a request is served as it arrives, there is no pool queue to bound or to expire";
const UNUSED_IN_JAVA: &str = "RocketMQ 4.9.7 reads it and uses it nowhere";
const PAGE_CACHE: &str = "messages go to the page cache by write, not through mapped or pooled buffers";
const FLUSH_ALL: &str = "every flush writes all that was appended";
const NETTY: &str = "connections are served by io_uring, not by Netty";
const STATISTICS: &str = "statistics are always kept and go with their topic or group";
const REPLICATION: &str = "confirmed copies before dispatch";
const DLEDGER: &str = "DLedger";
const TRANSACTIONS: &str = "transaction messages";
const FILTERS: &str = "SQL92 filters";
const LMQ: &str = "light message queues";
const TLS: &str = "TLS";
const ACL: &str = "access control";
const METRICS: &str = "the metrics exporter";

/// Every row with its object, in printing order. Keys that two objects share appear once for each.
pub fn all() -> impl Iterator<Item = (Object, &'static Key)> {
    Object::ALL.into_iter().flat_map(|object| object.keys().iter().map(move |key| (object, key)))
}

/// The row of exactly this name among the objects of `role`.
pub fn find(role: Role, name: &str) -> Option<&'static Key> {
    role.objects().iter().flat_map(|object| object.keys()).find(|key| key.name == name)
}

/// The known key that looks most like `name`, if any is near enough to be what was meant.
pub fn nearest(role: Role, name: &str) -> Option<&'static Key> {
    let wanted = name.to_lowercase();
    let keys = role.objects().iter().flat_map(|object| object.keys());
    let spelled = ALIASES.iter().filter_map(|alias| Some((alias.name, find(role, alias.key)?)));
    let scored = keys.map(|key| (key.name, key)).chain(spelled).map(|(spelling, key)| {
        let spelling = spelling.to_lowercase();
        let mut score = strsim::normalized_damerau_levenshtein(&wanted, &spelling);
        // `brokerIP` is nearer to `brokerIP1` than to `brokerId`: users forget ends, they do not change letters.
        if wanted.len() >= 4 && (spelling.starts_with(&wanted) || wanted.starts_with(&spelling)) {
            score += 0.15;
        }
        (score, key)
    });
    scored.filter(|(score, _)| *score >= 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sound() {
        for (object, key) in all() {
            let row = format!("{}.{}", object.name(), key.name);
            assert!(!key.meaning.is_empty(), "{row}");
            if let Default::Value(value) = key.default {
                assert_eq!(crate::values::check_value(key, value).as_deref(), Ok(value), "{row}");
            }
            let twice = object.keys().iter().filter(|other| other.name == key.name).count();
            assert_eq!(twice, 1, "{row}");
        }
    }

    #[test]
    fn a_key_in_two_objects_is_the_same_key() {
        for (_, key) in all() {
            for (_, other) in all().filter(|(_, other)| other.name == key.name) {
                assert_eq!(
                    (key.kind, key.default, key.effect),
                    (other.kind, other.default, other.effect),
                    "{}",
                    key.name
                );
            }
        }
    }

    #[test]
    fn the_table_holds_every_key_of_java() {
        let counts: Vec<_> = Object::ALL.iter().map(|object| object.keys().len()).collect();
        assert_eq!(counts[..5], [80, 14, 14, 78, 6]);
    }

    #[test]
    fn the_nearest_key_is_what_was_meant() {
        for (typed, meant) in [
            ("brokerIp1", Some("brokerIP1")),
            ("brokerIp", Some("brokerIP1")),
            ("namesrvAdr", Some("namesrvAddr")),
            ("nameSrvAddr", Some("namesrvAddr")),
            ("listenport", Some("listenPort")),
            ("storePathRoot", Some("storePathRootDir")),
            ("flushDiskTyp", Some("flushDiskType")),
            ("autoCreateTopicEnabled", Some("autoCreateTopicEnable")),
            ("brokerPort", None),
            ("x", None),
            ("completelyDifferent", None),
        ] {
            assert_eq!(nearest(Role::Broker, typed).map(|key| key.name), meant, "{typed}");
        }
    }
}
