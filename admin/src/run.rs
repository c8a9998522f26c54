//! From the words of the command line to the end of the command.
//!
//! Owns the order of things: find the command, read its options, run it once or again and again, say what went wrong.
//! Must not know what a command does. One thread.

use std::io;
use std::time::Duration;

use crate::arguments::Arguments;
use crate::command::{self, Command};
use crate::context::{Clock, Context};
use crate::failure::Failure;
use crate::help;
use crate::wire::Wire;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Exit code 0.
    Well,
    /// All of it or a part failed: exit code 1.
    Failed,
    /// The command line makes no sense: exit code 2.
    Misused,
}

/// Takes the output and the lines of what went wrong.
pub type Print<'a> = &'a mut dyn FnMut(&str, &[String]) -> io::Result<()>;

/// Runs the command that these words name. `namesrv` is the environment's NAMESRV_ADDR.
pub fn run(
    words: &[String],
    namesrv: Option<&str>,
    wire: &dyn Wire,
    clock: &Clock,
    print: Print<'_>,
) -> io::Result<Ended> {
    let Some((name, words)) = words.split_first() else {
        print(&help::list(), &[])?;
        return Ok(Ended::Misused);
    };
    if ["help", "-h", "--help"].iter().any(|help| help.eq_ignore_ascii_case(name)) {
        let Some(name) = words.first() else {
            print(&help::list(), &[])?;
            return Ok(Ended::Well);
        };
        return match command::find(name) {
            Some(command) => print(&help::page(command), &[]).map(|()| Ended::Well),
            None => print("", &[help::no_such(name)]).map(|()| Ended::Misused),
        };
    }
    let Some(command) = command::find(name) else {
        print("", &[help::no_such(name)])?;
        return Ok(Ended::Misused);
    };
    match prepare(command, words, namesrv) {
        Ok(Prepared { arguments, .. }) if arguments.has("help") => {
            print(&help::page(command), &[]).map(|()| Ended::Well)
        }
        Ok(prepared) => rounds(command, &prepared, wire, clock, print),
        Err(text) => misused(command, text, print),
    }
}

struct Prepared {
    arguments: Arguments,
    namesrv: Vec<String>,
    interval: Option<Duration>,
}

fn prepare(command: &Command, words: &[String], environment: Option<&str>) -> Result<Prepared, String> {
    let prepared = || -> Result<Prepared, Failure> {
        let arguments = Arguments::parse(command.options, words)?;
        let namesrv = match (arguments.get("namesrvAddr"), environment.map(str::trim)) {
            (Some(text), _) => addresses("-n", text)?,
            (None, Some(text)) if !text.is_empty() => addresses("NAMESRV_ADDR", text)?,
            _ => Vec::new(),
        };
        let interval = arguments.interval_s()?.map(Duration::from_secs);
        Ok(Prepared { arguments, namesrv, interval })
    };
    prepared().map_err(|failure| failure.to_string())
}

/// `h1:9876;h2:9876`
fn addresses(place: &str, text: &str) -> Result<Vec<String>, Failure> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let addresses: Result<Vec<String>, Failure> = parts
        .map(|part| match part.rsplit_once(':') {
            _ if part.contains(',') => Err(Failure::Usage(format!(
                "{place} {text}: nameservers are separated by a semicolon, not by a comma, and in quotes: \
                 'h1:9876;h2:9876'"
            ))),
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => {
                Ok(part.to_owned())
            }
            _ => Err(Failure::Usage(format!("{place} {text}: {part} is no host:port, such as 10.0.0.1:9876"))),
        })
        .collect();
    match addresses?.as_slice() {
        [] => Err(Failure::Usage(format!("{place} {text}: names no nameserver, such as 10.0.0.1:9876"))),
        addresses => Ok(addresses.to_vec()),
    }
}

fn rounds(
    command: &Command,
    prepared: &Prepared,
    wire: &dyn Wire,
    clock: &Clock,
    print: Print<'_>,
) -> io::Result<Ended> {
    loop {
        let mut context = Context {
            wire,
            clock,
            namesrv: prepared.namesrv.clone(),
            json: prepared.arguments.has("json"),
            out: String::new(),
            complaints: Vec::new(),
            notes: Vec::new(),
        };
        let outcome = (command.run)(&mut context, &prepared.arguments);
        let mut said = std::mem::take(&mut context.notes);
        let mut failed = !context.complaints.is_empty();
        said.append(&mut context.complaints);
        match outcome {
            Ok(()) => {}
            Err(Failure::Usage(text)) => return misused(command, text, print),
            Err(failure) => {
                said.push(format!("{}: {failure}", command.name));
                failed = true;
            }
        }
        print(&context.out, &said)?;
        match prepared.interval {
            // A watch goes on over what fails for a while; whoever watches ends it.
            Some(interval) => std::thread::sleep(interval),
            None => return Ok(if failed { Ended::Failed } else { Ended::Well }),
        }
    }
}

fn misused(command: &Command, text: String, print: Print<'_>) -> io::Result<Ended> {
    let hint = format!("mqadmin help {} shows its options", command.name);
    print("", &[format!("{}: {text}", command.name), hint])?;
    Ok(Ended::Misused)
}
