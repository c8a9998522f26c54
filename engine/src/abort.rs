//! The abort file: there while the store is open for writing, gone after a clean stop (Java 4.x).
//!
//! Owns that one file. Runs where the store is opened and stopped.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Whether the last run ended without a clean stop. A directory of that name (some set-up guides make one with mkdir,
/// Java then starts as after a crash every time) is removed if it is empty and says nothing.
pub fn is_present(path: &Path) -> io::Result<bool> {
    if remove_empty_dir(path)? {
        return Ok(false);
    }
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What [`note_failure`] writes.
const FAILED: &[u8] = b"flush failed\n";

/// Leaves word, without waiting for the disk, that a write or flush failed: the page cache may then hold what the disk
/// does not, and the next start must not believe it. Java's file is empty and it looks at nothing but its name.
pub fn note_failure(path: &Path) {
    if path.is_file() {
        let _ = fs::write(path, FAILED);
    }
}

/// The same for a start that cannot go on: leaves the word whether or not the file is there.
pub(crate) fn leave_failure(path: &Path) {
    if let Err(error) = fs::write(path, FAILED) {
        tracing::error!(path = %path.display(), %error, "a failed sync could not be noted for the next start; do not start before the machine was restarted");
    }
}

/// Whether the last run left word of a failed flush.
pub fn tells_of_failure(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes == FAILED)
}

/// Writes the file, durably.
pub fn write(path: &Path) -> io::Result<()> {
    File::create(path)?.sync_all()?;
    sync_parent(path)
}

/// Removes the file, durably.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_parent(path),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// Removes a directory that lies where a file belongs. `true` if there was one; one that holds something is an error.
pub(crate) fn remove_empty_dir(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            fs::remove_dir(path)?;
            tracing::warn!(path = %path.display(), "an empty directory lay where a file belongs; removed");
            Ok(true)
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TempDir;

    #[test]
    fn the_file_comes_and_goes() {
        let dir = TempDir::new("abort");
        let path = dir.path().join("abort");
        assert!(!is_present(&path).expect("looked"));
        note_failure(&path);
        assert!(!path.exists(), "only a running store fails");
        write(&path).expect("written");
        assert!(is_present(&path).expect("looked") && !tells_of_failure(&path));
        note_failure(&path);
        assert!(is_present(&path).expect("looked") && tells_of_failure(&path));
        write(&path).expect("written");
        assert!(!tells_of_failure(&path), "a new run starts without the word");
        remove(&path).expect("removed");
        remove(&path).expect("removing twice is fine");
        leave_failure(&path);
        assert!(tells_of_failure(&path));
        remove(&path).expect("removed");
        assert!(!is_present(&path).expect("looked"));
    }

    #[test]
    fn an_empty_directory_is_no_crash_and_a_full_one_is_an_error() {
        let dir = TempDir::new("abort-dir");
        let path = dir.path().join("abort");
        fs::create_dir(&path).expect("made");
        assert!(!is_present(&path).expect("looked"));
        assert!(!path.exists());
        fs::create_dir_all(path.join("x")).expect("made");
        assert!(is_present(&path).is_err());
    }
}
