//! Reads the files of captured bytes: a comment on their origin, then hex.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::HeaderForm;
use protocol::code::request;

/// One captured frame.
pub struct Frame {
    /// File name without its ending.
    pub name: String,
    /// Code of the request, of a response too.
    pub code: i32,
    /// It is the answer to such a request.
    pub response: bool,
    pub form: HeaderForm,
    pub bytes: Vec<u8>,
}

impl Frame {
    pub fn json(&self) -> bool {
        self.form == HeaderForm::Json
    }
}

/// One file.
pub struct File {
    pub name: String,
    pub origin: String,
    pub bytes: Vec<u8>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/wire/golden")
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    digits.map(|pair| u8::from_str_radix(pair.filter(|pair| pair.len() == 2)?, 16).ok()).collect()
}

/// All files of a directory, by name.
fn files(directory: &Path) -> Vec<File> {
    let list = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<_> = list.map(|entry| entry.expect("readable directory").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "hex"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (origin, hex) = text.split_once('\n').expect("two lines at least");
        let origin = origin.strip_prefix("# ").unwrap_or_else(|| panic!("{}: no origin", path.display()));
        let bytes = unhex(&hex.replace('\n', "")).unwrap_or_else(|| panic!("{}: not hex", path.display()));
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        File { name, origin: origin.to_owned(), bytes }
    };
    paths.into_iter().map(read).collect()
}

/// `<code>_<NAME>_<request|response>_<json|rocketmq>[_n]`
fn frame(File { name, origin, bytes }: File) -> Frame {
    assert!(origin.contains("Java 4.9.7"), "{name}: {origin}");
    let (code, rest) = name.split_once('_').expect("a code");
    let code: i32 = code.parse().expect("a code");
    let words = request::name(code).unwrap_or("UNKNOWN");
    let rest = rest.strip_prefix(words).unwrap_or_else(|| panic!("{name} is called {words}"));
    let mut parts = rest.split('_').skip(1);
    let response = match parts.next() {
        Some("request") => false,
        Some("response") => true,
        _ => panic!("{name}: neither request nor response"),
    };
    let form = match parts.next() {
        Some("json") => HeaderForm::Json,
        Some("rocketmq") => HeaderForm::Rocketmq,
        _ => panic!("{name}: neither json nor rocketmq"),
    };
    let number = parts.next().map(|number| number.parse::<u32>());
    assert!(matches!(number, None | Some(Ok(2..))) && parts.next().is_none(), "{name}");
    Frame { name, code, response, form, bytes }
}

/// All captured frames.
pub fn frames() -> Vec<Frame> {
    let frames: Vec<Frame> = files(&directory()).into_iter().map(frame).collect();
    assert!(!frames.is_empty(), "no frames in {}", directory().display());
    frames
}

/// All stored records with the consume queue unit of each.
pub fn stored() -> Vec<(File, File)> {
    let (units, records): (Vec<_>, Vec<_>) =
        files(&directory().join("store")).into_iter().partition(|file| file.name.ends_with("_queue_unit"));
    assert!(!records.is_empty() && units.len() == records.len(), "a unit for each record");
    let pairs: Vec<_> = records.into_iter().zip(units).collect();
    assert!(pairs.iter().all(|(record, unit)| unit.name == format!("{}_queue_unit", record.name)));
    pairs
}
