//! The list of commitlog files: which one holds a physical offset, what is the first and the last byte there is room
//! for.
//!
//! Grows at the end (roll), shrinks at the front (retention). Any thread; a shard reads through its own
//! [`SegmentsView`], which takes the lock only when the list has changed.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::segment::Segment;

type List = Arc<Vec<Arc<Segment>>>;

/// Every file of the commitlog, in order and without gaps.
pub struct Segments {
    list: RwLock<List>,
    version: AtomicU64,
    log_min: AtomicI64,
    room_end: AtomicI64,
    size: i64,
}

fn find(list: &[Arc<Segment>], physical: i64, size: i64) -> Option<&Arc<Segment>> {
    let first = list.first()?.base();
    let index = usize::try_from(physical.checked_sub(first)?.checked_div_euclid(size)?).ok()?;
    list.get(index)
}

impl Segments {
    /// From files in order; `size` is the bytes of each.
    pub fn new(list: Vec<Arc<Segment>>, size: u64) -> Self {
        let log_min = list.first().map_or(0, |segment| segment.base());
        let room_end = list.last().map_or(log_min, |segment| segment.end());
        Self {
            list: RwLock::new(Arc::new(list)),
            version: AtomicU64::new(1),
            log_min: AtomicI64::new(log_min),
            room_end: AtomicI64::new(room_end),
            size: i64::try_from(size).unwrap_or(i64::MAX),
        }
    }

    /// Bytes of each file.
    pub fn size(&self) -> i64 {
        self.size
    }

    /// The list as it is now.
    pub fn snapshot(&self) -> List {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file that holds a physical offset.
    pub fn find(&self, physical: i64) -> Option<Arc<Segment>> {
        find(&self.list.read().unwrap_or_else(PoisonError::into_inner), physical, self.size).cloned()
    }

    /// First physical offset that is kept.
    pub fn log_min(&self) -> i64 {
        self.log_min.load(Ordering::Acquire)
    }

    /// One past the last physical offset there is a file for.
    pub fn room_end(&self) -> i64 {
        self.room_end.load(Ordering::Acquire)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>) -> T) -> T {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Vec::clone(&list);
        let result = change(&mut next);
        if let Some(first) = next.first() {
            self.log_min.store(first.base(), Ordering::Release);
        }
        if let Some(last) = next.last() {
            self.room_end.store(last.end(), Ordering::Release);
        }
        *list = Arc::new(next);
        self.version.fetch_add(1, Ordering::Release);
        result
    }

    /// Appends the next file.
    ///
    /// # Panics
    /// When it does not continue the list: a bug of the roll.
    pub fn push(&self, segment: Arc<Segment>) {
        self.change(|list| {
            if let Some(last) = list.last() {
                assert_eq!(last.end(), segment.base(), "segments follow one another");
            }
            list.push(segment);
        });
    }

    /// Takes out the files that begin at or behind `gone_from`, puts `shortened` in the place of the file with the same
    /// beginning, and `first` in if nothing is left.
    pub(crate) fn replace_from(&self, gone_from: i64, shortened: Option<Arc<Segment>>, first: Option<Arc<Segment>>) {
        self.change(|list| {
            list.retain(|segment| segment.base() < gone_from);
            if let Some(shortened) = shortened
                && let Some(place) = list.iter_mut().find(|segment| segment.base() == shortened.base())
            {
                *place = shortened;
            }
            if list.is_empty() {
                list.extend(first);
            }
        });
    }

    /// Takes the first file out if it ends at or before `end` and is not the last.
    pub fn take_first(&self, end: i64) -> Option<Arc<Segment>> {
        self.change(|list| match list.first() {
            Some(first) if list.len() > 1 && first.end() <= end => Some(list.remove(0)),
            _ => None,
        })
    }
}

/// A shard's view of the list.
pub struct SegmentsView {
    version: u64,
    list: List,
    size: i64,
}

impl SegmentsView {
    /// An empty view; the first look fills it.
    pub fn new(segments: &Segments) -> Self {
        Self { version: 0, list: Arc::new(Vec::new()), size: segments.size() }
    }

    /// Takes the newest list. Call now and then, so that deleted files are let go.
    pub fn refresh(&mut self, segments: &Segments) {
        let version = segments.version.load(Ordering::Acquire);
        if version != self.version {
            self.list = segments.snapshot();
            self.version = version;
        }
    }

    /// The file that holds a physical offset.
    pub fn find(&mut self, segments: &Segments, physical: i64) -> Option<&Arc<Segment>> {
        self.refresh(segments);
        find(&self.list, physical, self.size)
    }
}
