//! How full a disk is, counted as Java counts it. Any thread; statvfs can block on a dead network file system, so
//! only the retention thread asks.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// The space of the file system a path is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes of the whole file system.
    pub total_bytes: u64,
    /// Bytes an ordinary user may still take.
    pub free_bytes: u64,
    /// Used share in percent, rounded up: used × 100 / (used + free to users), Java 4.9.7.
    pub used_percent: u32,
}

impl Space {
    /// From the three numbers of a file system, bytes.
    pub fn new(total: u64, free: u64, usable: u64) -> Self {
        let used = u128::from(total.saturating_sub(free));
        let whole = used + u128::from(usable);
        let percent = if whole == 0 { 0 } else { (used * 100).div_ceil(whole) };
        Self { total_bytes: total, free_bytes: usable, used_percent: u32::try_from(percent).unwrap_or(100) }
    }
}

type Probe = dyn Fn(&Path) -> io::Result<Space> + Send + Sync;

/// Where free space is learnt from.
#[derive(Clone)]
pub struct SpaceProbe(Arc<Probe>);

impl SpaceProbe {
    /// statvfs.
    pub fn system() -> Self {
        Self::new(statvfs)
    }

    /// A function, for tests.
    pub fn new(probe: impl Fn(&Path) -> io::Result<Space> + Send + Sync + 'static) -> Self {
        Self(Arc::new(probe))
    }

    /// The space of the file system `path` is on.
    pub fn look(&self, path: &Path) -> io::Result<Space> {
        (self.0)(path)
    }
}

fn statvfs(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: statvfs is plain data for which all-zero is valid.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a zero and both pointers live through the call.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut stat) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let unit = stat.f_frsize;
    let bytes = |blocks: u64| blocks.saturating_mul(unit);
    Ok(Space::new(bytes(stat.f_blocks), bytes(stat.f_bfree), bytes(stat.f_bavail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_rounded_up_and_leaves_out_what_only_root_may_use() {
        let check = |total, free, usable, want| assert_eq!(Space::new(total, free, usable).used_percent, want);
        check(1000, 1000, 1000, 0);
        check(1000, 999, 999, 1);
        check(1000, 100, 0, 100);
        check(1000, 550, 450, 50);
        check(0, 0, 0, 0);
        check(u64::MAX, 0, 0, 100);
    }

    #[test]
    fn the_system_answers_for_an_existing_path() {
        assert!(SpaceProbe::system().look(Path::new("/")).is_ok_and(|space| space.used_percent <= 100));
        assert!(SpaceProbe::system().look(Path::new("/nowhere/at/all")).is_err());
    }
}
