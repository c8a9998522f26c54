//! The store of one broker: commitlog, consume queues, index, flush, recovery and retention, in Java's file formats.
//!
//! Owns the files below the store root. Knows nothing of request codes or connections, and of slaves only which
//! offsets they have. The façade is
//! [`open`], [`ShardStore`] (one a shard, used on its own thread only) and [`Shared`] (one a process, any thread).
//! Only `io` names the io_uring runtime; unsafe code stands in `io` and in `commitlog::segment` alone.

pub mod abort;
pub mod checkpoint;
pub mod clean;
pub mod commitlog;
pub mod consume_queue;
pub mod error;
pub mod index;
pub mod io;
pub mod lock;
pub mod options;
pub mod progress;
pub mod receive;
pub mod recover;
pub mod slaves;
pub mod store;
pub mod tables;
pub mod watch;

pub use commitlog::flush;
pub use commitlog::segment::{LogRange, Segment};
pub use error::{OpenError, PutRefused, StoreFailed};
pub use options::{
    FlushMode, FlushWay, IndexConfig, PreparePolicy, Replication, RetentionOptions, StoreOptions, StoreRole,
    TransferLimits, delay_levels,
};
pub use receive::{ReceiveError, Receiver, Unsound};
pub use recover::{DamagedRange, RecoveryReport};
pub use slaves::{ReportRefused, SlaveProgress};
pub use store::{
    Get, GetResult, GetStatus, Opened, PutMessage, PutOutcome, PutStatus, QueryResult, QueueSlot, ShardSeed,
    ShardStore, Shared, TagFilter, open, owner,
};
pub use watch::LogWatch;
