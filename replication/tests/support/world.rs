//! A master and its slaves on virtual time: the deciders as they are, disks and networks that fail as they are told.
//!
//! Everything that may not happen is checked the moment it would: a slave's log that is no beginning of the log it
//! copies, an acknowledged record no slave has safe, a slave that gives up its log without reason. One thread; the same
//! calls and the same seed give the same run.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use replication::ha::ending::MasterEnd;
use replication::ha::options::{InitialSync, Resync};
use replication::ha::plan::{Own, Plan, plan};
use replication::ha::seam::LogExtent;
use replication::ha::{master, slave, wire};

use super::random::Random;
use super::records;

/// What went wrong, as a sentence.
pub type Checked = Result<(), String>;

/// What is the same for a whole run.
#[derive(Clone, Debug)]
pub struct Setup {
    pub file_size: u64,
    pub batch: u32,
    pub overlap: u64,
    pub slaves: usize,
    pub is_master_sync_flush: bool,
    pub is_slave_sync_flush: bool,
    pub resync: Resync,
    pub initial: InitialSync,
    pub heartbeat: Duration,
    pub housekeeping: Duration,
    pub slave_timeout: Duration,
    pub bug: Bug,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            file_size: 4096,
            batch: 512,
            overlap: 128,
            slaves: 1,
            is_master_sync_flush: false,
            is_slave_sync_flush: false,
            resync: Resync::Never,
            initial: InitialSync::All,
            heartbeat: Duration::from_millis(500),
            housekeeping: Duration::from_millis(2000),
            slave_timeout: Duration::from_millis(3000),
            bug: Bug::None,
        }
    }
}

/// Mistakes the deciders make on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bug {
    #[default]
    None,
    #[cfg(feature = "planted-bug")]
    Master(master::Bug),
    #[cfg(feature = "planted-bug")]
    Slave(slave::Bug),
}

/// The log of a master between two of its crashes; it stays as it was at the crash for links of that time.
type Life = Rc<RefCell<Vec<u8>>>;

struct Master {
    life: Life,
    is_up: bool,
    flushed: usize,
    /// The end the slaves of this life have proved.
    acknowledged: i64,
    /// The end up to which a slave of this life had the log safe, as the world knows it.
    proved: i64,
    /// Ends of records whose senders wait, and until when.
    waiting: VecDeque<(i64, Instant)>,
}

/// A slave.
pub struct Slave {
    log: Vec<u8>,
    base: i64,
    flushed: usize,
    is_up: bool,
    is_full: bool,
    phase: &'static str,
    retry_at: Instant,
    ahead_since: Option<(i64, Instant)>,
}

impl Slave {
    fn end(&self) -> i64 {
        self.base + self.log.len() as i64
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToSlave,
    ToMaster,
}

/// What happens to a link at its cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both ends are told.
    Reset,
    /// Nothing arrives any more, and nobody is told.
    HalfOpen,
    /// Nothing arrives any more in this way.
    OneWay(Way),
}

#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    is_dead: bool,
    delivered: usize,
}

struct Link {
    id: u64,
    /// `None` for a peer that is no slave.
    slave: Option<usize>,
    life: Life,
    master: Option<master::Session>,
    copy: Option<slave::Session>,
    is_sent_due: bool,
    is_counted: Option<(i64, i64)>,
    /// The slave's whole log was seen to be a beginning of the master's.
    is_checked: bool,
    to_slave: Pipe,
    to_master: Pipe,
}

/// See the module's head.
pub struct World {
    pub setup: Setup,
    pub random: Random,
    now: Instant,
    begun: Instant,
    master: Master,
    slaves: Vec<Slave>,
    links: Vec<Link>,
    last_link: u64,
    lives: u64,
    /// A cut that is to come on the next link: after so many bytes in this way.
    pub planned_cut: Option<(Way, usize, Cut)>,
    /// Acknowledged records: life, bytes from and to.
    acked: Vec<(u64, i64)>,
    /// Ends of links by their kind, for tests that want to see them.
    pub endings: BTreeMap<String, u64>,
    /// Sends answered with success, and sends that were not.
    pub successes: u64,
    pub timeouts: u64,
}

/// Bytes under way at most, in each way.
const WINDOW: usize = 4096;

