//! Parts of the settings that broker and nameserver share, and the parsers of values with a form of their own.
//!
//! Pure functions from text to types; each error says what was expected.

use crate::report::{Report, Severity};
use crate::values::Values;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The listening side of a program, for `remoting`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// bindAddress
    pub bind_address: IpAddr,
    /// serverChannelMaxIdleTimeSeconds, in ms
    pub idle_timeout_ms: u64,
    /// startedFrameTimeoutMillis
    pub started_frame_timeout_ms: u64,
    /// frameMaxLength, bytes
    pub frame_size_max: usize,
    /// connectionsMax
    pub connections_max: usize,
    /// connectionOutMax, bytes
    pub connection_out_size_max: usize,
}

impl ServerSettings {
    pub(crate) fn read(values: &Values, report: &mut Report) -> ServerSettings {
        let text = values.text("bindAddress").unwrap_or_default();
        let bind_address = text.parse().unwrap_or_else(|_| {
            let problem = "an IP address of this host expected, such as 0.0.0.0 (every card) or 127.0.0.1";
            values.say(report, Severity::Error, "bindAddress", format!("bindAddress={text}: {problem}"));
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        });
        ServerSettings {
            bind_address,
            idle_timeout_ms: unsigned(values, "serverChannelMaxIdleTimeSeconds").saturating_mul(1_000),
            started_frame_timeout_ms: unsigned(values, "startedFrameTimeoutMillis"),
            frame_size_max: unsigned(values, "frameMaxLength") as usize,
            connections_max: unsigned(values, "connectionsMax") as usize,
            connection_out_size_max: unsigned(values, "connectionOutMax") as usize,
        }
    }
}

/// A number that the table bounds to 0 and more.
pub(crate) fn unsigned(values: &Values, key: &str) -> u64 {
    u64::try_from(values.number(key)).unwrap_or_default()
}

/// A port; the table bounds it to 1 … 65535.
pub(crate) fn port(values: &Values, key: &str) -> u16 {
    u16::try_from(values.number(key)).unwrap_or_default()
}

/// `host:port;host:port`, the host a name, an IPv4 address or an IPv6 address in brackets. Blanks around and empty
/// parts are passed over.
pub fn parse_namesrv_addr(text: &str) -> Result<Vec<String>, String> {
    const FORM: &str = "write it as 192.168.0.1:9876;192.168.0.2:9876";
    if text.contains('；') || text.contains('：') {
        return Err(format!("a full-width ； or ： stands where ; or : belongs; {FORM}"));
    }
    if text.contains(',') {
        return Err(format!("addresses are separated by a semicolon, not by a comma; {FORM}"));
    }
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| check_address(part).map(|()| part.to_owned()).map_err(|p| format!("{p}; {FORM}"))).collect()
}

/// One `host:port`; the error says what is wrong with it.
pub(crate) fn check_address(address: &str) -> Result<(), String> {
    if address.contains("//") {
        return Err(format!("{address} is a URL, host:port is wanted"));
    }
    let Some((host, port)) = address.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) else {
        return Err(format!("{address} has no port"));
    };
    if port.parse::<u16>().ok().filter(|port| *port > 0).is_none() {
        return Err(format!("{address}: the port is no number from 1 to 65535"));
    }
    check_host(host)
}

/// A host name, an IPv4 address, or an IPv6 address with or without brackets.
pub(crate) fn check_host(host: &str) -> Result<(), String> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(bare) = bare {
        return bare.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| format!("{host} is no IPv6 address"));
    }
    if host.is_empty() {
        return Err("the host is missing".into());
    }
    if let Some(c) = host.chars().find(|c| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '%'))) {
        return Err(match host.parse::<Ipv6Addr>() {
            Ok(_) => format!("the IPv6 address {host} wants brackets: [{host}]"),
            Err(_) => format!("{c:?} is no part of a host name"),
        });
    }
    let numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(format!("{host} is no IPv4 address"));
    }
    Ok(())
}

