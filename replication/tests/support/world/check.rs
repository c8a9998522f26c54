//! What may never be otherwise, and what must be so in the end.

use std::time::Duration;

use replication::ha::options::{InitialSync, Resync};

use super::{Checked, World};

impl World {
    /// What a slave appended is what its master has there, and so is all before it.
    pub(super) fn check_prefix(&mut self, at: usize, slave: usize, appended_at: i64) -> Checked {
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
    pub(super) fn prove(&mut self, slave: usize) {
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
    pub(super) fn answer(&mut self) -> Checked {
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
            let is_prefix =
                log.get(slave.base as usize..slave.end() as usize).is_some_and(|theirs| theirs == slave.log);
            let is_equal = is_prefix && slave.end() == log.len() as i64;
            let is_stuck = matches!(slave.phase, "ahead" | "diverged");
            // The master's last file is empty, so there is nothing a slave that begins with it could have.
            let is_at_roll =
                self.setup.initial == InitialSync::LastFile && (log.len() as u64).is_multiple_of(self.setup.file_size);
            if is_at_roll && slave.log.is_empty()
                || is_equal && !is_stuck
                || !is_prefix && is_stuck && self.setup.resync == Resync::Never
            {
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