impl World {
    /// All up, nothing stored.
    pub fn new(seed: u64, setup: Setup) -> Self {
        let now = Instant::now();
        let slaves = (0..setup.slaves)
            .map(|_| Slave {
                log: Vec::new(),
                base: 0,
                flushed: 0,
                is_up: true,
                is_full: false,
                phase: "new",
                retry_at: now,
                ahead_since: None,
            })
            .collect();
        let master = Master {
            life: Life::default(),
            is_up: true,
            flushed: 0,
            acknowledged: 0,
            proved: 0,
            waiting: VecDeque::new(),
        };
        Self {
            setup,
            random: Random::new(seed),
            now,
            begun: now,
            master,
            slaves,
            links: Vec::new(),
            last_link: 0,
            lives: 0,
            planned_cut: None,
            acked: Vec::new(),
            endings: BTreeMap::new(),
            successes: 0,
            timeouts: 0,
        }
    }

    fn fail<T>(&self, what: impl AsRef<str>) -> Result<T, String> {
        Err(format!("at {} ms, life {}: {}", (self.now - self.begun).as_millis(), self.lives, what.as_ref()))
    }

    fn extent(&self) -> LogExtent {
        LogExtent { min: 0, max: self.master.life.borrow().len() as i64 }
    }

    fn durable(&self, slave: usize) -> i64 {
        let slave = &self.slaves[slave];
        if self.setup.is_slave_sync_flush { slave.base + slave.flushed as i64 } else { slave.end() }
    }

    // What happens from outside.

    /// A sender stores a record of so many bytes and waits.
    pub fn put(&mut self, len: usize) -> Checked {
        if !self.master.is_up {
            return Ok(());
        }
        let end = {
            let mut log = self.master.life.borrow_mut();
            records::push(&mut log, 0, self.setup.file_size, len.max(records::RECORD_MIN), &mut self.random)
        };
        self.master.waiting.push_back((end, self.now + self.setup.slave_timeout));
        self.log_moved()
    }

    /// The master's disk has all.
    pub fn flush_master(&mut self) -> Checked {
        self.master.flushed = self.master.life.borrow().len();
        self.answer()
    }

    /// A slave's disk has all.
    pub fn flush_slave(&mut self, slave: usize) -> Checked {
        self.slaves[slave].flushed = self.slaves[slave].log.len();
        self.prove(slave);
        match self.links.iter().position(|link| link.slave == Some(slave) && link.copy.is_some()) {
            Some(link) => self.stored(link),
            None => Ok(()),
        }
    }

    /// A slave's disk is full, or has room again.
    pub fn fill_slave(&mut self, slave: usize, is_full: bool) {
        self.slaves[slave].is_full = is_full;
    }

    /// The master stops: its process only, or with all its disk has not got. It comes back with what is left.
    pub fn crash_master(&mut self, is_power_lost: bool) -> Checked {
        if !self.master.is_up {
            return Ok(());
        }
        for at in 0..self.links.len() {
            self.links[at].master = None;
            self.links[at].is_counted = None;
        }
        let mut log = self.master.life.borrow().clone();
        if is_power_lost {
            let kept = self.master.flushed + self.random.up_to(log.len() - self.master.flushed);
            log.truncate(kept);
        }
        log.truncate(records::whole(&log));
        let flushed = self.master.flushed.min(log.len());
        self.lives += 1;
        self.master = Master {
            life: Rc::new(RefCell::new(log)),
            is_up: false,
            flushed,
            acknowledged: 0,
            proved: 0,
            waiting: VecDeque::new(),
        };
        Ok(())
    }

    /// The master is there again.
    pub fn start_master(&mut self) {
        self.master.is_up = true;
    }

    /// A slave stops, like a master.
    pub fn crash_slave(&mut self, slave: usize, is_power_lost: bool) {
        for link in self.links.iter_mut().filter(|link| link.slave == Some(slave)) {
            link.copy = None;
        }
        let own = &mut self.slaves[slave];
        own.is_up = false;
        if is_power_lost {
            let kept = own.flushed + self.random.up_to(own.log.len() - own.flushed);
            own.log.truncate(kept);
        }
        own.log.truncate(records::whole(&own.log));
        own.flushed = own.flushed.min(own.log.len());
    }

    /// A slave is there again.
    pub fn start_slave(&mut self, slave: usize) {
        self.slaves[slave].is_up = true;
        self.slaves[slave].retry_at = self.now;
    }

