//! Ctrl-C and SIGTERM, counted.
//!
//! Owns the handlers of both signals in this process and the count. Must not act on them: whoever waits for something
//! asks here between two looks.

use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_one(_signal: libc::c_int) {
    COUNT.fetch_add(1, Ordering::Relaxed);
}

/// Takes both signals from now on.
pub fn install() -> Result<(), String> {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the struct is plain data for which zero is valid; the handler touches one atomic only, which is
        // allowed in a signal handler, and lives as long as the process.
        let failed = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = count_one as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &action, std::ptr::null_mut()) != 0
        };
        if failed {
            return Err(format!("signal {signal}: {}", std::io::Error::last_os_error()));
        }
    }
    Ok(())
}

/// How many came so far.
pub fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}
