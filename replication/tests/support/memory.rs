//! Logs in memory for the real threads and sockets: a master's that sees when it is told a falsehood, and a slave's
//! whose disk does as told.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use replication::ha::{LogExtent, LogPiece, LogSink, LogSource, MasterFacts, SinkError, Watch};

use super::random::Random;
use super::records;

/// How long a test waits for what has to come.
pub const PATIENCE: Duration = Duration::from_secs(60);

struct Event {
    near: UnixStream,
    far: UnixStream,
    armed: AtomicI64,
}

impl Event {
    fn new() -> io::Result<Arc<Self>> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok(Arc::new(Self { near, far, armed: AtomicI64::new(i64::MAX) }))
    }

    fn moved(&self, to: i64) {
        if to > self.armed.load(Ordering::SeqCst) {
            self.armed.store(i64::MAX, Ordering::SeqCst);
            // A full buffer is readable already.
            let _ = (&self.near).write(&[1]);
        }
    }
}

struct MemoryWatch<F> {
    event: Arc<Event>,
    now: F,
}

impl<F: Fn() -> i64 + Send> Watch for MemoryWatch<F> {
    fn fd(&self) -> RawFd {
        self.event.far.as_raw_fd()
    }

    fn arm(&self, seen: i64) -> i64 {
        self.event.armed.store(seen, Ordering::SeqCst);
        (self.now)()
    }

    fn clear(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.event.far).read(&mut bytes), Ok(read) if read > 0) {}
    }
}

struct MasterLog {
    bytes: Vec<u8>,
    min: i64,
    random: Random,
    links: BTreeMap<u64, (i64, i64)>,
    ups: u64,
    reports: u64,
    proved: Vec<MemorySink>,
    falsehoods: Vec<String>,
    events: Vec<Arc<Event>>,
    is_silent: bool,
}

/// A master's log; clones are the same log.
#[derive(Clone)]
pub struct MemoryLog {
    inner: Arc<(Mutex<MasterLog>, Condvar)>,
    file_size: u64,
}

impl MemoryLog {
    pub fn new(seed: u64, file_size: u64) -> Self {
        let log = MasterLog {
            bytes: Vec::new(),
            min: 0,
            random: Random::new(seed),
            links: BTreeMap::new(),
            ups: 0,
            reports: 0,
            proved: Vec::new(),
            falsehoods: Vec::new(),
            events: Vec::new(),
            is_silent: false,
        };
        Self { inner: Arc::new((Mutex::new(log), Condvar::new())), file_size }
    }

    fn log(&self) -> MutexGuard<'_, MasterLog> {
        self.inner.0.lock().expect("nobody panics with it")
    }

    /// Stores a record and answers its end.
    pub fn put(&self, len: usize) -> i64 {
        let mut log = self.log();
        let log = &mut *log;
        let end = records::push(&mut log.bytes, 0, self.file_size, len.max(records::RECORD_MIN), &mut log.random);
        log.events.iter().for_each(|event| event.moved(end));
        end
    }

    /// Deletes what is before `min`.
    pub fn delete_before(&self, min: i64) {
        self.log().min = min;
    }

    /// Loses its tail.
    pub fn truncate(&self, len: usize) {
        self.log().bytes.truncate(len);
    }

    /// Asked about itself, it does not answer.
    pub fn keep_silent(&self, is_silent: bool) {
        self.log().is_silent = is_silent;
    }

    /// A report is a falsehood unless one of these logs has that much safe.
    pub fn proved_by(&self, sink: &MemorySink) {
        self.log().proved.push(sink.clone());
    }

    /// Reports that no slave could stand for.
    pub fn falsehoods(&self) -> Vec<String> {
        self.log().falsehoods.clone()
    }

    /// Links that count, and all that ever did.
    pub fn ups(&self) -> (usize, u64) {
        let log = self.log();
        (log.links.len(), log.ups)
    }

    /// Reports that counted.
    pub fn reports(&self) -> u64 {
        self.log().reports
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.log().bytes.clone()
    }

    pub fn end(&self) -> i64 {
        self.log().bytes.len() as i64
    }

    /// Waits until some living link has confirmed `offset`.
    #[track_caller]
    pub fn wait_acked(&self, offset: i64) {
        let deadline = Instant::now() + PATIENCE;
        let mut log = self.log();
        while !log.links.values().any(|(start, safe)| safe > start && *safe >= offset) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{offset} was never confirmed, links have {:?}", log.links);
            log = self.inner.1.wait_timeout(log, left).expect("nobody panics with it").0;
        }
    }
}

