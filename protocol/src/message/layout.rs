//! Positions and sizes of the record's fields; the one place that draws the layout. Constants only.
//!
//! ```text
//! size  field                         position with two IPv4 hosts (each IPv6 host adds 12 to what follows it)
//!   4   total size                      0
//!   4   magic                           4
//!   4   body crc (31 bits)              8
//!   4   queue id                       12
//!   4   flag (the application's)       16
//!   8   queue offset                   20
//!   8   physical offset                28
//!   4   sys flag                       36
//!   8   born timestamp, ms             40
//!   8   born host (20 with IPv6)       48    address, then the port as i32
//!   8   store timestamp, ms            56
//!   8   store host (20 with IPv6)      64
//!   4   reconsume times                72
//!   8   prepared transaction offset    76
//!   4   body length                    84
//!   n   body                           88
//!   1   topic length
//!   t   topic
//!   2   properties length
//!   p   properties
//! ```
//! The same bytes are used by the commitlog, pull and query bodies and the replication stream (4.3 to 5.x, version 1).

/// Magic of a version 1 record, the only one 4.x writes.
pub const MESSAGE_MAGIC: u32 = 0xdaa3_20a7;
/// Magic of a version 2 record (two-byte topic length), written by some 5.x brokers only.
pub const MESSAGE_MAGIC_V2: u32 = 0xdaa3_20ab;
/// Magic of the blank that ends a commitlog file.
pub const BLANK_MAGIC: u32 = 0xcbd4_3194;
/// Bytes of the blank that mean something: its length and its magic. Every file keeps room for it.
pub const BLANK_LEN: usize = 8;

/// Position of the total size, u32.
pub const TOTAL_SIZE: usize = 0;
/// Position of the magic, u32.
pub const MAGIC: usize = 4;
/// Position of the body checksum, u32 with the top bit clear.
pub const BODY_CRC: usize = 8;
/// Position of the queue id, i32.
pub const QUEUE_ID: usize = 12;
/// Position of the application's flag, i32.
pub const FLAG: usize = 16;
/// Position of the queue offset, i64.
pub const QUEUE_OFFSET: usize = 20;
/// Position of the physical offset, i64.
pub const PHYSICAL_OFFSET: usize = 28;
/// Position of the sys flag, i32.
pub const SYS_FLAG: usize = 36;
/// Position of the born timestamp, i64, ms.
pub const BORN_TIMESTAMP: usize = 40;
/// Position of the born host.
pub const BORN_HOST: usize = 48;

/// Bytes of an IPv4 host: address and port (i32).
pub const HOST_V4_LEN: usize = 8;
/// Bytes of an IPv6 host: address and port (i32).
pub const HOST_V6_LEN: usize = 20;

/// Bytes of all fixed fields up to the body, with two IPv4 hosts.
pub const HEAD_LEN_V4: usize = 88;
/// Bytes of all fixed fields up to the body, with two IPv6 hosts.
pub const HEAD_LEN_V6: usize = HEAD_LEN_V4 + 2 * (HOST_V6_LEN - HOST_V4_LEN);
/// Bytes of the topic length and the properties length.
pub const TAIL_LEN: usize = 1 + 2;
/// The smallest record: IPv4 hosts, empty body, topic and properties.
pub const RECORD_LEN_MIN: usize = HEAD_LEN_V4 + TAIL_LEN;

/// Longest topic in bytes (the length is a signed byte).
pub const TOPIC_LEN_MAX: usize = 127;
/// Longest properties string in bytes (the length is a signed short).
pub const PROPERTIES_LEN_MAX: usize = 32_767;

/// Position of the store timestamp, i64, ms.
pub const fn store_timestamp(born_host_v6: bool) -> usize {
    BORN_HOST + host_len(born_host_v6)
}

/// Bytes of a host.
pub const fn host_len(v6: bool) -> usize {
    if v6 { HOST_V6_LEN } else { HOST_V4_LEN }
}

/// Bytes of all fixed fields up to the body.
pub const fn head_len(born_host_v6: bool, store_host_v6: bool) -> usize {
    HEAD_LEN_V4 - 2 * HOST_V4_LEN + host_len(born_host_v6) + host_len(store_host_v6)
}

const _: () = {
    assert!(TOTAL_SIZE + 4 == MAGIC && MAGIC + 4 == BODY_CRC && BODY_CRC + 4 == QUEUE_ID && QUEUE_ID + 4 == FLAG);
    assert!(FLAG + 4 == QUEUE_OFFSET && QUEUE_OFFSET + 8 == PHYSICAL_OFFSET && PHYSICAL_OFFSET + 8 == SYS_FLAG);
    assert!(SYS_FLAG + 4 == BORN_TIMESTAMP && BORN_TIMESTAMP + 8 == BORN_HOST);
    assert!(store_timestamp(false) == 56 && store_timestamp(true) == 68);
    assert!(head_len(false, false) == 88 && head_len(true, false) == 100 && head_len(true, true) == 112);
    assert!(RECORD_LEN_MIN == 91 && HEAD_LEN_V6 == 112);
    assert!(MESSAGE_MAGIC as i32 == -626_843_481 && MESSAGE_MAGIC_V2 as i32 == -626_843_477);
    assert!(BLANK_MAGIC as i32 == -875_286_124);
};
