//! Nameservers and brokers that are a table of answers, and commands run against them in this process.
//!
//! Owns the reading of the cases. Must not know a command.
#![allow(dead_code, reason = "each suite uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use admin::wire::{Reply, Wire};
use admin::{Clock, Ended, Unanswered};

/// Bodies, `!CODE REMARK`, or `?FIELD=VALUE,…` of a header, by address and request.
pub type Answers = BTreeMap<(String, i32), String>;

/// One folder of `golden/`.
pub struct Case {
    pub name: String,
    folder: PathBuf,
}

impl Case {
    pub fn all() -> Vec<Case> {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let folders = fs::read_dir(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        let folders = folders.flatten().map(|entry| entry.path()).filter(|path| path.join("args").exists());
        let mut cases: Vec<Case> = folders
            .map(|folder| Case { name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(), folder })
            .collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        cases
    }

    pub fn named(name: &str) -> Case {
        Case::all().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
    }

    fn text(&self, file: &str) -> String {
        let path = self.folder.join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The words of the command line; the first line of the file is the version of Java's tools.
    pub fn arguments(&self) -> Vec<String> {
        let text = self.text("args");
        text.lines().nth(1).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    pub fn command(&self) -> &'static str {
        let word = self.arguments().swap_remove(0);
        let names = ["clusterList", "clusterlist", "topicRoute", "topicStatus", "brokerStatus", "haStatus"];
        names.into_iter().find(|name| *name == word).unwrap_or_else(|| panic!("{}: command {word}", self.name))
    }

    pub fn java(&self) -> String {
        self.text("java")
    }

    pub fn answers(&self, now_ms: i64) -> Answers {
        answers(&self.text("answers"), now_ms)
    }
}

/// Lines `ADDRESS CODE BODY`, `{now-N}` filled in.
pub fn answers(text: &str, now_ms: i64) -> Answers {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut parts = line.splitn(3, ' ');
            let mut part = || parts.next().unwrap_or_else(|| panic!("three parts: {line}"));
            let (address, code, body) = (part(), part(), part());
            let code = code.parse().unwrap_or_else(|_| panic!("code: {line}"));
            ((address.to_owned(), code), at(body, now_ms))
        })
        .collect()
}

fn at(body: &str, now_ms: i64) -> String {
    let mut filled = String::new();
    let mut rest = body;
    while let Some((before, after)) = rest.split_once("{now-") {
        let (number, after) = after.split_once('}').expect("{now-N} is closed");
        let back: i64 = number.parse().expect("{now-N} holds a number");
        filled.push_str(before);
        filled.push_str(&(now_ms - back).to_string());
        rest = after;
    }
    filled + rest
}

/// One run of a command.
pub struct Play {
    pub answers: Answers,
    pub now_ms: i64,
    /// NAMESRV_ADDR
    pub namesrv: Option<&'static str>,
}

pub struct Played {
    pub out: String,
    pub said: Vec<String>,
    pub ended: Ended,
}

impl Play {
    pub fn run(&self, words: &[String]) -> Played {
        let now_ms = self.now_ms;
        let clock = Clock { now_ms: Box::new(move || now_ms), utc_offset_minutes: |_| 0 };
        let (mut out, mut said) = (String::new(), Vec::new());
        let mut print = |text: &str, lines: &[String]| {
            out.push_str(text);
            said.extend_from_slice(lines);
            Ok(())
        };
        let ended = admin::run(words, self.namesrv, self, &clock, &mut print).expect("nothing is printed for real");
        Played { out, said, ended }
    }
}

impl Wire for Play {
    fn ask(&self, address: &str, request: i32, _fields: &[(&str, &str)]) -> Result<Reply, Unanswered> {
        if !self.answers.keys().any(|(known, _)| known == address) {
            let why = "nobody plays this address".to_owned();
            return Err(Unanswered::Unreachable { address: address.to_owned(), why });
        }
        let not_served = format!("!3 request type {request} not supported");
        let text = self.answers.get(&(address.to_owned(), request)).unwrap_or(&not_served);
        if let Some(fields) = text.strip_prefix('?') {
            let fields = fields.split(',').filter_map(|field| field.split_once('='));
            let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            return Ok(Reply { fields, body: Vec::new() });
        }
        match text.strip_prefix('!') {
            Some(refusal) => {
                let (code, remark) = refusal.split_once(' ').unwrap_or((refusal, ""));
                let code = code.parse().expect("a code after !");
                Err(Unanswered::Refused { address: address.to_owned(), request, code, remark: remark.to_owned() })
            }
            None => Ok(Reply { body: text.trim_start_matches('-').as_bytes().to_vec(), ..Reply::default() }),
        }
    }
}
