//! The tail of the log: who writes where next, and up to where everything is written.
//!
//! A shard *reserves* room for whole units (a message, or a batch that must lie in one file), writes it, and
//! *completes* it. The contiguous completed end is the watermark: nothing beyond it is acknowledged, flushed or read.
//! On a slave nothing is reserved: the receiver says what it has ([`TailState::follow`]).
//! [`TailState`] is pure (no clock, no I/O); [`Tail`] puts it behind a mutex that is held for some ten instructions and
//! publishes the watermark as an atomic. Any shard; model-checked by `tests/loom_tail.rs`.

#[cfg(loom)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicI64, Ordering},
};
#[cfg(not(loom))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicI64, Ordering},
};

/// Bytes every file keeps for the blank that ends it (Java: a record may never fill a file exactly).
pub const BLANK_LEN: i64 = protocol::message::layout::BLANK_LEN as i64;

/// Contiguous room within one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Physical offset of the first byte.
    pub offset: i64,
    /// Units that lie here, in the order they were asked for.
    pub units: usize,
    /// Bytes of those units.
    pub data: i64,
    /// Bytes of the blank behind them that ends the file; 0 when the file goes on.
    pub blank: i64,
}

impl Piece {
    /// One past the last byte, blank included.
    pub fn end(&self) -> i64 {
        self.offset + self.data + self.blank
    }
}

/// There is no file yet for the room asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// Files are needed up to this physical offset.
    pub end: i64,
}

/// Where the log would end if units of these sizes were placed from `next` on.
pub fn end_after(next: i64, segment_size: i64, units: impl Iterator<Item = i64>) -> i64 {
    units.fold(next, |end, unit| {
        let remaining = segment_size - end.rem_euclid(segment_size);
        if unit.saturating_add(BLANK_LEN) > remaining { end.saturating_add(remaining) } else { end }
            .saturating_add(unit)
    })
}

/// The pure part.
#[derive(Debug)]
pub struct TailState {
    segment_size: i64,
    next: i64,
    watermark: i64,
    store_timestamp: i64,
    /// Completed ranges beyond the watermark, by start; at most one a shard.
    done: Vec<(i64, i64)>,
}

impl TailState {
    /// A log that ends at `end`; `store_timestamp` is that of its last record, ms.
    pub fn new(segment_size: i64, end: i64, store_timestamp: i64) -> Self {
        Self { segment_size, next: end, watermark: end, store_timestamp, done: Vec::new() }
    }

    /// Places units of the given sizes, in order, into `pieces` (cleared first). A unit goes to the next file when its
    /// bytes + 8 exceed what is left; the rest becomes a blank. Answers with the store timestamp: `now_ms`, but never
    /// earlier than one given out before. Without room nothing changes.
    pub fn reserve(
        &mut self,
        units: impl Iterator<Item = i64>,
        now_ms: i64,
        room_end: i64,
        pieces: &mut Vec<Piece>,
    ) -> Result<i64, NoRoom> {
        pieces.clear();
        let mut piece = Piece { offset: self.next, units: 0, data: 0, blank: 0 };
        for unit in units {
            assert!(unit > 0 && unit + BLANK_LEN <= self.segment_size, "a unit of {unit} bytes fits into a file");
            let remaining = self.segment_size - piece.end().rem_euclid(self.segment_size);
            if unit + BLANK_LEN > remaining {
                piece.blank = remaining;
                pieces.push(piece);
                piece = Piece { offset: piece.end(), units: 0, data: 0, blank: 0 };
            }
            piece.units += 1;
            piece.data += unit;
        }
        if piece.units > 0 {
            pieces.push(piece);
        }
        let end = pieces.last().map_or(self.next, Piece::end);
        if end > room_end {
            pieces.clear();
            return Err(NoRoom { end });
        }
        self.next = end;
        self.store_timestamp = self.store_timestamp.max(now_ms);
        Ok(self.store_timestamp)
    }

    /// Says that `[from, to)` is written. Answers with the new watermark if it moved.
    pub fn complete(&mut self, from: i64, to: i64) -> Option<i64> {
        assert!(self.watermark <= from && from <= to && to <= self.next, "only reserved bytes are completed, once");
        if from != self.watermark {
            let at = self.done.partition_point(|(start, _)| *start < from);
            self.done.insert(at, (from, to));
            return None;
        }
        let mut end = to;
        let mut joined = 0;
        while let Some((_, next)) = self.done.get(joined).filter(|(start, _)| *start == end) {
            end = *next;
            joined += 1;
        }
        self.done.drain(..joined);
        let moved = end != self.watermark;
        self.watermark = end;
        moved.then_some(end)
    }

    /// On a slave: bytes are received up to `next` and whole records up to `watermark`, the newest of them stored at
    /// `store_timestamp`, ms.
    pub fn follow(&mut self, next: i64, watermark: i64, store_timestamp: i64) {
        assert!(self.watermark <= watermark && watermark <= next, "what was received does not go back");
        (self.next, self.watermark) = (next, watermark);
        self.store_timestamp = self.store_timestamp.max(store_timestamp);
    }

    /// On a slave: the log ends at `end` now, wherever it ended before.
    pub fn reset(&mut self, end: i64) {
        (self.next, self.watermark) = (end, end);
        self.done.clear();
    }

    /// Reserved end.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// The last store timestamp given out, ms.
    pub fn store_timestamp(&self) -> i64 {
        self.store_timestamp
    }
}

/// The shared part.
pub struct Tail {
    state: Mutex<TailState>,
    watermark: AtomicI64,
    next: AtomicI64,
}

