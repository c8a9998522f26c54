//! A disk whose power can be cut: a file served by this process, a block device on it, ext4 on that.
//!
//! Owns the mounts and devices it makes, all inside a mount namespace of its own, so that nothing is left behind
//! however the process ends. Must not know what is stored on the disk. What the file system has not flushed lies in a
//! write cache of the disk; a power cut keeps a seeded part of its sectors of 512 bytes and loses the others, so pages
//! and records are torn as real disks tear them. Needs root, /dev/fuse and a free loop device; says so where it cannot.

mod block;
mod image;
mod mounts;
mod served;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::BackgroundSession;

pub use image::{Cut, Flush, Image, Moment};

/// Bytes of the disk. Only what is written takes memory.
pub const DISK_BYTES: u64 = 512 << 20;

/// A disk with ext4 on it, mounted or not.
pub struct Rig {
    image: Arc<Mutex<Image>>,
    /// Right after formatting: what [`Rig::format`] goes back to.
    blank: Option<Image>,
    served: PathBuf,
    point: PathBuf,
    boot_id: PathBuf,
    boots: u32,
    is_mounted: bool,
    _session: BackgroundSession,
}

impl Rig {
    /// Makes the disk in `folder`, unformatted; the error says what this machine lacks. The calling thread, and every
    /// thread and process it starts later, moves to a mount namespace of its own: only they see the disk.
    pub fn new(folder: &Path) -> Result<Rig, String> {
        let (served, point) = (folder.join("served"), folder.join("disk"));
        for path in [&served, &point] {
            std::fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        mounts::own_namespace()?;
        let boot_id = folder.join("boot_id");
        write_boot_id(&boot_id, 0)?;
        mounts::show_as_boot_id(&boot_id)?;
        let image = Arc::new(Mutex::new(Image::new(DISK_BYTES)));
        let session = served::spawn(Arc::clone(&image), &served)?;
        Ok(Rig { image, blank: None, served, point, boot_id, boots: 0, is_mounted: false, _session: session })
    }

    fn image(&self) -> MutexGuard<'_, Image> {
        // A thread that panicked while it held the image has failed the case already.
        self.image.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty file system, everything durable, power on, flushes honoured. Not while it is mounted.
    pub fn format(&mut self) -> Result<(), String> {
        assert!(!self.is_mounted, "the disk is formatted while it is mounted");
        if let Some(blank) = &self.blank {
            self.image().restore(blank);
            return Ok(());
        }
        self.image().restore(&Image::new(DISK_BYTES));
        let device = block::attach(&self.served.join(served::FILE_NAME))?;
        // The kernel would go on writing inode tables by itself later: all of it now.
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"])
            .arg(device.path()))?;
        drop(device);
        let blank = {
            let mut image = self.image();
            image.flush();
            image.clone()
        };
        self.blank = Some(blank);
        Ok(())
    }

    /// Power on, if it is off, and mount. Answers where. After a cut programs find another boot id than before.
    pub fn mount(&mut self) -> Result<&Path, String> {
        assert!(!self.is_mounted, "the disk is mounted twice");
        if self.image().last_cut().is_some() {
            self.boots += 1;
            write_boot_id(&self.boot_id, self.boots)?;
        }
        self.image().power_on();
        let device = block::attach(&self.served.join(served::FILE_NAME))?;
        mounts::mount(device.path(), &self.point)?;
        self.is_mounted = true;
        Ok(&self.point)
    }

    /// What flushes do from now on.
    pub fn set_flush(&self, flush: Flush) {
        self.image().set_flush(flush);
    }

    /// Cuts the power now: of the sectors not flushed yet each stays with `kept_of_8` chances of eight. Every later
    /// write and flush fails until the next [`Rig::mount`].
    pub fn cut(&self, seed: u64, kept_of_8: u8) -> Cut {
        self.image().cut(seed, kept_of_8)
    }

    /// Like [`Rig::cut`], by itself, when that request comes.
    pub fn cut_at(&self, moment: Moment, seed: u64, kept_of_8: u8) {
        self.image().cut_at(moment, seed, kept_of_8);
    }

    /// What the cut did, once it came.
    pub fn last_cut(&self) -> Option<Cut> {
        self.image().last_cut()
    }

    /// Unmounts; whatever used the disk must have ended. After a cut this writes nothing.
    pub fn unmount(&mut self) -> Result<(), String> {
        if self.is_mounted {
            mounts::unmount(&self.point)?;
            self.is_mounted = false;
        }
        Ok(())
    }

    /// The mount point.
    pub fn point(&self) -> &Path {
        &self.point
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Err(problem) = self.unmount() {
            eprintln!("{problem}");
            mounts::detach(&self.point);
        }
        mounts::hide_boot_id();
    }
}

/// In place: it is mounted over the kernel's.
fn write_boot_id(path: &Path, boots: u32) -> Result<(), String> {
    let text = format!("{:08x}-0000-4000-8000-{boots:012x}\n", std::process::id());
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
