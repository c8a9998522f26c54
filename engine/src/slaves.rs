//! What slaves have: an offset for each link, and what follows from all of them.
//!
//! [`Links`] is pure; [`Slaves`] puts it behind a lock that only link threads take, and publishes what a send looks at
//! as atomics. A link counts by offsets above its own start and up to the master's end, for as long as it lives. Must
//! not know sockets, nor what a promise is. Any thread.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::core::Core;

/// Most links a store keeps offsets of.
const LINKS_MAX: usize = 1024;
/// No link lives.
const NONE: i64 = i64::MIN;

/// Why a link or its report does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportRefused {
    /// The slave claims an offset outside what it can have.
    Outside { id: u64, reported: i64, start: i64, end: i64 },
    /// No link of this number is up.
    NoSuchLink { id: u64 },
    /// A link of this number is up already.
    LinkKnown { id: u64 },
    /// So many links are up that no more are counted.
    TooManyLinks { max: usize },
}

impl fmt::Display for ReportRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside { id, reported, start, end } => write!(
                f,
                "link {id} reports offset {reported}, but a slave that began at {start} can only have offsets up to the log's end {end}; the slave's log is not a copy of this one, or the report is forged: it does not count, compare both stores"
            ),
            Self::NoSuchLink { id } => write!(f, "link {id} is not up; its report does not count"),
            Self::LinkKnown { id } => write!(f, "link {id} is up already; each connection needs a number of its own"),
            Self::TooManyLinks { max } => write!(f, "{max} links are up already; no more are counted"),
        }
    }
}

impl std::error::Error for ReportRefused {}

#[derive(Debug)]
struct Link {
    id: u64,
    start: i64,
    /// The last report; equal to `start` until there was one above it.
    safe: i64,
}

/// The pure part.
#[derive(Debug, Default)]
pub struct Links {
    links: Vec<Link>,
}

impl Links {
    /// A slave begins to receive at `start`, which it claims to have everything before; the log ends at `end`.
    pub fn up(&mut self, id: u64, start: i64, end: i64) -> Result<(), ReportRefused> {
        if !(0..=end).contains(&start) {
            return Err(ReportRefused::Outside { id, reported: start, start: 0, end });
        }
        if self.links.iter().any(|link| link.id == id) {
            return Err(ReportRefused::LinkKnown { id });
        }
        if self.links.len() >= LINKS_MAX {
            return Err(ReportRefused::TooManyLinks { max: LINKS_MAX });
        }
        self.links.push(Link { id, start, safe: start });
        Ok(())
    }

    /// A slave reports `safe`; the log ends at `end`. A refused report changes nothing.
    pub fn report(&mut self, id: u64, safe: i64, end: i64) -> Result<(), ReportRefused> {
        let link = self.links.iter_mut().find(|link| link.id == id).ok_or(ReportRefused::NoSuchLink { id })?;
        if !(link.start..=end).contains(&safe) {
            return Err(ReportRefused::Outside { id, reported: safe, start: link.start, end });
        }
        link.safe = safe;
        Ok(())
    }

    /// The link is gone, and what it had does not count any more.
    pub fn down(&mut self, id: u64) {
        self.links.retain(|link| link.id != id);
    }

    /// The highest offset a living link has proved to have; `None` without any.
    pub fn replicated(&self) -> Option<i64> {
        self.links.iter().filter(|link| link.safe > link.start).map(|link| link.safe).max()
    }

    /// How far the link that is farthest is, proved or not: what lag is measured from.
    pub fn farthest(&self) -> Option<i64> {
        self.links.iter().map(|link| link.safe).max()
    }

    /// Living links.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether no link lives.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }
}

/// The shared part.
pub(crate) struct Slaves {
    links: Mutex<Links>,
    /// [`Links::replicated`], or [`NONE`].
    replicated: AtomicI64,
    /// [`Links::farthest`], or [`NONE`].
    farthest: AtomicI64,
    /// The highest offset ever proved. It does not go back with the link that proved it: whatever ends at or below it
    /// was in the log then, so a slave has it.
    acknowledged: AtomicI64,
    /// What `gone_since` counts from.
    birth: Instant,
    /// When the last living link went, in microseconds after `birth`, at least 1; 0 while one lives.
    gone_since_us: AtomicU64,
}

impl Default for Slaves {
    fn default() -> Self {
        let none = || AtomicI64::new(NONE);
        Self {
            links: Mutex::default(),
            replicated: none(),
            farthest: none(),
            acknowledged: none(),
            birth: Instant::now(),
            gone_since_us: AtomicU64::new(1),
        }
    }
}

