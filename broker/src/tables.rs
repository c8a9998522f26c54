//! Writes the files of `config/` durably, away from the shards.
//!
//! Owns the table-writer thread. A job is rendered and written there (temporary file, fsync, .bak,
//! rename, fsync of the directory); its ticket comes back to the home shard, which only then
//! publishes the change and answers whoever asked for it. One job a table is under way at a time,
//! so changes that come meanwhile share the next write.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use crate::env::Inbox;
use crate::mesh::ToShard;

/// The tables of `config/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// topics.json
    Topics,
    /// subscriptionGroup.json
    Groups,
    /// consumerOffset.json
    Progress,
    /// delayOffset.json
    Delay,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 4] = [Table::Topics, Table::Groups, Table::Progress, Table::Delay];

    /// Its file's name, Java's.
    pub fn file_name(self) -> &'static str {
        match self {
            Table::Topics => "topics.json",
            Table::Groups => "subscriptionGroup.json",
            Table::Progress => "consumerOffset.json",
            Table::Delay => "delayOffset.json",
        }
    }
}

/// A change of a table: durable once the writer has reported a ticket of this table at least as high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Which table.
    pub table: Table,
    /// Rises with every change.
    pub number: u64,
}

/// Makes a file's content, on the writer's thread.
pub type Render = Box<dyn FnOnce() -> Result<Vec<u8>, String> + Send>;

/// A table to write: `render` runs on the writer's thread.
pub struct Job {
    /// Reported when done.
    pub ticket: Ticket,
    /// Makes the file's content.
    pub render: Render,
}

/// Handle of the writer thread.
pub struct TableWriter {
    jobs: Option<SyncSender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl TableWriter {
    /// Starts the thread; results go to `home`.
    pub fn start(config_dir: PathBuf, home: Arc<Inbox>) -> std::io::Result<Self> {
        std::fs::create_dir_all(&config_dir)?;
        let (jobs, receiver) = sync_channel::<Job>(2 * Table::ALL.len());
        let thread = std::thread::Builder::new().name("tables".into()).spawn(move || {
            for job in receiver {
                let path = config_dir.join(job.ticket.table.file_name());
                let rendered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job.render))
                    .unwrap_or_else(|_| Err(format!("rendering {} ended in a panic", path.display())));
                let result = rendered.and_then(|bytes| {
                    engine::tables::write_durably(&path, &bytes)
                        .map_err(|error| format!("cannot write {}: {error}", path.display()))
                });
                home.post(ToShard::TablesWritten { ticket: job.ticket, result });
            }
        })?;
        Ok(TableWriter { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Gives the writer a job; the job comes back when it is too busy.
    pub fn submit(&self, job: Job) -> Result<(), Job> {
        match &self.jobs {
            Some(jobs) => jobs.try_send(job).map_err(|error| match error {
                TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
            }),
            None => Err(job),
        }
    }

    /// Ends the thread after what it was given.
    pub fn stop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
