//! The table of commands.
//!
//! Owns nothing but the list; each command lies in its own file. Pure, any thread.

pub mod broker_status;
pub mod cluster_list;
pub mod ha_status;
pub mod topic_route;
pub mod topic_status;

use crate::arguments::{Arguments, Opt};
use crate::cluster;
use crate::context::Context;
use crate::failure::Failure;

/// One command.
pub struct Command {
    /// As Java spells it; found without regard to case.
    pub name: &'static str,
    pub about: &'static str,
    pub options: &'static [Opt],
    /// One round of it: a command with an interval is run again and again.
    pub run: fn(&mut Context<'_>, &Arguments) -> Result<(), Failure>,
}

/// In the order of Java's list.
pub const ALL: &[Command] =
    &[topic_route::COMMAND, topic_status::COMMAND, broker_status::COMMAND, ha_status::COMMAND, cluster_list::COMMAND];

/// Commands of Java's mqadmin 4.9.7 that are not here.
pub const ELSEWHERE: &[&str] = &[
    "updateTopic",
    "deleteTopic",
    "updateSubGroup",
    "deleteSubGroup",
    "updateBrokerConfig",
    "updateTopicPerm",
    "topicClusterList",
    "queryMsgById",
    "queryMsgByKey",
    "queryMsgByUniqueKey",
    "queryMsgByOffset",
    "queryMsgTraceById",
    "printMsg",
    "printMsgByQueue",
    "sendMsgStatus",
    "brokerConsumeStats",
    "producerConnection",
    "consumerConnection",
    "consumerProgress",
    "consumerStatus",
    "cloneGroupOffset",
    "producer",
    "topicList",
    "updateKvConfig",
    "deleteKvConfig",
    "wipeWritePerm",
    "addWritePerm",
    "resetOffsetByTime",
    "skipAccumulatedMessage",
    "updateOrderConf",
    "cleanExpiredCQ",
    "deleteExpiredCommitLog",
    "cleanUnusedTopic",
    "startMonitoring",
    "statsAll",
    "allocateMQ",
    "checkMsgSendRT",
    "clusterRT",
    "getNamesrvConfig",
    "updateNamesrvConfig",
    "getBrokerConfig",
    "getConsumerConfig",
    "queryCq",
    "sendMessage",
    "consumeMessage",
    "updateAclConfig",
    "deleteAclConfig",
    "clusterAclConfigVersion",
    "updateGlobalWhiteAddr",
    "getAclConfig",
    "exportMetadata",
    "exportConfigs",
    "exportMetrics",
];

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Command> {
    ALL.iter().find(|command| command.name.eq_ignore_ascii_case(name))
}

/// The broker that `-b` names, or the masters of the cluster that `-c` names.
fn brokers(context: &mut Context<'_>, arguments: &Arguments) -> Result<Vec<String>, Failure> {
    match (arguments.get("brokerAddr"), arguments.get("clusterName")) {
        (Some(address), _) => match address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(vec![address.to_owned()]),
            _ => Err(Failure::Usage(format!("-b {address} is no host:port, such as 10.0.0.1:10911"))),
        },
        (None, Some(cluster)) => cluster::masters(context, cluster),
        (None, None) => {
            Err(Failure::Usage("say which: -b host:port for one broker, -c cluster for its masters".into()))
        }
    }
}
