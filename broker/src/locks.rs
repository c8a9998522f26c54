//! Queue locks of orderly consumers (requests 41 and 42).
//!
//! Owns who holds which queue of which group and until when. Lives in memory only, on the home
//! shard, without clock or I/O: a lock table that survived a restart would stall consumers
//! (Java 4.9.7 keeps it in memory for the same reason).

use std::collections::HashMap;

use protocol::body::MessageQueue;

/// Bound of locks a broker keeps; beyond it a lock is refused and the consumer tries again.
const LOCKS_MAX: usize = 1_000_000;

struct Lock {
    client_id: String,
    renewed_ms: i64,
}

/// All queue locks of one broker.
pub struct LockTable {
    /// How long a lock lives without renewal (Java: `rocketmq.broker.rebalance.lockMaxLiveTime`, 60 s).
    life_ms: i64,
    groups: HashMap<String, HashMap<MessageQueue, Lock>>,
    count: usize,
}

impl LockTable {
    /// No locks; each will live `life_ms` without renewal.
    pub fn new(life_ms: i64) -> Self {
        LockTable { life_ms, groups: HashMap::new(), count: 0 }
    }

    /// Locks for `client_id` what is free, expired, or already its own, and returns those queues.
    pub fn lock(
        &mut self,
        now_ms: i64,
        group: &str,
        client_id: &str,
        queues: impl IntoIterator<Item = MessageQueue>,
    ) -> Vec<MessageQueue> {
        let mut locked = Vec::new();
        let table = self.groups.entry(group.to_owned()).or_default();
        for queue in queues {
            match table.get_mut(&queue) {
                Some(lock) if lock.client_id == client_id => lock.renewed_ms = now_ms,
                Some(lock) if now_ms - lock.renewed_ms > self.life_ms => {
                    lock.client_id = client_id.to_owned();
                    lock.renewed_ms = now_ms;
                }
                Some(_) => continue,
                None if self.count >= LOCKS_MAX => continue,
                None => {
                    table.insert(queue.clone(), Lock { client_id: client_id.to_owned(), renewed_ms: now_ms });
                    self.count += 1;
                }
            }
            locked.push(queue);
        }
        if table.is_empty() {
            self.groups.remove(group);
        }
        locked
    }

    /// Gives up the queues that `client_id` holds; those of others stay locked.
    pub fn unlock(&mut self, group: &str, client_id: &str, queues: &[MessageQueue]) {
        let Some(table) = self.groups.get_mut(group) else { return };
        for queue in queues {
            if table.get(queue).is_some_and(|lock| lock.client_id == client_id) {
                table.remove(queue);
                self.count -= 1;
            }
        }
        if table.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Forgets locks nobody renewed for ten lives, so that dead groups do not stay for ever.
    pub fn sweep(&mut self, now_ms: i64) {
        self.groups.retain(|_, table| {
            table.retain(|_, lock| now_ms - lock.renewed_ms <= self.life_ms.saturating_mul(10));
            !table.is_empty()
        });
        self.count = self.groups.values().map(HashMap::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(id: i32) -> MessageQueue {
        MessageQueue { topic: "T".into(), broker_name: "b".into(), queue_id: id }
    }

    #[test]
    fn a_queue_has_one_holder_until_it_expires() {
        let mut locks = LockTable::new(60_000);
        assert_eq!(locks.lock(0, "g", "one", [queue(0), queue(1)]).len(), 2);
        assert_eq!(locks.lock(1, "g", "two", [queue(0), queue(2)]), [queue(2)]);
        assert_eq!(locks.lock(50_000, "g", "one", [queue(0)]), [queue(0)], "renewed by its holder");
        assert_eq!(locks.lock(70_000, "g", "two", [queue(0), queue(1)]), [queue(1)], "queue 1 was not renewed");
        assert_eq!(locks.lock(0, "other", "two", [queue(0)]), [queue(0)], "groups do not see each other");
    }

    #[test]
    fn only_the_holder_unlocks() {
        let mut locks = LockTable::new(60_000);
        locks.lock(0, "g", "one", [queue(0)]);
        locks.unlock("g", "two", &[queue(0)]);
        assert!(locks.lock(1, "g", "two", [queue(0)]).is_empty());
        locks.unlock("g", "one", &[queue(0)]);
        assert_eq!(locks.lock(2, "g", "two", [queue(0)]).len(), 1);
        locks.sweep(2 + 11 * 60_000);
        assert_eq!(locks.count, 0);
    }
}
