//! Where the programs under test are.
//!
//! Owns the search: `RINGMQ_BIN_DIR`, else the release and debug folders of the target directory this suite was built
//! into. Must not build anything.

use std::path::PathBuf;

/// The path of a program, or why there is none.
pub fn find(name: &str) -> Result<PathBuf, String> {
    let mut tried = Vec::new();
    for folder in folders() {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        tried.push(path.display().to_string());
    }
    Err(format!("program {name} not found (tried {}); build it, or set RINGMQ_BIN_DIR to its folder", tried.join(", ")))
}

fn folders() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os("RINGMQ_BIN_DIR") {
        return vec![PathBuf::from(folder)];
    }
    // <target>/<profile>/deps/<suite>: the profile of the suite first, then the others.
    let mut folders = Vec::new();
    if let Ok(me) = std::env::current_exe()
        && let Some(profile) = me.parent().and_then(|deps| deps.parent())
    {
        folders.push(profile.to_owned());
        if let Some(target) = profile.parent() {
            folders.push(target.join("release"));
            folders.push(target.join("debug"));
        }
    }
    folders
}
