//! The image as the one file of a FUSE file system, for a loop device to lie on.
//!
//! Owns the file's name and attributes. Must not decide what a request does to the bytes: the image does. Runs on a
//! thread of the session.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request,
    WriteFlags,
};

use crate::image::Image;

/// The file.
pub const FILE_NAME: &str = "disk.img";
const FILE: u64 = 2;
const TTL: Duration = Duration::from_secs(1);

/// Serves the image below `folder` until the session is dropped.
pub fn spawn(image: Arc<Mutex<Image>>, folder: &Path) -> Result<BackgroundSession, String> {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("ringmq-test-disk".into())];
    fuser::spawn_mount(Served(image), folder, &config)
        .map_err(|error| format!("no FUSE file system at {}: {error}", folder.display()))
}

struct Served(Arc<Mutex<Image>>);

impl Served {
    fn image(&self) -> MutexGuard<'_, Image> {
        // The image is whole between its calls, whatever happened to a thread that used it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self, node: INodeNo) -> FileAttr {
        let is_folder = node == INodeNo::ROOT;
        let size = if is_folder { 0 } else { self.image().size() };
        FileAttr {
            ino: node,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_folder { FileType::Directory } else { FileType::RegularFile },
            perm: if is_folder { 0o700 } else { 0o600 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if parent == INodeNo::ROOT && name == FILE_NAME {
            reply.entry(&TTL, &self.attributes(INodeNo(FILE)), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(node));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // The handle is the session: who opened the disk before a power cut stays cut off.
        reply.opened(FileHandle(self.image().session()), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.image().read(handle.0, offset, size as usize);
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.image().write(handle.0, offset, data);
        match (written, u32::try_from(data.len())) {
            (Ok(()), Ok(len)) => reply.written(len),
            _ => reply.error(Errno::EIO),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        let flushed = self.image().flush_by(handle.0);
        match flushed {
            Ok(()) => reply.ok(),
            Err(_) => reply.error(Errno::EIO),
        }
    }
}