impl LogSource for MemoryLog {
    fn extent(&self) -> LogExtent {
        let log = self.log();
        LogExtent { min: log.min, max: log.bytes.len() as i64 }
    }

    fn file_size(&self) -> u64 {
        self.file_size
    }

    fn piece(&self, from: i64, len: usize) -> Option<LogPiece> {
        let log = self.log();
        let at = usize::try_from(from).ok().filter(|_| from >= log.min)?;
        let left_of_file = self.file_size as usize - at % self.file_size as usize;
        let end = (at + len.min(left_of_file)).min(log.bytes.len());
        (at < end).then(|| LogPiece::Memory(log.bytes[at..end].to_vec()))
    }

    fn watch(&self) -> io::Result<Box<dyn Watch>> {
        let event = Event::new()?;
        self.log().events.push(event.clone());
        let log = self.clone();
        Ok(Box::new(MemoryWatch { event, now: move || log.end() }))
    }

    fn link_up(&self, link: u64, start: i64) -> Result<(), String> {
        let mut log = self.log();
        log.ups += 1;
        assert!(log.links.insert(link, (start, start)).is_none(), "link {link} is up twice");
        Ok(())
    }

    fn report(&self, link: u64, safe: i64) -> Result<(), String> {
        let mut log = self.log();
        log.reports += 1;
        let max = log.bytes.len() as i64;
        let start = log.links.get(&link).expect("it is up").0;
        assert!(safe > start && safe <= max, "{safe} is outside {start} to {max}");
        if !log.proved.is_empty() && !log.proved.iter().any(|sink| sink.durable() >= safe) {
            log.falsehoods.push(format!("link {link} reports {safe}"));
        }
        log.links.insert(link, (start, safe));
        self.inner.1.notify_all();
        Ok(())
    }

    fn link_down(&self, link: u64) {
        assert!(self.log().links.remove(&link).is_some(), "link {link} was not up");
        self.inner.1.notify_all();
    }
}

/// What a slave asks beside the link.
impl MasterFacts for MemoryLog {
    fn extent(&mut self) -> Result<LogExtent, String> {
        if self.log().is_silent {
            return Err("the master does not answer".into());
        }
        Ok(LogSource::extent(self))
    }

    fn record_at(&mut self, offset: i64) -> Result<Vec<u8>, String> {
        let log = self.log();
        let rest = log.bytes.get(offset as usize..).unwrap_or_default();
        let size = rest.first_chunk().map_or(0, |size| u32::from_be_bytes(*size));
        Ok(rest.get(..size as usize).unwrap_or_default().to_vec())
    }
}

struct SlaveLog {
    bytes: Vec<u8>,
    base: i64,
    flushed: usize,
    is_sync_flush: bool,
    /// A flush ends at the look at the durable end after so many others.
    looks_to_flush: Option<usize>,
    is_full: bool,
    is_failed: bool,
    unsound: Option<(usize, String)>,
    spoils: usize,
    aside: Vec<Vec<u8>>,
    events: Vec<Arc<Event>>,
}

impl SlaveLog {
    fn flush(&mut self) {
        self.flushed = self.bytes.len();
        let durable = self.base + self.flushed as i64;
        self.events.iter().for_each(|event| event.moved(durable));
    }
}

/// A slave's log; clones are the same log.
#[derive(Clone)]
pub struct MemorySink {
    inner: Arc<(Mutex<SlaveLog>, Condvar)>,
    file_size: u64,
}

impl MemorySink {
    pub fn new(file_size: u64) -> Self {
        let log = SlaveLog {
            bytes: Vec::new(),
            base: 0,
            flushed: 0,
            is_sync_flush: false,
            looks_to_flush: None,
            is_full: false,
            is_failed: false,
            unsound: None,
            spoils: 0,
            aside: Vec::new(),
            events: Vec::new(),
        };
        Self { inner: Arc::new((Mutex::new(log), Condvar::new())), file_size }
    }

    /// With this log already.
    pub fn with(file_size: u64, bytes: Vec<u8>) -> Self {
        let sink = Self::new(file_size);
        sink.log().flushed = bytes.len();
        sink.log().bytes = bytes;
        sink
    }

    /// Only what was flushed is safe.
    pub fn sync_flush(self) -> Self {
        self.log().is_sync_flush = true;
        self
    }

