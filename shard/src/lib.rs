//! Shards: one executor thread each, and what they need to live together.
//!
//! Owns the start of an executor (`executor`), the way to reach the next reactor pass (`turn`), the rings between shards
//! (`mesh`), the housekeeping tick with its watchdog (`tick`), and the check that io_uring may be used at all (`probe`).
//! Must not know connections, files or requests. Everything here runs on the shard's own thread, except the watchdog
//! thread, `RemoteWaker` and `probe`, which any thread may use.
//!
//! Rules the rest of the program keeps, because glommio 0.9.0 parks with runnable tasks when its preempt timer fires
//! before the first task of a pass ran: the preempt timer stays at its default of 100 ms, no task queue asks for a lower
//! latency, and nothing stays runnable for ever: after a bounded piece of work a task awaits [`turn`]. The tick bounds
//! what is left of the hazard to some 10 ms, the watchdog to some 40 ms.

mod affinity;
mod allocations;
mod bell;
mod clock;
mod executor;
mod memlock;
pub mod mesh;
mod notify;
mod probe;
mod ring;
pub mod signals;
pub mod tick;
mod turn;
mod watchdog;

pub use affinity::leave_cpus_to_shards;
pub use allocations::{CountingHeap, shard_allocations};
pub use bell::RemoteWaker;
pub use clock::now_ms;
pub use executor::{Panicked, ShardSpec, ShardThread, sleep, spawn_local, start};
pub use mesh::{MeshPort, mesh};
pub use notify::Notify;
pub use probe::{Unavailable, probe};
pub use turn::turn;
