//! Small tables on disk (`config/*.json` and the like): one durable write, one careful read.
//!
//! Owns the steps by which a table replaces its former self and the choice between the table and its backup.
//! Must not know what a table holds: the reader brings the parser. Blocks on fsync, so it runs on ordinary
//! threads only, never on a shard. One writer a path at a time.
//!
//! Java 4.9.7 deletes and renames without fsync, so a power cut may leave an empty `topics.json` beside a whole
//! `topics.json.bak`; the reader copes with such a store, the writer never makes one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A table longer than this is not read: it cannot be one of ours.
const TABLE_SIZE_MAX: u64 = 512 << 20;

/// What [`read_table`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Loaded<T> {
    /// The table itself.
    Main(T),
    /// The backup, because the table was missing or torn; the line says which file and why, for the log.
    Backup(T, String),
    /// Neither the table nor its backup was ever written.
    Missing,
}

/// Puts the path and the step into an error, keeping its kind.
pub(crate) fn failed(path: &Path, doing: &str, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: cannot {doing}: {e}", path.display()))
}

/// Makes renames, links and removals in `dir` survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| failed(dir, "sync the directory", e))
}

/// Replaces `path` by `bytes` so that a crash at any instant leaves the old or the new content, whole.
///
/// The previous content stays as `<name>.bak`. The table is renamed into place *before* the backup is, so a torn
/// table is never copied over the only good backup without a good table beside it. Returns after everything is
/// durable; an error names the path and the step, and the table is then old or new, never a mixture.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_steps(path, bytes, u32::MAX)
}

/// The steps of [`write_durably`], of which only the first `limit` are done (all in production).
fn write_steps(path: &Path, bytes: &[u8], limit: u32) -> io::Result<()> {
    let tmp = with_suffix(path, ".tmp");
    let kept = with_suffix(path, ".bak.tmp");
    let bak = with_suffix(path, ".bak");
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    if limit < 1 {
        return Ok(());
    }
    let mut file = File::create(&tmp).map_err(|e| failed(&tmp, "create it", e))?;
    file.write_all(bytes).map_err(|e| failed(&tmp, "write it", e))?;
    if limit < 2 {
        return Ok(());
    }
    file.sync_all().map_err(|e| failed(&tmp, "sync it", e))?;
    drop(file);
    if limit < 3 {
        return Ok(());
    }
    let has_previous = keep_previous(path, &kept)?;
    if limit < 4 {
        return Ok(());
    }
    fs::rename(&tmp, path).map_err(|e| failed(path, "rename the new content into place", e))?;
    if limit < 5 {
        return Ok(());
    }
    if has_previous {
        fs::rename(&kept, &bak).map_err(|e| failed(&bak, "keep the previous content", e))?;
    }
    if limit < 6 {
        return Ok(());
    }
    sync_dir(dir)
}

/// Gives the present content of `path` the second name `kept`; a copy where the file system has no hard links.
fn keep_previous(path: &Path, kept: &Path) -> io::Result<bool> {
    remove_if_there(kept)?;
    match fs::hard_link(path, kept) {
        Ok(()) => return Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(_) => {}
    }
    fs::copy(path, kept).map_err(|e| failed(kept, "copy the previous content to it", e))?;
    File::open(kept).and_then(|f| f.sync_all()).map_err(|e| failed(kept, "sync it", e))?;
    Ok(true)
}

/// Reads `path`, or `<name>.bak` when the table is missing, empty or refused by `validate`.
///
/// Leftovers of an interrupted write (`.tmp`, `.bak.tmp`) are removed. An empty table without a backup counts as
/// never written (a first write cut short, or a file made by `touch`). When there is content but none of it is
/// usable, the error names both files: starting with an empty table would silently forget what was stored.
pub fn read_table<T>(path: &Path, validate: impl Fn(&[u8]) -> Result<T, String>) -> io::Result<Loaded<T>> {
    for suffix in [".tmp", ".bak.tmp"] {
        if let Err(e) = remove_if_there(&with_suffix(path, suffix)) {
            tracing::warn!("leftover of an interrupted write stays: {e}");
        }
    }
    let bak = with_suffix(path, ".bak");
    let main_trouble = match attempt(path, &validate) {
        Attempt::Good(table) => return Ok(Loaded::Main(table)),
        Attempt::Bad(trouble) => trouble,
    };
    match (attempt(&bak, &validate), main_trouble) {
        (Attempt::Good(table), trouble) => {
            let line = format!("{} {trouble}; its backup {} is used instead", path.display(), bak.display());
            set_aside(path);
            Ok(Loaded::Backup(table, line))
        }
        (Attempt::Bad(Trouble::Missing), Trouble::Missing) => Ok(Loaded::Missing),
        (Attempt::Bad(Trouble::Missing), Trouble::Empty) => {
            tracing::warn!("{} is empty and has no backup: taken as never written", path.display());
            Ok(Loaded::Missing)
        }
        (Attempt::Bad(bak_trouble), trouble) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{} {trouble}, and its backup {} {bak_trouble}; restore one of them from a copy, or remove both to \
                 start with an empty table",
                path.display(),
                bak.display()
            ),
        )),
    }
}

/// Moves an unusable table out of the way: as the "previous content" of the next write it would replace the only good
/// backup. It is kept as `<name>.torn` for whoever wants to look.
fn set_aside(path: &Path) {
    let torn = with_suffix(path, ".torn");
    match fs::rename(path, &torn) {
        Ok(()) => tracing::warn!("the unusable {} is kept as {}", path.display(), torn.display()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => tracing::error!("{}", failed(path, "move the unusable table aside", e)),
    }
}

enum Attempt<T> {
    Good(T),
    Bad(Trouble),
}

enum Trouble {
    Missing,
    Empty,
    Unusable(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Missing => write!(f, "is missing"),
            Trouble::Empty => write!(f, "is empty"),
            Trouble::Unusable(why) => write!(f, "is unusable ({why})"),
        }
    }
}

