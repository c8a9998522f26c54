//! One shard: a thread of its own with one executor on it.
//!
//! Owns placement, the executor's settings and the order of a start: probe, make the executor, pay the first slow sleep,
//! install `turn` and the tick, then run the body. The settings that keep glommio 0.9.0 from hanging are all here.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement, PoolPlacement, TaskQueueHandle};

use crate::{affinity, allocations, memlock, probe, tick, turn, watchdog};

/// How a shard is to run.
#[derive(Clone, Debug, Default)]
pub struct ShardSpec {
    /// Name of the thread, cut to 15 bytes by the kernel.
    pub name: String,
    /// CPU to pin the thread to. Ignored (with a log line) when the process may not run there.
    pub cpu: Option<usize>,
}

/// The thread of a shard, whose body yields a `T` when it ends.
pub struct ShardThread<T> {
    name: String,
    /// `None` only when there was no executor, which `start` has already reported.
    thread: thread::JoinHandle<Option<T>>,
}

/// A shard ended by a panic.
#[derive(Debug)]
pub struct Panicked {
    pub shard: String,
    pub message: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} panicked: {}", self.shard, self.message)
    }
}

impl std::error::Error for Panicked {}

impl<T> ShardThread<T> {
    /// Waits until the body ended and the executor is gone.
    pub fn join(self) -> Result<T, Panicked> {
        match self.thread.join() {
            Ok(Some(ended)) => Ok(ended),
            Ok(None) => Err(Panicked { shard: self.name, message: "it had no executor".to_owned() }),
            Err(payload) => Err(Panicked { shard: self.name, message: panic_message(&*payload) }),
        }
    }

    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// The text of a panic's payload.
fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Starts a shard and returns once its executor exists; `body` then runs on it as the main task.
///
/// Errors are what [`probe`](crate::probe()) finds, and what the executor says about its rings. A task of the shard that
/// panics ends the shard: [`ShardThread::join`] returns the panic.
pub fn start<F, Fut, T>(spec: ShardSpec, body: F) -> io::Result<ShardThread<T>>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    probe()?;
    watchdog::ensure_running()?;
    let placement = placement(&spec);
    let pinned = matches!(placement, Placement::Fixed(_));
    let io_memory = memlock::io_memory();
    let (made, was_made) = mpsc::sync_channel::<io::Result<()>>(1);
    let name = spec.name.clone();
    let thread = thread::Builder::new().name(spec.name.clone()).spawn(move || {
        // preempt_timer stays at its default: see the crate's header.
        let executor = LocalExecutorBuilder::new(placement)
            .name(&spec.name)
            .io_memory(io_memory)
            .spin_before_park(Duration::ZERO)
            .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
            .make();
        let executor = match executor {
            Ok(executor) => {
                if pinned {
                    affinity::stay();
                }
                let _ = made.send(Ok(()));
                executor
            }
            Err(error) => {
                let error = io::Error::other(format!("shard {}: no executor: {error}", spec.name));
                let _ = made.send(Err(error));
                return None;
            }
        };
        allocations::count_this_thread();
        let ended = executor.run(async move {
            // The first sleep of an executor takes 30 to 50 ms (a membarrier registration); pay it before any client.
            glommio::timer::sleep(Duration::from_millis(1)).await;
            turn::install().await;
            let ticking = tick::install(&spec.name).await;
            let ended = body().await;
            drop(ticking);
            turn::remove();
            ended
        });
        Some(ended)
    })?;
    match was_made.recv() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let _ = thread.join();
            return Err(error);
        }
        Err(_) => {
            let message = thread.join().err().map_or_else(|| "no message".into(), |p| panic_message(&*p));
            return Err(io::Error::other(format!("shard {name}: making the executor panicked: {message}")));
        }
    }
    Ok(ShardThread { name, thread })
}

/// Pinned only where asked for and allowed: a CPU outside the process's set is a configuration carried over from another
/// machine or a narrower container, which must not keep the program from starting.
fn placement(spec: &ShardSpec) -> Placement {
    let Some(cpu) = spec.cpu else {
        return Placement::Unbound;
    };
    let allowed = affinity::allowed_cpus();
    if allowed.contains(&cpu) {
        return Placement::Fixed(cpu);
    }
    tracing::warn!(
        shard = spec.name,
        cpu,
        ?allowed,
        "this process may not run on the CPU given to the shard; not pinned"
    );
    Placement::Unbound
}

/// Runs `fut` on this shard. Its first poll comes after the caller's own, never inside this call. A panic in it ends the
/// shard.
///
/// # Panics
/// Off a shard's thread.
pub fn spawn_local(fut: impl Future<Output = ()> + 'static) {
    // spawn_local of glommio polls at once, inside whatever borrow the caller holds; spawn_local_into schedules.
    match glommio::spawn_local_into(fut, TaskQueueHandle::default()) {
        Ok(task) => drop(task.detach()),
        Err(error) => panic!("the default task queue exists on every executor: {error}"),
    }
}

/// Sleeps on the shard's timer. Not for fractions of a millisecond, and not one a connection: see [`tick`](crate::tick).
pub async fn sleep(duration: Duration) {
    glommio::timer::sleep(duration).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_runs_and_its_value_comes_back() {
        let shard = start(ShardSpec { name: "value".into(), cpu: None }, || async { 42 }).unwrap();
        assert_eq!(shard.join().unwrap(), 42);
    }

    #[test]
    fn a_cpu_that_is_not_ours_does_not_stop_the_start() {
        let shard = start(ShardSpec { name: "far".into(), cpu: Some(1000) }, || async { 1 }).unwrap();
        assert_eq!(shard.join().unwrap(), 1);
    }

    #[test]
    fn a_pinned_shard_runs_where_it_was_told() {
        let cpu = *affinity::allowed_cpus().last().unwrap();
        let shard =
            start(ShardSpec { name: "pinned".into(), cpu: Some(cpu) }, || async { affinity::allowed_cpus() }).unwrap();
        assert_eq!(shard.join().unwrap(), vec![cpu]);
    }

    #[test]
    fn a_panic_is_reported_by_join() {
        let shard = start(ShardSpec { name: "panics".into(), cpu: None }, || async {
            if crate::now_ms() > 0 {
                panic!("on purpose");
            }
        })
        .unwrap();
        assert_eq!(shard.join().unwrap_err().to_string(), "shard panics panicked: on purpose");
    }

    #[test]
    fn a_spawned_task_runs_after_its_spawner() {
        let shard = start(ShardSpec { name: "order".into(), cpu: None }, || async {
            let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
            let guard = seen.borrow_mut();
            let inner = seen.clone();
            spawn_local(async move { inner.borrow_mut().push("task") });
            drop(guard);
            seen.borrow_mut().push("spawner");
            while seen.borrow().len() < 2 {
                crate::turn().await;
            }
            seen.take()
        })
        .unwrap();
        assert_eq!(shard.join().unwrap(), ["spawner", "task"]);
    }
}
