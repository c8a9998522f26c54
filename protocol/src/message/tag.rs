//! Java's string hash and the tags code of the consume queue. Pure functions.

/// `String.hashCode` of Java: over UTF-16 code units, wrapping. Also the hash of index keys and of a subscription's
/// code set.
pub fn java_hash(text: &str) -> i32 {
    let step = |hash: i32, unit: i32| hash.wrapping_mul(31).wrapping_add(unit);
    if text.is_ascii() {
        text.bytes().fold(0, |hash, byte| step(hash, i32::from(byte)))
    } else {
        text.encode_utf16().fold(0, |hash, unit| step(hash, i32::from(unit)))
    }
}

/// What the consume queue stores for a TAGS property: the hash of the whole string, sign-extended; 0 without tags.
pub fn tags_code(tags: &str) -> i64 {
    i64::from(java_hash(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers printed by OpenJDK 17; those given as sums show the UTF-16 units.
    #[test]
    fn hashes_as_java_does() {
        let check = |text: &str, want: i32| assert_eq!(java_hash(text), want, "{text:?}");
        check("", 0);
        check("a", 97);
        check("TagA", 2_598_919);
        check("hello", 99_162_322);
        check("Aa", 2112);
        check("BB", 2112);
        check("polygenelubricants", i32::MIN);
        check("é", 0xe9);
        check("ТегА", 32_588_240);
        check("中文", 646_394);
        check("😀", 1_772_899);
        check("\u{ffff}𐍈", 64_750_471);
        check("中文", 0x4e2d * 31 + 0x6587);
        // One astral character is two units: d83d de00.
        check("😀", 0xd83d * 31 + 0xde00);
        check("a😀", (97 * 31 + 0xd83d) * 31 + 0xde00);
    }

    #[test]
    fn tags_code_is_sign_extended() {
        assert_eq!(tags_code(""), 0);
        assert_eq!(tags_code("polygenelubricants"), -2_147_483_648);
        assert_eq!(tags_code("TagA"), 2_598_919);
    }
}