    fn log(&self) -> MutexGuard<'_, SlaveLog> {
        self.inner.0.lock().expect("nobody panics with it")
    }

    pub fn flush(&self) {
        self.log().flush();
    }

    /// What is appended from now on is flushed while somebody looks at the durable end, after so many looks.
    pub fn flush_after_looks(&self, looks: usize) {
        self.log().looks_to_flush = Some(looks);
    }

    pub fn fill(&self, is_full: bool) {
        self.log().is_full = is_full;
    }

    pub fn break_down(&self) {
        self.log().is_failed = true;
    }

    /// So many pieces that come are no sound log.
    pub fn spoil(&self, pieces: usize) {
        self.log().spoils = pieces;
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.log().bytes.clone()
    }

    pub fn base(&self) -> i64 {
        self.log().base
    }

    pub fn aside(&self) -> Vec<Vec<u8>> {
        self.log().aside.clone()
    }

    /// Waits until the log ends at `end`.
    #[track_caller]
    pub fn wait_end(&self, end: i64) {
        let deadline = Instant::now() + PATIENCE;
        let mut log = self.log();
        while log.base + log.bytes.len() as i64 != end {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{end} was never reached, the log ends at {}", log.base + log.bytes.len() as i64);
            log = self.inner.1.wait_timeout(log, left).expect("nobody panics with it").0;
        }
    }
}

impl LogSink for MemorySink {
    fn start(&self) -> i64 {
        self.log().base
    }

    fn end(&self) -> i64 {
        let log = self.log();
        log.base + log.bytes.len() as i64
    }

    fn durable(&self) -> i64 {
        let mut log = self.log();
        match log.looks_to_flush {
            Some(0) if log.flushed < log.bytes.len() => {
                log.looks_to_flush = None;
                log.flush();
            }
            Some(looks) if log.flushed < log.bytes.len() => log.looks_to_flush = Some(looks - 1),
            _ => {}
        }
        log.base + if log.is_sync_flush { log.flushed } else { log.bytes.len() } as i64
    }

    fn file_size(&self) -> u64 {
        self.file_size
    }

    fn read(&self, from: i64, len: usize) -> Result<Vec<u8>, SinkError> {
        let log = self.log();
        let rest = log.bytes.get((from - log.base) as usize..).unwrap_or_default();
        // In small parts, as a store may.
        Ok(rest[..len.min(1000).min(rest.len())].to_vec())
    }

    fn append(&mut self, offset: i64, bytes: &[u8]) -> Result<(), SinkError> {
        let mut log = self.log();
        let end = log.base + log.bytes.len() as i64;
        assert_eq!(offset, end, "appended elsewhere than at the end");
        let left = self.file_size - offset as u64 % self.file_size;
        assert!(bytes.len() as u64 <= left, "appended over the end of a file");
        if log.is_full {
            return Err(SinkError::NoSpace("the disk is full".into()));
        }
        if log.is_failed {
            return Err(SinkError::Final("a flush failed".into()));
        }
        assert!(log.unsound.is_none(), "appended behind what is not sound");
        if log.spoils > 0 {
            log.spoils -= 1;
            let why = format!("the record at {end} is none");
            log.unsound = Some((log.bytes.len(), why.clone()));
            log.bytes.extend(bytes.iter().map(|byte| !byte));
            return Err(SinkError::Refused(why));
        }
        log.bytes.extend_from_slice(bytes);
        if !log.is_sync_flush {
            let durable = log.base + log.bytes.len() as i64;
            log.events.iter().for_each(|event| event.moved(durable));
        }
        self.inner.1.notify_all();
        Ok(())
    }

    fn show(&mut self, _at_once: bool) -> Option<Duration> {
        None
    }

    fn begin_at(&mut self, offset: i64) -> Result<(), SinkError> {
        let mut log = self.log();
        assert!(log.bytes.is_empty(), "begins anew over a log");
        assert_eq!(offset as u64 % self.file_size, 0);
        log.base = offset;
        Ok(())
    }

    fn set_aside(&mut self) -> Result<String, SinkError> {
        let mut log = self.log();
        let bytes = std::mem::take(&mut log.bytes);
        log.aside.push(bytes);
        (log.base, log.flushed) = (0, 0);
        Ok("in memory".into())
    }

    fn watch_durable(&self) -> io::Result<Box<dyn Watch>> {
        let event = Event::new()?;
        self.log().events.push(event.clone());
        let sink = self.clone();
        Ok(Box::new(MemoryWatch { event, now: move || sink.durable() }))
    }

    fn unsound(&self) -> Option<String> {
        self.log().unsound.as_ref().map(|(_, why)| why.clone())
    }

    fn drop_unsound(&mut self) -> Result<(), SinkError> {
        let mut log = self.log();
        let (sound, _) = log.unsound.take().expect("it is not sound");
        log.bytes.truncate(sound);
        Ok(())
    }
}

/// Looks again and again until it is so.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
