//! A bounded queue from exactly one thread to exactly one other, without locks.
//!
//! The producer alone writes `tail`, the consumer alone writes `head`; each keeps a copy of the other's last seen value
//! so that the shared line is read only when the copy says full or empty.

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Keeps what two threads write on cache lines of their own (128 bytes: adjacent lines are fetched in pairs).
#[repr(align(128))]
struct Padded<T>(T);

struct Producer {
    tail: AtomicUsize,
    seen_head: Cell<usize>,
}

struct Consumer {
    head: AtomicUsize,
    seen_tail: Cell<usize>,
}

/// Positions count up and wrap; the slot is the position modulo the (power of two) number of slots.
pub(crate) struct Ring<T> {
    producer: Padded<Producer>,
    consumer: Padded<Consumer>,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: the values move from one thread to another, hence T: Send. The plain cells are touched by one side only:
// `seen_head` and unpublished slots by the producer, `seen_tail` and published slots by the consumer. That there is one
// producer and one consumer is the contract of the unsafe functions below.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: as above; a ring owns its values.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T> Ring<T> {
    /// Holds `capacity` values, rounded up to a power of two, at least two.
    pub(crate) fn new(capacity: usize) -> Ring<T> {
        let capacity = capacity.max(2).next_power_of_two();
        Ring {
            producer: Padded(Producer { tail: AtomicUsize::new(0), seen_head: Cell::new(0) }),
            consumer: Padded(Consumer { head: AtomicUsize::new(0), seen_tail: Cell::new(0) }),
            slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        }
    }

    fn slot(&self, position: usize) -> *mut MaybeUninit<T> {
        self.slots[position & (self.slots.len() - 1)].get()
    }

    /// Appends `value`, or gives it back when the ring is full.
    ///
    /// # Safety
    /// Only one thread at a time may push to this ring, each seeing what the one before it did.
    pub(crate) unsafe fn push(&self, value: T) -> Result<(), T> {
        let producer = &self.producer.0;
        let tail = producer.tail.load(Ordering::Relaxed);
        if tail.wrapping_sub(producer.seen_head.get()) == self.slots.len() {
            producer.seen_head.set(self.consumer.0.head.load(Ordering::Acquire));
            if tail.wrapping_sub(producer.seen_head.get()) == self.slots.len() {
                return Err(value);
            }
        }
        // SAFETY: the slot lies outside head..tail, so the consumer does not look at it before the store below, and the
        // acquire load of head made the consumer's move out of it happen before this write.
        unsafe { (*self.slot(tail)).write(value) };
        producer.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Takes the oldest value.
    ///
    /// # Safety
    /// Only one thread at a time may pop from this ring, each seeing what the one before it did.
    pub(crate) unsafe fn pop(&self) -> Option<T> {
        let consumer = &self.consumer.0;
        let head = consumer.head.load(Ordering::Relaxed);
        if head == consumer.seen_tail.get() {
            consumer.seen_tail.set(self.producer.0.tail.load(Ordering::Acquire));
            if head == consumer.seen_tail.get() {
                return None;
            }
        }
        // SAFETY: head < tail, so the producer wrote this slot and published it (acquire above), and it leaves the slot
        // alone until the store below gives it back.
        let value = unsafe { (*self.slot(head)).assume_init_read() };
        consumer.head.store(head.wrapping_add(1), Ordering::Release);
        Some(value)
    }

    /// Whether nothing waits, as far as the calling thread can see. Any thread.
    pub(crate) fn is_empty(&self) -> bool {
        self.consumer.0.head.load(Ordering::Acquire) == self.producer.0.tail.load(Ordering::Acquire)
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // SAFETY: `&mut self`: nobody else pushes or pops any more.
        while let Some(value) = unsafe { self.pop() } {
            drop(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn order_is_kept_and_a_full_ring_gives_the_value_back() {
        let ring = Ring::new(4);
        // SAFETY: one thread.
        unsafe {
            for lap in 0..3 {
                for value in 0..4 {
                    ring.push(lap * 10 + value).unwrap();
                }
                assert_eq!(ring.push(99), Err(99));
                assert_eq!(ring.pop(), Some(lap * 10));
                ring.push(lap * 10 + 4).unwrap();
                for value in 1..5 {
                    assert_eq!(ring.pop(), Some(lap * 10 + value));
                }
                assert_eq!(ring.pop(), None);
                assert!(ring.is_empty());
            }
        }
    }

    #[test]
    fn values_left_inside_are_dropped() {
        let value = Arc::new(());
        let ring = Ring::new(8);
        for _ in 0..5 {
            // SAFETY: one thread.
            unsafe { ring.push(value.clone()).unwrap() };
        }
        // SAFETY: one thread.
        drop(unsafe { ring.pop() });
        assert_eq!(Arc::strong_count(&value), 5);
        drop(ring);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn two_threads_see_every_value_once_in_order() {
        const COUNT: u64 = 500_000;
        let ring = Arc::new(Ring::new(64));
        let producer = {
            let ring = ring.clone();
            thread::spawn(move || {
                for mut value in 0..COUNT {
                    // SAFETY: this thread alone pushes.
                    while let Err(back) = unsafe { ring.push(value) } {
                        value = back;
                        thread::yield_now();
                    }
                }
            })
        };
        for expected in 0..COUNT {
            let value = loop {
                // SAFETY: this thread alone pops.
                if let Some(value) = unsafe { ring.pop() } {
                    break value;
                }
                thread::yield_now();
            };
            assert_eq!(value, expected);
        }
        producer.join().unwrap();
        assert!(ring.is_empty());
    }
}
