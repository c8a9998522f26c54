//! Files through the io_uring of the shard that calls: fdatasync and cold reads without blocking it.
//!
//! The only file of the crate that names glommio. Runs on shard threads only, inside their executor.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, RawFd};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use glommio::io::BufferedFile;

use super::Disk;
use crate::commitlog::segment::LogRange;

/// A second descriptor of the same open file, owned by the ring's wrapper. Write errors are reported once for each
/// open file, and both descriptors share that one.
fn wrap(file: &File) -> io::Result<BufferedFile> {
    let fd: RawFd = file.try_clone()?.into_raw_fd();
    // SAFETY: `fd` was just made by dup, is open and owned by nobody else; the wrapper closes it.
    Ok(unsafe { BufferedFile::from_raw_fd(fd) })
}

/// Waits until a file's data is durable, without blocking the shard.
pub(crate) async fn sync_data(disk: &Disk, file: &File) -> io::Result<()> {
    disk.before_sync()?;
    let file = wrap(file)?;
    let result = file.fdatasync().await.map_err(io::Error::from);
    let _ = file.close().await;
    result
}

/// Reads a range that is not in the page cache. Fewer bytes than asked for are an error.
pub async fn read(range: &LogRange) -> io::Result<Vec<u8>> {
    let file = wrap(range.segment.file())?;
    let mut out = Vec::with_capacity(range.len);
    let mut problem = None;
    while out.len() < range.len {
        match file.read_at(range.position.saturating_add(out.len() as u64), range.len - out.len()).await {
            Ok(part) if part.is_empty() => {
                problem = Some(io::Error::from(io::ErrorKind::UnexpectedEof));
                break;
            }
            Ok(part) => out.extend_from_slice(&part),
            Err(error) => {
                problem = Some(io::Error::from(error));
                break;
            }
        }
    }
    let _ = file.close().await;
    problem.map_or(Ok(out), Err)
}

/// Waits for `other`, at most for `limit`.
pub(crate) async fn until(other: impl Future<Output = ()>, limit: Option<Duration>) {
    let mut other = pin!(other);
    match limit {
        None => other.await,
        Some(limit) => {
            let mut timer = pin!(glommio::timer::sleep(limit));
            poll_fn(|context| {
                if other.as_mut().poll(context).is_ready() || timer.as_mut().poll(context).is_ready() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }
}
