//! The key-value configuration: namespaces of text pairs, kept in `kvConfig.json`.
//!
//! Owns the file and its `.bak`; the only state of a name server that survives a restart. Every change is on the disk
//! before it is answered (RocketMQ 4.9.7, KVConfigManager). Runs on the name server's thread.
//!
//! File: `{"configTable":{"ORDER_TOPIC_CONFIG":{"topic":"brokerA:4;brokerB:4"}}}`

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::json;
use serde::{Deserialize, Serialize};

use crate::durable;

/// The namespace of ordered topics, the only one the system itself reads: topic -> `broker:queues;broker:queues`.
pub const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";
/// Pairs one name server keeps at most.
pub const ENTRIES_MAX: usize = 10_000;
/// Namespace, key and value together: bytes one pair may take.
pub const ENTRY_BYTES_MAX: usize = 64 << 10;
/// Bytes all pairs may take: every change writes them all, and a namespace has to fit into one frame.
pub const BYTES_MAX: usize = 8 << 20;

/// The pairs of one namespace.
pub type Namespace = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Content {
    #[serde(rename = "configTable")]
    config_table: Option<BTreeMap<String, Option<Namespace>>>,
}

#[derive(Serialize)]
struct ContentRef<'a> {
    #[serde(rename = "configTable")]
    config_table: &'a BTreeMap<String, Namespace>,
}

/// See the module's header.
pub struct KvConfig {
    path: PathBuf,
    table: BTreeMap<String, Namespace>,
}

/// Neither the file nor its backup can be read.
#[derive(Debug)]
pub struct LoadError {
    path: PathBuf,
    cause: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "key-value file {} cannot be read: {}; repair it, or move it and its .bak away to start without entries",
            self.path.display(),
            self.cause
        )
    }
}

impl std::error::Error for LoadError {}

/// Why a change was not made. The table is as before.
#[derive(Debug)]
pub enum ChangeError {
    /// Too many pairs, or too many bytes in them.
    Full,
    /// The pair is too long.
    TooLong(usize),
    /// The file could not be written.
    Write(PathBuf, io::Error),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Full => {
                write!(
                    f,
                    "the name server keeps at most {ENTRIES_MAX} key-value pairs of together {BYTES_MAX} bytes; delete \
                     some first"
                )
            }
            ChangeError::TooLong(bytes) => {
                write!(f, "the pair has {bytes} bytes, more than the bound of {ENTRY_BYTES_MAX}")
            }
            ChangeError::Write(path, error) => {
                write!(f, "nothing was changed: {} cannot be written: {error}", path.display())
            }
        }
    }
}

impl KvConfig {
    /// Reads `path`, or its `.bak` when `path` is damaged or gone; then a line for the log comes with it.
    pub fn load(path: &Path) -> Result<(KvConfig, Option<String>), LoadError> {
        let backup = durable::beside(path, ".bak");
        let (table, line) = match (read(path), read(&backup)) {
            (Ok(Some(table)), _) => (table, None),
            (Ok(None), Ok(None)) => (BTreeMap::new(), None),
            (Ok(None), Ok(Some(table))) => {
                (table, Some(format!("{} is missing; its entries come from {}", path.display(), backup.display())))
            }
            (Ok(None), Err(cause)) => return Err(LoadError { path: backup, cause }),
            (Err(cause), Ok(Some(table))) => (
                table,
                Some(format!(
                    "{} cannot be read ({cause}); its entries come from {}, the last change may be missing",
                    path.display(),
                    backup.display()
                )),
            ),
            (Err(cause), _) => return Err(LoadError { path: path.to_path_buf(), cause }),
        };
        Ok((KvConfig { path: path.to_path_buf(), table }, line))
    }

    /// One value.
    pub fn get(&self, namespace: &str, key: &str) -> Option<&str> {
        self.table.get(namespace)?.get(key).map(String::as_str)
    }

    /// All pairs of a namespace; None when there is none of that name.
    pub fn namespace(&self, namespace: &str) -> Option<&Namespace> {
        self.table.get(namespace)
    }

    /// Sets one value and writes the file.
    pub fn put(&mut self, namespace: &str, key: &str, value: &str) -> Result<(), ChangeError> {
        let bytes = namespace.len().saturating_add(key.len()).saturating_add(value.len());
        if bytes > ENTRY_BYTES_MAX {
            return Err(ChangeError::TooLong(bytes));
        }
        let count: usize = self.table.values().map(|pairs| pairs.len().max(1)).sum();
        if count >= ENTRIES_MAX && self.get(namespace, key).is_none() || bytes > BYTES_MAX.saturating_sub(self.bytes())
        {
            return Err(ChangeError::Full);
        }
        if self.get(namespace, key) == Some(value) {
            return Ok(());
        }
        self.change(namespace, |pairs| pairs.insert(key.to_string(), value.to_string()))
    }

    fn bytes(&self) -> usize {
        let of_pairs = |namespace: &str, pairs: &Namespace| -> usize {
            pairs.iter().map(|(key, value)| namespace.len() + key.len() + value.len()).sum()
        };
        self.table.iter().map(|(namespace, pairs)| of_pairs(namespace, pairs)).sum()
    }

    /// Removes one value and writes the file. Removing what is not there is no error. As in Java an emptied namespace
    /// stays.
    pub fn delete(&mut self, namespace: &str, key: &str) -> Result<(), ChangeError> {
        if self.get(namespace, key).is_none() {
            return Ok(());
        }
        self.change(namespace, |pairs| pairs.remove(key))
    }

