//! Held pulls: consumers that wait for a message which is not there yet.
//!
//! Owns the pulls parked on this shard's queues, as plain data: no task, timer or waker each.
//! Must not read the store, write replies, or look at a clock: times and arrivals come in, ids of
//! released pulls go out. Runs on the shard that owns the queue.

use std::collections::{BTreeSet, HashMap};

/// Which messages would end the wait, judged by the consume queue's tags code alone, as Java's
/// broker does (the client compares the tag's text again).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Any message.
    All,
    /// A message whose tag hash is one of these.
    Codes(std::sync::Arc<[i32]>),
}

impl Wanted {
    /// Whether a message with this tags code would be delivered.
    pub fn matches(&self, tags_code: i64) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Codes(codes) => codes.iter().any(|code| i64::from(*code) == tags_code),
        }
    }
}

/// One held pull: its queue (`S`, a slot of this shard) and what the caller needs to run it again (`T`).
#[derive(Debug)]
struct Hold<S, T> {
    slot: S,
    queue_offset: i64,
    deadline_ms: i64,
    wanted: Wanted,
    request: T,
}

/// The pulls held on one shard.
#[derive(Debug)]
pub struct Holds<S, T> {
    holds: HashMap<u64, Hold<S, T>>,
    by_slot: HashMap<S, Vec<u64>>,
    by_deadline: BTreeSet<(i64, u64)>,
    next_id: u64,
    limit: usize,
}

impl<S: Copy + Eq + std::hash::Hash, T> Holds<S, T> {
    /// A table that holds at most `limit` pulls; one more is given back by [`Holds::hold`].
    pub fn new(limit: usize) -> Self {
        Holds { holds: HashMap::new(), by_slot: HashMap::new(), by_deadline: BTreeSet::new(), next_id: 0, limit }
    }

    /// How many pulls wait.
    pub fn len(&self) -> usize {
        self.holds.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Parks a pull that found nothing at `queue_offset`. `Err` gives the request back when the
    /// table is full: the caller then answers "not found" at once.
    pub fn hold(&mut self, slot: S, queue_offset: i64, deadline_ms: i64, wanted: Wanted, request: T) -> Result<(), T> {
        if self.holds.len() >= self.limit {
            return Err(request);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.by_slot.entry(slot).or_default().push(id);
        self.by_deadline.insert((deadline_ms, id));
        self.holds.insert(id, Hold { slot, queue_offset, deadline_ms, wanted, request });
        Ok(())
    }

    /// A message became visible at `queue_offset` of `slot`: moves the pulls it satisfies to `released`.
    pub fn arrived(&mut self, slot: S, queue_offset: i64, tags_code: i64, released: &mut Vec<T>) {
        self.release_where(slot, released, |hold| queue_offset >= hold.queue_offset && hold.wanted.matches(tags_code));
    }

    /// The five-second recheck: whatever its filter, a pull behind `max_offset` runs again. It is
    /// what releases pulls after changes that are no arrivals (Java 4.9.7 does the same).
    pub fn recheck(&mut self, mut max_offset: impl FnMut(S) -> i64, released: &mut Vec<T>) {
        let slots: Vec<S> = self.by_slot.keys().copied().collect();
        for slot in slots {
            let max = max_offset(slot);
            self.release_where(slot, released, |hold| max > hold.queue_offset);
        }
    }

    /// Moves every pull on a queue to `released`: the queue is going.
    pub fn release_slot(&mut self, slot: S, released: &mut Vec<T>) {
        self.release_where(slot, released, |_| true);
    }

    /// Moves the pulls whose time is over to `released`.
    pub fn expire(&mut self, now_ms: i64, released: &mut Vec<T>) {
        while let Some(&(deadline_ms, id)) = self.by_deadline.first() {
            if deadline_ms > now_ms {
                break;
            }
            if let Some(slot) = self.holds.get(&id).map(|hold| hold.slot)
                && let Some(ids) = self.by_slot.get_mut(&slot)
            {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_slot.remove(&slot);
                }
            }
            self.take(id, released);
        }
    }

    /// Moves every pull to `released`: the broker stops.
    pub fn release_all(&mut self, released: &mut Vec<T>) {
        self.by_slot.clear();
        self.by_deadline.clear();
        released.extend(self.holds.drain().map(|(_, hold)| hold.request));
    }

    fn release_where(&mut self, slot: S, released: &mut Vec<T>, ends: impl Fn(&Hold<S, T>) -> bool) {
        let Some(mut ids) = self.by_slot.remove(&slot) else { return };
        ids.retain(|id| match self.holds.get(id) {
            Some(hold) if ends(hold) => {
                self.take(*id, released);
                false
            }
            Some(_) => true,
            None => false,
        });
        if !ids.is_empty() {
            self.by_slot.insert(slot, ids);
        }
    }

    fn take(&mut self, id: u64, released: &mut Vec<T>) {
        if let Some(hold) = self.holds.remove(&id) {
            self.by_deadline.remove(&(hold.deadline_ms, id));
            released.push(hold.request);
        } else {
            self.by_deadline.retain(|(_, other)| *other != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds() -> Holds<u32, &'static str> {
        let mut holds = Holds::new(4);
        holds.hold(1, 10, 1000, Wanted::All, "all@10").unwrap();
        holds.hold(1, 12, 2000, Wanted::All, "all@12").unwrap();
        holds.hold(1, 10, 1500, Wanted::Codes([7].into()), "seven@10").unwrap();
        holds
    }

    #[test]
    fn arrival_releases_only_what_it_satisfies() {
        let mut holds = holds();
        let mut released = Vec::new();
        holds.arrived(1, 10, 3, &mut released);
        assert_eq!(released, ["all@10"]);
        holds.arrived(2, 99, 7, &mut released);
        assert_eq!(released.len(), 1, "another queue's message wakes nobody");
        holds.arrived(1, 11, 7, &mut released);
        assert_eq!(released, ["all@10", "seven@10"]);
        assert_eq!(holds.len(), 1);
    }

    #[test]
    fn deadline_releases_in_order_of_time() {
        let mut holds = holds();
        let mut released = Vec::new();
        holds.expire(999, &mut released);
        assert!(released.is_empty());
        holds.expire(1500, &mut released);
        assert_eq!(released, ["all@10", "seven@10"]);
        holds.expire(i64::MAX, &mut released);
        assert!(holds.is_empty());
        assert!(holds.by_slot.is_empty() && holds.by_deadline.is_empty());
    }

    #[test]
    fn recheck_ignores_the_filter_but_not_the_offset() {
        let mut holds = holds();
        let mut released = Vec::new();
        holds.recheck(|_| 11, &mut released);
        assert_eq!(released, ["all@10", "seven@10"]);
    }

    #[test]
    fn a_full_table_gives_the_request_back() {
        let mut holds = holds();
        holds.hold(2, 0, 1, Wanted::All, "fourth").unwrap();
        assert_eq!(holds.hold(2, 0, 1, Wanted::All, "fifth"), Err("fifth"));
    }
}
