//! Consume queues during recovery: loaded, checked, cut back, filled from the log again.
//!
//! Owns every queue until the shards get theirs. Knows nothing of files of the log but what [`Log`] shows.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use protocol::message::Record;

use super::scan::{Found, Log};
use super::{DamagedRange, OpenQueues};
use crate::consume_queue::{self, ConsumeQueue, Unit};
use crate::error::OpenError;
use crate::options::StoreOptions;
use crate::store::deleted::{self, Deleted};
use crate::store::queue_table::{is_directory_name, name_hash, queue_hash, unit_of};
use crate::store::rounds::Digest;

/// Units checked against the log over all queues; more would make a start with many queues slow.
const SAMPLES_MAX: usize = 4096;
/// The same after a clean stop of ours, whose queues are those the checkpoint knew.
const SAMPLES_MAX_CLEAN: usize = 512;

struct Recovering {
    units: ConsumeQueue,
    /// To be built again from the log's first byte; says why.
    wrong: Option<String>,
    /// Max offset as the files had it.
    max_at_load: i64,
    /// Being built again: takes the units of the second walk.
    rebuilding: bool,
    /// Max offset before the last record's gap.
    jumped_from: Option<i64>,
    name_hash: u64,
    /// Physical offset of the first message at the load, -1 if all are expired.
    first_physical: i64,
}

/// See the module's head.
pub(super) struct Queues<'a> {
    options: &'a StoreOptions,
    deleted: Deleted,
    topics: HashMap<String, HashMap<u32, Recovering>>,
    /// Everything from the log's first byte on is being dispatched: gaps are real.
    from_log_start: bool,
    /// Records that claim a queue offset their queue cannot have: damage, they get no unit.
    misplaced: Vec<DamagedRange>,
}

impl<'a> Queues<'a> {
    /// Opens every queue there is. Without a log (`log_is_empty`) the queues lead nowhere and go, as in Java.
    pub(super) fn load(options: &'a StoreOptions, log_is_empty: bool, log_min: i64) -> Result<Self, OpenError> {
        let dir = &options.consume_queue_dir;
        let list = consume_queue::list(dir).map_err(|error| OpenError::io("list", dir, error))?;
        let noted = Deleted::load(&options.root, log_min);
        let deleted = noted.map_err(|error| OpenError::io("read", deleted::path(&options.root), error))?;
        let mut queues =
            Self { options, deleted, topics: HashMap::new(), from_log_start: false, misplaced: Vec::new() };
        for (topic, queue_id, path) in list {
            let wrap = |error| OpenError::io("open the consume queue", &path, error);
            if log_is_empty {
                tracing::warn!(path = %path.display(), "a consume queue without a commitlog is removed");
                fs::remove_dir_all(&path).map_err(wrap)?;
                continue;
            }
            let units = ConsumeQueue::open(&path, options.consume_queue_file_bytes()).map_err(wrap)?;
            queues.insert(&topic, queue_id, units);
        }
        Ok(queues)
    }

    fn insert(&mut self, topic: &str, queue_id: u32, mut units: ConsumeQueue) {
        let mut first = Vec::new();
        let first_physical = match units.read(units.min_offset(), 1, &mut first) {
            Ok(_) => first.first().map_or(-1, |unit| unit.physical_offset),
            Err(_) => -1,
        };
        // A descriptor a queue would end the start of a store with tens of thousands of them.
        units.release();
        let mut wrong = units.damage().map(str::to_string);
        if units.max_offset() > 0 && (0..self.deleted.until(topic, queue_id)).contains(&first_physical) {
            wrong = Some("its deletion was cut short".to_string());
        }
        let (max_at_load, name_hash) = (units.max_offset(), name_hash(topic, queue_id));
        let queue =
            Recovering { units, wrong, max_at_load, rebuilding: false, jumped_from: None, name_hash, first_physical };
        self.topics.entry(topic.to_string()).or_default().insert(queue_id, queue);
    }

