//! The index file that still grows.
//!
//! Owns the file's newest entries and the slots in use, in memory until they are written: slots are hit at random,
//! so each is written once a flush instead of once a key, and a full disk is an error here, not a signal from a
//! mapping. Must not choose files. One writer (the follower, or whoever holds the index's writer lock); queries
//! read it under the state lock.
//!
//! On disk the header comes last and only after the rest is synced, so it never counts entries that a power cut can
//! take. Slots may be newer than the header after a crash; [`Active::rebuild_slots`] mends that.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{ENTRY_SIZE, Entry, Header, Layout, SLOT_SIZE, Walk, read_slot};
use super::key::Key;
use crate::tables::{failed, sync_dir};

/// Slots a page of memory holds: 4 KiB.
const PAGE_SLOTS: usize = 1024;
/// Entries kept back for one write.
const PENDING_MAX: usize = 3200 * ENTRY_SIZE;
/// Pages written at once when they lie side by side.
const RUN_PAGES: usize = 64;

type Page = Box<[u32; PAGE_SLOTS]>;

pub(super) struct Active {
    path: PathBuf,
    file: Arc<File>,
    layout: Layout,
    header: Header,
    /// Slots by page, loaded when first touched.
    pages: Vec<Option<Page>>,
    dirty: Vec<bool>,
    /// The newest entries as they stand on disk; the first is number `pending_from`.
    pending: Vec<u8>,
    pending_from: u32,
    /// Whether bytes were written since the last sync, or the header is behind.
    unsynced: bool,
}

impl Active {
    /// Makes a new file that continues where `previous` ended: its times and offsets start at those ends (Java).
    pub(super) fn create(path: PathBuf, layout: Layout, previous: Option<&Header>) -> io::Result<Active> {
        let at = previous.map_or((0, 0), |header| (header.end_timestamp, header.end_physical));
        let header = Header {
            begin_timestamp: at.0,
            end_timestamp: at.0,
            begin_physical: at.1,
            end_physical: at.1,
            slots_used: 0,
            next_entry: 1,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|e| failed(&path, "create it", e))?;
        let made = file
            .set_len(layout.file_size())
            .and_then(|()| file.write_all_at(&header.encode(), 0))
            .map_err(|e| failed(&path, "give it its size and header", e))
            .and_then(|()| path.parent().map_or(Ok(()), sync_dir));
        if let Err(e) = made {
            // A retry comes soon; without this each would leave another file.
            let _ = fs::remove_file(&path);
            return Err(e);
        }
        Ok(Active::over(path, file, layout, header))
    }

    /// Goes on with a file that is not full.
    pub(super) fn reopen(path: PathBuf, layout: Layout, header: Header) -> io::Result<Active> {
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(|e| failed(&path, "open it", e))?;
        Ok(Active::over(path, file, layout, header))
    }

