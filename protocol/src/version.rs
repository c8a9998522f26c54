//! Version ordinals: what peers put into a header's `version`, and the ones behaviour hangs on. Constants.
//!
//! Java numbers V3_0_0_SNAPSHOT as 0 and gives every later version two places (snapshot, release).

/// 4.9.7, the version this broker speaks as.
pub const CURRENT: i32 = 407;
/// From here on a broker registers with the body that has a filter server list.
pub const V3_0_11: i32 = 37;
/// From here on a client can be asked to reset offsets.
pub const V3_0_7_SNAPSHOT: i32 = 28;
/// From here on a client answers running-info requests.
pub const V3_1_8_SNAPSHOT: i32 = 62;
/// From here on a request's maxReconsumeTimes counts.
pub const V3_4_9: i32 = 121;
/// From here on a broker is trusted by clients with filters other than TAG.
pub const V4_1_0_SNAPSHOT: i32 = 232;
/// From here on the route's member is spelt topicSysFlag.
pub const V4_9_0: i32 = 393;
/// From here on routes are read as standard JSON.
pub const V4_9_4: i32 = 401;
/// The last ordinal with a name, HIGHER_VERSION.
pub const HIGHER_VERSION: i32 = 612;

/// The name of an ordinal as Java prints it, for instance `V4_9_7`. The enum runs from V3_0_0_SNAPSHOT in steps of a
/// patch version (two places), ten patch versions to a minor one (20 places), ten minor ones to a major one. Before
/// 4.0.0 it is irregular; those ordinals are given as numbers.
pub fn name(ordinal: i32) -> String {
    if !(0..HIGHER_VERSION).contains(&ordinal) {
        return if ordinal < 0 { ordinal.to_string() } else { "HIGHER_VERSION".to_owned() };
    }
    known(ordinal).unwrap_or_else(|| ordinal.to_string())
}

/// Derived for the ranges whose numbering is regular.
fn known(ordinal: i32) -> Option<String> {
    // 4.0.0 is 213 and each minor version takes 20 places (4.1.0 is 233, … 4.9.0 is 393, 5.0.0 is 413).
    let from_4_0_0 = ordinal.checked_sub(212).filter(|places| *places >= 0)?;
    let (minor, within) = (from_4_0_0 / 20, from_4_0_0 % 20);
    let (patch, snapshot) = (within / 2, within % 2 == 0);
    let (major, minor) = (4 + minor / 10, minor % 10);
    Some(format!("V{major}_{minor}_{patch}{}", if snapshot { "_SNAPSHOT" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_known_ordinals() {
        let known = [
            (213, "V4_0_0"),
            (232, "V4_1_0_SNAPSHOT"),
            (233, "V4_1_0"),
            (253, "V4_2_0"),
            (277, "V4_3_2"),
            (313, "V4_5_0"),
            (317, "V4_5_2"),
            (335, "V4_6_1"),
            (355, "V4_7_1"),
            (393, "V4_9_0"),
            (CURRENT, "V4_9_7"),
            (413, "V5_0_0"),
            (453, "V5_2_0"),
            (479, "V5_3_3"),
            (612, "HIGHER_VERSION"),
            (9999, "HIGHER_VERSION"),
            (-1, "-1"),
        ];
        for (ordinal, want) in known {
            assert_eq!(name(ordinal), want);
        }
    }
}
