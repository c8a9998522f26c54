//! What a broker does for its messages, counted: files made durable, system calls, pieces of the heap.
//!
//! Owns the choice of who counts: the kernel where that is allowed, else the broker itself, by one request
//! (GET_BROKER_RUNTIME_INFO) and names of its table. Main thread.

use client::Broker;

use crate::kernel_counts::{KernelCounts, SYNCS, SYSTEM_CALLS};

/// RingMQ's names: fdatasync calls, and pieces its shards took from the heap, since its start.
const FDATASYNCS: &str = "ringmqFdatasyncs";
const ALLOCATIONS: &str = "ringmqShardAllocations";

/// Numbers of one moment, or of a time between two; `None` where nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files made durable, in whatever way.
    pub fdatasyncs: Option<u64>,
    /// System calls of all its threads.
    pub syscalls: Option<u64>,
    /// Pieces taken from the heap on RingMQ's shards.
    pub allocations: Option<u64>,
}

impl Counts {
    /// From `before` to this.
    pub fn since(self, before: Counts) -> Counts {
        let both = |after: Option<u64>, before: Option<u64>| after.zip(before).map(|(a, b)| a.saturating_sub(b));
        Counts {
            fdatasyncs: both(self.fdatasyncs, before.fdatasyncs),
            syscalls: both(self.syscalls, before.syscalls),
            allocations: both(self.allocations, before.allocations),
        }
    }
}

/// Those who count.
#[derive(Debug)]
pub struct Counting {
    syncs: Option<KernelCounts>,
    calls: Option<KernelCounts>,
    is_wanted: bool,
}

impl Counting {
    /// Of these processes; without any nothing is counted. System calls only where `calls` says so: it makes each of
    /// them slower.
    pub fn watch(pids: &[u32], calls: bool) -> Counting {
        let calls = if calls { KernelCounts::watch(pids, SYSTEM_CALLS) } else { None };
        Counting { syncs: KernelCounts::watch(pids, SYNCS), calls, is_wanted: !pids.is_empty() }
    }

    /// Until now.
    pub fn now(&self, broker: &mut Broker) -> Counts {
        if !self.is_wanted {
            return Counts::default();
        }
        // First, so that the request is in neither or both of two.
        let syscalls = self.calls.as_ref().and_then(KernelCounts::count);
        let told = broker.runtime_info().unwrap_or_default();
        let number = |key: &str| told.get(key).and_then(|text| text.parse().ok());
        let fdatasyncs = match &self.syncs {
            Some(kernel) => kernel.count(),
            None => number(FDATASYNCS),
        };
        Counts { fdatasyncs, syscalls, allocations: number(ALLOCATIONS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_ends_know_has_a_difference() {
        let counts = |fdatasyncs, syscalls| Counts { fdatasyncs, syscalls, allocations: Some(7) };
        let check = |after: Counts, before: Counts, wanted| {
            let found = after.since(before);
            assert_eq!((found.fdatasyncs, found.syscalls, found.allocations), wanted);
        };
        check(counts(Some(5), None), counts(Some(3), Some(1)), (Some(2), None, Some(0)));
        check(counts(Some(3), Some(9)), counts(Some(5), Some(1)), (Some(0), Some(8), Some(0)));
    }
}
