//! Recovery: from the files a run left to a log with a definite end and consume queues that agree with it.
//!
//! A record counts only if its magic, its own physical offset, its sizes and its CRC agree. A torn end is cut durably
//! (zeros over it), so that recovering twice gives what recovering once gave and nothing cut comes back later. Damage
//! with valid records behind it is reported and kept, but for what the end of the machine, or a crash of a slave, tore:
//! that ends the log (`torn`). Consume queues are made to follow the log: what lies behind the start of the scan is
//! dropped and pushed again, a queue that is missing, damaged or disagrees is built again from the log's first byte.
//! Runs once, before any shard; blocks on the disk.

mod cut;
mod layout;
mod queues;
mod scan;
mod start;
mod torn;

pub(crate) use layout::first_segment;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::abort;
use crate::checkpoint::{Checkpoint, Extension, Timestamps, boot_hash};
use crate::commitlog::segment::Segment;
use crate::consume_queue::{ConsumeQueue, sync_path};
use crate::error::OpenError;
use crate::index::{Index, IndexOptions};
use crate::io::drop_cache;
use crate::options::StoreOptions;
use crate::store::core::Recovered;
use crate::store::deleted;
use crate::store::queue_table::name_hash;
use queues::Queues;
use scan::{Found, Log};

/// What recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The abort file was there: the last run did not stop cleanly.
    pub abnormal: bool,
    /// Physical offset where reading began.
    pub from: i64,
    /// End of the log.
    pub to: i64,
    /// Records read.
    pub records: u64,
    /// Bytes cut off behind the end.
    pub cut_bytes: u64,
    /// Whole records cut off with it: they lay behind what the end of the machine had torn.
    pub dropped_records: u64,
    /// Damage with valid records behind it; reported and kept.
    pub damaged: Vec<DamagedRange>,
    /// Messages the consume queues knew and the log no longer has: the suffix ASYNC_FLUSH can lose with the machine.
    pub lost_messages: u64,
    /// Consume queues built again from the log's first byte.
    pub rebuilt_queues: usize,
    /// Consume queues found or made.
    pub queues: usize,
    /// Milliseconds it took.
    pub millis: u64,
}

/// Bytes of the log that are no records although records follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedRange {
    /// First byte.
    pub from: i64,
    /// One past the last.
    pub to: i64,
}

/// Beyond the end of what one process wrote in one boot only writes in flight can lie, so there the search for valid
/// records behind the end goes no farther than this.
const SAME_BOOT_SEARCH_BYTES: i64 = 64 << 20;

/// The walk over the records.
struct Walked {
    end: i64,
    /// The walk ended where nothing was written.
    met_zeros: bool,
    /// The walk ended before valid records, which go.
    dropped: Option<torn::Dropped>,
    store_timestamp: i64,
}

pub(crate) type OpenQueues = Vec<(String, u32, ConsumeQueue)>;

