//! A small blocking client for brokers and nameservers: what the tests, the bench and the tools speak with.
//!
//! Owns requests and their answers as a client sees them. Must not see the engine or the broker, keep a thread of its
//! own (but for [`Consumer`]'s one) or retry behind the caller's back: an error carries the code and the remark, and
//! the caller decides. One [`Broker`] or [`Nameserver`] is one TCP connection, used by one thread at a time.

mod broker;
mod connection;
mod consumer;
mod error;
mod group;
mod json_text;
mod message;
mod nameserver;
mod offsets;
mod pull;
mod search;
mod send;
mod topic;

pub use broker::{Broker, Options};
pub use connection::Connection;
pub use consumer::{Consumer, ConsumerSpec, Delivery};
pub use error::Error;
pub use group::{GroupMember, LockedQueue, Subscription};
pub use message::{Message, Properties};
pub use nameserver::{BrokerAddresses, Nameserver, QueueData, Route};
pub use pull::{Pull, PullOutcome, Pulled};
pub use search::MessageQuery;
pub use send::{BatchMessage, Send, Sent};
pub use topic::TopicSpec;

pub use protocol::HeaderForm;
