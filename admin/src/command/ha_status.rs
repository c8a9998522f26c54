//! `haStatus`: how far the slaves of a master are, or how a slave stands to its master.
//!
//! Asks 907 (GET_BROKER_HA_STATUS, from Java 5). A broker of 4.x does not serve it: then the offsets come from the
//! runtime info (28) of the master and of its slaves, and what only a link knows is printed as `-`. Owns both readings
//! and the two tables. One thread.

use protocol::body::{HaRuntimeInfo, KvTable};
use protocol::code::{request, response};
use serde_json::json;

use super::Command;
use crate::arguments::{Arguments, Opt};
use crate::cluster::{self, Member};
use crate::context::{Context, read};
use crate::failure::{Failure, Unanswered};
use crate::java_text::fixed;

pub const COMMAND: Command = Command {
    name: "haStatus",
    about: "How far slaves are behind their master",
    options: &[
        Opt::value('b', "brokerAddr", "one broker, host:port"),
        Opt::value('c', "clusterName", "the masters of this cluster"),
        Opt::value('i', "interval", "print again every so many seconds"),
    ],
    run,
};

/// Bytes a slave may be behind and still count as in step: the default of haSlaveFallbehindMax, where the broker does
/// not say it itself.
const IN_STEP_MAX: i64 = 256 << 20;

/// States of a slave that has a link.
const COPIES: [&str; 2] = ["inStep", "catchingUp"];

fn run(context: &mut Context<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let addresses = super::brokers(context, arguments)?;
    let asked: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let answers: Vec<Result<HaRuntimeInfo, Unanswered>> = context.ask_each(&asked, request::GET_BROKER_HA_STATUS, &[]);
    // What nameservers know of the cluster, asked for with the first master.
    let mut members = None;
    let mut list = Vec::new();
    for (answer, address) in answers.into_iter().zip(asked) {
        let outcome = match answer {
            Ok(status) => {
                let state = if status.master { None } else { slave_state(context, address) };
                let unlinked = if status.master {
                    let members = members.get_or_insert_with(|| known_members(context));
                    unlinked(context, members, address, &status)
                } else {
                    Vec::new()
                };
                list.push(json!({
                    "address": address, "source": "haStatus", "status": status, "state": state, "unlinked": unlinked,
                }));
                print(context, address, &status, state.as_deref());
                Ok(())
            }
            Err(Unanswered::Refused { code: response::REQUEST_CODE_NOT_SUPPORTED, .. }) => {
                from_runtime_info(context, address).map(|object| list.push(object))
            }
            Err(error) => Err(error.into()),
        };
        if let Err(failure) = outcome {
            list.push(json!({ "address": address, "error": failure.to_string() }));
            context.complaints.push(format!("broker at {failure}"));
        }
    }
    if context.json {
        context.print_json(&json!({ "brokers": list }));
    }
    Ok(())
}

/// What a slave of this kind says of itself: in step, catching up, or what keeps it from copying and what to do. Java's
/// slaves say nothing.
fn slave_state(context: &Context<'_>, address: &str) -> Option<String> {
    let code = request::GET_BROKER_RUNTIME_INFO;
    let info: KvTable = read(address, code, &context.wire.ask(address, code, &[]).ok()?.body).ok()?;
    info.table.get("ringmqHaStateText").cloned()
}

/// The cluster as nameservers know it; nothing without one, for who asks for one broker gets its answer all the same.
fn known_members(context: &mut Context<'_>) -> Vec<Member> {
    if context.has_namesrv() { cluster::members(context, None).unwrap_or_default() } else { Vec::new() }
}