impl Tail {
    /// See [`TailState::new`].
    pub fn new(segment_size: i64, end: i64, store_timestamp: i64) -> Self {
        Self {
            state: Mutex::new(TailState::new(segment_size, end, store_timestamp)),
            watermark: AtomicI64::new(end),
            next: AtomicI64::new(end),
        }
    }

    fn state(&self) -> MutexGuard<'_, TailState> {
        // A panic inside is a broken invariant of the log; going on would risk acknowledged bytes.
        self.state.lock().expect("the tail is whole")
    }

    /// See [`TailState::reserve`].
    pub fn reserve(
        &self,
        units: impl Iterator<Item = i64>,
        now_ms: i64,
        room_end: i64,
        pieces: &mut Vec<Piece>,
    ) -> Result<i64, NoRoom> {
        let mut state = self.state();
        let timestamp = state.reserve(units, now_ms, room_end, pieces)?;
        self.next.store(state.next(), Ordering::Release);
        Ok(timestamp)
    }

    /// See [`TailState::complete`]. The watermark is published before the lock is let go, so it never goes back.
    pub fn complete(&self, from: i64, to: i64) -> Option<i64> {
        let mut state = self.state();
        let moved = state.complete(from, to);
        if let Some(end) = moved {
            self.watermark.store(end, Ordering::SeqCst);
        }
        moved
    }

    /// See [`TailState::follow`].
    pub fn follow(&self, next: i64, watermark: i64, store_timestamp: i64) {
        let mut state = self.state();
        state.follow(next, watermark, store_timestamp);
        self.next.store(next, Ordering::Release);
        self.watermark.store(watermark, Ordering::SeqCst);
    }

    /// See [`TailState::reset`].
    pub fn reset(&self, end: i64) {
        let mut state = self.state();
        state.reset(end);
        self.next.store(end, Ordering::Release);
        self.watermark.store(end, Ordering::SeqCst);
    }

    /// The contiguous written end. Whoever reads it sees all bytes below it written.
    pub fn watermark(&self) -> i64 {
        self.watermark.load(Ordering::SeqCst)
    }

    /// The reserved end; a moment old.
    pub fn next(&self) -> i64 {
        self.next.load(Ordering::Acquire)
    }

    /// The watermark and a store timestamp, ms, that no record above it is older than by more than one write.
    pub fn snapshot(&self) -> (i64, i64) {
        let state = self.state();
        (state.watermark, state.store_timestamp())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(offset: i64, units: usize, data: i64, blank: i64) -> Piece {
        Piece { offset, units, data, blank }
    }

    #[test]
    fn units_are_placed_as_java_places_records() {
        let check = |start: i64, units: &[i64], want: &[Piece]| {
            let mut pieces = Vec::new();
            let mut tail = TailState::new(100, start, 0);
            tail.reserve(units.iter().copied(), 1, 10_000, &mut pieces).expect("room");
            assert_eq!(pieces, want, "{start} {units:?}");
            assert_eq!(tail.next(), end_after(start, 100, units.iter().copied()));
        };
        check(0, &[40, 52], &[piece(0, 2, 92, 0)]);
        check(0, &[40, 53], &[piece(0, 1, 40, 60), piece(100, 1, 53, 0)]);
        check(92, &[1], &[piece(92, 0, 0, 8), piece(100, 1, 1, 0)]);
        check(0, &[92], &[piece(0, 1, 92, 0)]);
        check(
            50,
            &[60, 60, 60],
            &[piece(50, 0, 0, 50), piece(100, 1, 60, 40), piece(200, 1, 60, 40), piece(300, 1, 60, 0)],
        );
        check(300, &[], &[]);
    }

    #[test]
    fn without_room_nothing_changes() {
        let mut tail = TailState::new(100, 50, 7);
        let mut pieces = Vec::new();
        assert_eq!(tail.reserve([60].into_iter(), 9, 100, &mut pieces), Err(NoRoom { end: 160 }));
        assert_eq!((tail.next(), tail.store_timestamp(), pieces.len()), (50, 7, 0));
        assert_eq!(tail.reserve([60].into_iter(), 9, 200, &mut pieces), Ok(9));
    }

    #[test]
    fn store_timestamps_never_go_back() {
        let mut tail = TailState::new(1000, 0, 100);
        let mut pieces = Vec::new();
        let mut at = |now| tail.reserve([1].into_iter(), now, 1000, &mut pieces);
        assert_eq!([at(99), at(101), at(100)], [Ok(100), Ok(101), Ok(101)]);
    }

    proptest! {
        /// Whatever the order of completion, the watermark is the end of the completed prefix.
        #[test]
        fn the_watermark_is_the_completed_prefix(sizes in prop::collection::vec(1i64..90, 1..40), seed in any::<u64>()) {
            let mut tail = TailState::new(100, 0, 0);
            let mut pieces = Vec::new();
            let mut open: Vec<(i64, i64)> = sizes.iter().map(|size| {
                tail.reserve([*size].into_iter(), 0, i64::MAX, &mut pieces).expect("room");
                (pieces[0].offset, pieces.last().expect("one").end())
            }).collect();
            let end = tail.next();
            let mut seed = seed;
            let mut watermark = 0;
            while !open.is_empty() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (from, to) = open.swap_remove((seed >> 33) as usize % open.len());
                watermark = tail.complete(from, to).unwrap_or(watermark);
                prop_assert_eq!(watermark, open.iter().map(|(from, _)| *from).min().unwrap_or(end));
            }
            prop_assert!(tail.done.is_empty());
        }
    }
}