impl Slaves {
    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the table and publishes what follows. `true` if an offset was proved that none had before.
    fn change<T>(&self, change: impl FnOnce(&mut Links) -> T) -> (T, bool) {
        let mut links = self.links();
        let had_any = !links.is_empty();
        let result = change(&mut links);
        match (had_any, links.is_empty()) {
            (_, false) => self.gone_since_us.store(0, Ordering::SeqCst),
            (true, true) => {
                let us = u64::try_from(self.birth.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.gone_since_us.store(us.max(1), Ordering::SeqCst);
            }
            (false, true) => {}
        }
        let replicated = links.replicated().unwrap_or(NONE);
        self.farthest.store(links.farthest().unwrap_or(NONE), Ordering::SeqCst);
        self.replicated.store(replicated, Ordering::SeqCst);
        let before = self.acknowledged.fetch_max(replicated, Ordering::SeqCst);
        (result, before < replicated)
    }

    /// Up to where a slave has acknowledged the log.
    pub(crate) fn acknowledged(&self) -> i64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Whether at `time` no link has lived for `grace` or longer.
    pub(crate) fn are_gone_since(&self, time: Instant, grace: Duration) -> bool {
        let since = self.gone_since_us.load(Ordering::SeqCst);
        since != 0 && time.saturating_duration_since(self.birth).saturating_sub(Duration::from_micros(since)) >= grace
    }

    /// Whether a message that ends at `end` may wait for a slave: one lives and is less than `fall_behind_max` behind.
    pub(crate) fn is_usable(&self, end: i64, fall_behind_max: u64) -> bool {
        let farthest = self.farthest.load(Ordering::SeqCst);
        farthest != NONE && u64::try_from(end.saturating_sub(farthest)).unwrap_or(0) < fall_behind_max
    }
}

/// Where the threads of links tell what their slaves have; from [`crate::Shared::slaves`].
#[derive(Clone, Copy)]
pub struct SlaveProgress<'a> {
    core: &'a Core,
}

impl<'a> SlaveProgress<'a> {
    pub(crate) fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// A slave's first report was taken, and it will be sent the log from `start` on (bytes). `start` itself proves
    /// nothing, it is what lag is measured from. `id` is any number no other living link has.
    pub fn link_up(self, id: u64, start: i64) -> Result<(), ReportRefused> {
        let end = self.core.tail.watermark();
        self.core.slaves.change(|links| links.up(id, start, end)).0
    }

    /// A slave says that everything before `safe` (bytes) is safe there. Refused outside `[start, written end]`: close
    /// the link, and say so. Wakes the shards whose messages that decides.
    pub fn report(self, id: u64, safe: i64) -> Result<(), ReportRefused> {
        let end = self.core.tail.watermark();
        let (result, moved) = self.core.slaves.change(|links| links.report(id, safe, end));
        if moved {
            self.core.progress.replicated_moved();
        }
        result
    }

    /// The link is gone. Messages that wait for a slave go on waiting: another has them, too, or it comes back. When it
    /// was the last one they wait for half a second at most.
    pub fn link_down(self, id: u64) {
        self.core.slaves.change(|links| links.down(id)).0
    }

    /// The highest offset a living link has proved to have, bytes; `None` without any.
    pub fn replicated(self) -> Option<i64> {
        Some(self.core.slaves.replicated.load(Ordering::SeqCst)).filter(|offset| *offset != NONE)
    }

