//! Replacing a small file so that a crash leaves either the old or the new content, and the old one beside it as `.bak`.
//!
//! Owns the order of the steps and nothing else. Blocks for a disk flush; runs on the name server's thread, for the rare
//! requests that change a file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// `path` with `suffix` appended to its file name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Writes `content` to `path`. When this returns Ok, the content and its name are on the disk.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // A link is followed, so that the file it names is replaced and not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let temporary = beside(&path, ".tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
    file.write_all(content)?;
    if let Ok(old) = fs::metadata(&path) {
        file.set_permissions(old.permissions())?;
        keep_old(&path)?;
    }
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    File::open(directory)?.sync_all()
}

/// A second name for the old content: the first name never goes missing, whenever the machine stops.
fn keep_old(path: &Path) -> io::Result<()> {
    let backup = beside(path, ".bak");
    match fs::remove_file(&backup) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::hard_link(path, &backup).or_else(|_| fs::copy(path, &backup).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn the_old_content_stays_as_bak() {
        let dir = TempDir::new("durable");
        let path = dir.path().join("sub/file");
        for (content, backup) in [("one", None), ("two", Some("one")), ("three", Some("two"))] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(fs::read_to_string(beside(&path, ".bak")).ok().as_deref(), backup);
            assert!(!beside(&path, ".tmp").exists());
        }
    }

    #[test]
    fn links_and_permissions_survive() {
        use std::os::unix::fs::PermissionsExt;
        let dir = TempDir::new("durable-link");
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_failed_write_leaves_the_old_content() {
        let dir = TempDir::new("durable-fail");
        let path = dir.path().join("file");
        fs::write(&path, "old").unwrap();
        fs::create_dir(beside(&path, ".tmp")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }
}
