//! How often a broker makes its files durable: the kernel's count where that is allowed, else the broker's own.
//!
//! Owns the choice, one request (GET_BROKER_RUNTIME_INFO) and one name in its table. Main thread.

use client::Broker;
use protocol::body::{Body, KvTable};
use protocol::code::request;

use crate::kernel_syncs::KernelSyncs;

/// RingMQ's name for it: fdatasync calls since its start.
const KEY: &str = "ringmqFdatasyncs";

/// A count that rises.
#[derive(Debug)]
pub struct Fdatasyncs {
    kernel: Option<KernelSyncs>,
    is_wanted: bool,
}

impl Fdatasyncs {
    /// Of these processes; without any there is no count.
    pub fn watch(pids: &[u32]) -> Fdatasyncs {
        Fdatasyncs { kernel: KernelSyncs::watch(pids), is_wanted: !pids.is_empty() }
    }

    /// Until now; `None` where nobody knows.
    pub fn count(&self, broker: &mut Broker) -> Option<u64> {
        match &self.kernel {
            _ if !self.is_wanted => None,
            Some(kernel) => kernel.count(),
            None => {
                let answer = broker.connection().call(request::GET_BROKER_RUNTIME_INFO, |_| {}, &[]).ok()?;
                number(answer.command().body)
            }
        }
    }
}

fn number(body: &[u8]) -> Option<u64> {
    KvTable::from_json(body).ok()?.table.get(KEY)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_a_broker_that_counts_has_a_number() {
        for (body, wanted) in [
            (r#"{"table":{"ringmqFdatasyncs":"17","putTps":"0"}}"#, Some(17)),
            (r#"{"table":{"putTps":"0"}}"#, None),
            (r#"{"table":{"ringmqFdatasyncs":"x"}}"#, None),
            ("no json", None),
        ] {
            assert_eq!(super::number(body.as_bytes()), wanted, "{body}");
        }
    }
}
