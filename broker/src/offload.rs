//! Two ordinary threads that do what a shard must not wait for: reading pages that are not in
//! memory, and searching index files.
//!
//! Owns a bounded queue of jobs. Jobs answer by leaving a letter in a shard's inbox.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

/// Jobs waiting at most; one more is refused and its request answered "busy".
const JOBS_MAX: usize = 1024;
const THREADS: usize = 2;

/// Handle of the threads.
pub struct Offload {
    jobs: SyncSender<Job>,
}

impl Offload {
    /// Starts the threads.
    pub fn start() -> std::io::Result<Self> {
        let (jobs, receiver) = sync_channel::<Job>(JOBS_MAX);
        let receiver: Arc<Mutex<Receiver<Job>>> = Arc::new(Mutex::new(receiver));
        for number in 0..THREADS {
            let receiver = receiver.clone();
            std::thread::Builder::new().name(format!("reads-{number}")).spawn(move || {
                loop {
                    let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match job {
                        Ok(job) => {
                            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                                tracing::error!(
                                    "a read ended in a panic, a mistake of ours; its request is not answered"
                                );
                            }
                        }
                        Err(_) => return,
                    }
                }
            })?;
        }
        Ok(Offload { jobs })
    }

    /// Runs a job soon; false when too many wait.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.jobs.try_send(Box::new(job)).is_ok()
    }
}
