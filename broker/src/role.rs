//! What a broker's role forbids: a slave takes no messages and changes no table by itself.
//!
//! Owns the rules of refusal, as Java 4.9.7 has them. Pure; any shard.

use protocol::code::{request, response};

use crate::call::Refusal;
use crate::dispatch::is_send;
use crate::options::BrokerOptions;

/// Why a slave does not serve this request; `None` if it does.
pub fn refusal(options: &BrokerOptions, code: i32) -> Option<Refusal> {
    if !options.is_slave() {
        return None;
    }
    let name = &options.name;
    let refusal = match code {
        code if is_send(code) => Refusal::new(
            response::SERVICE_NOT_AVAILABLE,
            format!("service not available now: this broker is a slave of {name}; messages are put to the master"),
        ),
        // Clients then send the message to the retry topic at the master themselves.
        request::CONSUMER_SEND_MSG_BACK => Refusal::new(
            response::SYSTEM_ERROR,
            format!("SERVICE_NOT_AVAILABLE: this broker is a slave of {name}; messages go back to the master"),
        ),
        request::END_TRANSACTION => Refusal::new(
            response::SLAVE_NOT_AVAILABLE,
            format!("this broker is a slave of {name}: end transaction is forbidden here, only its master ends one"),
        ),
        request::UPDATE_AND_CREATE_TOPIC
        | request::DELETE_TOPIC_IN_BROKER
        | request::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
        | request::DELETE_SUBSCRIPTIONGROUP => Refusal::new(
            response::SYSTEM_ERROR,
            format!(
                "Can't modify topic or subscription group from slave broker, please execute it from master broker of {name}."
            ),
        ),
        _ => return None,
    };
    Some(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(role: &str) -> BrokerOptions {
        let settings = config::BrokerSettings::from_text(role).unwrap_or_else(|report| panic!("{report}"));
        crate::from_settings::options(&settings, String::new()).expect("options")
    }

    #[test]
    fn a_slave_refuses_what_is_its_masters() {
        let slave = options("brokerName=a\nbrokerRole=SLAVE\nbrokerId=1\nbrokerIP1=127.0.0.1\nnamesrvAddr=h:9876");
        let masters = ["brokerRole=SYNC_MASTER\nbrokerIP1=127.0.0.1", "brokerIP1=127.0.0.1"].map(options);
        for (code, expected) in [
            (10, Some((14, "this broker is a slave of a"))),
            (310, Some((14, "messages are put to the master"))),
            (320, Some((14, "service not available"))),
            (36, Some((1, "SERVICE_NOT_AVAILABLE"))),
            (37, Some((11, "end transaction is forbidden"))),
            (17, Some((1, "execute it from master broker"))),
            (215, Some((1, "execute it from master broker"))),
            (200, Some((1, "execute it from master broker"))),
            (207, Some((1, "execute it from master broker"))),
            (11, None),
            (14, None),
            (15, None),
            (21, None),
            (34, None),
            (41, None),
            (43, None),
            (907, None),
        ] {
            let found = refusal(&slave, code);
            assert_eq!(found.as_ref().map(|r| r.code), expected.map(|e| e.0), "{code}: {found:?}");
            if let (Some(found), Some((_, part))) = (&found, expected) {
                assert!(found.remark.contains(part), "{code}: {found:?}");
            }
            assert!(masters.iter().all(|master| refusal(master, code).is_none()), "{code}");
        }
    }
}
