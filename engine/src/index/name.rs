//! Names of index files: local time of creation, `yyyyMMddHHmmssSSS`.
//!
//! Pure. Java 4.x parses the name as a number and sorts by it.

use protocol::calendar::civil;

/// Digits of a name.
pub(super) const NAME_LEN: usize = 17;

/// The name for a file made at `now_ms` (milliseconds since the epoch), as a number above `newest`.
///
/// When clocks are put back (winter time, a correction) the newest file's name is counted up instead, so that
/// names keep the order of creation.
pub(super) fn next(now_ms: i64, utc_offset_minutes: i32, newest: Option<&str>) -> String {
    let mut name = at(now_ms, utc_offset_minutes);
    if let Some(newest) = newest
        && name.as_str() <= newest
        && let Ok(number) = newest.parse::<u64>()
    {
        name = format!("{:017}", number.saturating_add(1));
    }
    name
}

pub(super) fn is_name(name: &str) -> bool {
    name.len() == NAME_LEN && name.bytes().all(|b| b.is_ascii_digit())
}

fn at(now_ms: i64, utc_offset_minutes: i32) -> String {
    let local = now_ms.max(0).saturating_add(i64::from(utc_offset_minutes) * 60_000);
    let (days, ms) = (local.div_euclid(86_400_000), local.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{:03}", ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_local_times_in_order() {
        for (now_ms, offset, expected) in [
            (0, 0, "19700101000000000"),
            (951_782_400_000, 0, "20000229000000000"),
            (1_700_000_000_123, 0, "20231114221320123"),
            (1_700_000_000_123, 480, "20231115061320123"),
            (1_700_000_000_123, -570, "20231114124320123"),
            (4_107_542_399_999, 0, "21000228235959999"),
        ] {
            assert_eq!(at(now_ms, offset), expected);
        }
        assert_eq!(next(1_700_000_000_123, 0, Some("20231114221320122")), "20231114221320123");
        assert_eq!(next(1_700_000_000_123, 0, Some("20231114221320123")), "20231114221320124");
        assert_eq!(next(1_700_000_000_123, 0, Some("20231114231320999")), "20231114231321000");
        assert!(is_name("20231114231320999") && !is_name("2023111423132099x") && !is_name("2023"));
    }
}
