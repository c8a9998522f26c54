//! The body checksum of records and of broker registrations. Pure function, any core.

/// CRC-32 (IEEE, as `java.util.zip.CRC32`) with the sign bit cleared, the form every RocketMQ field carries.
/// An empty body gives 0.
pub fn crc32(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn known_values() {
        for (body, want) in [
            (&b""[..], 0),
            (b"123456789", 0xcbf4_3926 & 0x7fff_ffff),
            (b"a", 0x68b7_be43),
            (b"Hello RocketMQ", 1_774_740_973),
        ] {
            assert_eq!(crc32(body), want, "{body:?}");
        }
    }
}
