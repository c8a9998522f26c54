//! The list of commands, the page of one command, and what to say of a command that is none.
//!
//! Owns these texts. Must not run anything. Pure, any thread.

use crate::arguments::{COMMON, Opt};
use crate::command::{ALL, Command, ELSEWHERE};

/// All commands, one a line.
pub fn list() -> String {
    let mut text = String::from("Usage: mqadmin <command> [options]\n\nCommands:\n");
    for command in ALL {
        text.push_str(&format!("   {:<20} {}\n", command.name, command.about));
    }
    text.push_str(
        "\nmqadmin help <command> shows a command's options. Exit codes: 0 done, 1 failed, 2 not understood.\n",
    );
    text
}

/// One command's options, in the form of Java's tools: sorted, needed ones without brackets.
pub fn page(command: &Command) -> String {
    let mut options: Vec<&Opt> = command.options.iter().chain(COMMON).collect();
    options.sort_by_key(|option| option.short.map_or_else(|| option.long.to_owned(), String::from));
    let argument = |option: &Opt| if option.value { " <arg>" } else { "" };
    let mut text = format!("usage: mqadmin {}", command.name);
    for option in &options {
        let word = format!("{}{}", option.name(), argument(option));
        text.push_str(&if option.required { format!(" {word}") } else { format!(" [{word}]") });
    }
    text.push_str(&format!("\n{}\n", command.about));
    for option in options {
        let names = match option.short {
            Some(short) => format!("-{short},--{}{}", option.long, argument(option)),
            None => format!("   --{}{}", option.long, argument(option)),
        };
        text.push_str(&format!(" {names:<25} {}\n", option.about));
    }
    text
}

/// What to say when there is no such command.
pub fn no_such(name: &str) -> String {
    if let Some(java) = ELSEWHERE.iter().find(|java| java.eq_ignore_ascii_case(name)) {
        return format!(
            "{java} is a command of Java's mqadmin that this one does not have yet; Java's own works with these brokers"
        );
    }
    let lower = name.to_lowercase();
    let names = || ALL.iter().map(|command| command.name).chain(ELSEWHERE.iter().copied());
    let mut near: Vec<(usize, &str)> = names()
        .map(|other| (strsim::damerau_levenshtein(&lower, &other.to_lowercase()), other))
        .filter(|(distance, other)| {
            *distance * 3 <= other.len() || (lower.len() >= 3 && other.to_lowercase().starts_with(&lower))
        })
        .collect();
    near.sort();
    let near: Vec<&str> = near.into_iter().take(3).map(|(_, name)| name).collect();
    match near.is_empty() {
        true => format!("there is no command {name}; mqadmin help lists all"),
        false => format!("there is no command {name}; did you mean {}?", near.join(", ")),
    }
}
