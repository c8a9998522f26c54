//! Ports nobody else uses: blocks of eight below the range the kernel gives to outgoing connections (32768-60999), so
//! that no client's port can be in the way of a restart.
//!
//! Owns a locked file for each block, so that suites that run side by side keep apart. Held until dropped.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;

use crate::rng::Rng;

const FIRST: u16 = 12_000;
const LAST: u16 = 32_000;
const BLOCK: u16 = 8;

/// Eight ports, `base` to `base + 7`.
pub struct Ports {
    base: u16,
    _lock: File,
}

impl Ports {
    /// Finds and holds a free block.
    pub fn take() -> Ports {
        let folder = folder();
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        // Where to begin looking is no part of a test's outcome; the process id keeps neighbours apart.
        let mut rng = Rng::new(u64::from(std::process::id()));
        let blocks = u64::from((LAST - FIRST) / BLOCK);
        for _ in 0..blocks {
            let base = FIRST + (rng.below(blocks) as u16) * BLOCK;
            let path = folder.join(base.to_string());
            let Ok(lock) = File::options().create(true).truncate(false).write(true).open(&path) else { continue };
            if lock.try_lock().is_ok() && (base..base + BLOCK).all(is_free) {
                return Ports { base, _lock: lock };
            }
        }
        panic!("no block of {BLOCK} free ports in {FIRST}-{LAST}");
    }

    /// The nameserver's port.
    pub fn nameserver(&self) -> u16 {
        self.base
    }

    /// The broker's port; the two before it and the one after it are the broker's too.
    pub fn broker(&self) -> u16 {
        self.base + 4
    }
}

fn folder() -> PathBuf {
    std::env::temp_dir().join("ringmq-test-ports")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("0.0.0.0", port)).is_ok()
}
