//! Opening a store: checks, lock, recovery, and the pieces for the shards. Runs once, on the thread that starts the
//! broker; blocks on the disk.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::core::Core;
use super::{ShardStore, Shared};
use crate::abort;
use crate::consume_queue::ConsumeQueue;
use crate::error::OpenError;
use crate::lock::StoreLock;
use crate::options::{FlushWay, Replication, StoreOptions, StoreRole};
use crate::recover::{self, RecoveryReport};

/// An opened store. It is used after [`Opened::mark_running`].
pub struct Opened {
    /// For any thread.
    pub shared: Arc<Shared>,
    /// One for each shard, in order; send each to its thread.
    pub shards: Vec<ShardSeed>,
    /// What recovery did.
    pub report: RecoveryReport,
}

impl Opened {
    /// Writes the abort file: from now on only a clean stop removes it. Call when the start has succeeded otherwise,
    /// before the first put.
    pub fn mark_running(&self) -> Result<(), OpenError> {
        let path = &self.shared.options().abort_path;
        abort::write(path).map_err(|error| OpenError::io("write the abort file", path, error))
    }
}

/// A shard's part of a store on its way to the shard's thread.
pub struct ShardSeed {
    shard: usize,
    shared: Arc<Shared>,
    queues: Vec<(String, u32, ConsumeQueue)>,
}

impl ShardSeed {
    /// Number of the shard.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// On the shard's own thread. `A` is what the caller wants back with each outcome.
    pub fn into_store<A>(self) -> ShardStore<A> {
        ShardStore::new(self.shard, self.shared, self.queues)
    }
}

/// The shard that owns a queue: the same at every start with the same number of shards; consecutive queues of a topic
/// lie on consecutive shards.
pub fn owner(topic: &str, queue_id: u32, shards: usize) -> usize {
    if shards <= 1 {
        return 0;
    }
    let hash = protocol::message::java_hash(topic).cast_unsigned();
    hash.wrapping_add(queue_id) as usize % shards
}

/// Makes a directory and those above it that are missing, durably: what is acknowledged in it must not go with its name.
fn make_dir(path: &Path) -> Result<(), OpenError> {
    let missing: Vec<_> = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).collect();
    fs::create_dir_all(path).map_err(|error| OpenError::io("make the directory", path, error))?;
    for dir in missing.iter().rev() {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let synced = fs::File::open(parent).and_then(|parent| parent.sync_all());
        synced.map_err(|error| OpenError::io("make durable the directory", dir, error))?;
    }
    Ok(())
}

/// Opens a store: takes the lock, loads what is there, recovers it (after a crash: from the last checkpoint on) and
/// starts the store's threads. A missing store is made.
pub fn open(mut options: StoreOptions) -> Result<Opened, OpenError> {
    if options.role == StoreRole::Slave {
        // Shards write nothing there, and whoever cuts the log can hold off a thread only.
        options.flush_way = FlushWay::Thread;
        options.replication = Replication::Async;
    }
    options.check()?;
    for dir in [&options.root, &options.commitlog_dir, &options.consume_queue_dir, &options.index_dir] {
        make_dir(dir)?;
    }
    for file in [&options.checkpoint_path, &options.abort_path] {
        if let Some(parent) = file.parent() {
            make_dir(parent)?;
        }
    }
    let lock = StoreLock::take(&options.root)?;
    let (recovered, queues, report) = recover::recover(&options)?;
    let mut parts: Vec<Vec<_>> = (0..options.shards).map(|_| Vec::new()).collect();
    for (topic, queue_id, units) in queues {
        if let Some(part) = parts.get_mut(owner(&topic, queue_id, options.shards)) {
            part.push((topic, queue_id, units));
        }
    }
    let shared = Shared::start(Arc::new(Core::new(options, lock, recovered)))?;
    let seed = |(shard, queues)| ShardSeed { shard, shared: shared.clone(), queues };
    let shards = parts.into_iter().enumerate().map(seed).collect();
    Ok(Opened { shared, shards, report })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_of_a_topic_lie_on_consecutive_shards() {
        for topic in ["T", "TopicTest", "polygenelubricants", "%RETRY%g"] {
            for shards in 1..5 {
                let owners: Vec<_> = (0..8).map(|queue_id| owner(topic, queue_id, shards)).collect();
                assert!(owners.windows(2).all(|pair| pair[1] == (pair[0] + 1) % shards), "{topic} {shards} {owners:?}");
            }
        }
        assert_eq!(owner("T", 0, 0), 0);
        // Stored data depends on it: hash 84 of "T".
        assert_eq!([owner("T", 0, 4), owner("T", 5, 4)], [0, 1]);
    }
}