/// The slaves that nameservers know of this master and that have no link to it: notes that say what keeps each, for the
/// table of links shows none of them.
fn unlinked(
    context: &mut Context<'_>,
    members: &[Member],
    address: &str,
    status: &HaRuntimeInfo,
) -> Vec<serde_json::Value> {
    let Some(own) = members.iter().find(|member| member.address == address) else { return Vec::new() };
    let same = |member: &&Member| member.broker_id != 0 && member.broker_name == own.broker_name;
    let slaves: Vec<&Member> = members.iter().filter(same).collect();
    let links = status.ha_connection_info.len();
    if slaves.len() <= links {
        return Vec::new();
    }
    let asked: Vec<&str> = slaves.iter().map(|slave| slave.address.as_str()).collect();
    let answers: Vec<Result<KvTable, Unanswered>> = context.ask_each(&asked, request::GET_BROKER_RUNTIME_INFO, &[]);
    let copies = |info: &KvTable| info.table.get("ringmqHaState").is_some_and(|state| COPIES.contains(&state.as_str()));
    // With more of them than links, some copy from another master.
    let copying = answers.iter().flatten().filter(|info| copies(info)).count();
    let mut list = Vec::new();
    for (answer, slave) in answers.into_iter().zip(&slaves) {
        let Member { broker_name, broker_id, address, .. } = slave;
        let text = match answer {
            Err(error) => {
                context.complaints.push(format!("slave {broker_name} ({broker_id}) at {error}"));
                error.to_string()
            }
            Ok(info) => {
                let text = |key: &str| info.table.get(key).cloned();
                // Java's slaves do not say it.
                let mut state = text("ringmqHaStateText").unwrap_or_else(|| "look at its log".to_owned());
                if copies(&info) {
                    if copying <= links {
                        continue;
                    }
                    let master = text("ringmqHaMaster").unwrap_or_else(|| "a master it does not name".to_owned());
                    state = format!("{state} at {master}");
                }
                context.notes.push(format!(
                    "slave {broker_name} ({broker_id}) at {address} is registered, but {links} of {} slaves have a \
                     link: {state}",
                    slaves.len()
                ));
                state
            }
        };
        list.push(json!({ "brokerId": broker_id, "address": address, "state": text }));
    }
    list
}

fn print(context: &mut Context<'_>, address: &str, status: &HaRuntimeInfo, state: Option<&str>) {
    if context.json {
        return;
    }
    let speed = |bytes: i64| fixed(bytes as f64 / 1024.0, 2);
    if status.master {
        let links = &status.ha_connection_info;
        master(context, address, status.master_commit_log_max_offset, links.len(), status.in_sync_slave_nums);
        for link in links {
            let row = link_row([
                &link.addr,
                &link.slave_ack_offset.to_string(),
                &link.diff.to_string(),
                &speed(link.transferred_byte_in_second),
                if link.in_sync { "OK" } else { "Fall Behind" },
                &link.transfer_from_where.to_string(),
            ]);
            context.line(row);
        }
    } else {
        let client = &status.ha_client_runtime_info;
        let texts = [
            client.master_addr.clone().unwrap_or_else(|| "null".into()),
            client.max_offset.to_string(),
            speed(client.transferred_byte_in_second),
            moment(context, client.last_read_timestamp),
            moment(context, client.last_write_timestamp),
            client.master_flush_offset.to_string(),
        ];
        slave(context, texts);
        if let Some(state) = state {
            context.line(format!("#State\t{state}"));
        }
    }
}

/// A broker that does not keep the time sends 0.
fn moment(context: &Context<'_>, unix_ms: i64) -> String {
    if unix_ms == 0 { "-".to_owned() } else { context.clock.text(unix_ms) }
}

fn master(context: &mut Context<'_>, address: &str, max_offset: i64, slaves: usize, in_step: i32) {
    context.line(format!(
        "\n#MasterAddr\t{address}\n#MasterCommitLogMaxOffset\t{max_offset}\n#SlaveNum\t{slaves}\n#InSyncSlaveNum\t{in_step}"
    ));
    context.line(link_row([
        "#SlaveAddr",
        "#SlaveAckOffset",
        "#Diff",
        "#TransferSpeed(KB/s)",
        "#Status",
        "#TransferFromWhere",
    ]));
}

fn link_row(cells: [&str; 6]) -> String {
    let [address, ack, diff, speed, status, from] = cells;
    format!("{address:<32}  {ack:<16} {diff:>16} {speed:>16} {status:>16} {from:>16}")
}

fn slave(context: &mut Context<'_>, texts: [String; 6]) {
    let names = [
        "MasterAddr",
        "CommitLogMaxOffset",
        "TransferSpeed(KB/s)",
        "LastReadTime",
        "LastWriteTime",
        "MasterFlushOffset",
    ];
    context.line("");
    for (name, text) in names.iter().zip(texts) {
        context.line(format!("#{name}\t{text}"));
    }
}

