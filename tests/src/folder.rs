//! A folder of one case, removed at its end and kept when the case fails.
//!
//! Owns the folder. Must not be shared between cases. `RINGMQ_TEST_DIR` says where folders are made.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A temporary folder.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes one; `name` helps to find it again.
    pub fn new(name: &str) -> Folder {
        let parent = std::env::var_os("RINGMQ_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("ringmq-{name}-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
        Folder { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("kept for inspection: {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{} could not be removed: {error}", self.path.display());
        }
    }
}

/// All files of this name below a folder.
pub fn find(folder: &Path, name: &str) -> Vec<PathBuf> {
    find_all(folder, |path| path.file_name().is_some_and(|found| found == name))
}

/// All files below a folder that are wanted.
pub fn find_all(folder: &Path, is_wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    fn walk(folder: &Path, is_wanted: &dyn Fn(&Path) -> bool, found: &mut Vec<PathBuf>) {
        // A folder that vanishes while it is read has no wanted file any more.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&path, is_wanted, found);
            } else if is_wanted(&path) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, &is_wanted, &mut found);
    found
}
