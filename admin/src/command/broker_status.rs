//! `brokerStatus`: all that a broker says of itself.
//!
//! Asks 28, with `-c` of each master of a cluster (106). Owns the lines. One thread.

use protocol::body::KvTable;
use protocol::code::request;
use serde_json::json;

use super::Command;
use crate::arguments::{Arguments, Opt};
use crate::context::Context;
use crate::failure::{Failure, Unanswered};

pub const COMMAND: Command = Command {
    name: "brokerStatus",
    about: "Runtime figures of a broker, or of all masters of a cluster",
    options: &[
        Opt::value('b', "brokerAddr", "one broker, host:port"),
        Opt::value('c', "clusterName", "the masters of this cluster"),
    ],
    run,
};

fn run(context: &mut Context<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let addresses = super::brokers(context, arguments)?;
    // As in Java the address stands before each line only where there can be several.
    let named = !arguments.has("brokerAddr");
    let asked: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let answers: Vec<Result<KvTable, Unanswered>> = context.ask_each(&asked, request::GET_BROKER_RUNTIME_INFO, &[]);
    let mut list = Vec::new();
    for (answer, address) in answers.into_iter().zip(asked) {
        match answer {
            Ok(info) if info.table.is_empty() => {
                let why = "the answer to request 28 holds no figures";
                list.push(json!({ "address": address, "error": why }));
                context.complaints.push(format!("broker at {address}: {why}"));
            }
            Ok(info) if context.json => list.push(json!({ "address": address, "table": info.table })),
            Ok(info) => {
                for (key, value) in &info.table {
                    let line = format!("{key:<32}: {value}");
                    context.line(if named { format!("{address:<24} {line}") } else { line });
                }
            }
            Err(error) => {
                list.push(json!({ "address": address, "error": error.to_string() }));
                context.complaints.push(format!("broker at {error}"));
            }
        }
    }
    if context.json {
        context.print_json(&json!({ "brokers": list }));
    }
    Ok(())
}
