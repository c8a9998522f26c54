//! From a topology and a list of hosts to every host's files.
//!
//! `topology` reads the name, `plan` decides who runs where on which ports and paths, `files` writes the text: these are
//! pure. `command` is the command line around them, and only [`write()`] touches the disk. Any thread.

pub mod command;
pub mod files;
pub mod plan;
pub mod topology;

pub use files::{File, files, port_table};
pub use plan::{Broker, Host, Namesrv, Plan, Wishes, plan};
pub use topology::Topology;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Writes the files below a directory that is not there yet, or empty: nothing is ever overwritten.
pub fn write(out: &Path, files: &[File]) -> Result<(), String> {
    let failed = |path: &Path, error: &io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(out).map_err(|error| failed(out, &error))?;
    let mut entries = fs::read_dir(out).map_err(|error| failed(out, &error))?;
    if entries.next().is_some() {
        return Err(format!(
            "{} is not empty; name a new directory with --out, so that no file of a running cluster is overwritten",
            out.display()
        ));
    }
    for File { path, text, executable } in files {
        let path = out.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        }
        let mut file = fs::File::create_new(&path).map_err(|error| failed(&path, &error))?;
        file.write_all(text.as_bytes()).map_err(|error| failed(&path, &error))?;
        if *executable {
            use std::os::unix::fs::PermissionsExt;
            let permissions = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&path, permissions).map_err(|error| failed(&path, &error))?;
        }
    }
    Ok(())
}
