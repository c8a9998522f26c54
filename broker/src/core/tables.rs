//! This shard's copies of the broker-wide tables, and what happens with time.

use super::*;

impl Core {
    /// Takes a durable change of a table into this shard's copies.
    pub fn apply(&mut self, change: TableChange) {
        match change {
            TableChange::Topic(topic) => {
                self.topics.insert(topic.topic_name.clone(), topic);
            }
            TableChange::TopicRemoved(name) => {
                self.forget_topic(&name);
                self.store.delete_topic(&name);
            }
            TableChange::TopicForgotten(name) => self.forget_topic(&name),
            TableChange::Group(group) => {
                self.groups.insert(group.group_name.clone(), group);
            }
            TableChange::GroupRemoved { group, remove_progress } => {
                self.groups.remove(&group);
                if remove_progress {
                    self.progress.remove_group(&group);
                }
            }
            TableChange::Subscriptions(group, Some(subscriptions)) => {
                self.subscriptions.insert(group, subscriptions);
            }
            TableChange::Subscriptions(group, None) => {
                self.subscriptions.remove(&group);
            }
        }
    }

    /// A topic is no longer in the table: pulls held on its queues are answered so.
    fn forget_topic(&mut self, name: &str) {
        self.topics.remove(name);
        let slots: Vec<_> = self.store.queues().filter(|slot| self.store.queue_name(*slot).0 == name).collect();
        let mut released = std::mem::take(&mut self.released);
        for slot in slots {
            self.holds.release_slot(slot, &mut released);
        }
        self.run_released(&mut released);
        self.released = released;
    }

    /// Gives every shard a change, this one first.
    pub fn publish(&mut self, change: TableChange) {
        for shard in 0..self.env.shards() {
            if shard != self.id {
                self.send(shard, ToShard::Table(change.clone()));
            }
        }
        self.apply(change);
    }

    /// The housekeeping of every ten milliseconds.
    pub fn tick(&mut self) {
        self.now_ms = shard::now_ms();
        let mut released = std::mem::take(&mut self.released);
        self.holds.expire(self.now_ms, &mut released);
        if self.now_ms - self.last_recheck_ms >= 5_000 {
            self.last_recheck_ms = self.now_ms;
            let store = &mut self.store;
            self.holds.recheck(|slot| store.max_offset(slot), &mut released);
        }
        self.run_released(&mut released);
        self.released = released;
        crate::delay::deliver(self);
        self.store.housekeep(Instant::now());
        self.clock_is_old = true;
        if self.now_ms - self.last_export_ms >= self.env.options.progress_interval_ms.min(1_000) {
            self.last_export_ms = self.now_ms;
            self.export_progress();
        }
        if let Some(mut home) = self.home.take() {
            home.tick(self);
            self.home = Some(home);
        }
        self.port.poke();
    }

    /// Gives what was committed since the last export to the home shard.
    pub fn export_progress(&mut self) {
        let changes = self.progress.export();
        if changes.is_empty() {
            return;
        }
        match &mut self.home {
            Some(home) => home.progress_changed(changes),
            None => self.send(0, ToShard::Progress(changes)),
        }
    }

    /// Whether all that was begun here is finished; asked while the broker stops.
    pub fn is_idle(&self) -> bool {
        self.store.pending_acks() == 0 && self.out.iter().all(VecDeque::is_empty) && self.delay.is_idle()
    }

    /// The store failed: nobody is left waiting.
    pub fn fail(&mut self) {
        if let Some(mut home) = self.home.take() {
            for forwarded in home.take_parked() {
                let refusal =
                    Refusal::new(response::SERVICE_NOT_AVAILABLE, "service not available now: the store failed");
                self.refuse(&forwarded.to, forwarded.code, &refusal);
            }
            self.home = Some(home);
        }
        self.stop();
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        let mut released = std::mem::take(&mut self.released);
        self.holds.release_all(&mut released);
        self.run_released(&mut released);
        self.released = released;
        self.export_progress();
    }
}
