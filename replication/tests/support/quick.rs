//! Options with short times, so that tests of real threads do not wait for long ones. A link is not given up for its
//! silence, unless a test says so: on a busy machine a thread may be silent for seconds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use replication::ha::{MasterOptions, MasterServer, SlaveClient, SlaveOptions};

use super::memory::{MemoryLog, MemorySink};

/// Any port of this machine's own.
pub fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub fn master_options() -> MasterOptions {
    MasterOptions { heartbeat: Duration::from_millis(100), batch: 512, ..MasterOptions::default() }
}

pub fn slave_options() -> SlaveOptions {
    SlaveOptions {
        heartbeat: Duration::from_millis(100),
        overlap: 256,
        ahead_patience: Duration::from_millis(300),
        retry_min: Duration::from_millis(2),
        retry_max: Duration::from_millis(50),
        ..SlaveOptions::default()
    }
}

pub fn master(log: &MemoryLog) -> MasterServer {
    MasterServer::start(any_port(), master_options(), Arc::new(log.clone())).expect("a master")
}

/// A slave of this log, linked to `address`.
pub fn slave(log: &MemoryLog, sink: &MemorySink, options: SlaveOptions, address: SocketAddr) -> SlaveClient {
    SlaveClient::start(options, Box::new(sink.clone()), Box::new(log.clone()), Some(address)).expect("a slave")
}