    fn all_mut(&mut self) -> impl Iterator<Item = (&str, u32, &mut Recovering)> {
        self.topics.iter_mut().flat_map(|(topic, ids)| ids.iter_mut().map(|(id, queue)| (topic.as_str(), *id, queue)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The digest a checkpoint at `bound` would have for these queues.
    pub(super) fn digest(&self, bound: i64) -> Digest {
        let mut digest = Digest::default();
        for queue in self.topics.values().flat_map(HashMap::values).filter(|queue| queue.units.max_offset() > 0) {
            let names = if queue.first_physical < bound { queue.name_hash } else { 0 };
            digest.join(Digest { names, queues: queue_hash(queue.name_hash, queue.units.max_offset()) });
        }
        digest
    }

    /// Checks the queues against the log and drops the units of everything that will be dispatched again.
    pub(super) fn begin(&mut self, log: &Log<'_>, from: i64, clean: bool) -> io::Result<()> {
        self.from_log_start = from <= log.min();
        let count = self.topics.values().map(HashMap::len).sum::<usize>();
        let samples_max = if clean { SAMPLES_MAX_CLEAN } else { SAMPLES_MAX };
        let samples = samples_max.checked_div(count).unwrap_or(0).min(64);
        let from_log_start = self.from_log_start;
        for (topic, queue_id, queue) in self.all_mut() {
            if queue.wrong.is_none() {
                // After a crash also what the files hold behind their end has to go.
                let cut = !clean || queue.units.max_physical_end() > from;
                if let Err(error) = if cut { queue.units.truncate_after(from) } else { Ok(()) } {
                    queue.wrong = Some(format!("it cannot be cut back: {error}"));
                } else if samples > 0 {
                    let mut check = |offset, unit| agrees(log, topic, queue_id, offset, unit);
                    match queue.units.verify_against(&mut check, samples) {
                        Ok(true) => {}
                        Ok(false) => queue.wrong = Some("a unit disagrees with the commitlog".to_string()),
                        Err(error) => queue.wrong = Some(format!("it cannot be read: {error}")),
                    }
                }
                queue.units.release();
            }
            if let (true, Some(wrong)) = (from_log_start, &queue.wrong) {
                tracing::warn!(topic, queue_id, wrong, "a consume queue is built again from the commitlog");
            }
        }
        if from_log_start {
            self.empty_wrong_ones()?;
        }
        Ok(())
    }

    /// Replaces wrong queues by empty ones.
    fn empty_wrong_ones(&mut self) -> io::Result<usize> {
        let file_bytes = self.options.consume_queue_file_bytes();
        let mut count = 0;
        for (_, _, queue) in self.all_mut() {
            if queue.wrong.take().is_some() {
                empty(queue, file_bytes)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Gives a record its unit.
    pub(super) fn dispatch(&mut self, record: &Record<'_>) {
        let (from_log_start, file_bytes) = (self.from_log_start, self.options.consume_queue_file_bytes());
        let Some((queue, unit)) = self.target(record) else { return };
        if queue.wrong.is_some() {
            return;
        }
        let (offset, max) = (record.queue_offset, queue.units.max_offset());
        // Behind a jump that nothing has confirmed it is the jump that was wrong. Else only a topic that was deleted and
        // made again goes back, and it begins at 0; anything else is a record gone bad, and believing it would throw
        // away the units of good ones.
        let goes_back = (1..max).contains(&offset) && queue.jumped_from.is_none_or(|from| offset < from);
        if goes_back || !queue.units.can_reach(offset) {
            let (from, size) = (record.physical_offset, i64::from(record.total_size));
            tracing::error!(
                topic = record.topic,
                queue_id = record.queue_id,
                queue_offset = offset,
                expected = max,
                physical = from,
                "a record claims a queue offset its queue cannot have here; it is damaged and gets no place in the queue"
            );
            self.misplaced.push(DamagedRange { from, to: from.saturating_add(size) });
            return;
        }
        queue.jumped_from = (offset > max).then_some(max);
        if let Err(wrong) = place(queue, record.queue_offset, unit, from_log_start, file_bytes) {
            queue.wrong = Some(wrong);
        }
    }

    /// Records that claimed a queue offset their queue could not have, in the order of the log.
    pub(super) fn take_misplaced(&mut self) -> Vec<DamagedRange> {
        let mut misplaced = std::mem::take(&mut self.misplaced);
        misplaced.sort_unstable_by_key(|range| range.from);
        misplaced.dedup();
        misplaced
    }

    fn find(&mut self, record: &Record<'_>) -> Option<&mut Recovering> {
        self.topics.get_mut(record.topic)?.get_mut(&u32::try_from(record.queue_id).ok()?)
    }

    /// The record's queue, made if need be, and its unit; none for half and rolled back messages and for names no
    /// queue can have.
    fn target(&mut self, record: &Record<'_>) -> Option<(&mut Recovering, Unit)> {
        let (queue_id, unit) = unit_of(record, self.options)?;
        if record.physical_offset < self.deleted.until(record.topic, queue_id) {
            return None;
        }
        if !self.topics.get(record.topic).is_some_and(|ids| ids.contains_key(&queue_id)) {
            if !is_directory_name(record.topic) {
                tracing::warn!(
                    topic = record.topic,
                    physical = record.physical_offset,
                    "a record's topic cannot name a directory; it gets no consume queue"
                );
                return None;
            }
            let dir = consume_queue::queue_dir(&self.options.consume_queue_dir, record.topic, queue_id);
            match ConsumeQueue::open(&dir, self.options.consume_queue_file_bytes()) {
                Ok(units) => self.insert(record.topic, queue_id, units),
                Err(error) => {
                    tracing::error!(dir = %dir.display(), %error, "a consume queue cannot be opened");
                    return None;
                }
            }
        }
        self.find(record).map(|queue| (queue, unit))
    }

    pub(super) fn needs_rebuild(&self) -> bool {
        self.topics.values().flat_map(HashMap::values).any(|queue| queue.wrong.is_some())
    }

    /// Builds the wrong queues again from the log's first byte up to `end`. Answers how many.
    pub(super) fn rebuild(&mut self, log: &Log<'_>, end: i64) -> io::Result<usize> {
        for (topic, queue_id, queue) in self.all_mut() {
            if let Some(wrong) = &queue.wrong {
                tracing::warn!(topic, queue_id, wrong, "a consume queue is built again from the commitlog");
                queue.rebuilding = true;
            }
        }
        let count = self.empty_wrong_ones()?;
        self.from_log_start = true;
        let mut at = log.min();
        while at < end {
            at = match log.at(at) {
                Found::Record(record) => {
                    if self.find(&record).is_some_and(|queue| queue.rebuilding) {
                        self.dispatch(&record);
                    }
                    record.physical_offset.saturating_add(i64::from(record.total_size))
                }
                Found::Blank { next } => next,
                _ => match log.next_valid(at, end) {
                    Some(next) => next,
                    None => break,
                },
            };
        }
        Ok(count)
    }

    /// Cuts units behind the log's end, sets min offsets, writes back, and hands the queues over. One that still is
    /// wrong is handed over empty of what could not be placed, with a word.
    pub(super) fn finish(mut self, end: i64, log_min: i64) -> io::Result<(OpenQueues, u64)> {
        let mut lost = 0u64;
        for (topic, queue_id, queue) in self.all_mut() {
            if let Some(wrong) = &queue.wrong {
                tracing::error!(topic, queue_id, wrong, "a consume queue could not be built again in full");
            }
            if queue.units.max_physical_end() > end {
                queue.units.truncate_after(end)?;
            }
            let (first_lost, known) = (queue.units.max_offset(), queue.max_at_load);
            if first_lost < known && !queue.rebuilding {
                lost = lost.saturating_add((known - first_lost).unsigned_abs());
                tracing::error!(
                    topic,
                    queue_id,
                    first_lost,
                    last_lost = known - 1,
                    "messages that were not on the disk yet are lost; their queue offsets are given out again"
                );
            }
            queue.units.write_back()?;
            queue.units.correct_min(log_min)?;
            queue.units.release();
        }
        let list = self.topics.into_iter().flat_map(|(topic, ids)| {
            ids.into_iter().map(move |(queue_id, queue)| (topic.clone(), queue_id, queue.units))
        });
        Ok((list.collect(), lost))
    }
}

/// Whether a unit points to the record it stands for.
fn agrees(log: &Log<'_>, topic: &str, queue_id: u32, offset: i64, unit: Unit) -> bool {
    if unit.physical_offset < log.min() {
        return true;
    }
    match log.at(unit.physical_offset) {
        Found::Record(record) => {
            record.topic == topic
                && u32::try_from(record.queue_id) == Ok(queue_id)
                && record.queue_offset == offset
                && i64::from(record.total_size) == i64::from(unit.size)
        }
        // Damage in the log is the log's: the queue may well be right about what was there.
        _ => true,
    }
}

/// Destroys a queue's files and leaves an empty queue.
fn empty(queue: &mut Recovering, file_bytes: u64) -> io::Result<()> {
    let dir = queue.units.dir().to_path_buf();
    remove_dir(&dir)?;
    queue.units = ConsumeQueue::open(&dir, file_bytes)?;
    queue.jumped_from = None;
    Ok(())
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts a unit at its queue offset.
fn place(queue: &mut Recovering, offset: i64, unit: Unit, from_log_start: bool, file_bytes: u64) -> Result<(), String> {
    let max = queue.units.max_offset();
    if offset < max {
        // From 0 on again: the topic was deleted and made again in between. Else what was pushed last was wrong.
        let cut = |error: io::Error| format!("it cannot be cut back to {offset}: {error}");
        queue.units.truncate_to(offset).map_err(cut)?;
        if queue.units.max_offset() != offset {
            empty(queue, file_bytes).map_err(cut)?;
        }
    }
    if offset > queue.units.max_offset() {
        if !from_log_start {
            return Err(format!("it ends at {max}, but the log goes on with {offset}"));
        }
        queue.units.fill_gap_to(offset).map_err(|error| error.to_string())?;
    }
    queue.units.push(unit);
    if queue.units.needs_write_back() {
        queue.units.write_back().map_err(|error| error.to_string())?;
    }
    queue.units.release();
    Ok(())
}
