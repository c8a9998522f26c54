//! `topicRoute`: where a topic lives, as fastjson indents it or with `-l` as a table.
//!
//! Asks 105. Owns the table; the JSON of Java's form is `java_text`'s. One thread.

use std::collections::BTreeMap;

use protocol::body::{QueueData, TopicRouteData};
use protocol::code::{request, response};

use super::Command;
use crate::arguments::{Arguments, Opt};
use crate::context::{Context, read};
use crate::failure::{Failure, Unanswered};
use crate::java_text;

pub const COMMAND: Command = Command {
    name: "topicRoute",
    about: "Which brokers serve a topic, with how many queues",
    options: &[Opt::value('t', "topic", "the topic").required(), Opt::flag('l', "list", "as a table")],
    run,
};

fn run(context: &mut Context<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let route = of(context, arguments)?;
    if context.json {
        context.print_json(&serde_json::to_value(&route).unwrap_or_default());
    } else if arguments.has("list") {
        table(context, route);
    } else {
        context.line(java_text::route(&route));
    }
    Ok(())
}

/// The route of the topic that the arguments name.
pub(super) fn of(context: &mut Context<'_>, arguments: &Arguments) -> Result<TopicRouteData, Failure> {
    let topic = arguments.get("topic").unwrap_or_default();
    let code = request::GET_ROUTEINFO_BY_TOPIC;
    match context.ask_namesrv(code, &[("topic", topic)]) {
        Ok((namesrv, body)) => Ok(read(&namesrv, code, &body)?),
        Err(Failure::Unanswered(error @ Unanswered::Refused { code: response::TOPIC_NOT_EXIST, .. })) => {
            Err(Failure::Failed(format!(
                "no broker serves topic {topic}: it was never created, or the brokers that have it are not registered \
                 (clusterList shows who is); {error}"
            )))
        }
        Err(other) => Err(other),
    }
}

fn table(context: &mut Context<'_>, mut route: TopicRouteData) {
    let row = |cells: [&str; 6]| {
        let [cluster, name, addresses, read, write, perm] = cells;
        format!("{cluster:<45} {name:<32} {addresses:<50} {read:<10} {write:<11} {perm:<5}")
    };
    context.line(row(["#ClusterName", "#BrokerName", "#BrokerAddrs", "#ReadQueue", "#WriteQueue", "#Perm"]));
    let queues: BTreeMap<&str, &QueueData> =
        route.queue_datas.iter().map(|queues| (queues.broker_name.as_str(), queues)).collect();
    route.broker_datas.sort_by(|a, b| a.broker_name.cmp(&b.broker_name));
    let (mut total_read, mut total_write) = (0, 0);
    for broker in &route.broker_datas {
        let addresses = java_text::map(&broker.broker_addrs);
        // A broker may be named before its queues are.
        let cells = match queues.get(broker.broker_name.as_str()) {
            Some(queues) => {
                total_read += i64::from(queues.read_queue_nums);
                total_write += i64::from(queues.write_queue_nums);
                [queues.read_queue_nums, queues.write_queue_nums, queues.perm].map(|number| number.to_string())
            }
            None => ["-", "-", "-"].map(str::to_owned),
        };
        let [read, write, perm] = &cells;
        context.line(row([&broker.cluster, &broker.broker_name, &addresses, read, write, perm]));
    }
    context.line("-".repeat(158));
    let count = queues.len().to_string();
    context.line(row(["Total:", &count, "", &total_read.to_string(), &total_write.to_string(), ""]));
}
