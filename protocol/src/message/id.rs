//! Offset message ids: the store host and the physical offset as upper-case hex. Pure functions, no heap.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::digits::{hex8, hex16};

const TEXT_LEN_V4: usize = 32;
const TEXT_LEN_V6: usize = 56;

/// An offset message id, 32 (IPv4) or 56 (IPv6) upper-case hex digits, held inline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MsgId {
    text: [u8; TEXT_LEN_V6],
    len: u8,
}

impl MsgId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        self.text.get(..usize::from(self.len)).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl fmt::Display for MsgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for MsgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The id of the record that starts at `physical_offset` on the broker at `store_host`.
pub fn offset_msg_id(store_host: SocketAddr, physical_offset: i64) -> MsgId {
    let mut id = MsgId { text: [0; TEXT_LEN_V6], len: 0 };
    let mut push = |digits: &[u8]| {
        let at = usize::from(id.len);
        id.text[at..at + digits.len()].copy_from_slice(digits);
        id.len += digits.len() as u8;
    };
    match store_host.ip() {
        IpAddr::V4(ip) => push(&hex8(u32::from(ip))),
        IpAddr::V6(ip) => {
            let ip = u128::from(ip);
            push(&hex16((ip >> 64) as u64));
            push(&hex16(ip as u64));
        }
    }
    push(&hex8(u32::from(store_host.port())));
    push(&hex16(physical_offset as u64));
    id
}

/// The host and physical offset of an id; `None` for anything that is not 32 or 56 hex digits or whose port is no
/// port. A client-side unique id has the same shape, so an answer is not yet proof of an offset id.
pub fn parse_offset_msg_id(text: &str) -> Option<(SocketAddr, i64)> {
    if text.len() != TEXT_LEN_V4 && text.len() != TEXT_LEN_V6 {
        return None;
    }
    let mut bytes = [0u8; TEXT_LEN_V6 / 2];
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |ascii: &u8| char::from(*ascii).to_digit(16);
        *byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    let (ip, rest): (IpAddr, &[u8]) = if text.len() == TEXT_LEN_V4 {
        (Ipv4Addr::from(*bytes.first_chunk::<4>()?).into(), &bytes[4..])
    } else {
        (Ipv6Addr::from(*bytes.first_chunk::<16>()?).into(), &bytes[16..])
    };
    let port = u16::try_from(u32::from_be_bytes(*rest.first_chunk::<4>()?)).ok()?;
    let physical_offset = i64::from_be_bytes(*rest.get(4..)?.first_chunk::<8>()?);
    Some((SocketAddr::new(ip, port), physical_offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, physical_offset: i64, want: &str) {
        let host: SocketAddr = host.parse().expect("host");
        let id = offset_msg_id(host, physical_offset);
        assert_eq!(id.as_str(), want);
        assert_eq!(id.to_string(), want);
        assert_eq!(parse_offset_msg_id(want), Some((host, physical_offset)));
        assert_eq!(parse_offset_msg_id(&want.to_lowercase()), Some((host, physical_offset)));
    }

    #[test]
    fn ids_go_both_ways() {
        check("127.0.0.1:10911", 0, "7F00000100002A9F0000000000000000");
        check("172.17.4.60:10911", 1_234_567, "AC11043C00002A9F000000000012D687");
        check("[2001:db8::1]:10911", 255, "20010DB800000000000000000000000100002A9F00000000000000FF");
    }

    #[test]
    fn other_texts_are_no_ids() {
        let unfit = [
            "",
            "7F",
            "7F00000100002A9F000000000000000",
            "7F00000100012A9F0000000000000000",
            "７F00000100002A9F00000000000000",
        ];
        for text in unfit.into_iter().chain(["ZF00000100002A9F0000000000000000", "+F00000100002A9F0000000000000000"]) {
            assert_eq!(parse_offset_msg_id(text), None, "{text}");
        }
    }
}
