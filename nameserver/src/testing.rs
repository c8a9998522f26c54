//! What this crate's own tests share: options from text, and a directory that removes itself.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::options::NamesrvOptions;

/// Options from `key=value` lines.
pub fn options(text: &str) -> NamesrvOptions {
    let source = config::Source { name: "test", bytes: text.as_bytes() };
    let loaded = config::load_namesrv(Some(source), &[], &config::Environment::default());
    let mut settings = loaded.settings.unwrap_or_else(|| panic!("{}", loaded.report));
    settings.config_file = None;
    NamesrvOptions::new(settings, &loaded.values)
}

pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> TempDir {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nameserver-{name}-{}-{serial}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