    /// Cuts a link.
    pub fn cut(&mut self, link: usize, cut: Cut) {
        let Some(link) = self.links.get_mut(link) else { return };
        let (to_slave, to_master) = match cut {
            Cut::Reset => {
                link.master = None;
                link.copy = None;
                link.is_counted = None;
                (true, true)
            }
            Cut::HalfOpen => (true, true),
            Cut::OneWay(way) => (way == Way::ToSlave, way == Way::ToMaster),
        };
        // What is sent from now on fills the kernel's buffer, and that is all.
        link.to_slave.is_dead |= to_slave;
        link.to_master.is_dead |= to_master;
    }

    /// Links there are, dead ones not yet noticed included.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Somebody connects who is no slave and sends these reports.
    pub fn stranger(&mut self, reports: &[i64]) {
        let bytes: Vec<u8> = reports.iter().flat_map(|report| wire::report(*report)).collect();
        self.strange_bytes(&bytes);
    }

    /// Somebody connects who is no slave and sends these bytes.
    pub fn strange_bytes(&mut self, bytes: &[u8]) {
        if self.master.is_up {
            let mut link = self.accept(None);
            link.to_master.bytes.extend(bytes);
            self.links.push(link);
        }
    }

    /// Time passes; whoever is due does what is due.
    pub fn pass(&mut self, time: Duration) -> Checked {
        self.now += time;
        for at in 0..self.links.len() {
            self.master_step(at, master::Input::Tick)?;
            self.slave_step(at, slave::Input::Tick)?;
        }
        self.sweep();
        while self.master.waiting.front().is_some_and(|(_, until)| *until <= self.now) {
            self.master.waiting.pop_front();
            self.timeouts += 1;
        }
        for slave in 0..self.slaves.len() {
            self.connect(slave)?;
        }
        Ok(())
    }

    /// Up to `max` bytes arrive.
    pub fn deliver(&mut self, at: usize, way: Way, max: usize) -> Checked {
        let planned = self.planned_cut;
        let Some(link) = self.links.get_mut(at) else { return Ok(()) };
        let pipe = if way == Way::ToSlave { &mut link.to_slave } else { &mut link.to_master };
        if pipe.is_dead {
            return Ok(());
        }
        let mut count = max.min(pipe.bytes.len());
        let mut is_cut = None;
        if let Some((cut_way, after, cut)) = planned
            && cut_way == way
            && pipe.delivered + count >= after
        {
            count = after - pipe.delivered;
            is_cut = Some(cut);
        }
        let bytes: Vec<u8> = pipe.bytes.drain(..count).collect();
        pipe.delivered += count;
        if !bytes.is_empty() {
            match way {
                Way::ToSlave => self.slave_step(at, slave::Input::Bytes(&bytes))?,
                Way::ToMaster => self.master_step(at, master::Input::Bytes(&bytes))?,
            }
        }
        if let Some(cut) = is_cut {
            self.planned_cut = None;
            self.cut(at, cut);
        }
        // Room in the pipe again: the frame before is with the kernel now.
        if self.links.get(at).is_some_and(|link| link.is_sent_due && link.to_slave.bytes.len() < WINDOW) {
            self.links[at].is_sent_due = false;
            self.master_step(at, master::Input::Sent)?;
        }
        self.sweep();
        Ok(())
    }

    /// Lets everything under way arrive, both ways, until nothing is.
    pub fn settle(&mut self) -> Checked {
        loop {
            let before = self.links.iter().map(|link| link.to_slave.delivered + link.to_master.delivered).sum::<usize>();
            let mut at = 0;
            while at < self.links.len() {
                self.deliver(at, Way::ToSlave, usize::MAX)?;
                self.deliver(at, Way::ToMaster, usize::MAX)?;
                at += 1;
            }
            let after = self.links.iter().map(|link| link.to_slave.delivered + link.to_master.delivered).sum::<usize>();
            if before == after {
                return Ok(());
            }
        }
    }

    /// Bytes that arrived on the first link, to the slave and to the master.
    pub fn delivered(&self) -> (usize, usize) {
        self.links.first().map_or((0, 0), |link| (link.to_slave.delivered, link.to_master.delivered))
    }

    // What the drivers do, without threads and sockets.

