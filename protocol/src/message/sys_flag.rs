//! The bits of a message's sys flag. Constants and pure functions.

/// The body is compressed by the client; brokers store it as it is.
pub const COMPRESSED: i32 = 0x1;
/// The topic is of the multi-tag kind.
pub const MULTI_TAGS: i32 = 0x2;
/// Mask of the two transaction bits.
pub const TRANSACTION_MASK: i32 = 0xc;
/// Not part of a transaction.
pub const TRANSACTION_NONE: i32 = 0x0;
/// A half message.
pub const TRANSACTION_PREPARED: i32 = 0x4;
/// A committed message.
pub const TRANSACTION_COMMIT: i32 = 0x8;
/// A rolled back message.
pub const TRANSACTION_ROLLBACK: i32 = 0xc;
/// The born host is an IPv6 address (since 4.6).
pub const BORN_HOST_V6: i32 = 0x10;
/// The store host is an IPv6 address (since 4.6).
pub const STORE_HOST_V6: i32 = 0x20;
/// Mask of the compression type: 0 zlib (before 4.9.4), 0x100 LZ4, 0x200 ZSTD, 0x300 zlib.
pub const COMPRESSION_TYPE_MASK: i32 = 0x700;

/// The transaction type: one of the `TRANSACTION_` values.
pub const fn transaction(sys_flag: i32) -> i32 {
    sys_flag & TRANSACTION_MASK
}

/// The same flag with another transaction type.
pub const fn with_transaction(sys_flag: i32, transaction: i32) -> i32 {
    (sys_flag & !TRANSACTION_MASK) | (transaction & TRANSACTION_MASK)
}

/// Whether the born host takes 20 bytes.
pub const fn is_born_host_v6(sys_flag: i32) -> bool {
    sys_flag & BORN_HOST_V6 != 0
}

/// Whether the store host takes 20 bytes.
pub const fn is_store_host_v6(sys_flag: i32) -> bool {
    sys_flag & STORE_HOST_V6 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_bits_are_replaced_and_others_kept() {
        let flag = COMPRESSED | TRANSACTION_PREPARED | BORN_HOST_V6 | 0x200;
        assert_eq!(transaction(flag), TRANSACTION_PREPARED);
        assert_eq!(with_transaction(flag, TRANSACTION_COMMIT), COMPRESSED | TRANSACTION_COMMIT | BORN_HOST_V6 | 0x200);
        assert_eq!(transaction(with_transaction(flag, TRANSACTION_NONE)), TRANSACTION_NONE);
    }
}
