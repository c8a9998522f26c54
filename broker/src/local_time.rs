//! Local calendar days, for the totals "since this morning" of request 28.

/// Number of the local day that `ms` falls on, counted from some fixed day.
pub fn day_number(ms: i64) -> i64 {
    let seconds: libc::time_t = ms.div_euclid(1000);
    // SAFETY: tm is plain data; localtime_r writes it and keeps no pointer.
    let offset = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&seconds, &mut tm).is_null() { 0 } else { tm.tm_gmtoff }
    };
    (seconds + offset).div_euclid(86_400)
}