/// Hours of the day, separated by semicolons: `04` or `04;16`.
pub fn parse_hours(text: &str) -> Result<Vec<u8>, String> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let mut hours = Vec::new();
    for part in parts {
        match part.parse::<u8>() {
            Ok(hour @ 0..=23) if !hours.contains(&hour) => hours.push(hour),
            Ok(0..=23) => {}
            _ => return Err(format!("{part} is no hour from 00 to 23; write hours as 04 or 04;16")),
        }
    }
    if hours.is_empty() { Err("no hour given; write 04 or 04;16".into()) } else { Ok(hours) }
}

/// Most levels a broker keeps timers for.
const DELAY_LEVELS_MAX: usize = 256;

/// Delays in ms, level 1 first: numbers with unit s, m, h or d, separated by blanks.
pub fn parse_delay_levels(text: &str) -> Result<Vec<i64>, String> {
    let mut levels = Vec::new();
    for part in text.split_whitespace() {
        let unit_ms = match part.chars().last() {
            Some('s') => 1_000,
            Some('m') => 60_000,
            Some('h') => 3_600_000,
            Some('d') => 86_400_000,
            _ => return Err(format!("{part} has no unit; write delays as 1s 5m 2h 1d")),
        };
        let count: Option<i64> = part.get(..part.len() - 1).and_then(|count| count.parse().ok());
        match count.and_then(|count: i64| count.checked_mul(unit_ms)).filter(|delay| *delay >= 0) {
            Some(delay) => levels.push(delay),
            None => return Err(format!("{part} is no delay; write delays as 1s 5m 2h 1d")),
        }
    }
    match levels.len() {
        0 => Err("no level given; write delays as 1s 5m 2h 1d".into()),
        1..=DELAY_LEVELS_MAX => Ok(levels),
        count => Err(format!("{count} levels, at most {DELAY_LEVELS_MAX} are kept")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn check<T: PartialEq + Debug>(found: Result<T, String>, expected: Result<T, &str>) {
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn nameserver_lists() {
        for (text, expected) in [
            ("127.0.0.1:9876", Ok(vec!["127.0.0.1:9876"])),
            ("h-1:9876; h_2.lan:9877 ;", Ok(vec!["h-1:9876", "h_2.lan:9877"])),
            ("[::1]:9876", Ok(vec!["[::1]:9876"])),
            ("", Ok(vec![])),
            ("a:1,b:2", Err("not by a comma")),
            ("a:1；b:2", Err("full-width")),
            ("192.168.0.1", Err("192.168.0.1 has no port")),
            ("a:1;b", Err("b has no port")),
            ("a:70000", Err("port is no number")),
            ("a:0", Err("port is no number")),
            (":9876", Err("host is missing")),
            ("http://a:9876", Err("URL")),
            ("300.1.1.1:9876", Err("no IPv4 address")),
            ("::1:9876", Err("wants brackets")),
            ("a b:9876", Err("no part of a host name")),
            ("[::x]:9876", Err("no IPv6 address")),
            ("[::1]", Err("has no port")),
        ] {
            let expected = expected.map(|list: Vec<&str>| list.into_iter().map(str::to_owned).collect());
            check(parse_namesrv_addr(text), expected);
        }
    }

    #[test]
    fn hours() {
        for (text, expected) in [
            ("04", Ok(vec![4])),
            ("04;16; 4;", Ok(vec![4, 16])),
            ("24", Err("24 is no hour")),
            ("4,5", Err("4,5 is no hour")),
            ("", Err("no hour given")),
        ] {
            check(parse_hours(text), expected);
        }
    }

    #[test]
    fn delay_levels() {
        for (text, expected) in [
            ("1s 2m  3h 1d", Ok(vec![1_000, 120_000, 10_800_000, 86_400_000])),
            ("0s", Ok(vec![0])),
            ("5", Err("5 has no unit")),
            ("xs", Err("xs is no delay")),
            ("-1s", Err("-1s is no delay")),
            ("9223372036854775807d", Err("is no delay")),
            ("分", Err("no unit")),
            ("", Err("no level")),
        ] {
            check(parse_delay_levels(text), expected);
        }
    }
}
