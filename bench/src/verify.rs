//! Whether every acked message is where its ack says.
//!
//! Owns the acks of a run and the judging of what is read back. An ack takes 16 bytes; so many are kept as
//! [`ACKS_MAX`] says, further ones are counted as unchecked. Besides, one bit for each message sent. Must not read
//! from a broker: [`crate::read_back`] does. Acks: one thread each; the ledger: main thread, after the run.

use crate::result::Verified;
use crate::stamp::{self, Found};

/// Acks kept over all threads: 256 MiB.
pub const ACKS_MAX: usize = 16 * 1024 * 1024;
/// Sequences of one thread whose doubles are seen; a bit each.
const SEQUENCES_MAX: u64 = 1 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ack {
    queue: u32,
    /// Low 32 bits: enough to tell a thread's messages apart.
    sequence: u32,
    offset: u64,
}

const _: () = assert!(size_of::<Ack>() == 16);

/// The acks of one thread.
#[derive(Debug)]
pub struct Acks {
    list: Vec<Ack>,
    max: usize,
    unchecked: u64,
}

impl Acks {
    /// Keeps so many. The memory is only asked for here; it is taken as acks come.
    pub fn new(max: usize) -> Acks {
        Acks { list: Vec::with_capacity(max), max, unchecked: 0 }
    }

    /// The messages of a request were acked: they lie from this queue offset on.
    pub fn push(&mut self, queue: u32, offset: u64, sequence: u64, messages: u64) {
        for step in 0..messages {
            if self.list.len() >= self.max {
                self.unchecked += messages - step;
                return;
            }
            self.list.push(Ack { queue, sequence: (sequence + step) as u32, offset: offset + step });
        }
    }
}

/// All acks of a run, and what was found of them.
#[derive(Debug)]
pub struct Ledger<'a> {
    /// By thread; sorted by queue and offset.
    acks: Vec<Vec<Ack>>,
    /// By thread: a bit for each sequence that was read.
    seen: Vec<Vec<u64>>,
    run: u64,
    filler: &'a [u8],
    verified: Verified,
    /// Acked offsets with a damaged message.
    damaged_acked: u64,
    /// The first trouble in words.
    pub first_trouble: Option<String>,
}

