//! A master and its slaves on virtual time: the deciders as they are, disks and networks that fail as they are told.
//!
//! Everything that may not happen is checked the moment it would: a slave's log that is no beginning of the log it
//! copies, an acknowledged record no slave has safe, a slave that gives up its log without reason. One thread; the same
//! calls and the same seed give the same run.

mod check;
mod drive;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use replication::ha::options::{InitialSync, Resync};
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
            let before =
                self.links.iter().map(|link| link.to_slave.delivered + link.to_master.delivered).sum::<usize>();
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
}
