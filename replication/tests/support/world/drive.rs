//! What the drivers do, without threads and sockets: links are planned, both deciders stepped, effects carried out.
//! Every appended byte is checked.

use replication::ha::ending::MasterEnd;
use replication::ha::options::Resync;
use replication::ha::plan::{Own, Plan, plan};
use replication::ha::seam::LogExtent;
use replication::ha::{master, slave, wire};
use std::rc::Rc;
use std::time::Duration;

use super::super::records;
#[cfg(feature = "planted-bug")]
use super::Bug;
use super::{Checked, Link, Pipe, WINDOW, World};

impl World {
    pub(super) fn accept(&mut self, slave: Option<usize>) -> Link {
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

    pub(super) fn connect(&mut self, slave: usize) -> Checked {
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

    pub(super) fn log_moved(&mut self) -> Checked {
        let extent = self.extent();
        for at in 0..self.links.len() {
            self.master_step(at, master::Input::Log(extent))?;
        }
        self.answer()
    }

    pub(super) fn master_step(&mut self, at: usize, input: master::Input<'_>) -> Checked {
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
                    *self
                        .endings
                        .entry(format!("{end:?}").split([' ', '{']).next().unwrap_or("").into())
                        .or_default() += 1;
                    if !is_stranger && !matches!(end, MasterEnd::Silent { .. } | MasterEnd::BeyondEnd { .. }) {
                        return self.fail(format!("a slave was turned away: {end}"));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn slave_step(&mut self, at: usize, input: slave::Input<'_>) -> Checked {
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

    pub(super) fn stored(&mut self, at: usize) -> Checked {
        let Some(slave) = self.links[at].slave else { return Ok(()) };
        let durable = self.durable(slave);
        self.slave_step(at, slave::Input::Stored { durable })
    }

    pub(super) fn ahead(&mut self, slave: usize, master: i64) -> Checked {
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
    pub(super) fn unlike(&mut self, slave: usize, phase: &'static str) -> Checked {
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
    pub(super) fn sweep(&mut self) {
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
}
