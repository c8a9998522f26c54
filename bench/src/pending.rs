//! The requests on the way: what each opaque stands for.
//!
//! Owns the slots, taken and freed as requests go and come; grows only to as many as were on the way at once, up to
//! its bound. One a thread.

use crate::template::OPAQUE_FIRST;

const INDEX_BITS: u32 = 20;
const GENERATIONS: u32 = 512;
/// Most requests of one thread on the way.
pub const PENDING_MAX: usize = 1 << INDEX_BITS;

/// A send on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Nanoseconds since the start of the load.
    pub due: u64,
    /// Of its first message.
    pub sequence: u64,
    /// Body bytes, all messages together.
    pub bytes: u32,
    /// Place in the list of queues of all topics.
    pub queue: u32,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    sent: Sent,
    /// Changes with every use, so that a late answer does not count for a later request.
    generation: u32,
    is_taken: bool,
}

/// The requests of one thread on the way.
#[derive(Debug)]
pub struct Pending {
    slots: Vec<Slot>,
    free: Vec<u32>,
    max: usize,
}

impl Pending {
    /// At most so many at once ([`PENDING_MAX`] at most).
    pub fn new(max: usize) -> Pending {
        Pending { slots: Vec::new(), free: Vec::new(), max: max.min(PENDING_MAX) }
    }

    /// The opaque for a request; `None` when too many are on the way.
    pub fn take(&mut self, sent: Sent) -> Option<i32> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() < self.max => {
                self.slots.push(Slot { sent, generation: 0, is_taken: false });
                (self.slots.len() - 1) as u32
            }
            None => return None,
        };
        let slot = &mut self.slots[index as usize];
        slot.generation = (slot.generation + 1) % GENERATIONS;
        (slot.sent, slot.is_taken) = (sent, true);
        Some(OPAQUE_FIRST + (slot.generation << INDEX_BITS | index) as i32)
    }

    /// The request that this opaque answers; `None` when there is none (any more).
    pub fn finish(&mut self, opaque: i32) -> Option<Sent> {
        let word = u32::try_from(opaque.checked_sub(OPAQUE_FIRST)?).ok()?;
        let (index, generation) = (word & (PENDING_MAX as u32 - 1), word >> INDEX_BITS);
        let slot = self.slots.get_mut(index as usize)?;
        if !slot.is_taken || slot.generation != generation {
            return None;
        }
        slot.is_taken = false;
        self.free.push(index);
        Some(slot.sent)
    }

    /// How many are on the way.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no more may be.
    pub fn is_full(&self) -> bool {
        self.len() >= self.max
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

const _: () = assert!((OPAQUE_FIRST as u64) + ((GENERATIONS as u64) << INDEX_BITS) <= i32::MAX as u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(sequence: u64) -> Sent {
        Sent { sequence, ..Sent::default() }
    }

    #[test]
    fn each_answer_finds_its_request_once() {
        let mut pending = Pending::new(3);
        let opaques: Vec<i32> = (0..3).map(|sequence| pending.take(sent(sequence)).unwrap()).collect();
        assert_eq!(pending.take(sent(3)), None);
        assert_eq!(pending.finish(opaques[1]), Some(sent(1)));
        assert_eq!(pending.finish(opaques[1]), None);
        assert_eq!(pending.len(), 2);
        let again = pending.take(sent(4)).unwrap();
        assert_ne!(again, opaques[1], "the slot is the same, the opaque is not");
        assert_eq!(pending.finish(opaques[1]), None);
        for (opaque, sequence) in [(again, 4), (opaques[0], 0), (opaques[2], 2)] {
            assert_eq!(pending.finish(opaque), Some(sent(sequence)));
        }
        assert!(pending.is_empty());
    }

    #[test]
    fn opaques_have_ten_digits_and_strange_ones_are_nobodys() {
        let mut pending = Pending::new(1);
        for _ in 0..2000 {
            let opaque = pending.take(sent(0)).unwrap();
            assert_eq!(opaque.to_string().len(), 10);
            assert_eq!(pending.finish(opaque), Some(sent(0)));
        }
        for opaque in [0, -1, i32::MIN, i32::MAX, OPAQUE_FIRST, OPAQUE_FIRST + 1] {
            assert_eq!(pending.finish(opaque), None);
        }
    }
}
