//! The committer's turn: what came from elsewhere, one commit, and what it decides.

use protocol::body::ConsumerOffsetTable;

use super::*;
use crate::offsets::Committed;

/// Bytes of the log a slave's shard looks at in one turn.
const FOLLOW_BYTES: usize = 512 << 10;

impl Core {
    /// One turn: what came from elsewhere, one commit, the acks and arrivals it allows. Returns
    /// whether more is waiting already. `Err` means the store failed for good.
    pub fn turn(&mut self) -> Result<bool, engine::StoreFailed> {
        self.now_ms = shard::now_ms();
        self.clock_is_old = false;
        let port = self.port.clone();
        for letter in self.env.inboxes[self.id].take() {
            self.letter(letter);
        }
        let mut letters = Vec::new();
        let drained = port.drain(DRAIN_MAX, |_, letter| letters.push(letter));
        for letter in letters {
            self.letter(letter);
        }
        let follows = self.env.options.is_slave() && self.store.follow(FOLLOW_BYTES);
        let failure = self.commit().err();
        self.clock_is_old = true;
        if let Some(mut home) = self.home.take() {
            // Only once the rings of the shards that ended are empty is all progress gathered.
            if self.finishing && !self.finished && drained == 0 {
                self.finished = true;
                home.progress_changed(self.progress.export());
                home.write_progress_now();
            }
            home.write_tables(self.now_ms);
            self.home = Some(home);
        }
        for to in 0..self.out.len() {
            while let Some(message) = self.out[to].pop_front() {
                let weight = message.weight();
                if let Err(message) = port.send(to, message) {
                    self.out[to].push_front(message);
                    break;
                }
                self.out_bytes[to] = self.out_bytes[to].saturating_sub(weight);
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        Ok(follows || drained == DRAIN_MAX || self.out.iter().any(|out| !out.is_empty()))
    }

    fn commit(&mut self) -> Result<(), engine::StoreFailed> {
        // Even when the log failed: whoever waits is told so.
        let failure = self.store.commit().err();
        let mut acks = std::mem::take(&mut self.acks);
        self.store.take_acks(Instant::now(), |ack, outcome| acks.push((ack, outcome)));
        for (ack, outcome) in acks.drain(..) {
            self.acknowledge(ack, outcome);
        }
        self.acks = acks;
        let mut released = std::mem::take(&mut self.released);
        let holds = &mut self.holds;
        let delay = &mut self.delay;
        self.store.take_arrivals(|slot, queue_offset, tags_code| {
            holds.arrived(slot, queue_offset, tags_code, &mut released);
            delay.arrived(slot);
        });
        self.run_released(&mut released);
        self.released = released;
        failure.map_or(Ok(()), Err)
    }

    pub(super) fn run_released(&mut self, released: &mut Vec<Forwarded>) {
        for mut forwarded in released.drain(..) {
            forwarded.first = false;
            forwarded.hops = 0;
            self.env.holds.fetch_sub(1, Ordering::Relaxed);
            self.run_forwarded(forwarded);
        }
    }

    fn letter(&mut self, letter: ToShard) {
        match letter {
            ToShard::Accepted(accepted) => self.accepted.push(accepted),
            ToShard::Request(forwarded) => self.run_forwarded(forwarded),
            ToShard::Reply(reply) => self.write_reply(reply),
            ToShard::Put(put) => self.put_here(*put),
            ToShard::Delivered { level, queue_offset, stored } => {
                let env = self.env.clone();
                self.delay.delivered(&env, level, queue_offset, stored);
            }
            ToShard::OrderedTopics(ordered) => {
                let now_ms = self.now_ms;
                if let Some(home) = &mut self.home {
                    home.set_ordered(now_ms, &ordered);
                }
            }
            ToShard::Close(conn) => {
                if let Some(conn) = net::find(conn) {
                    conn.close();
                }
            }
            ToShard::Table(change) => self.apply(change),
            ToShard::Copied(copied) => {
                if let Some(home) = &mut self.home {
                    home.copied(copied);
                }
            }
            ToShard::ProgressCopied(progress) => {
                for Committed { key, queue_id, queue_offset } in progress {
                    // Committed here since the master was asked: it is told in the next round.
                    if queue_offset.is_some_and(|offset| self.env.own_commits.is_beyond(&key, queue_id, offset)) {
                        continue;
                    }
                    if let (Some((topic, group)), Some(offset)) = (ConsumerOffsetTable::split_key(&key), queue_offset) {
                        self.progress.commit(group, topic, queue_id, offset);
                    }
                }
            }
            ToShard::Progress(changes) => {
                if let Some(home) = &mut self.home {
                    home.progress_changed(changes);
                }
            }
            ToShard::ConnectionClosed(conn) => {
                if let Some(mut home) = self.home.take() {
                    home.connection_closed(self, conn);
                    self.home = Some(home);
                }
            }
            ToShard::TablesWritten { ticket, result } => {
                if let Some(mut home) = self.home.take() {
                    let parked = home.written(self, ticket, result);
                    self.home = Some(home);
                    for (forwarded, refusal) in parked {
                        match refusal {
                            None => self.run_forwarded(forwarded),
                            Some(refusal) => self.refuse(&forwarded.to, forwarded.code, &refusal),
                        }
                    }
                }
            }
            ToShard::Survey(survey) => self.survey(survey),
            ToShard::Stop => self.stop(),
            ToShard::Finish => self.finishing = true,
        }
    }
}
