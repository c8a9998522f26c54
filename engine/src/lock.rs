//! The lock file: one process at a time has a store open. Compatible with Java 4.x (fcntl, byte 0, text `lock`).
//!
//! Owns the file `lock` below the root and a list of the roots this process has open, because fcntl locks do not keep
//! a process from itself. Runs where the store is opened.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::OpenError;
use crate::io::{lock_first_byte, lock_holder};

/// Roots open in this process. Looked at before the file is opened: closing any descriptor of it would drop the lock.
static OPEN_ROOTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Held as long as the store is open; dropping it lets go.
#[derive(Debug)]
pub struct StoreLock {
    root: PathBuf,
    file: Option<File>,
}

impl StoreLock {
    /// Takes the lock of the store at `root`, which exists.
    pub fn take(root: &Path) -> Result<Self, OpenError> {
        let path = root.join("lock");
        let canonical =
            fs::canonicalize(root).map_err(|error| OpenError::io("find the store directory", root, error))?;
        let new = OPEN_ROOTS.lock().unwrap_or_else(PoisonError::into_inner).insert(canonical.clone());
        if !new {
            let holder = format!("this process (pid {})", std::process::id());
            return Err(OpenError::Locked { path, holder });
        }
        let mut lock = Self { root: canonical, file: None };
        let io = |error| OpenError::io("lock the store with", &path, error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        if let Err(error) = lock_first_byte(&file) {
            return Err(match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EACCES) => OpenError::Locked { holder: holder(&file, &path), path },
                _ => io(error),
            });
        }
        // Java writes the bare word; the pid behind it is for people and for holders in other pid namespaces.
        file.set_len(0).and_then(|()| write!(file, "lock\n{}\n", std::process::id())).map_err(io)?;
        lock.file = Some(file);
        Ok(lock)
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        self.file = None;
        OPEN_ROOTS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.root);
    }
}

/// Who holds the lock, as far as the system and the file tell.
fn holder(file: &File, path: &Path) -> String {
    let pid = match lock_holder(file) {
        Ok(pid) if pid > 0 => pid,
        // The holder lives in another pid namespace (a container): its own word is all there is.
        _ => match fs::read_to_string(path).ok().and_then(|text| text.lines().nth(1)?.parse::<u32>().ok()) {
            Some(pid) => return format!("a process in another container, which calls itself pid {pid}"),
            None => return "another process".to_string(),
        },
    };
    match command_line(pid) {
        Ok(command) if !command.is_empty() => format!("pid {pid} ({command})"),
        _ => format!("pid {pid}"),
    }
}

/// The command line of a process, at most 300 characters.
fn command_line(pid: i32) -> io::Result<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline"))?;
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    Ok(text.trim().chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TempDir;

    #[test]
    fn one_process_opens_a_store_once() {
        let dir = TempDir::new("lock");
        let first = StoreLock::take(dir.path()).expect("free");
        let error = StoreLock::take(&dir.path().join(".")).expect_err("taken").to_string();
        assert!(error.contains("storePathRootDir") && error.contains("this process"), "{error}");
        drop(first);
        StoreLock::take(dir.path()).expect("free again");
    }

    #[test]
    fn another_process_is_named_with_its_command() {
        let dir = TempDir::new("lock-other");
        let path = dir.path().join("lock");
        fs::write(&path, "lock").expect("written");
        // flock(1) takes a lock of another kind, so a small script holds the same fcntl lock.
        let script = "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f,fcntl.LOCK_EX,1,0); print('held',flush=True); sys.stdin.read()";
        let child = std::process::Command::new("python3")
            .args(["-c", script])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn();
        let Ok(mut child) = child else { return };
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut line).expect("held");
        let error = StoreLock::take(dir.path()).expect_err("taken").to_string();
        assert!(error.contains(&format!("pid {}", child.id())) && error.contains("lockf"), "{error}");
        drop(child.stdin.take());
        child.wait().expect("ended");
        StoreLock::take(dir.path()).expect("free after the holder ended");
        assert_eq!(fs::read_to_string(&path).expect("read"), format!("lock\n{}\n", std::process::id()));
    }
}
