//! Mounting, in a namespace of our own.
//!
//! Owns the system calls. Must be called by the thread that starts everything else: a namespace is inherited from
//! there.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

const NONE: *const libc::c_char = std::ptr::null();
const BOOT_ID: &std::ffi::CStr = c"/proc/sys/kernel/random/boot_id";
/// A device is in use for a moment after its user has ended.
const BUSY_MAX: Duration = Duration::from_secs(20);

/// Leaves the namespace of the machine, once a process: mounts made later are seen by us and our children only and
/// end with us.
pub fn own_namespace() -> Result<(), String> {
    static ENTERED: OnceLock<Result<(), String>> = OnceLock::new();
    ENTERED.get_or_init(enter).clone()
}

fn enter() -> Result<(), String> {
    // SAFETY: geteuid takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return Err("not root: cannot mount".into());
    }
    // SAFETY: takes a plain number; concerns the calling thread and what it starts.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(format!("no mount namespace of our own: {}", io::Error::last_os_error()));
    }
    // SAFETY: both strings end with a zero and live to the end; null where the call takes none.
    let made = unsafe {
        libc::mount(c"none".as_ptr(), c"/".as_ptr(), NONE, libc::MS_REC | libc::MS_PRIVATE, std::ptr::null())
    };
    if made == 0 { Ok(()) } else { Err(format!("mounts cannot be kept private: {}", io::Error::last_os_error())) }
}

/// Makes programs that start from now on believe that the machine was started anew: they see this file in place of the
/// kernel's.
pub fn show_as_boot_id(file: &Path) -> Result<(), String> {
    let from = text(file)?;
    // SAFETY: the strings end with a zero and live to the end of the call; null where the call takes none.
    let made = unsafe { libc::mount(from.as_ptr(), BOOT_ID.as_ptr(), NONE, libc::MS_BIND, std::ptr::null()) };
    if made == 0 { Ok(()) } else { Err(format!("no boot id of our own: {}", io::Error::last_os_error())) }
}

/// The kernel's own again.
pub fn hide_boot_id() {
    // SAFETY: the string ends with a zero and lives to the end of the call.
    unsafe { libc::umount2(BOOT_ID.as_ptr(), libc::MNT_DETACH) };
}

/// Mounts ext4.
pub fn mount(device: &Path, point: &Path) -> Result<(), String> {
    let (from, to) = (text(device)?, text(point)?);
    // SAFETY: the strings end with a zero and live to the end of the call; null is "no options".
    let made = unsafe { libc::mount(from.as_ptr(), to.as_ptr(), c"ext4".as_ptr(), 0, std::ptr::null()) };
    if made == 0 {
        return Ok(());
    }
    Err(format!("ext4 of {} cannot be mounted: {}", device.display(), io::Error::last_os_error()))
}

/// Unmounts, waiting a while for those who still use it.
pub fn unmount(point: &Path) -> Result<(), String> {
    let path = text(point)?;
    let begun = Instant::now();
    loop {
        // SAFETY: the string ends with a zero and lives to the end of the call.
        if unsafe { libc::umount2(path.as_ptr(), 0) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EBUSY) || begun.elapsed() > BUSY_MAX {
            return Err(format!("{} cannot be unmounted: {error}", point.display()));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Takes it out of sight; it goes once nobody uses it any more.
pub fn detach(point: &Path) {
    if let Ok(path) = text(point) {
        // SAFETY: the string ends with a zero and lives to the end of the call.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

fn text(path: &Path) -> Result<CString, String> {
    CString::new(path.as_os_str().as_bytes()).map_err(|error| format!("{}: {error}", path.display()))
}
