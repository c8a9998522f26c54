//! Free ports for a nameserver and a broker.
//!
//! Owns nothing: a port may be taken between the look and its use, the start then fails and says so. Below the range of
//! outgoing connections, so that no client's port is in the way.

use std::net::TcpListener;

use crate::matrix::date;

const FIRST: u16 = 12_000;
const BLOCKS: u16 = 1_900;
const BLOCK: u16 = 10;

/// Where the two of a side listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The broker also takes the two before it and the one after it.
    pub broker: u16,
    pub nameserver: u16,
}

/// Looks for them, beginning somewhere; not those of `taken`, which may not be listened on yet.
pub fn find(taken: Option<Ports>) -> Result<Ports, String> {
    let start = (date::now_ms() ^ u64::from(std::process::id())) % u64::from(BLOCKS);
    for step in 0..BLOCKS {
        let block = (start as u16 + step) % BLOCKS;
        let broker = FIRST + block * BLOCK + 2;
        let nameserver = broker + 5;
        if taken.is_some_and(|taken| taken.broker == broker) {
            continue;
        }
        if [broker - 2, broker - 1, broker, broker + 1, nameserver].into_iter().all(is_free) {
            return Ok(Ports { broker, nameserver });
        }
    }
    Err(format!("no free ports from {FIRST} to {}", FIRST + BLOCKS * BLOCK))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("0.0.0.0", port)).is_ok()
}