/// Recovers the store; see the module's head.
pub(crate) fn recover(options: &StoreOptions) -> Result<(Recovered, OpenQueues, RecoveryReport), OpenError> {
    let began = Instant::now();
    let at = |action, path: &std::path::Path| {
        let path = path.to_path_buf();
        move |error| OpenError::io(action, path, error)
    };
    let abnormal =
        abort::is_present(&options.abort_path).map_err(at("look for the abort file", &options.abort_path))?;
    let checkpoint =
        Checkpoint::read(&options.checkpoint_path).map_err(at("read the checkpoint", &options.checkpoint_path))?;
    let mut segments = layout::load(options)?;
    if abort::tells_of_failure(&options.abort_path) {
        tracing::warn!(
            "the last run ended by a failed write or flush; the log is read from the disk, not from the page cache"
        );
        for segment in &segments {
            // The sync may fail again; what counts is what can be read back.
            let _ = segment.file().sync_data();
            drop_cache(segment.file());
        }
    }
    let was_empty = segments.is_empty();
    if let (true, Some(extension)) = (was_empty, &checkpoint.extension)
        && extension.dispatched > 0
    {
        // Queues without a log go, so a file system that is not mounted must not pass for a new store.
        return Err(OpenError::LogMissing {
            dir: options.commitlog_dir.clone(),
            checkpoint: options.checkpoint_path.clone(),
            dispatched: extension.dispatched,
        });
    }
    let mut report = RecoveryReport { abnormal, ..RecoveryReport::default() };
    let mut queues = Queues::load(options, was_empty, segments.first().map_or(0, |segment| segment.base()))?;
    if was_empty {
        segments.push(layout::first_segment(options, 0)?);
    }

    segments.iter().for_each(|segment| segment.read_ahead());
    let log = Log::new(&segments, options);
    let start = start::choose(&log, &checkpoint, abnormal, &queues);
    report.from = start.from;
    let mut voided = false;
    if !start.is_own && !was_empty {
        void_checkpoint(options, abnormal, &checkpoint)?;
        voided = true;
    }
    queues.begin(&log, start.from, start.trusts_zeros).map_err(at("read", &options.consume_queue_dir))?;
    let search_bytes = match &checkpoint.extension {
        Some(extension) if extension.boot != 0 && extension.boot == boot_hash() => SAME_BOOT_SEARCH_BYTES,
        _ => i64::MAX,
    };
    let torn_from = torn::torn_from(options, &checkpoint, abnormal);
    let walked = walk(&log, &start, was_empty, search_bytes, torn_from, &mut queues, &mut report)?;
    report.to = walked.end;
    if let Some(dropped) = &walked.dropped {
        report.dropped_records = dropped.records;
        torn::tell(options, walked.end, dropped);
    }
    if queues.needs_rebuild() {
        if !voided {
            void_checkpoint(options, abnormal, &checkpoint)?;
            voided = true;
        }
        report.rebuilt_queues = queues.rebuild(&log, walked.end).map_err(at("rebuild", &options.consume_queue_dir))?;
    }
    report.damaged.extend(queues.take_misplaced());
    report.damaged.sort_unstable_by_key(|range| range.from);
    report.cut_bytes = {
        // Zeros behind a clean end, or in a file just made, need no second look.
        let sure = walked.met_zeros && (start.trusts_zeros || was_empty);
        let reach = if walked.dropped.is_some() { i64::MAX } else { search_bytes };
        cut::cut_behind(options, &mut segments, walked.end, if sure { 0 } else { reach })?
    };
    // What was read from the page cache may not be on the disk yet; from here on it counts as flushed.
    for segment in segments.iter().filter(|segment| segment.end() > start.from && segment.base() <= walked.end) {
        let synced = options.disk.sync_data(segment.file()).inspect_err(|_| abort::leave_failure(&options.abort_path));
        synced.map_err(at("make durable", segment.path()))?;
    }
    // The last run may have ended between giving a file its name and making that durable.
    let dir = &options.commitlog_dir;
    let synced = options.disk.sync_dir(dir).inspect_err(|_| abort::leave_failure(&options.abort_path));
    synced.map_err(at("make durable the directory", dir))?;
    for segment in &segments {
        segment.stop_reading_ahead(u64::try_from(walked.end.saturating_sub(segment.base())).unwrap_or(0));
    }
    let log_min = segments.first().map_or(0, |segment| segment.base());
    let deleted_path = deleted::path(&options.root);
    deleted::limit(&options.root, walked.end).map_err(at("write", &deleted_path))?;
    let (mut queues, lost_messages) =
        queues.finish(walked.end, log_min).map_err(at("write", &options.consume_queue_dir))?;
    let index = open_index(options, abnormal, &checkpoint, walked.end)?;
    // A log with damage is looked at again by the next start, too, until a running store's checkpoint says otherwise.
    if voided && report.damaged.is_empty() {
        settle(options, &mut queues, &walked, checkpoint.timestamps.index)?;
    } else if abnormal || was_empty || voided {
        vouch_for_log(options, &checkpoint, walked.end, voided || was_empty)?;
    }

    report.lost_messages = lost_messages;
    report.queues = queues.len();
    report.millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tell(&report);
    let recovered = Recovered {
        segments,
        end: walked.end,
        store_timestamp: walked.store_timestamp.max(checkpoint.timestamps.physic.min(crate::store::core::now_ms())),
        index,
        damaged: report.damaged.clone(),
    };
    Ok((recovered, queues, report))
}

/// Makes the start that comes after a crash in this one read everything: queues are about to be emptied and filled
/// again, and neither our checkpoint nor Java's times must vouch for them until they are whole. The abort file's own
/// words, if it is there, stay.
fn void_checkpoint(options: &StoreOptions, abnormal: bool, checkpoint: &Checkpoint) -> Result<(), OpenError> {
    if !abnormal {
        abort::write(&options.abort_path)
            .map_err(|error| OpenError::io("write the abort file", &options.abort_path, error))?;
    }
    let timestamps = Timestamps { index: checkpoint.timestamps.index, ..Timestamps::default() };
    // Up to where the log was durable, and in which boot, is as true as before.
    let extension = checkpoint.extension.map(|known| Extension { log_only: true, clean: false, ..known });
    let void = Checkpoint { timestamps, extension };
    void.write(&options.checkpoint_path)
        .map_err(|error| OpenError::io("write the checkpoint", &options.checkpoint_path, error))
}

