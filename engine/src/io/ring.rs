//! Files through the io_uring of the shard that calls: fdatasync and cold reads without blocking it.
//!
//! The only file of the crate that names glommio. Runs on shard threads only, inside their executor.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, RawFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use glommio::io::BufferedFile;

use super::Disk;
use crate::commitlog::segment::{LogRange, Segment};

/// A second descriptor of the same open file, owned by the ring's wrapper. Write errors are reported once for each
/// open file, and both descriptors share that one.
fn wrap(file: &File) -> io::Result<BufferedFile> {
    let fd: RawFd = file.try_clone()?.into_raw_fd();
    // SAFETY: `fd` was just made by dup, is open and owned by nobody else; the wrapper closes it.
    Ok(unsafe { BufferedFile::from_raw_fd(fd) })
}

/// Commitlog files as the ring's flusher syncs them; the last one stays open for the next sync.
#[derive(Default)]
pub(crate) struct SyncFiles {
    /// By physical offset.
    open: Vec<(i64, BufferedFile)>,
}

impl SyncFiles {
    /// Waits until the segments' data is durable, one after the other, without blocking the shard.
    pub(crate) async fn sync(&mut self, disk: &Disk, segments: &[Arc<Segment>]) -> io::Result<()> {
        for segment in segments {
            disk.before_sync()?;
            let at = match self.open.iter().position(|(base, _)| *base == segment.base()) {
                Some(at) => at,
                None => {
                    self.open.push((segment.base(), wrap(segment.file())?));
                    self.open.len() - 1
                }
            };
            if let Some((_, file)) = self.open.get(at) {
                file.fdatasync().await.map_err(io::Error::from)?;
            }
        }
        Ok(())
    }

    /// Closes all but the newest.
    pub(crate) async fn keep_last(&mut self) {
        while self.open.len() > 1 {
            let _ = self.open.remove(0).1.close().await;
        }
    }

    /// Closes all.
    pub(crate) async fn close(self) {
        for (_, file) in self.open {
            let _ = file.close().await;
        }
    }
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;
    use crate::io::Faults;
    use crate::store::testing::TempDir;
    use crate::{
        FlushMode, FlushWay, Get, PutMessage, PutOutcome, PutStatus, ShardStore, Shared, StoreOptions, TagFilter,
    };

    fn put(store: &mut ShardStore<u32>, number: u32) {
        let host = SocketAddr::from(([127, 0, 0, 1], 1));
        let body = [number as u8; 100];
        let message = PutMessage {
            topic: "T",
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &body,
            properties: &[],
            tags_code: 0,
        };
        store.put(&[message], true, number).map_err(|(_, refused)| refused).expect("taken");
    }

    async fn acks(store: &mut ShardStore<u32>, count: usize) -> Vec<PutOutcome> {
        let mut got = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        while got.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} acks", got.len());
            let _ = store.commit();
            store.take_acks(Instant::now(), |_, outcome| got.push(outcome));
            store.take_arrivals(|_, _, _| ());
            glommio::timer::sleep(Duration::from_millis(1)).await;
        }
        got
    }

    /// A store that flushes on the ring of an executor, and `case` on that executor.
    fn on_ring<F: Future<Output = ()> + 'static>(
        name: &str,
        case: impl FnOnce(ShardStore<u32>, Arc<Shared>, Arc<Faults>) -> F + Send + 'static,
    ) {
        let dir = TempDir::new(name);
        let faults = Arc::new(Faults::default());
        let mut options = StoreOptions::at(dir.path());
        options.segment_size = 64 << 10;
        options.flush = FlushMode::Sync;
        options.flush_way = FlushWay::Ring;
        options.disk = Disk::with_faults(faults.clone());
        options.index.enable = false;
        let mut opened = crate::open(options).unwrap_or_else(|error| panic!("{error}"));
        let seed = opened.shards.pop().expect("one shard");
        let shared = opened.shared.clone();
        let executor = LocalExecutorBuilder::new(Placement::Unbound).io_memory(1 << 20).spawn(move || async move {
            let flusher = glommio::spawn_local(crate::flush::run_on_ring(shared.clone())).detach();
            case(seed.into_store(), shared.clone(), faults).await;
            if shared.failure().is_some_and(|failed| failed.reason.contains("fdatasync")) {
                flusher.await;
            }
        });
        executor.expect("an executor").join().expect("no panic");
    }

    /// The flusher as a task of the shard: acks follow its fdatasync, a cold range is read without the mapping, a failed
    /// fdatasync is final.
    #[test]
    fn a_shard_flushes_and_reads_through_its_ring() {
        on_ring("ring", |mut store, shared, faults| async move {
            (0..10).for_each(|number| put(&mut store, number));
            let outcomes = acks(&mut store, 10).await;
            assert!(outcomes.iter().all(|outcome| outcome.status == PutStatus::Ok));
            assert_eq!(shared.flushed(), shared.watermark());
            let slot = store.queue("T", 0);
            let mut ranges = Vec::new();
            let get = Get { slot, offset: 3, max_messages: 2, max_bytes: usize::MAX, filter: TagFilter::All };
            assert_eq!(store.get(get, &mut ranges).messages, 2);
            assert_eq!(read(&ranges[0]).await.expect("read"), ranges[0].bytes());
            faults.fail_syncs(0, 1, libc::EIO);
            put(&mut store, 11);
            assert_eq!(acks(&mut store, 1).await[0].status, PutStatus::Failed);
            assert!(shared.failure().is_some());
        });
    }

    /// From file to file, with writes that come back short, until one fails for good.
    #[test]
    fn a_ring_syncs_file_after_file_until_a_write_fails() {
        on_ring("ring-files", |mut store, shared, faults| async move {
            faults.short_writes(1000);
            for turn in 0..30 {
                (0..40).for_each(|number| put(&mut store, turn * 40 + number));
                let outcomes = acks(&mut store, 40).await;
                assert!(outcomes.iter().all(|outcome| outcome.status == PutStatus::Ok));
                assert_eq!(shared.flushed(), shared.watermark());
            }
            assert!(shared.watermark() > 3 * (64 << 10), "{} bytes", shared.watermark());
            faults.fail_writes(0, 1, libc::EIO);
            put(&mut store, 0);
            assert_eq!(acks(&mut store, 1).await[0].status, PutStatus::Failed);
            assert!(shared.failure().is_some_and(|failed| failed.reason.contains("at byte")));
        });
    }
}
