//! The store of a broker as a master's source and a slave's sink.
//!
//! Owns nothing but handles. Called on the threads of links; nothing here is called by a shard.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use engine::{LogWatch, ReceiveError, Receiver, Shared};

use super::seam::{LogExtent, LogPiece, LogSink, LogSource, SinkError, Watch};

impl Watch for LogWatch {
    fn fd(&self) -> RawFd {
        LogWatch::fd(self)
    }

    fn arm(&self, seen: i64) -> i64 {
        LogWatch::arm(self, seen)
    }

    fn clear(&self) {
        LogWatch::clear(self);
    }
}

/// Bytes read from the disk behind a piece that was not in memory.
const COLD_AHEAD: usize = 1 << 20;

/// A master's store.
#[derive(Clone)]
pub struct StoreSource(Arc<Shared>);

impl StoreSource {
    /// Serves the log of this store.
    pub fn new(store: Arc<Shared>) -> Self {
        Self(store)
    }
}

impl LogSource for StoreSource {
    fn extent(&self) -> LogExtent {
        LogExtent { min: self.0.log_min(), max: self.0.watermark() }
    }

    fn file_size(&self) -> u64 {
        self.0.options().segment_size
    }

    fn piece(&self, from: i64, len: usize) -> Option<LogPiece> {
        let range = self.0.log_range(from, len)?;
        // On the link's own thread, which may wait. A slave that catches up goes on from here.
        if !range.is_resident() {
            range.warm();
            range.next(COLD_AHEAD).warm();
        }
        Some(LogPiece::File(range))
    }

    fn watch(&self) -> io::Result<Box<dyn Watch>> {
        Ok(Box::new(self.0.watch_log()?))
    }

    fn link_up(&self, link: u64, start: i64) -> Result<(), String> {
        self.0.slaves().link_up(link, start).map_err(|refused| refused.to_string())
    }

    fn report(&self, link: u64, safe: i64) -> Result<(), String> {
        self.0.slaves().report(link, safe).map_err(|refused| refused.to_string())
    }

    fn link_down(&self, link: u64) {
        self.0.slaves().link_down(link);
    }
}

/// A slave's store.
pub struct StoreSink(Receiver);

impl StoreSink {
    /// Copies into this store.
    pub fn new(receiver: Receiver) -> Self {
        Self(receiver)
    }
}

fn refused(error: ReceiveError) -> SinkError {
    let text = error.to_string();
    match error {
        error if error.is_passing() => SinkError::NoSpace(text),
        ReceiveError::Failed(_) | ReceiveError::ShuttingDown => SinkError::Final(text),
        _ => SinkError::Refused(text),
    }
}

impl LogSink for StoreSink {
    fn start(&self) -> i64 {
        self.0.start()
    }

    fn end(&self) -> i64 {
        self.0.end()
    }

    fn durable(&self) -> i64 {
        self.0.durable()
    }

    fn file_size(&self) -> u64 {
        self.0.file_size().unsigned_abs()
    }

    fn read(&self, from: i64, len: usize) -> Result<Vec<u8>, SinkError> {
        self.0.read(from, len).map_err(refused)
    }

    fn record_before(&self, at: i64) -> Result<i64, SinkError> {
        self.0.record_before(at).map_err(refused)
    }

    fn append(&mut self, offset: i64, bytes: &[u8]) -> Result<(), SinkError> {
        self.0.append(offset, bytes).map_err(refused)
    }

    fn show(&mut self, at_once: bool) -> Option<Duration> {
        self.0.show(at_once)
    }

    fn begin_at(&mut self, offset: i64) -> Result<(), SinkError> {
        self.0.begin_at(offset).map_err(refused)
    }

    fn set_aside(&mut self) -> Result<String, SinkError> {
        self.0.clear().map_err(refused)?;
        Ok("in directories named .aside-<date> beside commitlog, consumequeue and index".to_owned())
    }

    fn watch_durable(&self) -> io::Result<Box<dyn Watch>> {
        Ok(Box::new(self.0.watch_durable()?))
    }

    fn unsound(&self) -> Option<String> {
        self.0.unsound().map(|unsound| unsound.to_string())
    }

    fn drop_unsound(&mut self) -> Result<(), SinkError> {
        self.0.cut_to(self.0.watermark()).map(drop).map_err(refused)
    }
}
