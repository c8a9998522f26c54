//! The bytes of an index file, and walking a chain in it.
//!
//! Owns the layout (Java 4.x):
//!
//! ```text
//!  0               40              40 + 4·slots                       40 + 4·slots + 20·entries
//!  +---------------+---------------+----------------------------------+
//!  | header        | slots, i32    | entries, 20 bytes; entry 0 unused |
//!  +---------------+---------------+----------------------------------+
//!  header: i64 begin time · i64 end time · i64 begin physical · i64 end physical · i32 slots used · i32 next entry
//!  slot:   number of the newest entry of its chain, 0 = none
//!  entry:  i32 key hash · i64 physical offset · i32 seconds since begin time · i32 previous entry of the chain
//! ```
//!
//! Must not decide which files exist. Reads with `pread`; any thread that may block on the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

pub(super) const HEADER_SIZE: usize = 40;
pub(super) const SLOT_SIZE: u64 = 4;
pub(super) const ENTRY_SIZE: usize = 20;

const _: () = assert!(HEADER_SIZE == 4 * 8 + 2 * 4 && ENTRY_SIZE == 4 + 8 + 4 + 4);

/// How many slots and entries a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub slots: u32,
    pub entries: u32,
}

impl Layout {
    pub(super) fn file_size(self) -> u64 {
        self.entry_position(self.entries)
    }

    pub(super) fn slot_position(self, slot: u32) -> u64 {
        HEADER_SIZE as u64 + SLOT_SIZE * u64::from(slot)
    }

    pub(super) fn entry_position(self, number: u32) -> u64 {
        self.slot_position(self.slots) + ENTRY_SIZE as u64 * u64::from(number)
    }

    pub(super) fn slot_of(self, hash: u32) -> u32 {
        hash.checked_rem(self.slots).unwrap_or(0)
    }
}

/// The first 40 bytes. Times in milliseconds since the epoch, physical offsets of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub begin_timestamp: i64,
    pub end_timestamp: i64,
    pub begin_physical: i64,
    pub end_physical: i64,
    pub slots_used: u32,
    /// Number of the next entry; 1 in a file without entries (Java may leave 0 there).
    pub next_entry: u32,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let longs = [self.begin_timestamp, self.end_timestamp, self.begin_physical, self.end_physical];
        for (out, value) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(longs) {
            *out = value.to_be_bytes();
        }
        bytes[32..36].copy_from_slice(&self.slots_used.to_be_bytes());
        bytes[36..].copy_from_slice(&self.next_entry.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_SIZE]) -> Header {
        let (longs, _) = bytes.as_chunks::<8>();
        let (words, _) = bytes.as_chunks::<4>();
        let long = |i: usize| longs.get(i).map_or(0, |bytes| i64::from_be_bytes(*bytes));
        let word = |i: usize| words.get(i).map_or(0, |bytes| u32::from_be_bytes(*bytes));
        Header {
            begin_timestamp: long(0),
            end_timestamp: long(1),
            begin_physical: long(2),
            end_physical: long(3),
            slots_used: word(8),
            next_entry: word(9).max(1),
        }
    }

    /// The time an entry is given: whole seconds since the file's begin, never negative (Java 4.x).
    pub(super) fn seconds_to(&self, store_timestamp: i64) -> i32 {
        if self.begin_timestamp <= 0 {
            return 0;
        }
        (store_timestamp.saturating_sub(self.begin_timestamp) / 1000).clamp(0, i64::from(i32::MAX)) as i32
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next_entry <= 1
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub hash: u32,
    pub physical_offset: i64,
    pub seconds: i32,
    pub previous: u32,
}

impl Entry {
    pub(super) fn encode(&self) -> [u8; ENTRY_SIZE] {
        let mut bytes = [0; ENTRY_SIZE];
        bytes[..4].copy_from_slice(&self.hash.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.physical_offset.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.seconds.to_be_bytes());
        bytes[16..].copy_from_slice(&self.previous.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; ENTRY_SIZE]) -> Entry {
        let [h0, h1, h2, h3, o0, o1, o2, o3, o4, o5, o6, o7, s0, s1, s2, s3, p0, p1, p2, p3] = *bytes;
        Entry {
            hash: u32::from_be_bytes([h0, h1, h2, h3]),
            physical_offset: i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            seconds: i32::from_be_bytes([s0, s1, s2, s3]),
            previous: u32::from_be_bytes([p0, p1, p2, p3]),
        }
    }

    pub(super) fn read(file: &File, layout: Layout, number: u32) -> io::Result<Entry> {
        let mut bytes = [0; ENTRY_SIZE];
        file.read_exact_at(&mut bytes, layout.entry_position(number))?;
        Ok(Entry::decode(&bytes))
    }
}

/// Reads the newest entry number of a chain.
pub(super) fn read_slot(file: &File, layout: Layout, slot: u32) -> io::Result<u32> {
    let mut bytes = [0; SLOT_SIZE as usize];
    file.read_exact_at(&mut bytes, layout.slot_position(slot))?;
    Ok(u32::from_be_bytes(bytes))
}

/// One query on its way through the chains of several files.
pub(super) struct Walk {
    pub hash: u32,
    /// Milliseconds, inclusive.
    pub begin: i64,
    pub end: i64,
    pub max: usize,
    /// Entries the query may still look at, so that a long chain of other times ends too.
    pub steps_left: u32,
    pub found: Vec<i64>,
}

impl Walk {
    pub(super) fn is_done(&self) -> bool {
        self.found.len() >= self.max || self.steps_left == 0
    }

    /// Whether the file may hold entries of the time range.
    pub(super) fn overlaps(&self, header: &Header) -> bool {
        // Entries are known to the second, so the last second of the file is taken whole.
        !header.is_empty()
            && self.begin <= header.end_timestamp.saturating_add(999)
            && self.end >= header.begin_timestamp
    }

    /// The number of the chain's first entry, if the slot's value is one of this file.
    pub(super) fn head(header: &Header, slot_value: u32) -> Option<u32> {
        (1..header.next_entry).contains(&slot_value).then_some(slot_value)
    }

    /// Judges one entry and tells the next of the chain.
    ///
    /// A chain runs from newer to older entries, so a number that does not fall is damage and ends it: no chain
    /// loops, none leaves the file.
    pub(super) fn visit(&mut self, header: &Header, number: u32, entry: &Entry) -> Option<u32> {
        self.steps_left = self.steps_left.saturating_sub(1);
        if entry.seconds < 0 {
            return None;
        }
        let from = header.begin_timestamp.saturating_add(i64::from(entry.seconds).saturating_mul(1000));
        let to = from.saturating_add(999);
        if to < self.begin {
            return None;
        }
        let in_file = (header.begin_physical..=header.end_physical).contains(&entry.physical_offset);
        if entry.hash == self.hash && from <= self.end && in_file && self.found.last() != Some(&entry.physical_offset) {
            self.found.push(entry.physical_offset);
        }
        (1..number).contains(&entry.previous).then_some(entry.previous).filter(|_| !self.is_done())
    }

    /// Follows a chain in a file from entry `next` to its end.
    pub(super) fn follow(
        &mut self,
        file: &File,
        layout: Layout,
        header: &Header,
        mut next: Option<u32>,
    ) -> io::Result<()> {
        while let Some(number) = next {
            next = self.visit(header, number, &Entry::read(file, layout, number)?);
        }
        Ok(())
    }
}
