//! Pages the log will be written to soon, brought into the page cache by a thread of their own.
//!
//! Owns how far ahead that is done. A batch written to pages that are in the cache is a copy; otherwise the shard pays
//! for each new page inside its write, which on a virtual machine that gives memory back to its host costs more than
//! all the rest of a message, and with several shards, where nobody may pad a write, the page is read from the disk
//! first. Shards say where the log's end is; the thread reads from a little behind it on, never at it: a page being
//! read is locked, and the shard would wait for the disk. They are really read, not only asked for: it
//! is the first touch of a page by a processor that a virtual machine charges for.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::io::{PAGE, give_way, next_data, no_readahead};
use crate::options::{FlushMode, Replication, StoreRole};
use crate::store::core::Core;

/// How far ahead of the log's end pages are in the cache.
const WINDOW: i64 = 24 << 20;
/// How far the log's end moves before the thread is asked for more.
const STEP: i64 = 2 << 20;
/// Pages so near to the end may be written to before they are read.
const MARGIN: i64 = 1 << 20;
/// Bytes of one read, small enough to stay in a processor's cache.
const BUFFER: usize = 128 << 10;
/// Bytes read before the thread looks up; less only at a file's end.
const PIECE: i64 = 1 << 20;

/// What shards tell the thread.
#[derive(Default)]
pub(crate) struct Ahead {
    /// Where the log's end was when somebody asked last; 0 before the first write.
    end: AtomicI64,
    sleeping: Mutex<()>,
    asked: Condvar,
}

impl Ahead {
    /// The log's end moved to `end`. On a shard: never waits; what goes unheard is asked again with the next step.
    pub(crate) fn moved(&self, end: i64) {
        if self.note(end)
            && let Ok(_sleeping) = self.sleeping.try_lock()
        {
            self.asked.notify_all();
        }
    }

    /// Whether the thread has something new to do.
    fn note(&self, end: i64) -> bool {
        let asked = self.end.load(Ordering::Relaxed);
        if asked != 0 && end < asked.saturating_add(STEP) {
            return false;
        }
        self.end.fetch_max(end.max(1), Ordering::Relaxed) < end
    }

    fn wanted(&self) -> Option<i64> {
        let end = self.end.load(Ordering::Relaxed);
        (end > 0).then(|| end.saturating_add(WINDOW))
    }

    /// Ends the thread.
    pub(crate) fn wake(&self) {
        let _sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.asked.notify_all();
    }
}

/// The thread; returns when the store stops.
pub(crate) fn run(core: &Core) {
    give_way();
    let mut reader = Reader::new();
    while !core.is_stopping() {
        reader.read(core);
        let sleeping = core.ahead.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.next(core).is_none() && !core.is_stopping() {
            drop(core.ahead.asked.wait(sleeping));
        }
    }
}

/// The thread's part.
struct Reader {
    buffer: Vec<u8>,
    done: i64,
    /// Base of the file read last, and the file, opened anew: its readahead state is its own. `None` for a file that
    /// is not read.
    file: Option<(i64, Option<File>)>,
}

impl Reader {
    fn new() -> Self {
        Self { buffer: vec![0; BUFFER], done: 0, file: None }
    }

    /// Reads all that is wanted now.
    fn read(&mut self, core: &Core) {
        while let Some((from, to)) = self.next(core)
            && !core.is_stopping()
        {
            self.done = to;
            let Some(segment) = core.segments.find(from) else { continue };
            if self.file.as_ref().is_none_or(|(base, _)| *base != segment.base()) {
                // Without it nothing is lost but the time of the shard's first touch.
                let Ok(file) = core.options.disk.open(segment.path()) else { continue };
                // The kernel's own readahead takes as much as the device is set to, here 8 MiB, in one request, and a
                // flush that comes meanwhile waits for all of it: p99 5 ms instead of 1.3. Without flushes to wait for,
                // large requests are the faster way.
                let is_zeroed = is_zeroed(&file, segment.size());
                if core.options.flush == FlushMode::Sync || !is_zeroed {
                    no_readahead(&file);
                }
                // New pages cost this thread as much as the shard. It is only where a producer also waits for what
                // comes behind the write, a link and a slave, that making them meanwhile is worth a core's time.
                let is_waited_for =
                    core.options.role == StoreRole::Slave || core.options.replication != Replication::Async;
                self.file = Some((segment.base(), (is_zeroed || is_waited_for).then_some(file)));
            }
            let file = self.file.as_ref().and_then(|(_, file)| file.as_ref());
            let Some((file, mut position)) = file.zip(segment.position(from)) else { continue };
            let end = position.saturating_add_signed(to - from);
            while position < end {
                let len = usize::try_from(end - position).unwrap_or(BUFFER).min(BUFFER);
                match file.read_at(self.buffer.get_mut(..len).unwrap_or_default(), position) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => position += read as u64,
                }
            }
        }
    }

    /// The next range to read: in one file, wanted, with a file there, and not too near to the end of the log.
    fn next(&self, core: &Core) -> Option<(i64, i64)> {
        let wanted = core.ahead.wanted()?.min(core.segments.room_end());
        piece(self.done, core.tail.next(), wanted, core.segments.size())
    }
}

/// Whether a file was filled with zeros to its end. Where it was not, reading brings nothing from the disk: the kernel
/// makes the zeros with the processor, and a whole readahead window of them in one go is 20 ms without the core for
/// whoever else needs it. Asked before the end was ever read, for pages in the cache count as written.
fn is_zeroed(file: &File, size: u64) -> bool {
    let last = size.saturating_sub(PAGE as u64);
    matches!(next_data(file, last), Ok(Some(data)) if data == last)
}

/// The next piece to read when `done` is read, the log ends at `end`, and `wanted` is where reading should arrive.
fn piece(done: i64, end: i64, wanted: i64, segment_size: i64) -> Option<(i64, i64)> {
    let page = PAGE as i64;
    let from = done.max(end.saturating_add(MARGIN)) / page * page;
    let file_end = (from / segment_size + 1).saturating_mul(segment_size);
    let to = from.saturating_add(PIECE).min(file_end);
    (from < file_end && to <= wanted).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_asked_once_a_step() {
        let ahead = Ahead::default();
        assert_eq!(ahead.wanted(), None);
        let check = |end: i64, asks: bool| assert_eq!(ahead.note(end), asks, "{end}");
        check(100, true);
        check(200, false);
        check(100 + STEP, true);
        check(50, false);
        assert_eq!(ahead.wanted(), Some(100 + STEP + WINDOW));
    }

    #[test]
    fn pieces_lie_in_one_file_and_keep_their_distance() {
        const MIB: i64 = 1 << 20;
        let check = |done: i64, end: i64, wanted: i64, expected: Option<(i64, i64)>| {
            assert_eq!(piece(done, end, wanted, 64 * MIB), expected, "{done} {end} {wanted}");
        };
        check(0, 0, 24 * MIB, Some((MIB, MIB + PIECE)));
        check(5 * MIB, 0, 24 * MIB, Some((5 * MIB, 5 * MIB + PIECE)));
        check(5 * MIB, 9 * MIB, 30 * MIB, Some((10 * MIB, 10 * MIB + PIECE)));
        check(24 * MIB, 0, 24 * MIB, None);
        check(64 * MIB - 4096, 60 * MIB, 90 * MIB, Some((64 * MIB - 4096, 64 * MIB)));
        check(0, 40 * MIB, 41 * MIB, None);
        check(24 * MIB - PIECE + 4096, 0, 24 * MIB, None);
    }
}