    fn over(path: PathBuf, file: File, layout: Layout, header: Header) -> Active {
        let pages = (layout.slots as usize).div_ceil(PAGE_SLOTS);
        Active {
            path,
            file: Arc::new(file),
            layout,
            header,
            pages: (0..pages).map(|_| None).collect(),
            dirty: vec![false; pages],
            pending: Vec::new(),
            pending_from: header.next_entry,
            unsynced: false,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Entries that still fit.
    pub(super) fn room(&self) -> usize {
        self.layout.entries.saturating_sub(self.header.next_entry) as usize
    }

    /// Adds one entry; the caller made sure of [`Active::room`]. On an error nothing changed.
    pub(super) fn put(&mut self, key: &Key) -> io::Result<()> {
        if self.room() == 0 {
            return Err(io::Error::other(format!("{}: the index file is full", self.path.display())));
        }
        if self.pending.len() >= PENDING_MAX {
            self.write_entries()?;
        }
        let number = self.header.next_entry;
        let slot = self.layout.slot_of(key.hash);
        let (page, place) = (slot as usize / PAGE_SLOTS, slot as usize % PAGE_SLOTS);
        self.load(page)?;
        let Some(value) = self.pages.get_mut(page).and_then(Option::as_mut).and_then(|page| page.get_mut(place)) else {
            return Err(io::Error::other("slot outside the table"));
        };
        // Java treats a slot that names no entry of the file as empty; so does every reader here.
        let previous = if (1..number).contains(value) { *value } else { 0 };
        *value = number;
        if let Some(dirty) = self.dirty.get_mut(page) {
            *dirty = true;
        }
        let header = &mut self.header;
        if header.is_empty() {
            header.begin_timestamp = key.store_timestamp;
            header.begin_physical = key.physical_offset;
        }
        let seconds = header.seconds_to(key.store_timestamp);
        let entry = Entry { hash: key.hash, physical_offset: key.physical_offset, seconds, previous };
        self.pending.extend_from_slice(&entry.encode());
        header.slots_used += u32::from(previous == 0);
        header.next_entry += 1;
        header.end_physical = key.physical_offset;
        header.end_timestamp = key.store_timestamp;
        self.unsynced = true;
        Ok(())
    }

    fn load(&mut self, page: usize) -> io::Result<()> {
        if let Some(entry @ None) = self.pages.get_mut(page) {
            let mut slots: Page = Box::new([0; PAGE_SLOTS]);
            let mut bytes = [0; PAGE_SLOTS * SLOT_SIZE as usize];
            let (position, size) = page_place(self.layout, page);
            let (bytes, _) = bytes.split_at_mut(size);
            self.file
                .read_exact_at(bytes, position)
                .map_err(|e| failed(&self.path, &format!("read slots at {position}"), e))?;
            for (slot, bytes) in slots.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *slot = u32::from_be_bytes(*bytes);
            }
            *entry = Some(slots);
        }
        Ok(())
    }

    /// The part of a query that memory answers; the number of the entry in the file to go on with.
    pub(super) fn walk(&self, walk: &mut Walk) -> io::Result<Option<u32>> {
        let slot = self.layout.slot_of(walk.hash);
        let in_memory = self
            .pages
            .get(slot as usize / PAGE_SLOTS)
            .and_then(Option::as_ref)
            .and_then(|page| page.get(slot as usize % PAGE_SLOTS));
        let value = match in_memory {
            Some(value) => *value,
            None => read_slot(&self.file, self.layout, slot).map_err(|e| failed(&self.path, "read a slot", e))?,
        };
        let mut next = Walk::head(&self.header, value);
        while let Some(number) = next
            && let Some(back) = number.checked_sub(self.pending_from)
        {
            let entry = self.pending.as_chunks::<ENTRY_SIZE>().0.get(back as usize);
            next = entry.and_then(|bytes| walk.visit(&self.header, number, &Entry::decode(bytes)));
        }
        Ok(next)
    }

    /// Writes the entries kept back.
    pub(super) fn write_entries(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let position = self.layout.entry_position(self.pending_from);
        self.file
            .write_all_at(&self.pending, position)
            .map_err(|e| failed(&self.path, &format!("write {} bytes at {position}", self.pending.len()), e))?;
        self.pending.clear();
        self.pending_from = self.header.next_entry;
        Ok(())
    }

    /// Copies the next run of changed slots into `out` and returns its position and page range; `None` when all
    /// are written. The caller writes them without the state lock and calls [`Active::slots_written`].
    pub(super) fn next_dirty_run(&self, out: &mut Vec<u8>) -> Option<(u64, std::ops::Range<usize>)> {
        let first = self.dirty.iter().position(|dirty| *dirty)?;
        let run = self.dirty.iter().skip(first).take(RUN_PAGES).take_while(|dirty| **dirty).count();
        let range = first..first + run;
        out.clear();
        for page in range.clone() {
            let size = page_place(self.layout, page).1;
            let slots = self.pages.get(page).and_then(Option::as_ref)?;
            out.extend(slots.iter().take(size / SLOT_SIZE as usize).flat_map(|slot| slot.to_be_bytes()));
        }
        Some((page_place(self.layout, first).0, range))
    }

    pub(super) fn slots_written(&mut self, range: std::ops::Range<usize>) {
        if let Some(pages) = self.dirty.get_mut(range) {
            pages.fill(false);
        }
    }

    pub(super) fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    pub(super) fn synced(&mut self) {
        self.unsynced = false;
    }

    /// Gives back the memory of slots that are on disk.
    pub(super) fn release(&mut self) {
        for (page, _) in self.pages.iter_mut().zip(&self.dirty).filter(|(_, dirty)| !**dirty) {
            *page = None;
        }
        self.pending.shrink_to_fit();
    }

    /// Makes all slots again from the entries the header counts, after a crash. False: an entry is damaged.
    pub(super) fn rebuild_slots(&mut self) -> io::Result<bool> {
        const CHUNK: u32 = 8192;
        for (page, dirty) in self.pages.iter_mut().zip(&mut self.dirty) {
            *page = Some(Box::new([0; PAGE_SLOTS]));
            *dirty = true;
        }
        self.unsynced = true;
        self.header.slots_used = 0;
        let mut bytes = vec![0; CHUNK as usize * ENTRY_SIZE];
        let mut number = 1;
        while number < self.header.next_entry {
            let count = (self.header.next_entry - number).min(CHUNK);
            let (bytes, _) = bytes.split_at_mut(count as usize * ENTRY_SIZE);
            let position = self.layout.entry_position(number);
            self.file.read_exact_at(bytes, position).map_err(|e| failed(&self.path, "read its entries", e))?;
            for bytes in bytes.as_chunks::<ENTRY_SIZE>().0 {
                let entry = Entry::decode(bytes);
                let slot = self.layout.slot_of(entry.hash) as usize;
                let page = self.pages.get_mut(slot / PAGE_SLOTS).and_then(Option::as_mut);
                let Some(value) = page.and_then(|page| page.get_mut(slot % PAGE_SLOTS)) else { return Ok(false) };
                let sound = entry.previous == *value
                    && (self.header.begin_physical..=self.header.end_physical).contains(&entry.physical_offset);
                if !sound {
                    return Ok(false);
                }
                self.header.slots_used += u32::from(*value == 0);
                *value = number;
                number += 1;
            }
        }
        Ok(true)
    }
}

/// Where a page of slots lies in the file and how many bytes it has; the last one may be short.
fn page_place(layout: Layout, page: usize) -> (u64, usize) {
    let first = page * PAGE_SLOTS;
    let slots = (layout.slots as usize).saturating_sub(first).min(PAGE_SLOTS);
    (layout.slot_position(0) + first as u64 * SLOT_SIZE, slots * SLOT_SIZE as usize)
}
