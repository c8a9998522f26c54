//! Numbers, times and JSON as Java prints them.
//!
//! Owns rounding, the local time zone and fastjson's indented form. Must not know where a value comes from. Any thread.

use std::fmt::Write;

use protocol::body::TopicRouteData;
use protocol::calendar::civil;

/// `%.2f`: rounded half up on the shortest decimal form of the number, where C and Rust round its exact value.
pub fn fixed(value: f64, places: usize) -> String {
    if !value.is_finite() {
        let infinity = if value > 0.0 { "Infinity" } else { "-Infinity" };
        return if value.is_nan() { "NaN" } else { infinity }.to_owned();
    }
    let text = format!("{}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut digits: Vec<u8> =
        whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(places)).collect();
    if fraction.as_bytes().get(places).is_some_and(|digit| *digit >= b'5') {
        let nines = digits.iter().rev().take_while(|digit| **digit == b'9').count();
        let kept = digits.len() - nines;
        digits[kept..].fill(b'0');
        match digits[..kept].last_mut() {
            Some(digit) => *digit += 1,
            None => digits.insert(0, b'1'),
        }
    }
    let mut text = String::from_utf8(digits).unwrap_or_default();
    if places > 0 {
        text.insert(text.len() - places, '.');
    }
    if value.is_sign_negative() { format!("-{text}") } else { text }
}

/// `yyyy-MM-dd HH:mm:ss,SSS` of ms since 1970, that many minutes east of Greenwich.
pub fn time(unix_ms: i64, utc_offset_minutes: i32) -> String {
    let local_ms = unix_ms.saturating_add(i64::from(utc_offset_minutes) * 60_000);
    let (days, of_day) = (local_ms.div_euclid(86_400_000), local_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (second, ms) = (of_day / 1000, of_day % 1000);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02},{ms:03}", second / 3600, second / 60 % 60, second % 60)
}

/// Minutes the system's time zone is east of Greenwich at `unix_ms`.
pub fn utc_offset_minutes(unix_ms: i64) -> i32 {
    let time: libc::time_t = unix_ms.div_euclid(1000);
    // SAFETY: tm is plain data for which all-zero is valid (its zone pointer may be null).
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that live through the call; localtime_r writes only into `parts`.
    let filled = unsafe { libc::localtime_r(&raw const time, &raw mut parts) };
    if filled.is_null() { 0 } else { i32::try_from(parts.tm_gmtoff / 60).unwrap_or(0) }
}

/// `{0=10.0.0.1:10911, 1=10.0.0.2:10911}`, a Java map's text.
pub fn map<K: std::fmt::Display, V: std::fmt::Display>(entries: impl IntoIterator<Item = (K, V)>) -> String {
    let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{{{}}}", entries.join(", "))
}

/// A route as fastjson indents it: tabs, integer keys bare and in the line of their brace.
pub fn route(route: &TopicRouteData) -> String {
    let brokers = route.broker_datas.iter().map(|broker| {
        let addresses: Vec<String> =
            broker.broker_addrs.iter().map(|(id, address)| format!("{id}:{}", quoted(address))).collect();
        let addresses = match addresses.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{{}\n\t\t\t}}", addresses.join(",")),
        };
        let members = [
            ("brokerAddrs", addresses),
            ("brokerName", quoted(&broker.broker_name)),
            ("cluster", quoted(&broker.cluster)),
        ];
        object(2, &members)
    });
    let filters: Vec<(&str, String)> = route
        .filter_server_table
        .iter()
        .map(|(address, servers)| (address.as_str(), array(2, servers.iter().map(|server| quoted(server)))))
        .collect();
    let queues = route.queue_datas.iter().map(|queues| {
        let members = [
            ("brokerName", quoted(&queues.broker_name)),
            ("perm", queues.perm.to_string()),
            ("readQueueNums", queues.read_queue_nums.to_string()),
            ("topicSysFlag", queues.topic_sys_flag.to_string()),
            ("writeQueueNums", queues.write_queue_nums.to_string()),
        ];
        object(2, &members)
    });
    let mut members = vec![("brokerDatas", array(1, brokers)), ("filterServerTable", object(1, &filters))];
    members.extend(route.order_topic_conf.as_deref().map(|order| ("orderTopicConf", quoted(order))));
    members.push(("queueDatas", array(1, queues)));
    object(0, &members)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Members one a line, a tab deeper than the braces, which stand at `depth`.
fn object(depth: usize, members: &[(&str, String)]) -> String {
    enclosed(depth, '{', '}', members.iter().map(|(name, value)| format!("{}:{value}", quoted(name))))
}

fn array(depth: usize, items: impl Iterator<Item = String>) -> String {
    enclosed(depth, '[', ']', items)
}

fn enclosed(depth: usize, open: char, close: char, items: impl Iterator<Item = String>) -> String {
    let mut text = String::from(open);
    let mut empty = true;
    for item in items {
        let comma = if empty { "" } else { "," };
        let _ = write!(text, "{comma}\n{}{item}", "\t".repeat(depth + 1));
        empty = false;
    }
    if !empty {
        let _ = write!(text, "\n{}", "\t".repeat(depth));
    }
    text.push(close);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by OpenJDK 17's String.format.
    #[test]
    fn numbers_are_rounded_as_java_rounds_them() {
        for (value, places, want) in [
            (0.125, 2, "0.13"),
            (1.005, 2, "1.01"),
            (2.675, 2, "2.68"),
            (12.345, 2, "12.35"),
            (9.999, 2, "10.00"),
            (999.995, 2, "1000.00"),
            (0.0, 4, "0.0000"),
            (-0.001, 2, "-0.00"),
            (1e10, 2, "10000000000.00"),
            (0.42374, 4, "0.4237"),
            (9.5, 0, "10"),
            (f64::NAN, 2, "NaN"),
            (f64::NEG_INFINITY, 2, "-Infinity"),
        ] {
            assert_eq!(fixed(value, places), want, "{value}");
        }
    }

    #[test]
    fn times_are_dates_of_the_calendar() {
        for (ms, offset, want) in [
            (0, 0, "1970-01-01 00:00:00,000"),
            (-1, 0, "1969-12-31 23:59:59,999"),
            (951_782_400_000, 0, "2000-02-29 00:00:00,000"),
            (1_709_251_199_999, 480, "2024-03-01 07:59:59,999"),
            (1_795_261_205_826, 0, "2026-11-21 11:40:05,826"),
            (4_102_444_800_000, -300, "2099-12-31 19:00:00,000"),
        ] {
            assert_eq!(time(ms, offset), want);
        }
        // Whatever a broker sends must print.
        assert!(!time(i64::MAX, 840).is_empty() && !time(i64::MIN, -840).is_empty());
    }

    #[test]
    fn a_route_without_anything_prints() {
        let empty = TopicRouteData { broker_datas: vec![Default::default()], ..TopicRouteData::default() };
        let text = route(&empty);
        assert!(text.contains("\"brokerAddrs\":{},") && text.contains("\t\"queueDatas\":[]\n}"), "{text}");
    }
}