    /// Living links.
    pub fn links(self) -> usize {
        self.core.slaves.links().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_link_counts_above_its_start_and_up_to_the_logs_end() {
        let mut links = Links::default();
        assert_eq!((links.replicated(), links.farthest(), links.is_empty()), (None, None, true));
        links.up(1, 100, 200).expect("within");
        assert_eq!((links.replicated(), links.farthest()), (None, Some(100)), "a start proves nothing");
        links.report(1, 100, 200).expect("still there");
        assert_eq!(links.replicated(), None);
        links.report(1, 200, 200).expect("all of it");
        assert_eq!(links.replicated(), Some(200));
        let outside = |reported, end| Err(ReportRefused::Outside { id: 1, reported, start: 100, end });
        for (safe, end) in [(201, 200), (99, 200), (-1, 200), (i64::MAX, 200), (i64::MIN, 200)] {
            assert_eq!(links.report(1, safe, end), outside(safe, end));
            assert_eq!(links.replicated(), Some(200), "a forged report changes nothing");
        }
        links.report(1, 150, 300).expect("it may know less");
        assert_eq!(links.replicated(), Some(150), "an offset is a link's, not the highest ever");
    }

    #[test]
    fn what_a_dead_link_had_does_not_count() {
        let mut links = Links::default();
        links.up(1, 0, 500).expect("up");
        links.up(2, 400, 500).expect("up");
        links.report(1, 300, 500).expect("good");
        links.report(2, 450, 500).expect("good");
        assert_eq!((links.replicated(), links.len()), (Some(450), 2));
        links.down(2);
        assert_eq!((links.replicated(), links.farthest()), (Some(300), Some(300)));
        assert_eq!(links.report(2, 460, 500), Err(ReportRefused::NoSuchLink { id: 2 }));
        links.down(1);
        assert_eq!(links.farthest(), None);
    }

    #[test]
    fn links_are_refused_with_a_reason() {
        let mut links = Links::default();
        assert_eq!(links.up(1, 6, 5), Err(ReportRefused::Outside { id: 1, reported: 6, start: 0, end: 5 }));
        assert_eq!(links.up(1, -1, 5), Err(ReportRefused::Outside { id: 1, reported: -1, start: 0, end: 5 }));
        links.up(1, 5, 5).expect("up");
        assert_eq!(links.up(1, 5, 5), Err(ReportRefused::LinkKnown { id: 1 }));
        for id in 2..=LINKS_MAX as u64 {
            links.up(id, 0, 5).expect("up");
        }
        assert_eq!(links.up(9999, 0, 5), Err(ReportRefused::TooManyLinks { max: LINKS_MAX }));
    }

    #[test]
    fn a_slave_is_usable_while_it_lives_and_is_near() {
        let slaves = Slaves::default();
        assert!(!slaves.is_usable(0, u64::MAX), "there is none");
        slaves.change(|links| links.up(1, 100, 500)).0.expect("up");
        let check = |end: i64, max: u64, want: bool| assert_eq!(slaves.is_usable(end, max), want, "{end} {max}");
        check(199, 100, true);
        check(200, 100, false);
        check(50, 1, true);
        check(i64::MAX, 1 << 28, false);
        slaves.change(|links| links.down(1));
        check(100, 100, false);
    }

    #[test]
    fn the_time_without_links_begins_with_the_last_one_that_goes() {
        let slaves = Slaves::default();
        let grace = Duration::from_secs(3600);
        let check = |want: bool, why: &str| {
            let now = Instant::now();
            assert!(!slaves.are_gone_since(now, grace), "{why}: too soon");
            assert_eq!(slaves.are_gone_since(now + grace + Duration::from_millis(1), grace), want, "{why}");
            assert!(!slaves.are_gone_since(slaves.birth, grace), "{why}: a time before it");
        };
        check(true, "none yet");
        let up = |id| slaves.change(|links| links.up(id, 0, 500)).0.expect("up");
        let down = |id| slaves.change(|links| links.down(id)).0;
        up(1);
        check(false, "one lives");
        up(2);
        down(1);
        check(false, "the other lives");
        down(2);
        check(true, "none left");
        let since = slaves.gone_since_us.load(Ordering::SeqCst);
        down(2);
        assert_eq!(slaves.gone_since_us.load(Ordering::SeqCst), since, "it was gone already");
        up(3);
        check(false, "one is back");
    }

    #[test]
    fn what_a_slave_acknowledged_stays_so_when_it_goes() {
        let slaves = Slaves::default();
        slaves.change(|links| links.up(1, 0, 500)).0.expect("up");
        assert!(slaves.change(|links| links.report(1, 400, 500)).1, "news");
        assert!(!slaves.change(|links| links.report(1, 300, 500)).1, "none");
        slaves.change(|links| links.down(1));
        assert_eq!((slaves.acknowledged(), slaves.replicated.load(Ordering::SeqCst)), (400, NONE));
    }

    proptest! {
        /// Against the plain meaning: a map of links, each with its start and last good report.
        #[test]
        fn offsets_are_those_of_living_links(
            steps in prop::collection::vec((0u64..4, 0u8..3, -10i64..120), 1..80),
        ) {
            let mut links = Links::default();
            let mut model = std::collections::BTreeMap::new();
            let end = 100;
            for (id, what, offset) in steps {
                match what {
                    0 => {
                        let good = (0..=end).contains(&offset) && !model.contains_key(&id);
                        prop_assert_eq!(links.up(id, offset, end).is_ok(), good);
                        if good {
                            model.insert(id, (offset, offset));
                        }
                    }
                    1 => {
                        let link = model.get_mut(&id).filter(|(start, _)| (*start..=end).contains(&offset));
                        prop_assert_eq!(links.report(id, offset, end).is_ok(), link.is_some());
                        if let Some((_, safe)) = link {
                            *safe = offset;
                        }
                    }
                    _ => {
                        links.down(id);
                        model.remove(&id);
                    }
                }
                let proved = model.values().filter(|(start, safe)| safe > start).map(|(_, safe)| *safe).max();
                prop_assert_eq!(links.replicated(), proved);
                prop_assert_eq!(links.farthest(), model.values().map(|(_, safe)| *safe).max());
            }
        }
    }
}
