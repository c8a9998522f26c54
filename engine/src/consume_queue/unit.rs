//! The unit of a consume queue: where a message lies in the commitlog, and its tag.
//!
//! Owns the 20-byte layout. Pure; runs anywhere.

/// Bytes of a unit on disk.
pub const UNIT_SIZE: usize = 20;

/// The size Java writes into a unit that stands for no message.
pub const BLANK_SIZE: i32 = 0x7FFF_FFFF;

/// One entry of a consume queue, big-endian on disk (Java 4.x):
///
/// ```text
///  0        8      12        20
///  +--------+------+---------+
///  | i64    | i32  | i64     |
///  | physical offset | size | tags code |
///  +--------+------+---------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Commitlog offset of the record's first byte.
    pub physical_offset: i64,
    /// Bytes of the whole record.
    pub size: i32,
    /// Hash of the tags; the delivery time in milliseconds in SCHEDULE_TOPIC_XXXX.
    pub tags_code: i64,
}

impl Unit {
    /// What Java puts before the first unit of a queue that does not begin at its file's first place.
    pub const PRE_BLANK: Unit = Unit { physical_offset: 0, size: BLANK_SIZE, tags_code: 0 };

    /// Stands for a message that is lost. It carries the end of the record before it, so that physical offsets
    /// never go back along a queue and a search by them stays a binary search.
    pub fn gap(physical_end: i64) -> Unit {
        Unit { physical_offset: physical_end, size: BLANK_SIZE, tags_code: 0 }
    }

    /// Whether the unit was ever written: a fresh file is full of zeros (Java's own rule in recovery).
    pub fn is_valid(&self) -> bool {
        self.physical_offset >= 0 && self.size > 0
    }

    /// Whether the unit stands for no message; readers step over it.
    pub fn is_blank(&self) -> bool {
        self.size == BLANK_SIZE
    }

    /// Commitlog offset of the byte after the record.
    pub fn physical_end(&self) -> i64 {
        if self.is_blank() { self.physical_offset } else { self.physical_offset.saturating_add(i64::from(self.size)) }
    }

    /// The unit as it stands on disk.
    pub fn encode(&self) -> [u8; UNIT_SIZE] {
        let mut bytes = [0; UNIT_SIZE];
        bytes[..8].copy_from_slice(&self.physical_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_be_bytes());
        bytes[12..].copy_from_slice(&self.tags_code.to_be_bytes());
        bytes
    }

    /// The reverse of [`Unit::encode`]; any bytes give a unit, [`Unit::is_valid`] judges it.
    pub fn decode(bytes: &[u8; UNIT_SIZE]) -> Unit {
        let [o0, o1, o2, o3, o4, o5, o6, o7, s0, s1, s2, s3, t0, t1, t2, t3, t4, t5, t6, t7] = *bytes;
        Unit {
            physical_offset: i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            size: i32::from_be_bytes([s0, s1, s2, s3]),
            tags_code: i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_java_s() {
        let unit = Unit { physical_offset: 0x0102_0304_0506_0708, size: 0x11, tags_code: -2 };
        let bytes = unit.encode();
        assert_eq!(bytes[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bytes[8..12], [0, 0, 0, 0x11]);
        assert_eq!(bytes[12..], [255, 255, 255, 255, 255, 255, 255, 254]);
        assert_eq!(Unit::decode(&bytes), unit);
        assert_eq!(Unit::PRE_BLANK.encode()[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF]);
        assert!(!Unit::decode(&[0; UNIT_SIZE]).is_valid() && !Unit::decode(&[0xFF; UNIT_SIZE]).is_valid());
    }
}