    /// Changes one namespace, writes the file, and takes the change back when that fails.
    fn change<T>(&mut self, namespace: &str, change: impl FnOnce(&mut Namespace) -> T) -> Result<(), ChangeError> {
        let before = self.table.get(namespace).cloned();
        change(self.table.entry(namespace.to_string()).or_default());
        let written = serde_json::to_vec(&ContentRef { config_table: &self.table })
            .map_err(io::Error::from)
            .and_then(|content| durable::replace(&self.path, &content));
        written.map_err(|error| {
            match before {
                Some(pairs) => self.table.insert(namespace.to_string(), pairs),
                None => self.table.remove(namespace),
            };
            ChangeError::Write(self.path.clone(), error)
        })
    }
}

/// None: no such file.
fn read(path: &Path) -> Result<Option<BTreeMap<String, Namespace>>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err("it holds no JSON object".to_owned());
    }
    let content: Content = json::read(&bytes).map_err(|error| error.to_string())?;
    let table = content.config_table.unwrap_or_default();
    Ok(Some(table.into_iter().map(|(namespace, pairs)| (namespace, pairs.unwrap_or_default())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    /// What the loader makes of a main file and a backup: the value of n/k, whether it wrote a line, or its error.
    #[track_caller]
    fn check(main: Option<&str>, backup: Option<&str>, expected: Result<(Option<&str>, bool), &str>) {
        let dir = TempDir::new("kv");
        let path = dir.path().join("kvConfig.json");
        for (path, content) in [(path.clone(), main), (durable::beside(&path, ".bak"), backup)] {
            if let Some(content) = content {
                fs::write(path, content).unwrap();
            }
        }
        match (KvConfig::load(&path), expected) {
            (Ok((kv, line)), Ok((value, has_line))) => {
                assert_eq!(kv.get("n", "k"), value);
                assert_eq!(line.is_some(), has_line, "{line:?}");
            }
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (found, _) => panic!("{:?}", found.map(|(kv, line)| (kv.table, line))),
        }
    }

    #[test]
    fn the_loader_takes_what_it_can() {
        let good = r#"{"configTable":{"n":{"k":"v"}}}"#;
        let older = r#"{"configTable":{"n":{"k":"older"}}}"#;
        check(None, None, Ok((None, false)));
        check(Some(good), None, Ok((Some("v"), false)));
        check(Some(good), Some("{"), Ok((Some("v"), false)));
        check(Some("{configTable:{'n':{k:'v',}}}"), None, Ok((Some("v"), false)));
        check(Some(r#"{"configTable":null,"more":1}"#), None, Ok((None, false)));
        check(None, Some(older), Ok((Some("older"), true)));
        check(Some(r#"{"configTable":{"n":{"#), Some(older), Ok((Some("older"), true)));
        check(Some(""), Some(older), Ok((Some("older"), true)));
        check(Some("[]"), None, Err("kvConfig.json cannot be read: it holds no JSON object"));
        check(Some("{"), None, Err("kvConfig.json cannot be read"));
        check(Some("{"), Some("["), Err("kvConfig.json cannot be read"));
        check(None, Some("{"), Err("kvConfig.json.bak cannot be read"));
    }

    #[test]
    fn changes_are_on_the_disk_at_once() {
        let dir = TempDir::new("kv-change");
        let path = dir.path().join("sub/kvConfig.json");
        let (mut kv, _) = KvConfig::load(&path).unwrap();
        kv.put(ORDER_TOPIC_CONFIG, "T", "a:4;b:4").unwrap();
        kv.put("n", "k", "v").unwrap();
        let again = KvConfig::load(&path).unwrap().0;
        assert_eq!(again.get(ORDER_TOPIC_CONFIG, "T"), Some("a:4;b:4"));
        kv.delete("n", "k").unwrap();
        kv.delete("n", "k").unwrap();
        kv.delete("none", "k").unwrap();
        let again = KvConfig::load(&path).unwrap().0;
        assert_eq!((again.get("n", "k"), again.namespace("n").map(BTreeMap::len)), (None, Some(0)));
        assert_eq!(again.namespace("none"), None);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            r#"{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"a:4;b:4"},"n":{}}}"#
        );
    }

    #[test]
    fn a_change_that_cannot_be_written_is_not_made() {
        let dir = TempDir::new("kv-fail");
        let path = dir.path().join("kvConfig.json");
        let (mut kv, _) = KvConfig::load(&path).unwrap();
        kv.put("n", "k", "v").unwrap();
        fs::create_dir(durable::beside(&path, ".tmp")).unwrap();
        for change in [kv.put("n", "k", "w"), kv.put("m", "k", "v"), kv.delete("n", "k")] {
            assert!(change.unwrap_err().to_string().contains("kvConfig.json cannot be written"));
        }
        assert_eq!((kv.get("n", "k"), kv.namespace("m")), (Some("v"), None));
    }

    #[test]
    fn pairs_are_bounded() {
        let dir = TempDir::new("kv-bound");
        let (mut kv, _) = KvConfig::load(&dir.path().join("kvConfig.json")).unwrap();
        assert!(matches!(kv.put("n", "k", &"v".repeat(ENTRY_BYTES_MAX)), Err(ChangeError::TooLong(_))));
        let many = (0..ENTRIES_MAX).map(|i| (i.to_string(), String::new())).collect();
        kv.table.insert("n".into(), many);
        assert!(matches!(kv.put("n", "new", "v"), Err(ChangeError::Full)));
        kv.put("n", "0", "v").unwrap();

        let value = "v".repeat(ENTRY_BYTES_MAX - 100);
        let large = (0..BYTES_MAX / ENTRY_BYTES_MAX).map(|i| (i.to_string(), value.clone())).collect();
        kv.table.insert("n".into(), large);
        assert!(matches!(kv.put("n", "new", &value), Err(ChangeError::Full)));
        kv.put("n", "new", "small").unwrap();
    }
}