/// Notes that the log is durable up to `end` as it is now, and that this boot goes on from there: what the end of the
/// machine tears from here on begins at `end`, not at damage found and kept before. Of the queues it says what the
/// checkpoint said, or (`log_only`) nothing.
fn vouch_for_log(options: &StoreOptions, checkpoint: &Checkpoint, end: i64, log_only: bool) -> Result<(), OpenError> {
    let timestamps = match log_only {
        true => Timestamps { index: checkpoint.timestamps.index, ..Timestamps::default() },
        false => checkpoint.timestamps,
    };
    let known = checkpoint.extension.unwrap_or_default();
    let log_only = log_only || known.log_only;
    let shards = options.shards as u64;
    let dispatched = known.dispatched.min(end);
    let extension = Extension { dispatched, clean: false, log_only, boot: boot_hash(), shards, durable: end, ..known };
    (Checkpoint { timestamps, extension: Some(extension) })
        .write(&options.checkpoint_path)
        .map_err(|error| OpenError::io("write the checkpoint", &options.checkpoint_path, error))
}

/// Makes queues that were built again durable and lets a checkpoint vouch for them.
fn settle(options: &StoreOptions, queues: &mut OpenQueues, walked: &Walked, index: i64) -> Result<(), OpenError> {
    let mut paths = BTreeSet::new();
    let mut names = 0u64;
    for (topic, queue_id, units) in queues {
        paths.extend(units.paths_to_sync());
        if units.max_offset() > 0 {
            names = names.wrapping_add(name_hash(topic, *queue_id));
        }
    }
    // An emptied queue's directory may be gone without any file to show for it.
    paths.insert(options.consume_queue_dir.clone());
    for path in &paths {
        let synced = sync_path(path).inspect_err(|_| abort::leave_failure(&options.abort_path));
        synced.map_err(|error| OpenError::io("make durable", path, error))?;
    }
    let timestamps = Timestamps { physic: walked.store_timestamp, logics: walked.store_timestamp, index };
    let extension = Extension {
        dispatched: walked.end,
        clean: false,
        log_only: false,
        names,
        queues: 0,
        boot: boot_hash(),
        shards: options.shards as u64,
        durable: walked.end,
    };
    (Checkpoint { timestamps, extension: Some(extension) })
        .write(&options.checkpoint_path)
        .map_err(|error| OpenError::io("write the checkpoint", &options.checkpoint_path, error))
}

fn open_index(
    options: &StoreOptions,
    abnormal: bool,
    checkpoint: &Checkpoint,
    end: i64,
) -> Result<Arc<Index>, OpenError> {
    let config = options.index;
    let index_options = IndexOptions {
        enabled: config.enable,
        slots: config.slots,
        entries: config.entries,
        ..IndexOptions::default()
    };
    let index = Index::open(&options.index_dir, index_options, !abnormal, checkpoint.timestamps.index)
        .and_then(|index| index.truncate_after(end).map(|()| index))
        .map_err(|error| OpenError::io("open the index in", &options.index_dir, error))?;
    Ok(Arc::new(index))
}

/// Reads the log from the start on and dispatches every record.
fn walk(
    log: &Log<'_>,
    start: &start::Start,
    is_new: bool,
    search_bytes: i64,
    torn_from: i64,
    queues: &mut Queues,
    report: &mut RecoveryReport,
) -> Result<Walked, OpenError> {
    let mut at = start.from;
    let mut walked = Walked { end: at, met_zeros: false, dropped: None, store_timestamp: 0 };
    loop {
        match log.at(at) {
            Found::Record(record) => {
                queues.dispatch(&record);
                at = record.physical_offset.saturating_add(i64::from(record.total_size));
                walked.end = at;
                walked.store_timestamp = walked.store_timestamp.max(record.store_timestamp);
                report.records += 1;
            }
            Found::Blank { next } => {
                at = next;
                walked.end = next;
            }
            Found::SecondVersion { path, position } => return Err(OpenError::SecondVersion { path, position }),
            found @ (Found::Nothing | Found::Bad | Found::End) => {
                walked.met_zeros = matches!(found, Found::Nothing);
                if walked.met_zeros && (start.trusts_zeros || is_new) {
                    return Ok(walked);
                }
                let limit = at.saturating_add(search_bytes);
                let Some(next) = torn::goes_on(log, at, limit, torn_from) else { return Ok(walked) };
                if at >= torn_from {
                    walked.dropped = Some(torn::count(log, next));
                    return Ok(walked);
                }
                report.damaged.push(DamagedRange { from: at, to: next });
                at = next;
                walked.end = at;
            }
        }
    }
}

fn tell(report: &RecoveryReport) {
    let RecoveryReport {
        abnormal,
        from,
        to,
        records,
        cut_bytes,
        dropped_records,
        damaged,
        lost_messages,
        rebuilt_queues,
        queues,
        millis,
    } = report;
    tracing::info!(
        abnormal,
        from,
        to,
        records,
        cut_bytes,
        dropped_records,
        damaged_ranges = damaged.len(),
        lost_messages,
        rebuilt_queues,
        queues,
        millis,
        "commitlog recovered"
    );
    for DamagedRange { from, to } in damaged {
        tracing::error!(
            from,
            to,
            bytes = to - from,
            "the commitlog holds no sound record here although records follow; the range is kept, its messages are lost unless a replica has them"
        );
    }
}

/// Files of the list in order.
type Files = [Arc<Segment>];
