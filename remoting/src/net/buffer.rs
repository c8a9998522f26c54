//! The bytes of one connection that were read and not yet handed over.
//!
//! Grows with bytes received, never by what a peer declares: it doubles when it is full, so it is at most twice as long
//! as what came in. Beyond 128 KiB it takes from an allowance of the whole process; when that is used up, one buffer at
//! a time may overdraw it, so that half-read frames cannot all wait for each other.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What every connection has, also an idle one.
pub(crate) const FIRST: usize = 4 << 10;

/// A busy connection grows to this without being asked; what one frame needs beyond it is counted.
pub(crate) const COMMON: usize = 128 << 10;

/// Bytes beyond [`COMMON`] in all read buffers of the process.
static BEYOND: AtomicUsize = AtomicUsize::new(0);

/// Some buffer has the right to grow although the allowance is used up.
static OVERDRAWN: AtomicBool = AtomicBool::new(false);

pub(crate) struct ReadBuffer {
    /// Bytes `start..end` are received and not consumed.
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// Length of recent frames, decaying, so that one after a row of large ones finds the room still there.
    recent: usize,
    beyond_max: usize,
    /// This is the buffer that may overdraw, until it is back at [`COMMON`].
    overdrawn: bool,
}

fn beyond(capacity: usize) -> usize {
    capacity.saturating_sub(COMMON)
}

impl ReadBuffer {
    /// An empty buffer that may use the process's allowance as long as that is below `beyond_max` bytes.
    pub(crate) fn new(beyond_max: usize) -> ReadBuffer {
        ReadBuffer { data: vec![0; FIRST], start: 0, end: 0, recent: 0, beyond_max, overdrawn: false }
    }

    pub(crate) fn received(&self) -> &[u8] {
        self.data.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.data.len()
    }

    /// The first `n` received bytes were handed over; they held frames of up to `longest` bytes.
    pub(crate) fn consume(&mut self, n: usize, longest: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
        self.recent = longest.max(self.recent - self.recent / 8);
        if self.is_empty() {
            self.start = 0;
            self.end = 0;
            if self.overdrawn {
                self.resize(COMMON);
            } else if self.data.len() > COMMON && self.recent.saturating_mul(2) < self.data.len() {
                self.resize(self.recent.max(COMMON));
            }
        }
    }

    /// Nothing came for a while.
    pub(crate) fn shrink_idle(&mut self) {
        self.recent = 0;
        if self.is_empty() && self.data.len() > FIRST {
            self.start = 0;
            self.end = 0;
            self.resize(FIRST);
        }
    }

    /// The connection is over: nothing is kept, also while somebody still holds the connection.
    pub(crate) fn release(&mut self) {
        self.start = 0;
        self.end = 0;
        self.resize(0);
    }

    /// Makes room behind what is received. `want_more`: the last read filled all it was given. `frame` is the length of
    /// the frame that has begun, if known, beyond which there is no need to grow. False: the process's allowance is used
    /// up, and there is no room.
    pub(crate) fn make_room(&mut self, want_more: bool, frame: Option<usize>) -> bool {
        if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let capacity = self.data.len();
        let full = self.end == capacity;
        if !(full || want_more && capacity < COMMON) {
            return true;
        }
        let mut grown = capacity.saturating_mul(2);
        if let Some(frame) = frame
            && capacity >= COMMON
        {
            grown = grown.min(frame.max(capacity + 1));
        }
        self.resize(grown) || !full
    }

    /// Where the next bytes go, at most `max` of them. Empty only when there was no room to be made.
    pub(crate) fn room(&mut self, max: usize) -> &mut [u8] {
        let end = self.data.len().min(self.end.saturating_add(max));
        self.data.get_mut(self.end..end).unwrap_or_default()
    }

    /// `n` bytes were put where `room` pointed.
    pub(crate) fn fill(&mut self, n: usize) {
        self.end = self.end.saturating_add(n).min(self.data.len());
    }

