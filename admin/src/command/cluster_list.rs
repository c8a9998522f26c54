//! `clusterList`: every broker with its load, or with `-m` the messages of yesterday and today.
//!
//! Asks 106, then 28 of each broker. Owns the two tables. One thread.

use std::collections::BTreeMap;

use protocol::body::KvTable;
use protocol::code::request;
use serde_json::json;

use super::Command;
use crate::arguments::{Arguments, Opt};
use crate::cluster::{self, Member};
use crate::context::Context;
use crate::failure::{Failure, Unanswered};
use crate::java_text::fixed;

pub const COMMAND: Command = Command {
    name: "clusterList",
    about: "Every broker of every cluster: role, address, version and load",
    options: &[
        Opt::flag('m', "moreStats", "messages of yesterday and today instead of the load"),
        Opt::value('i', "interval", "print again every so many seconds"),
        Opt::value('c', "clusterName", "only this cluster (mqadmin 5.x has it, too)"),
    ],
    run,
};

type Table = BTreeMap<String, String>;

fn run(context: &mut Context<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let members = cluster::members(context, arguments.get("clusterName"))?;
    let addresses: Vec<&str> = members.iter().map(|member| member.address.as_str()).collect();
    let answers: Vec<Result<KvTable, Unanswered>> = context.ask_each(&addresses, request::GET_BROKER_RUNTIME_INFO, &[]);
    let rows: Vec<(&Member, Result<Table, Unanswered>)> =
        members.iter().zip(answers.into_iter().map(|answer| answer.map(|info| info.table))).collect();
    for (member, answer) in &rows {
        if let Err(error) = answer {
            context.complaints.push(format!("broker {} ({}) at {error}", member.broker_name, member.broker_id));
        }
    }
    let now_ms = (context.clock.now_ms)();
    let mut list = Vec::new();
    let more = arguments.has("moreStats");
    if !context.json {
        context.line(if more { more_header() } else { load_header() });
    }
    for (member, answer) in rows {
        let mut object = json!({
            "cluster": member.cluster, "brokerName": member.broker_name,
            "brokerId": member.broker_id, "address": member.address,
        });
        if let Err(error) = &answer {
            object["error"] = json!(error.to_string());
        }
        let line = match (more, answer.ok()) {
            (true, table) => Totals::of(table).print(member, &mut object),
            (false, table) => Load::of(table, now_ms).print(member, &mut object),
        };
        if !context.json {
            context.line(line);
        }
        list.push(object);
    }
    if context.json {
        context.print_json(&json!({ "brokers": list }));
    }
    Ok(())
}

fn load_header() -> String {
    load_row([
        "#Cluster Name",
        "#Broker Name",
        "#BID",
        "#Addr",
        "#Version",
        "#InTPS(LOAD)",
        "#OutTPS(LOAD)",
        "#PCWait(ms)",
        "#Hour",
        "#SPACE",
    ])
}

fn load_row(cells: [&str; 10]) -> String {
    let [cluster, name, id, address, version, input, output, wait, hour, space] = cells;
    format!(
        "{cluster:<16}  {name:<22}  {id:<4}  {address:<22} {version:<16} {input:>19} {output:>19} {wait:>10} {hour:>5} {space:>6}"
    )
}

/// What one row of the load tells. As in Java an empty text stands for a broker that did not answer, "null" for a value
/// that it did not send.
#[derive(Default)]
struct Load {
    version: String,
    in_tps: f64,
    out_tps: f64,
    send_queue_size: String,
    send_wait_ms: String,
    pull_queue_size: String,
    pull_wait_ms: String,
    page_cache_lock_ms: String,
    hours: f64,
    has_messages: bool,
    space: f64,
}