/// The same from request 28 of the broker and of the others of its name.
fn from_runtime_info(context: &mut Context<'_>, address: &str) -> Result<serde_json::Value, Failure> {
    if !context.has_namesrv() {
        return Err(Failure::Failed(format!(
            "{address}: does not serve request 907 (brokers of Java 4 do not), and no nameserver is named that knows \
             its master and slaves: add -n host:9876"
        )));
    }
    let members = cluster::members(context, None)?;
    let Some(own) = members.iter().find(|member| member.address == address) else {
        return Err(Failure::Failed(format!(
            "{address}: does not serve request 907 (brokers of Java 4 do not), and the nameserver knows no broker of \
             this address; clusterList shows the addresses as they are registered"
        )));
    };
    let note = format!("broker at {address} does not serve request 907; its offsets are from runtime info (28)");
    context.notes.push(note);
    let max_offset = log_end(context, address)?;
    if own.broker_id != 0 {
        let same = |member: &&Member| member.broker_id == 0 && member.broker_name == own.broker_name;
        let master = members.iter().find(same).map_or("-", |member| member.address.as_str());
        let object = json!({
            "address": address, "source": "runtimeInfo", "master": false, "masterAddr": master, "maxOffset": max_offset,
        });
        if !context.json {
            let unknown = || "-".to_owned();
            slave(context, [master.into(), max_offset.to_string(), unknown(), unknown(), unknown(), unknown()]);
        }
        return Ok(object);
    }
    let same = |member: &&Member| member.broker_id != 0 && member.broker_name == own.broker_name;
    let slaves: Vec<&str> = members.iter().filter(same).map(|member| member.address.as_str()).collect();
    let answers: Vec<Result<KvTable, Unanswered>> = context.ask_each(&slaves, request::GET_BROKER_RUNTIME_INFO, &[]);
    let ends: Vec<Option<i64>> = answers
        .into_iter()
        .zip(&slaves)
        .map(|(answer, slave)| {
            answer
                .and_then(|info| end_of(slave, &info))
                .map_err(|error| context.complaints.push(format!("slave at {error}")))
                .ok()
        })
        .collect();
    // The master was asked first, so a slave may be ahead of what it said.
    let diff = |end: i64| max_offset.saturating_sub(end).max(0);
    let in_step = |end: &Option<i64>| end.is_some_and(|end| diff(end) < IN_STEP_MAX);
    let count = ends.iter().filter(|end| in_step(end)).count();
    let rows: Vec<_> = slaves
        .iter()
        .zip(&ends)
        .map(|(slave, end)| json!({ "addr": slave, "slaveMaxOffset": end, "diff": end.map(diff), "inSync": in_step(end) }))
        .collect();
    if !context.json {
        master(context, address, max_offset, slaves.len(), i32::try_from(count).unwrap_or(i32::MAX));
        for (slave, end) in slaves.iter().zip(&ends) {
            let text = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let status = match end {
                None => "Unreachable",
                Some(_) if in_step(end) => "OK",
                Some(_) => "Fall Behind",
            };
            context.line(link_row([slave, &text(*end), &text(end.map(diff)), "-", status, "-"]));
        }
    }
    Ok(json!({
        "address": address, "source": "runtimeInfo", "master": true,
        "masterCommitLogMaxOffset": max_offset, "inSyncSlaveNums": count, "slaves": rows,
    }))
}

fn log_end(context: &Context<'_>, address: &str) -> Result<i64, Unanswered> {
    let code = request::GET_BROKER_RUNTIME_INFO;
    end_of(address, &read(address, code, &context.wire.ask(address, code, &[])?.body)?)
}

/// commitLogMaxOffset.
fn end_of(address: &str, info: &KvTable) -> Result<i64, Unanswered> {
    let text = info.table.get("commitLogMaxOffset");
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Unanswered::Malformed {
        address: address.to_owned(),
        request: request::GET_BROKER_RUNTIME_INFO,
        why: format!("commitLogMaxOffset is {text:?} and no number"),
    })
}