    fn accept(&mut self, slave: Option<usize>) -> Link {
        self.last_link += 1;
        let rules = master::Rules {
            heartbeat: self.setup.heartbeat,
            housekeeping: self.setup.housekeeping,
            batch: self.setup.batch,
            file_size: self.setup.file_size,
            #[cfg(feature = "planted-bug")]
            bug: if let Bug::Master(bug) = self.setup.bug { Some(bug) } else { None },
        };
        Link {
            id: self.last_link,
            slave,
            life: self.master.life.clone(),
            master: Some(master::Session::new(self.now, rules, self.extent())),
            copy: None,
            is_sent_due: false,
            is_counted: None,
            is_checked: false,
            to_slave: Pipe::default(),
            to_master: Pipe::default(),
        }
    }

    fn connect(&mut self, slave: usize) -> Checked {
        let own = &self.slaves[slave];
        let is_linked = self.links.iter().any(|link| link.slave == Some(slave) && link.copy.is_some());
        if !own.is_up || is_linked || self.now < own.retry_at || !self.master.is_up {
            return Ok(());
        }
        self.slaves[slave].retry_at = self.now + Duration::from_millis(200);
        // The facts come by another way than the link, and not always.
        let facts = (!self.random.permille(100)).then(|| self.extent());
        let own = Own {
            start: self.slaves[slave].base,
            end: self.slaves[slave].end(),
            durable: self.durable(slave),
            file_size: self.setup.file_size,
        };
        let start = match plan(own, facts, self.setup.initial, self.setup.overlap) {
            Plan::Link(start) => start,
            Plan::NeedFacts => return Ok(()),
            Plan::FetchFirst => {
                let log = self.master.life.borrow();
                let first = log[..records::whole(&log)].first_chunk().map_or(0, |size| u32::from_be_bytes(*size));
                self.slaves[slave].base = 0;
                self.slaves[slave].log = log[..first as usize].to_vec();
                self.slaves[slave].flushed = 0;
                return Ok(());
            }
            Plan::Ahead { master } => return self.ahead(slave, master),
            Plan::BehindFirst { first } | Plan::FileSize { first } => {
                return self.fail(format!("slave {slave} {own:?} is said not to fit a log that begins at {first}"));
            }
        };
        let rules = slave::Rules {
            heartbeat: self.setup.heartbeat,
            housekeeping: self.setup.housekeeping,
            body_max: 1 << 20,
            file_size: self.setup.file_size,
            #[cfg(feature = "planted-bug")]
            bug: if let Bug::Slave(bug) = self.setup.bug { Some(bug) } else { None },
        };
        let mut link = self.accept(Some(slave));
        link.copy = Some(slave::Session::new(self.now, rules, start));
        self.links.push(link);
        let at = self.links.len() - 1;
        self.slave_step(at, slave::Input::Connected)
    }

    fn log_moved(&mut self) -> Checked {
        let extent = self.extent();
        for at in 0..self.links.len() {
            self.master_step(at, master::Input::Log(extent))?;
        }
        self.answer()
    }