impl Load {
    fn of(table: Option<Table>, now_ms: i64) -> Load {
        let Some(table) = table else { return Load::default() };
        let text = |key: &str| table.get(key).map_or("null", String::as_str).to_owned();
        let first = |key: &str| table.get(key)?.split(' ').next()?.parse::<f64>().ok();
        let in_tps = first("putTps");
        let earliest_ms: Option<i64> = table.get("earliestMessageTimeStamp").and_then(|text| text.parse().ok());
        let space = table.get("commitLogDiskRatio").and_then(|text| text.parse().ok());
        Load {
            version: text("brokerVersionDesc"),
            in_tps: in_tps.unwrap_or(0.0),
            // Java reads the second only after the first.
            out_tps: in_tps.and_then(|_| first("getTransferedTps")).unwrap_or(0.0),
            send_queue_size: text("sendThreadPoolQueueSize"),
            send_wait_ms: text("sendThreadPoolQueueHeadWaitTimeMills"),
            pull_queue_size: text("pullThreadPoolQueueSize"),
            pull_wait_ms: text("pullThreadPoolQueueHeadWaitTimeMills"),
            page_cache_lock_ms: text("pageCacheLockTimeMills"),
            hours: earliest_ms.map_or(0.0, |earliest| now_ms.wrapping_sub(earliest) as f64 / 3_600_000.0),
            has_messages: earliest_ms.is_some_and(|earliest| earliest > 0),
            space: space.unwrap_or(0.0),
        }
    }

    fn print(&self, member: &Member, object: &mut serde_json::Value) -> String {
        object["version"] = json!(self.version);
        object["inTps"] = json!(self.in_tps);
        object["outTps"] = json!(self.out_tps);
        for (name, text) in [
            ("sendQueueSize", &self.send_queue_size),
            ("sendWaitMs", &self.send_wait_ms),
            ("pullQueueSize", &self.pull_queue_size),
            ("pullWaitMs", &self.pull_wait_ms),
            ("pageCacheLockMs", &self.page_cache_lock_ms),
        ] {
            object[name] = json!(text.parse::<i64>().ok());
        }
        // -1 stands for no message; Java's table reckons with it all the same.
        object["hours"] = json!(self.has_messages.then_some(self.hours));
        object["diskRatio"] = json!(self.space);
        let tps = |tps, size: &str, wait: &str| format!("{:>9}({size},{wait}ms)", fixed(tps, 2));
        load_row([
            &member.cluster,
            &member.broker_name,
            &member.broker_id.to_string(),
            &member.address,
            &self.version,
            &tps(self.in_tps, &self.send_queue_size, &self.send_wait_ms),
            &tps(self.out_tps, &self.pull_queue_size, &self.pull_wait_ms),
            &self.page_cache_lock_ms,
            &fixed(self.hours, 2),
            &fixed(self.space, 4),
        ])
    }
}

fn more_header() -> String {
    more_row(["#Cluster Name", "#Broker Name", "#InTotalYest", "#OutTotalYest", "#InTotalToday", "#OutTotalToday"])
}

fn more_row(cells: [&str; 6]) -> String {
    let [cluster, name, in_yesterday, out_yesterday, in_today, out_today] = cells;
    format!("{cluster:<16}  {name:<32} {in_yesterday:>14} {out_yesterday:>14} {in_today:>14} {out_today:>14}")
}

/// Messages in and out, yesterday and today: differences of counts at midnights.
#[derive(Default)]
struct Totals {
    in_yesterday: i64,
    out_yesterday: i64,
    in_today: i64,
    out_today: i64,
}

impl Totals {
    fn of(table: Option<Table>) -> Totals {
        let mut totals = Totals::default();
        let table = table.unwrap_or_default();
        let between = |from: &str, to: &str| {
            let count = |key: &str| table.get(key)?.parse::<i64>().ok();
            Some(count(to)?.wrapping_sub(count(from)?))
        };
        // In Java's order: what follows a value that is missing stays 0.
        let mut fill = || {
            totals.in_yesterday = between("msgPutTotalYesterdayMorning", "msgPutTotalTodayMorning")?;
            totals.out_yesterday = between("msgGetTotalYesterdayMorning", "msgGetTotalTodayMorning")?;
            totals.in_today = between("msgPutTotalTodayMorning", "msgPutTotalTodayNow")?;
            totals.out_today = between("msgGetTotalTodayMorning", "msgGetTotalTodayNow")?;
            Some(())
        };
        let _ = fill();
        totals
    }

    fn print(&self, member: &Member, object: &mut serde_json::Value) -> String {
        object["inTotalYesterday"] = json!(self.in_yesterday);
        object["outTotalYesterday"] = json!(self.out_yesterday);
        object["inTotalToday"] = json!(self.in_today);
        object["outTotalToday"] = json!(self.out_today);
        let [a, b, c, d] =
            [self.in_yesterday, self.out_yesterday, self.in_today, self.out_today].map(|n| n.to_string());
        more_row([&member.cluster, &member.broker_name, &a, &b, &c, &d])
    }
}
