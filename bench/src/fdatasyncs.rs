//! How often a broker has synced its log, where it says so.
//!
//! Owns one request (GET_BROKER_RUNTIME_INFO) and one name in its table. Brokers without it have no number. Main
//! thread.

use client::Broker;
use protocol::body::{Body, KvTable};
use protocol::code::request;

/// RingMQ's name for it: fdatasync calls since its start.
const KEY: &str = "ringmqFdatasyncs";

/// Since the broker's start; `None` where it is not told.
pub fn count(broker: &mut Broker) -> Option<u64> {
    let answer = broker.connection().call(request::GET_BROKER_RUNTIME_INFO, |_| {}, &[]).ok()?;
    number(answer.command().body)
}

fn number(body: &[u8]) -> Option<u64> {
    KvTable::from_json(body).ok()?.table.get(KEY)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_a_broker_that_counts_has_a_number() {
        for (body, wanted) in [
            (r#"{"table":{"ringmqFdatasyncs":"17","putTps":"0"}}"#, Some(17)),
            (r#"{"table":{"putTps":"0"}}"#, None),
            (r#"{"table":{"ringmqFdatasyncs":"x"}}"#, None),
            ("no json", None),
        ] {
            assert_eq!(super::number(body.as_bytes()), wanted, "{body}");
        }
    }
}