    fn master_step(&mut self, at: usize, input: master::Input<'_>) -> Checked {
        let Some(session) = &mut self.links[at].master else { return Ok(()) };
        let mut effects = Vec::new();
        if matches!(input, master::Input::Bytes(_) | master::Input::Sent) {
            let max = self.master.life.borrow().len() as i64;
            session.step(self.now, master::Input::Log(LogExtent { min: 0, max }), &mut effects);
        }
        session.step(self.now, input, &mut effects);
        for effect in effects {
            let link = &mut self.links[at];
            match effect {
                master::Effect::Up { start } => link.is_counted = Some((start, start)),
                master::Effect::Ack(safe) => {
                    let Some((start, _)) = link.is_counted else { return self.fail("an ack before the link was up") };
                    link.is_counted = Some((start, safe));
                    self.master.acknowledged = self.master.acknowledged.max(safe);
                    self.answer()?;
                }
                master::Effect::Frame { offset, len } => {
                    let log = link.life.borrow();
                    let from = offset as usize;
                    let Some(bytes) = log.get(from..from + len as usize) else {
                        drop(log);
                        return self.fail(format!("a frame of {len} bytes at {offset} is outside the log"));
                    };
                    link.to_slave.bytes.extend(wire::header(offset, len));
                    link.to_slave.bytes.extend(bytes);
                    drop(log);
                    link.is_sent_due = true;
                    if link.to_slave.bytes.len() < WINDOW {
                        link.is_sent_due = false;
                        self.master_step(at, master::Input::Sent)?;
                    }
                }
                master::Effect::Close(end) => {
                    link.master = None;
                    link.is_counted = None;
                    let is_stranger = link.slave.is_none();
                    *self.endings.entry(format!("{end:?}").split([' ', '{']).next().unwrap_or("").into()).or_default() += 1;
                    if !is_stranger && !matches!(end, MasterEnd::Silent { .. } | MasterEnd::BeyondEnd { .. }) {
                        return self.fail(format!("a slave was turned away: {end}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn slave_step(&mut self, at: usize, input: slave::Input<'_>) -> Checked {
        let Some(slave) = self.links[at].slave else { return Ok(()) };
        let Some(session) = &mut self.links[at].copy else { return Ok(()) };
        let bytes = if let slave::Input::Bytes(bytes) = input { bytes } else { &[] };
        let mut effects = Vec::new();
        session.step(self.now, input, &mut effects);
        for effect in effects {
            let own = &mut self.slaves[slave];
            match effect {
                slave::Effect::Begin { offset } => {
                    if !own.log.is_empty() {
                        return self.fail(format!("slave {slave} begins anew over a log"));
                    }
                    own.base = offset;
                }
                slave::Effect::Compare { offset, at: piece } => {
                    let from = (offset - own.base) as usize;
                    if own.log.get(from..from + piece.len()) != Some(&bytes[piece]) {
                        self.links[at].copy = None;
                        return self.unlike(slave, "diverged");
                    }
                }
                slave::Effect::Append { offset, at: piece } => {
                    if own.is_full {
                        self.links[at].copy = None;
                        own.phase = "full";
                        return Ok(());
                    }
                    if offset != own.end() {
                        let end = own.end();
                        return self.fail(format!("slave {slave} appends at {offset}, its log ends at {end}"));
                    }
                    own.log.extend_from_slice(&bytes[piece]);
                    self.check_prefix(at, slave, offset)?;
                }
                slave::Effect::Report(offset) => {
                    self.links[at].to_master.bytes.extend(wire::report(offset));
                }
                slave::Effect::Close(_) => {
                    self.links[at].copy = None;
                    return Ok(());
                }
            }
        }
        let Some(session) = &self.links[at].copy else { return Ok(()) };
        if let Some(master) = session.master_end().filter(|_| session.is_comparing()) {
            return self.ahead(slave, master);
        }
        if matches!(input, slave::Input::Bytes(_)) {
            if !session.is_comparing() {
                self.slaves[slave].phase = "copying";
                self.slaves[slave].ahead_since = None;
            }
            self.prove(slave);
            self.stored(at)?;
        }
        Ok(())
    }

    fn stored(&mut self, at: usize) -> Checked {
        let Some(slave) = self.links[at].slave else { return Ok(()) };
        let durable = self.durable(slave);
        self.slave_step(at, slave::Input::Stored { durable })
    }

    /// What a slave appended is what its master has there, and so is all before it.
    fn check_prefix(&mut self, at: usize, slave: usize, appended_at: i64) -> Checked {
        let own = &self.slaves[slave];
        let link = &mut self.links[at];
        let from = if link.is_checked { appended_at } else { own.base };
        link.is_checked = true;
        let theirs = link.life.borrow();
        let same = theirs.get(from as usize..own.end() as usize) == own.log.get((from - own.base) as usize..);
        drop(theirs);
        if same {
            return Ok(());
        }
        self.fail(format!("slave {slave} appended at {appended_at} to a log that is no beginning of its master's"))
    }

    /// Remembers how far the master's log of this life was safe at a slave.
    fn prove(&mut self, slave: usize) {
        let durable = self.durable(slave);
        if durable <= self.master.proved {
            return;
        }
        let own = &self.slaves[slave];
        let log = self.master.life.borrow();
        let from = own.base as usize;
        let safe = (durable - own.base) as usize;
        if log.get(from..from + safe).is_some_and(|theirs| theirs == &own.log[..safe]) {
            drop(log);
            self.master.proved = durable;
        }
    }

    /// Answers the senders whose promise is kept, and sees that it is.
    fn answer(&mut self) -> Checked {
        while let Some((end, _)) = self.master.waiting.front().copied() {
            let is_flushed = !self.setup.is_master_sync_flush || self.master.flushed as i64 >= end;
            if !is_flushed || self.master.acknowledged < end {
                break;
            }
            self.master.waiting.pop_front();
            self.successes += 1;
            self.acked.push((self.lives, end));
            if self.master.proved < end {
                let proved = self.master.proved;
                return self.fail(format!("success for a record that ends at {end}; slaves had {proved} safe"));
            }
        }
        Ok(())
    }

    fn ahead(&mut self, slave: usize, master: i64) -> Checked {
        let now = self.now;
        let own = &mut self.slaves[slave];
        own.phase = "ahead";
        match own.ahead_since {
            Some((at, since)) if at == master => {
                if now - since < 3 * self.setup.heartbeat {
                    return Ok(());
                }
            }
            _ => {
                own.ahead_since = Some((master, now));
                return Ok(());
            }
        }
        if self.setup.resync == Resync::Never {
            return Ok(());
        }
        for link in self.links.iter_mut().filter(|link| link.slave == Some(slave)) {
            link.copy = None;
        }
        self.unlike(slave, "ahead")
    }

    /// A slave's log is not its master's: seen to be true, then kept or set aside.
    fn unlike(&mut self, slave: usize, phase: &'static str) -> Checked {
        let own = &mut self.slaves[slave];
        own.phase = phase;
        own.ahead_since = None;
        let same = {
            let log = self.master.life.borrow();
            log.get(own.base as usize..own.end() as usize).is_some_and(|theirs| theirs == own.log)
        };
        // A master that died meanwhile explains what its successor no longer does.
        if same && self.links.iter().all(|link| Rc::ptr_eq(&link.life, &self.master.life)) {
            return self.fail(format!("slave {slave} is said to be {phase}, but its log is its master's"));
        }
        if self.setup.resync == Resync::Aside {
            let own = &mut self.slaves[slave];
            (own.log, own.base, own.flushed) = (Vec::new(), 0, 0);
        }
        Ok(())
    }

    /// Ends of links whose other end is gone are told so, unless the network keeps it from them.
    fn sweep(&mut self) {
        for link in &mut self.links {
            let is_slave_gone = link.copy.is_none() && link.slave.is_some();
            if link.master.is_none() && link.to_slave.bytes.is_empty() && !link.to_slave.is_dead {
                link.copy = None;
            }
            if is_slave_gone && !link.to_master.is_dead {
                link.master = None;
                link.is_counted = None;
            }
        }
        self.links.retain(|link| link.master.is_some() || link.copy.is_some());
    }

    // What must be so in the end.

    /// Everything is up, nothing fails any more, and time passes: every slave has its master's log, or says why not.
    pub fn heal(&mut self) -> Checked {
        self.planned_cut = None;
        self.start_master();
        for slave in 0..self.slaves.len() {
            self.fill_slave(slave, false);
            self.start_slave(slave);
        }
        for _ in 0..80 {
            self.pass(Duration::from_millis(100))?;
            self.settle()?;
            self.flush_master()?;
            for slave in 0..self.slaves.len() {
                self.flush_slave(slave)?;
            }
            self.settle()?;
        }
        let log = self.master.life.borrow();
        for (at, slave) in self.slaves.iter().enumerate() {
            let is_prefix = log.get(slave.base as usize..slave.end() as usize).is_some_and(|theirs| theirs == slave.log);
            let is_equal = is_prefix && slave.end() == log.len() as i64;
            let is_stuck = matches!(slave.phase, "ahead" | "diverged");
            // The master's last file is empty, so there is nothing a slave that begins with it could have.
            let is_at_roll = self.setup.initial == InitialSync::LastFile && log.len() as u64 % self.setup.file_size == 0;
            if is_at_roll && slave.log.is_empty() || is_equal && !is_stuck || !is_prefix && is_stuck && self.setup.resync == Resync::Never {
                continue;
            }
            let (phase, end, len) = (slave.phase, slave.end(), log.len());
            return self.fail(format!("healed, slave {at} is {phase} at {end} of {len} (a beginning: {is_prefix})"));
        }
        Ok(())
    }

    /// Whether every slave's log is its master's from `base` on.
    pub fn is_equal(&self) -> bool {
        let log = self.master.life.borrow();
        self.slaves.iter().all(|slave| log.get(slave.base as usize..) == Some(&slave.log[..]))
    }

    /// Acknowledged records so far, by life.
    pub fn acked(&self) -> &[(u64, i64)] {
        &self.acked
    }

    /// What the slave says of itself.
    pub fn phase(&self, slave: usize) -> &'static str {
        self.slaves[slave].phase
    }

    /// First byte of a slave's log.
    pub fn base(&self, slave: usize) -> i64 {
        self.slaves[slave].base
    }
}