impl<'a> Ledger<'a> {
    /// By thread: its acks, and how many sequences it gave out.
    pub fn new(threads: Vec<(Acks, u64)>, run: u64, filler: &'a [u8]) -> Ledger<'a> {
        let mut ledger = Ledger {
            acks: Vec::new(),
            seen: Vec::new(),
            run,
            filler,
            verified: Verified::default(),
            damaged_acked: 0,
            first_trouble: None,
        };
        for (mut acks, sequences) in threads {
            acks.list.sort_unstable_by_key(|ack| (ack.queue, ack.offset));
            ledger.verified.acked += acks.list.len() as u64 + acks.unchecked;
            ledger.verified.unchecked += acks.unchecked;
            ledger.acks.push(acks.list);
            ledger.seen.push(vec![0; sequences.min(SEQUENCES_MAX).div_ceil(64) as usize]);
        }
        ledger
    }

    /// A message that was read back. Each offset of each queue comes once at most.
    pub fn read(&mut self, queue: u32, offset: u64, body: &[u8], is_crc_ok: bool) {
        let found = if is_crc_ok { stamp::check(body, self.run, self.filler) } else { Found::Damaged };
        let stamp = match found {
            Found::Whole(stamp) => Some(stamp),
            Found::Foreign => None,
            Found::Damaged => {
                self.verified.damaged += 1;
                self.damaged_acked += self.acks_at(queue, offset).count() as u64;
                self.trouble(|| format!("queue {queue}: the message at offset {offset} is damaged"));
                return;
            }
        };
        if let Some(stamp) = stamp
            && self.is_double(stamp.worker, stamp.sequence)
        {
            self.verified.duplicated += 1;
        }
        let (mut right, mut wrong) = (0, 0);
        for (worker, ack) in self.acks_at(queue, offset) {
            let is_it = stamp.is_some_and(|stamp| stamp.worker == worker && stamp.sequence as u32 == ack.sequence);
            if is_it { right += 1 } else { wrong += 1 }
        }
        self.verified.found += right;
        if wrong > 0 {
            self.trouble(|| format!("queue {queue}: at offset {offset} is another message than the acked one"));
        }
    }

    fn acks_at(&self, queue: u32, offset: u64) -> impl Iterator<Item = (u32, Ack)> {
        self.acks.iter().zip(0u32..).flat_map(move |(acks, worker)| {
            let begin = acks.partition_point(|ack| (ack.queue, ack.offset) < (queue, offset));
            let equal = acks.iter().skip(begin).take_while(move |ack| (ack.queue, ack.offset) == (queue, offset));
            equal.map(move |ack| (worker, *ack))
        })
    }

    fn is_double(&mut self, worker: u32, sequence: u64) -> bool {
        let word = self.seen.get_mut(worker as usize).and_then(|seen| seen.get_mut((sequence / 64) as usize));
        let Some(word) = word else { return false };
        let bit = 1 << (sequence % 64);
        let was = *word & bit != 0;
        *word |= bit;
        was
    }

    fn trouble(&mut self, words: impl FnOnce() -> String) {
        self.first_trouble.get_or_insert_with(words);
    }

    /// The judgement, once everything was read.
    pub fn finish(mut self) -> (Verified, Option<String>) {
        let kept = self.verified.acked - self.verified.unchecked;
        self.verified.lost = kept.saturating_sub(self.verified.found + self.damaged_acked);
        if self.verified.lost > 0 {
            let lost = self.verified.lost;
            self.trouble(|| format!("{lost} acked messages are not where their acks say"));
        }
        (self.verified, self.first_trouble)
    }
}

/// Whether all acked messages are there and whole.
pub fn is_good(verified: &Verified) -> bool {
    verified.lost == 0 && verified.damaged == 0
}

/// That not all was looked for, in words.
pub fn unchecked(verified: &Verified) -> Option<String> {
    let Verified { acked, unchecked, .. } = verified;
    (*unchecked > 0).then(|| {
        format!(
            "{unchecked} of {acked} acked messages were not looked for: {ACKS_MAX} acks are kept; measure for less long"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::Stamp;

    const RUN: u64 = 77;

    fn body(filler: &[u8], worker: u32, sequence: u64) -> Vec<u8> {
        let mut body = filler[..64].to_vec();
        stamp::write(&Stamp { run: RUN, worker, sequence, due_ns: 5 }, &mut body);
        body
    }

    /// Two workers acked (queue, offset, sequence); then these messages are read: (queue, offset, worker, sequence,
    /// changed byte). Answers (acked, found, lost, damaged, duplicated).
    fn check(acks: [&[(u32, u64, u64)]; 2], read: &[(u32, u64, u32, u64, Option<usize>)]) -> (u64, u64, u64, u64, u64) {
        let filler = stamp::filler(1, 64);
        let threads = acks.map(|list| {
            let mut acks = Acks::new(100);
            list.iter().for_each(|(queue, offset, sequence)| acks.push(*queue, *offset, *sequence, 1));
            (acks, 100)
        });
        let mut ledger = Ledger::new(threads.into(), RUN, &filler);
        for (queue, offset, worker, sequence, change) in read {
            let mut body = body(&filler, *worker, *sequence);
            if let Some(at) = change {
                body[*at] ^= 1;
            }
            ledger.read(*queue, *offset, &body, true);
        }
        let (verified, trouble) = ledger.finish();
        assert_eq!(trouble.is_some(), !is_good(&verified), "{trouble:?}");
        (verified.acked, verified.found, verified.lost, verified.damaged, verified.duplicated)
    }

    #[test]
    fn what_is_in_its_place_is_found() {
        let acks: [&[_]; 2] = [&[(0, 5, 1), (1, 5, 0)], &[(0, 6, 0)]];
        let read = [(1, 5, 0, 0, None), (0, 5, 0, 1, None), (0, 6, 1, 0, None)];
        assert_eq!(check(acks, &read), (3, 3, 0, 0, 0));
    }

    #[test]
    fn what_is_missing_is_lost() {
        assert_eq!(check([&[(0, 5, 0), (0, 6, 1)], &[]], &[(0, 5, 0, 0, None)]), (2, 1, 1, 0, 0));
    }

    #[test]
    fn another_message_in_the_place_of_an_acked_one_is_a_loss() {
        // Two messages changed places; and one of the other worker lies where this one's was acked.
        let acks: [&[_]; 2] = [&[(0, 5, 0), (0, 6, 1)], &[]];
        assert_eq!(check(acks, &[(0, 5, 0, 1, None), (0, 6, 0, 0, None)]), (2, 0, 2, 0, 0));
        assert_eq!(check([&[(0, 5, 0)], &[]], &[(0, 5, 1, 0, None)]), (1, 0, 1, 0, 0));
        // Neither queue nor offset is interchangeable.
        assert_eq!(check([&[(0, 5, 0)], &[]], &[(1, 5, 0, 0, None)]), (1, 0, 1, 0, 0));
    }

    #[test]
    fn a_changed_byte_is_damage_and_no_loss() {
        for at in [20, 50] {
            assert_eq!(check([&[(0, 5, 0)], &[]], &[(0, 5, 0, 0, Some(at))]), (1, 0, 0, 1, 0), "byte {at}");
        }
    }

    #[test]
    fn a_record_with_a_wrong_checksum_is_damaged() {
        let filler = stamp::filler(1, 64);
        let mut acks = Acks::new(1);
        acks.push(0, 0, 0, 1);
        let mut ledger = Ledger::new(vec![(acks, 1)], RUN, &filler);
        ledger.read(0, 0, &body(&filler, 0, 0), false);
        let (verified, _) = ledger.finish();
        assert_eq!((verified.damaged, verified.lost, verified.found), (1, 0, 0));
    }

    #[test]
    fn a_message_stored_twice_is_a_duplicate_and_found() {
        let read = [(0, 5, 0, 0, None), (0, 6, 0, 0, None)];
        assert_eq!(check([&[(0, 6, 0)], &[]], &read), (1, 1, 0, 0, 1));
    }

    #[test]
    fn two_acks_for_one_place_cannot_both_be_right() {
        assert_eq!(check([&[(0, 5, 0), (0, 5, 1)], &[]], &[(0, 5, 0, 1, None)]), (2, 1, 1, 0, 0));
        assert_eq!(check([&[(0, 5, 0)], &[(0, 5, 0)]], &[(0, 5, 1, 0, None)]), (2, 1, 1, 0, 0));
    }

    #[test]
    fn messages_that_were_not_acked_are_no_trouble() {
        assert_eq!(check([&[], &[]], &[(0, 5, 0, 0, None)]), (0, 0, 0, 0, 0));
    }

    #[test]
    fn acks_past_the_bound_are_counted_as_unchecked() {
        let filler = stamp::filler(1, 64);
        let mut acks = Acks::new(3);
        acks.push(0, 0, 0, 2);
        acks.push(0, 2, 2, 2);
        acks.push(0, 4, 4, 2);
        let mut ledger = Ledger::new(vec![(acks, 6)], RUN, &filler);
        (0..3).for_each(|offset| ledger.read(0, offset, &body(&filler, 0, offset), true));
        let (verified, _) = ledger.finish();
        assert_eq!((verified.acked, verified.found, verified.unchecked, verified.lost), (6, 3, 3, 0));
    }
}