fn attempt<T>(path: &Path, validate: &impl Fn(&[u8]) -> Result<T, String>) -> Attempt<T> {
    let read = File::open(path).and_then(|file| {
        let size = file.metadata()?.len();
        if size > TABLE_SIZE_MAX {
            return Err(io::Error::other(format!("{size} bytes are more than a table can have")));
        }
        let mut bytes = Vec::new();
        file.take(TABLE_SIZE_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) if bytes.is_empty() => Attempt::Bad(Trouble::Empty),
        Ok(bytes) => match validate(&bytes) {
            Ok(table) => Attempt::Good(table),
            Err(why) => Attempt::Bad(Trouble::Unusable(why)),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Attempt::Bad(Trouble::Missing),
        Err(e) => Attempt::Bad(Trouble::Unusable(e.to_string())),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    PathBuf::from(name)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(path, "remove it", e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consume_queue::scratch::Scratch;

    fn number(bytes: &[u8]) -> Result<u32, String> {
        let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
        text.trim().parse().map_err(|e| format!("{e}"))
    }

    /// Puts the given contents in place and tells what the reader makes of them.
    fn check(main: Option<&str>, bak: Option<&str>, expected: Result<Loaded<u32>, &str>) {
        let scratch = Scratch::new("tables");
        let path = scratch.path().join("topics.json");
        if let Some(content) = main {
            fs::write(&path, content).expect("write main");
        }
        if let Some(content) = bak {
            fs::write(with_suffix(&path, ".bak"), content).expect("write bak");
        }
        match (read_table(&path, number), expected) {
            (Ok(Loaded::Backup(found, line)), Ok(Loaded::Backup(value, why))) => {
                assert_eq!(found, value);
                assert!(line.contains(&why) && line.contains("topics.json.bak"), "{line}");
            }
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(e), Err(part)) => {
                let text = e.to_string();
                assert!(text.contains("topics.json ") && text.contains("topics.json.bak"), "{text}");
                assert!(text.contains(part), "{text}");
            }
            (found, expected) => panic!("main {main:?} bak {bak:?}: found {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_backup_stands_in_for_a_missing_empty_or_torn_table() {
        check(Some("7"), None, Ok(Loaded::Main(7)));
        check(Some("7"), Some("6"), Ok(Loaded::Main(7)));
        check(None, None, Ok(Loaded::Missing));
        check(Some(""), None, Ok(Loaded::Missing));
        check(None, Some("6"), Ok(Loaded::Backup(6, "is missing".into())));
        check(Some(""), Some("6"), Ok(Loaded::Backup(6, "is empty".into())));
        check(Some("7x"), Some("6"), Ok(Loaded::Backup(6, "is unusable (invalid digit".into())));
        check(Some("7x"), None, Err("is missing"));
        check(Some("7x"), Some("6x"), Err("remove both"));
        check(Some(""), Some(""), Err("is empty"));
        check(None, Some("6x"), Err("is unusable"));
    }

    #[test]
    fn a_crash_after_any_step_leaves_the_old_or_the_new_content() {
        for limit in 0..=6 {
            for torn_tmp in [false, true] {
                let scratch = Scratch::new("tables");
                let path = scratch.path().join("topics.json");
                write_durably(&path, b"1").expect("first");
                write_durably(&path, b"2").expect("second");
                write_steps(&path, b"3", limit).expect("steps");
                if torn_tmp && limit == 1 {
                    fs::write(with_suffix(&path, ".tmp"), "").expect("tear");
                }
                let expected = if limit >= 4 { 3 } else { 2 };
                assert_eq!(read_table(&path, number).expect("read"), Loaded::Main(expected), "after {limit} steps");
                let bak = fs::read(with_suffix(&path, ".bak")).expect("bak");
                assert_eq!(bak, if limit >= 5 { b"2" } else { b"1" }, "after {limit} steps");
                let names = fs::read_dir(scratch.path()).expect("list").count();
                assert_eq!(names, 2, "leftovers after {limit} steps");
                write_durably(&path, b"4").expect("write goes on");
                assert_eq!(read_table(&path, number).expect("read"), Loaded::Main(4));
            }
        }
    }

    #[test]
    fn a_torn_table_never_becomes_the_only_backup() {
        for limit in 0..=6 {
            let scratch = Scratch::new("tables");
            let path = scratch.path().join("topics.json");
            fs::write(&path, "torn").expect("main");
            fs::write(with_suffix(&path, ".bak"), "6").expect("bak");
            write_steps(&path, b"7", limit).expect("steps");
            match read_table(&path, number).expect("one is good after every step") {
                Loaded::Main(value) => assert!(limit >= 4 && value == 7),
                Loaded::Backup(value, _) => assert!(limit < 4 && value == 6),
                Loaded::Missing => panic!("lost after {limit} steps"),
            }
        }
    }

    #[test]
    fn errors_name_the_path() {
        let scratch = Scratch::new("tables");
        let path = scratch.path().join("no/such/dir/topics.json");
        let text = write_durably(&path, b"1").expect_err("no directory").to_string();
        assert!(text.contains("topics.json.tmp: cannot create it"), "{text}");
        let path = scratch.path().join("taken");
        fs::create_dir(&path).expect("dir");
        let text = write_durably(&path, b"1").expect_err("a directory is in the way").to_string();
        assert!(text.contains("taken"), "{text}");
    }
}
