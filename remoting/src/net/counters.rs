//! What the connections of this process have done so far.
//!
//! Each thread counts in a line of its own, which no other writes; a reader adds them up.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Sums over all threads since the start of the process.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            /// Connections open now, those accepted and not yet adopted included.
            pub connections: u64,
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Default)]
        #[repr(align(128))]
        pub(crate) struct Local {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            fn add(&mut self, local: &Local) {
                $(self.$name += local.$name.load(Ordering::Relaxed);)*
            }
        }
    };
}

counters! {
    /// Connections accepted.
    accepted,
    /// Connections closed unserved: too many of them, or no file descriptor left.
    refused,
    /// Bytes read from peers.
    bytes_in,
    /// Bytes handed to the kernel for peers.
    bytes_out,
    /// Whole frames read.
    frames_in,
    /// File ranges sent by sendfile.
    hot_sendfile,
    /// File ranges sent out of a mapping by sendmsg.
    hot_sendmsg,
    /// Connections closed because a frame could not be decoded.
    closed_bad_frame,
    /// Connections closed after the idle time.
    closed_idle,
    /// Connections closed because a started frame did not end in time.
    closed_slow_frame,
    /// Connections closed because the peer took no bytes.
    closed_stalled,
    /// Connections closed because a handler panicked.
    closed_panic,
}

static ALL: Mutex<Vec<Arc<Local>>> = Mutex::new(Vec::new());
pub(crate) static OPEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static LOCAL: Arc<Local> = {
        let local = Arc::new(Local::default());
        ALL.lock().unwrap_or_else(PoisonError::into_inner).push(local.clone());
        local
    };
}

/// Adds to a counter of this thread.
pub(crate) fn count(pick: impl FnOnce(&Local) -> &AtomicU64, n: u64) {
    LOCAL.with(|local| pick(local).fetch_add(n, Ordering::Relaxed));
}

/// The sums now. Any thread.
pub fn counters() -> Counters {
    let mut sum = Counters { connections: OPEN.load(Ordering::Relaxed) as u64, ..Counters::default() };
    for local in ALL.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        sum.add(local);
    }
    sum
}

/// One connection in the count of open ones.
#[derive(Debug)]
pub(crate) struct Slot(());

impl Slot {
    /// Counts one more, unless there are `max` already.
    pub(crate) fn take(max: usize) -> Option<Slot> {
        let next = |open: usize| (open < max).then(|| open + 1);
        OPEN.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).ok().map(|_| Slot(()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::AcqRel);
    }
}
