//! Counting heap allocations on shards: the promise that a message costs none is checked by looking.
//!
//! Owns one counter. A program takes part by `#[global_allocator] static HEAP: shard::CountingHeap`; threads that are no
//! shards are not counted, and pay one look at a flag of their own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_SHARD: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, counting what shards take.
pub struct CountingHeap;

/// Allocations and growths on all shards since the start. 0 where the program does not use [`CountingHeap`].
pub fn shard_allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// The calling thread is a shard from here on.
pub(crate) fn count_this_thread() {
    IS_SHARD.set(true);
}

fn count() {
    if IS_SHARD.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches an atomic and a thread's own flag, which
// needs no destructor and no allocation.
unsafe impl GlobalAlloc for CountingHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static HEAP: CountingHeap = CountingHeap;

    #[test]
    fn only_shards_are_counted() {
        std::thread::spawn(|| {
            let before = shard_allocations();
            drop(std::hint::black_box(vec![1u8; 100]));
            let between = shard_allocations();
            count_this_thread();
            let mut grown = std::hint::black_box(vec![1u8; 100]);
            grown.resize(100_000, 2);
            drop(std::hint::black_box(vec![0u8; 100]));
            // Other tests' shards may allocate meanwhile.
            assert!(between >= before && shard_allocations() >= between + 3);
        })
        .join()
        .unwrap();
    }
}
