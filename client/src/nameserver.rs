//! A connection to one nameserver: GET_ROUTEINFO_BY_TOPIC (105), the topic list (206) and KV entries (100, 101).
//!
//! Owns these requests. Must not cache a route. One thread.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use protocol::code::{request, response};
use protocol::json::lenient;

use crate::broker::Options;
use crate::connection::{Connection, refused};
use crate::error::Error;
use crate::json_text::missing;

/// The queues one broker has of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueData {
    pub broker_name: String,
    pub read_queue_nums: i32,
    pub write_queue_nums: i32,
    pub perm: i32,
}

/// The addresses of one broker by id; 0 is the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddresses {
    pub cluster: String,
    pub broker_name: String,
    pub addresses: BTreeMap<i64, String>,
}

/// Where a topic lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub queues: Vec<QueueData>,
    pub brokers: Vec<BrokerAddresses>,
}

impl Route {
    /// The address of a master, if there is one.
    pub fn master(&self) -> Option<SocketAddr> {
        self.brokers.iter().find_map(|broker| broker.addresses.get(&0)?.parse().ok())
    }
}

/// One connection to one nameserver.
pub struct Nameserver {
    connection: Connection,
}

impl Nameserver {
    /// Connects with the defaults: JSON headers, 10 s.
    pub fn connect(address: SocketAddr) -> Result<Self, Error> {
        Nameserver::connect_with(address, Options::default())
    }

    /// Connects.
    pub fn connect_with(address: SocketAddr, options: Options) -> Result<Self, Error> {
        Ok(Nameserver { connection: Connection::open(address, options.form, options.timeout)? })
    }

    /// For requests without a method here.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Where a topic lives; `None` when no broker serves it (17).
    pub fn route(&mut self, topic: &str) -> Result<Option<Route>, Error> {
        let code = request::GET_ROUTEINFO_BY_TOPIC;
        let timeout = self.connection.timeout();
        let answer = self.connection.ask(code, |fields| fields.str("topic", topic), &[], timeout)?;
        match answer.command().code {
            response::SUCCESS => {}
            response::TOPIC_NOT_EXIST => return Ok(None),
            _ => return Err(refused(code, &answer)),
        }
        let body = lenient::parse(answer.command().body).map_err(|error| Error::malformed(code, error.to_string()))?;
        let array =
            |member: &str| body.get(member).and_then(|value| value.as_array()).ok_or_else(|| missing(code, member));
        let queues = array("queueDatas")?.iter().map(|queue| {
            let int = |member: &str| queue.get(member)?.as_i64().and_then(|value| i32::try_from(value).ok());
            Some(QueueData {
                broker_name: queue.get("brokerName")?.as_str()?.to_owned(),
                read_queue_nums: int("readQueueNums")?,
                write_queue_nums: int("writeQueueNums")?,
                perm: int("perm")?,
            })
        });
        let queues: Option<Vec<_>> = queues.collect();
        let brokers = array("brokerDatas")?.iter().map(|broker| {
            let addresses = broker.get("brokerAddrs")?.as_object()?.iter();
            let addresses: Option<BTreeMap<_, _>> =
                addresses.map(|(id, address)| Some((id.parse().ok()?, address.as_str()?.to_owned()))).collect();
            Some(BrokerAddresses {
                cluster: broker.get("cluster").and_then(|cluster| cluster.as_str()).unwrap_or_default().to_owned(),
                broker_name: broker.get("brokerName")?.as_str()?.to_owned(),
                addresses: addresses?,
            })
        });
        let brokers: Option<Vec<_>> = brokers.collect();
        Ok(Some(Route {
            queues: queues.ok_or_else(|| missing(code, "whole entry in queueDatas"))?,
            brokers: brokers.ok_or_else(|| missing(code, "whole entry in brokerDatas"))?,
        }))
    }

    /// All topics, sorted.
    pub fn topics(&mut self) -> Result<Vec<String>, Error> {
        let code = request::GET_ALL_TOPIC_LIST_FROM_NAMESERVER;
        let answer = self.connection.call(code, |_| {}, &[])?;
        let body = lenient::parse(answer.command().body).map_err(|error| Error::malformed(code, error.to_string()))?;
        let topics = body.get("topicList").and_then(|topics| topics.as_array());
        let topics = topics.ok_or_else(|| missing(code, "topicList"))?;
        let mut topics: Vec<String> = topics.iter().filter_map(|topic| topic.as_str().map(str::to_owned)).collect();
        topics.sort();
        Ok(topics)
    }

    /// Puts a KV entry.
    pub fn put_kv(&mut self, namespace: &str, key: &str, value: &str) -> Result<(), Error> {
        self.connection
            .call(
                request::PUT_KV_CONFIG,
                |fields| {
                    fields.str("namespace", namespace);
                    fields.str("key", key);
                    fields.str("value", value);
                },
                &[],
            )
            .map(drop)
    }

    /// A KV entry's value; `None` when there is none (22).
    pub fn get_kv(&mut self, namespace: &str, key: &str) -> Result<Option<String>, Error> {
        let code = request::GET_KV_CONFIG;
        let timeout = self.connection.timeout();
        let answer = self.connection.ask(
            code,
            |fields| {
                fields.str("namespace", namespace);
                fields.str("key", key);
            },
            &[],
            timeout,
        )?;
        let command = answer.command();
        match command.code {
            response::SUCCESS => Ok(command.fields.get("value").map(|value| value.into_owned())),
            response::QUERY_NOT_FOUND => Ok(None),
            _ => Err(refused(code, &answer)),
        }
    }
}
