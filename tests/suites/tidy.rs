//! What the compiler does not check of the code itself: the edges between the crates, the header of every module, the
//! places that may name the runtime, words that must not be left behind, and the keys of the shipped configuration.
//!
//! Reads the sources only.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which crates a crate may use, as the map of the project has it.
const EDGES: &[(&str, &[&str])] = &[
    ("protocol", &["bytes", "crc32fast", "serde", "serde_json"]),
    ("config", &["strsim"]),
    ("shard", &["glommio", "libc", "tracing"]),
    (
        "engine",
        &["protocol", "glommio", "bytes", "crc32fast", "foldhash", "libc", "memmap2", "tracing", "serde", "serde_json"],
    ),
    ("remoting", &["protocol", "shard", "glommio", "futures-io", "bytes", "libc", "tracing"]),
    ("replication", &["engine", "protocol", "libc", "tracing"]),
    ("admin", &["protocol", "remoting", "libc", "serde_json", "strsim"]),
    (
        "nameserver",
        &[
            "protocol",
            "remoting",
            "shard",
            "config",
            "flate2",
            "bytes",
            "serde",
            "serde_json",
            "tracing",
            "tracing-appender",
            "tracing-subscriber",
            "clap",
            "libc",
        ],
    ),
    (
        "broker",
        &[
            "protocol",
            "remoting",
            "shard",
            "config",
            "engine",
            "replication",
            "flate2",
            "foldhash",
            "imbl",
            "bytes",
            "serde",
            "serde_json",
            "tracing",
            "tracing-appender",
            "tracing-subscriber",
            "clap",
            "libc",
        ],
    ),
    ("client", &["protocol", "remoting"]),
    ("ringmq", &["nameserver", "broker", "config", "engine", "shard", "clap", "tracing", "libc"]),
    (
        "bench",
        &[
            "protocol",
            "client",
            "hdrhistogram",
            "clap",
            "libc",
            "serde",
            "serde_json",
            "crc32fast",
            "base64",
            "indicatif",
            "toml",
        ],
    ),
    ("tests", &["protocol", "client", "checker", "config", "rig", "serde", "serde_json", "libc"]),
    ("tests/checker", &["serde", "serde_json"]),
    ("tests/rig", &["fuser", "libc"]),
];

/// The only places that may name the runtime.
const GLOMMIO: &[&str] = &["shard/", "engine/src/io", "remoting/src/net"];

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// Files below the folders, with their path from the root.
fn files(folders: &[&str], is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    walk(&path, found);
                }
            } else {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    folders.iter().for_each(|folder| walk(&root.join(folder), &mut found));
    let name = |path: &Path| path.strip_prefix(&root).unwrap_or(path).display().to_string();
    found
        .into_iter()
        .map(|path| (name(&path), path))
        .filter(|(name, _)| is_wanted(name))
        .filter_map(|(name, path)| Some((name, fs::read_to_string(path).ok()?)))
        .collect()
}

fn sources() -> BTreeMap<String, String> {
    let crates: Vec<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let sources = files(&crates, |name| name.ends_with(".rs"));
    assert!(sources.len() > 50, "only {} sources found below {}", sources.len(), root().display());
    sources
}

#[track_caller]
fn none(wrong: Vec<String>, rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

#[test]
fn crates_use_only_what_the_map_allows() {
    let mut wrong = Vec::new();
    for (name, allowed) in EDGES {
        let path = root().join(name).join("Cargo.toml");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            } else if section == "[dependencies]"
                && let Some(dependency) = line.split(['.', '=', ' ']).next()
                && !dependency.is_empty()
                && !dependency.starts_with('#')
                && !allowed.contains(&dependency)
            {
                wrong.push(format!("{name} uses {dependency}"));
            }
        }
    }
    none(wrong, "edges that the map of the crates does not have");
}

#[test]
fn every_member_is_in_the_table() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap_or_else(|error| panic!("{error}"));
    let members = text.lines().find(|line| line.starts_with("members")).unwrap_or_default();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    let known: Vec<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    assert!(!members.is_empty());
    none(members.into_iter().filter(|member| !known.contains(member)).map(str::to_owned).collect(), "unknown crates");
}

#[test]
fn every_module_opens_with_its_header() {
    let headless = sources().into_iter().filter(|(_, text)| !text.starts_with("//!"));
    none(headless.map(|(name, _)| name).collect(), "modules that do not begin with what they own");
}

#[test]
fn the_runtime_is_named_in_three_places() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        if GLOMMIO.iter().any(|place| name.starts_with(place)) || name == "tests/suites/tidy.rs" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if line.contains("glommio::") && !line.trim_start().starts_with("//") {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(wrong, "glommio may be named in shard/, engine/src/io and remoting/src/net only");
}

#[test]
fn nothing_unfinished_is_left() {
    let words = ["todo", "unimplemented", "dbg"].map(|word| format!("{word}!("));
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(wrong, "unfinished code");
}

#[test]
fn the_text_names_no_foreign_paths() {
    // Written in halves, so that this file does not name them itself.
    let foreign = [["/wo", "rk/"], ["sha", "red/"], ["/ro", "ot/"]].map(|halves| halves.concat());
    let folders = ["", ".ci"];
    let is_text = |name: &str| {
        let ending = name.rsplit('.').next().unwrap_or_default();
        matches!(
            ending,
            "rs" | "md" | "toml" | "sh" | "conf" | "py" | "java" | "yml" | "yaml" | "service" | "properties"
        ) || name.starts_with(".ci/")
    };
    let mut wrong = Vec::new();
    for (name, text) in files(&folders, is_text) {
        if name.starts_with("target") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if foreign.iter().any(|path| names_path(line, path)) {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    none(wrong, "paths of somebody's machine");
}

/// Whether a line names the path as a path of its own, not as the end of a longer one.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '/' | '.' | '_' | '-' | '}' | '$'))
    })
}

#[test]
fn every_key_of_the_shipped_configuration_is_known() {
    let shipped = files(&["conf", "dist"], |name| name.ends_with(".conf") || name.ends_with(".properties"));
    assert!(!shipped.is_empty(), "no configuration is shipped");
    let mut wrong = Vec::new();
    for (name, text) in shipped {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            // A key that is shown but not set is a promise, too.
            let line = line.strip_prefix('#').map_or(line, str::trim);
            let Some((key, _)) = line.split_once('=') else { continue };
            let key = key.trim();
            let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
            let known = config::keys::all().any(|(_, known)| known.name == key) || config::keys::alias(key).is_some();
            if is_key && !known {
                wrong.push(format!("{name}:{}: {key}", number + 1));
            }
        }
    }
    none(wrong, "keys that the configuration does not know");
}