    /// Changes the capacity, keeping what is received (which begins at 0 and fits). False: not allowed.
    fn resize(&mut self, capacity: usize) -> bool {
        let (old, new) = (beyond(self.data.len()), beyond(capacity));
        if new > old {
            let more = new - old;
            let take = |used: usize| used.checked_add(more).filter(|sum| *sum <= self.beyond_max);
            if BEYOND.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_err() {
                if !self.overdrawn && OVERDRAWN.swap(true, Ordering::AcqRel) {
                    return false;
                }
                self.overdrawn = true;
                BEYOND.fetch_add(more, Ordering::AcqRel);
            }
        } else {
            BEYOND.fetch_sub(old - new, Ordering::AcqRel);
        }
        // A new zeroed allocation instead of a resize: large ones come as untouched pages, and nothing is copied twice.
        let mut data = vec![0; capacity];
        if let (Some(to), Some(from)) = (data.get_mut(..self.end), self.data.get(..self.end)) {
            to.copy_from_slice(from);
        }
        self.data = data;
        if new == 0 {
            self.give_back_right();
        }
        true
    }

    fn give_back_right(&mut self) {
        if std::mem::take(&mut self.overdrawn) {
            OVERDRAWN.store(false, Ordering::Release);
        }
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        BEYOND.fetch_sub(beyond(self.data.len()), Ordering::AcqRel);
        self.give_back_right();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Receives `n` bytes in reads of whatever room there is.
    fn receive(buffer: &mut ReadBuffer, mut n: usize, frame: Option<usize>) -> bool {
        let mut full = false;
        while n > 0 {
            if !buffer.make_room(full, frame) {
                return false;
            }
            let room = buffer.room(COMMON).len();
            let took = room.min(n);
            buffer.fill(took);
            full = took == room;
            n -= took;
        }
        true
    }

    // One test, because the allowance is the process's.
    #[test]
    fn the_buffer_follows_what_is_received() {
        let big = 1 << 20;
        let mut buffer = ReadBuffer::new(2 * big);
        // A declared length alone buys nothing.
        assert!(receive(&mut buffer, 100, Some(16 << 20)));
        assert_eq!(buffer.capacity(), FIRST);
        // At most twice of what came.
        assert!(receive(&mut buffer, 300_000, Some(16 << 20)));
        assert!(buffer.capacity() <= 2 * 300_100, "{}", buffer.capacity());
        // Not beyond the frame.
        assert!(receive(&mut buffer, big - 300_100, Some(big)));
        assert_eq!(buffer.capacity(), big);
        assert_eq!(buffer.received().len(), big);
        // Kept for the next large frame, given up after many small ones.
        buffer.consume(big, big);
        assert_eq!(buffer.capacity(), big);
        for _ in 0..100 {
            assert!(receive(&mut buffer, 100, Some(100)));
            buffer.consume(100, 100);
        }
        assert_eq!(buffer.capacity(), COMMON);
        buffer.shrink_idle();
        assert_eq!(buffer.capacity(), FIRST);

        // The allowance: the second large frame overdraws it, the third has to wait until one of them is gone.
        assert!(receive(&mut buffer, big, None));
        let mut second = ReadBuffer::new(big);
        assert!(receive(&mut second, 2 * big, None));
        assert!(second.overdrawn);
        let mut third = ReadBuffer::new(big);
        assert!(!receive(&mut third, big, None));
        let stopped_at = third.received().len();
        assert!(stopped_at >= COMMON);
        second.consume(2 * big, 2 * big);
        assert!(!second.overdrawn);
        assert_eq!(second.capacity(), COMMON);
        assert!(receive(&mut third, big - stopped_at, Some(big)));
        drop((buffer, second, third));
        assert_eq!(BEYOND.load(Ordering::Acquire), 0);
        assert!(!OVERDRAWN.load(Ordering::Acquire));
    }
}
