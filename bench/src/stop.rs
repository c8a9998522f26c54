//! Ctrl-C and SIGTERM: the load stops, what was measured is still written.
//!
//! Owns the two signals' handlers and one flag. A second signal ends the process at once. The flag is read by all
//! threads.

use std::sync::atomic::{AtomicBool, Ordering};

static STOPPED: AtomicBool = AtomicBool::new(false);
/// What a shell reports for a program that Ctrl-C ended.
pub const EXIT_CODE: u8 = 130;

extern "C" fn stop(_signal: libc::c_int) {
    if STOPPED.swap(true, Ordering::Relaxed) {
        // SAFETY: _exit is async-signal-safe and does not return.
        unsafe { libc::_exit(i32::from(EXIT_CODE)) }
    }
}

/// From now on the signals set the flag.
pub fn listen() {
    let handler: extern "C" fn(libc::c_int) = stop;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler touches one atomic and _exit only, both allowed in a signal handler.
        unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
    }
}

/// Whether a signal came.
pub fn is_asked() -> bool {
    STOPPED.load(Ordering::Relaxed)
}
