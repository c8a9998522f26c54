//! Whether two stores hold the same commit log, byte by byte.
//!
//! Owns the reading of commit log files of brokers that are quiet or stopped. Must not interpret a record. Any thread.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::folder;

const PIECE: usize = 1 << 20;

/// The files of a commit log by their first offset.
fn files(store: &Path) -> Result<BTreeMap<u64, PathBuf>, String> {
    let folder = store.join("commitlog");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .filter(|(_, path)| path.file_name().is_some_and(|name| name.len() == 20))
        .collect())
}

/// Compares all that both have below `end`; the slave may begin later. Answers how many bytes were compared, or where
/// they differ first.
pub fn compare(master: &Path, slave: &Path, end: u64) -> Result<u64, String> {
    let (ours, theirs) = (files(master)?, files(slave)?);
    let first = *theirs.keys().next().ok_or_else(|| format!("{} has no commit log file", slave.display()))?;
    let mut compared = 0;
    for (offset, path) in theirs.range(..end) {
        let other = ours.get(offset).ok_or_else(|| format!("{} has no file {offset:020}", master.display()))?;
        let length = |path: &Path| fs::metadata(path).map(|file| file.len()).map_err(|error| error.to_string());
        let size = length(path)?.max(length(other)?).min(end - offset);
        compared += equal(other, path, *offset, size)?;
    }
    if compared != end.saturating_sub(first) {
        return Err(format!(
            "{} holds {compared} bytes from {first} on, the log goes to {end}: a file is missing or short",
            slave.display()
        ));
    }
    Ok(compared)
}

fn equal(master: &Path, slave: &Path, offset: u64, size: u64) -> Result<u64, String> {
    let open = |path: &Path| File::open(path).map_err(|error| format!("{}: {error}", path.display()));
    let (ours, theirs) = (open(master)?, open(slave)?);
    let (mut one, mut other) = (vec![0; PIECE], vec![0; PIECE]);
    let mut done = 0;
    while done < size {
        let count = PIECE.min(usize::try_from(size - done).unwrap_or(PIECE));
        let read = |file: &File, bytes: &mut [u8], path: &Path| {
            file.read_exact_at(bytes, done).map_err(|error| format!("{} at {done}: {error}", path.display()))
        };
        read(&ours, &mut one[..count], master)?;
        read(&theirs, &mut other[..count], slave)?;
        if let Some(at) = (0..count).find(|at| one[*at] != other[*at]) {
            return Err(format!(
                "the logs differ at offset {}: {:02x?} in {}, {:02x?} in {}",
                offset + done + at as u64,
                &one[at..(at + 16).min(count)],
                master.display(),
                &other[at..(at + 16).min(count)],
                slave.display()
            ));
        }
        done += count as u64;
    }
    Ok(size)
}

/// Zeroes this many bytes before the last byte of the log below `data` that is not zero, as if they had never been
/// written. The broker must not run.
pub fn wipe_tail(data: &Path, count: u64) -> io::Result<u64> {
    let mut segments: Vec<PathBuf> = folder::find_all(data, |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.len() == 20 && path.parent().is_some_and(|parent| parent.ends_with("commitlog"))
    });
    segments.sort();
    for path in segments.into_iter().rev() {
        let bytes = fs::read(&path)?;
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { continue };
        let begin = (last as u64 + 1).saturating_sub(count);
        let length = last as u64 + 1 - begin;
        let file = File::options().write(true).open(&path)?;
        file.write_all_at(&vec![0; length as usize], begin)?;
        return Ok(length);
    }
    Ok(0)
}

/// The last lines of a text file, for messages.
pub fn tail(path: &Path, lines: usize) -> String {
    let mut text = String::new();
    let _ = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;

    fn store(folder: &Folder, name: &str, files: &[(u64, &[u8])]) -> PathBuf {
        let store = folder.join(name);
        fs::create_dir_all(store.join("commitlog")).unwrap_or_else(|error| panic!("{error}"));
        for (offset, bytes) in files {
            fs::write(store.join("commitlog").join(format!("{offset:020}")), bytes)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        store
    }

    #[test]
    fn equal_up_to_the_end_only() {
        let folder = Folder::new("logs-compare");
        let master = store(&folder, "master", &[(0, b"abcd"), (4, b"efgh")]);
        let check = |name: &str, files: &[(u64, &[u8])], end: u64, want: Option<u64>| {
            let compared = compare(&master, &store(&folder, name, files), end);
            assert_eq!(compared.clone().ok(), want, "{name}: {compared:?}");
        };
        check("same", &[(0, b"abcd"), (4, b"efgh")], 8, Some(8));
        check("beyond the end", &[(0, b"abcd"), (4, b"efxx")], 6, Some(6));
        check("begins later", &[(4, b"efgh")], 8, Some(4));
        check("differs", &[(0, b"abcd"), (4, b"eXgh")], 8, None);
        check("short", &[(0, b"abcd"), (4, b"ef")], 8, None);
        check("a file is missing", &[(0, b"abcd")], 8, None);
        check("empty", &[], 8, None);
    }
}
