//! The value of every key after defaults, environment, file and command line, each with where it came from.
//!
//! Owns precedence, spelling, types and ranges. Does not know what values mean together (`check`) nor their use
//! (`broker`, `namesrv`). Pure: everything comes in as arguments.

use crate::environment::Environment;
use crate::keys::{self, Conversion, Default, Effect, Key, Kind, Role, Switch};
use crate::properties::{Entry, Place, Properties};
use crate::report::{Report, Severity};
use std::collections::BTreeMap;

/// A configuration file as it lies on disk.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// How messages call it: the path as it was typed.
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// Who set a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: the default, which for namesrvAddr and rocketmqHome may be an environment variable.
    Default,
    File(Place),
    CommandLine,
    /// This program, from other values.
    Derived,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    /// `None` is Java's null.
    text: Option<String>,
    origin: Origin,
    /// The spelling in the file, if it was not the key's own name.
    alias: Option<&'static keys::Alias>,
    /// The text in the file before a conversion.
    written: Option<String>,
}

/// All keys of one program. Every value has passed [`check_value`]; one that did not is at its default.
#[derive(Debug, Clone)]
pub struct Values {
    role: Role,
    file: Option<String>,
    table: BTreeMap<&'static str, Value>,
    unknown: Vec<(String, String)>,
}

impl Values {
    /// Reads file and command line over the defaults. `command_line` are keys by name, as `-n` gives namesrvAddr.
    pub fn resolve(
        role: Role,
        source: Option<Source<'_>>,
        command_line: &[(&str, &str)],
        environment: &Environment,
        report: &mut Report,
    ) -> Values {
        let mut values = Values {
            role,
            file: source.map(|source| source.name.to_owned()),
            table: BTreeMap::new(),
            unknown: Vec::new(),
        };
        for key in role.objects().iter().flat_map(|object| object.keys()) {
            let text = match key.default {
                Default::Value(value) => Some(value.to_owned()),
                Default::Null => None,
                Default::Computed(formula) => formula.eval(role, environment),
            };
            values.table.insert(key.name, Value { text, origin: Origin::Default, alias: None, written: None });
        }
        if let Some(source) = source {
            values.read_file(source, environment, report);
        }
        for (name, text) in command_line {
            let Some(key) = keys::find(role, name) else { continue };
            match check_value(key, text.trim()) {
                Ok(text) => values.put(key, text, Origin::CommandLine, None, None),
                Err(problem) => {
                    report.push(Severity::Error, Some("command line"), None, format!("{name}={text}: {problem}"));
                }
            }
        }
        values.check_effects(report);
        values
    }

    fn read_file(&mut self, source: Source<'_>, environment: &Environment, report: &mut Report) {
        let properties = Properties::parse(source.bytes);
        for error in properties.errors() {
            report.push(Severity::Error, Some(source.name), Some(error.place), error.text.clone());
        }
        for entry in properties.entries() {
            self.read_entry(entry, source.name, environment, report);
        }
    }

    fn read_entry(&mut self, entry: &Entry, file: &str, environment: &Environment, report: &mut Report) {
        let written = entry.key.as_str();
        let mut say = |severity, place, text: String| report.push(severity, Some(file), Some(place), text);
        let alias = keys::alias(written);
        let Some(key) = keys::find(self.role, alias.map_or(written, |alias| alias.key)) else {
            say(Severity::Warning, entry.key_place, unknown_key(self.role, written));
            self.unknown.push((written.to_owned(), entry.value.clone()));
            return;
        };
        if let Some(alias) = alias.filter(|alias| alias.slip) {
            let text = format!("{written} is read as {}; write it so, a Java broker ignores {written}", alias.key);
            say(Severity::Warning, entry.key_place, text);
        }
        if let Some(Value { origin: Origin::File(before), alias: old, .. }) = self.table.get(key.name) {
            let other = old.map_or(key.name, |alias| alias.name);
            let text = format!("{written} is set again: this value counts, not {other} at {before}");
            say(Severity::Warning, entry.key_place, text);
        }
        let bad = |problem: String| format!("{written}={}: {problem}", entry.value);
        let expanded = match environment.expand(&entry.value) {
            Ok(expanded) => expanded,
            Err(variable) => {
                let problem = format!("the environment variable {variable} is not set; set it or write the value out");
                say(Severity::Error, entry.value_place, bad(problem));
                return;
            }
        };
        let converted = match alias.map_or(Conversion::Same, |alias| alias.conversion) {
            Conversion::Same => expanded.clone(),
            Conversion::ConsumeQueueUnits => match expanded.parse::<i64>() {
                Ok(units) => units.saturating_mul(keys::CONSUME_QUEUE_UNIT).to_string(),
                Err(_) => expanded.clone(),
            },
        };
        match check_value(key, &converted) {
            Err(problem) => say(Severity::Error, entry.value_place, bad(problem)),
            Ok(text) => {
                if let Kind::Number { min, max, clamp: true, .. } = key.kind
                    && converted.parse() != text.parse::<i64>()
                {
                    let text = bad(format!("outside {min} to {max}, {text} is used"));
                    say(Severity::Warning, entry.value_place, text);
                }
                let origin = Origin::File(entry.value_place);
                self.put(key, text, origin, alias, (converted != expanded).then_some(expanded));
            }
        }
    }

    fn put(
        &mut self,
        key: &'static Key,
        text: String,
        origin: Origin,
        alias: Option<&'static keys::Alias>,
        written: Option<String>,
    ) {
        // Java's String setters take an empty text; a null default means "unset", and so does the empty text.
        let text = if text.is_empty() && key.default == Default::Null { None } else { Some(text) };
        self.table.insert(key.name, Value { text, origin, alias, written });
    }

    /// Refuses what would switch on a feature that is not there, and names what was set without effect.
    fn check_effects(&self, report: &mut Report) {
        let mut without_effect: Vec<(String, Vec<&str>)> = Vec::new();
        for (name, value) in &self.table {
            let Some(key) = keys::find(self.role, name).filter(|_| value.origin != Origin::Default) else { continue };
            let text = value.text.as_deref().unwrap_or("");
            let reason = match key.effect {
                Effect::Live => continue,
                Effect::Accepted(reason) => reason.to_owned(),
                Effect::Later { switch, feature } => match switch {
                    Switch::Never => format!("they belong to {feature}, which this version does not have"),
                    Switch::Set if text.is_empty() => continue,
                    Switch::Value(values) if !values.contains(&text) => continue,
                    Switch::Set | Switch::Value(_) => {
                        let remedy = match key.default {
                            Default::Value(default) if !default.is_empty() => format!("set it to {default}"),
                            _ => "remove the key".into(),
                        };
                        let text = format!("{name}={text}: this version does not have {feature}; {remedy}");
                        self.say(report, Severity::Error, name, text);
                        continue;
                    }
                },
            };
            match without_effect.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, names)) => names.push(name),
                None => without_effect.push((reason, vec![name])),
            }
        }
        for (reason, names) in without_effect {
            let text = format!("without effect: {} ({reason})", names.join(", "));
            report.push(Severity::Note, self.file.as_deref(), None, text);
        }
    }

    /// A finding about `key`, at the place that set it.
    pub(crate) fn say(&self, report: &mut Report, severity: Severity, key: &str, text: impl Into<String>) {
        match self.origin(key) {
            Origin::File(place) => report.push(severity, self.file.as_deref(), Some(place), text),
            Origin::CommandLine => report.push(severity, Some("command line"), None, text),
            Origin::Default | Origin::Derived => report.push(severity, self.file.as_deref(), None, text),
        }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    /// The `-c` file as it was named, if there was one.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Keys of the file that the table does not know, with their values, in file order.
    pub fn unknown(&self) -> &[(String, String)] {
        &self.unknown
    }

    /// The text of a key; `None` is unset. Asking for a key that is not in the table is a mistake of this program.
    pub fn text(&self, name: &str) -> Option<&str> {
        #[cfg(test)]
        READS.with_borrow_mut(|reads| reads.insert(name.to_owned()));
        self.value(name).text.as_deref()
    }

    pub fn origin(&self, name: &str) -> Origin {
        self.value(name).origin
    }

    /// True if file or command line set it.
    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.origin(name), Origin::File(_) | Origin::CommandLine)
    }

    /// The spelling the file used and the text it had there, when both differ from the key's own.
    pub fn written_as(&self, name: &str) -> Option<(&'static str, &str)> {
        let value = self.value(name);
        Some((value.alias?.name, value.written.as_deref()?))
    }

    pub fn boolean(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A number; every one has been checked against its range, so this only guards against a wrong name.
    pub fn number(&self, name: &str) -> i64 {
        let number = self.text(name).and_then(|text| text.parse().ok());
        assert!(number.is_some(), "{name} is no number key");
        number.unwrap_or_default()
    }

    pub(crate) fn derive(&mut self, name: &str, text: impl Into<String>) {
        let value = self.table.get_mut(name);
        assert!(value.is_some(), "{name} is not in the table of keys");
        if let Some(value) = value {
            *value = Value { text: Some(text.into()), origin: Origin::Derived, alias: None, written: None };
        }
    }

    fn value(&self, name: &str) -> &Value {
        let value = self.table.get(name);
        assert!(value.is_some(), "{name} is not in the table of keys");
        value.unwrap_or(&NOTHING)
    }
}

static NOTHING: Value = Value { text: None, origin: Origin::Default, alias: None, written: None };

#[cfg(test)]
thread_local! {
    /// Every key asked for on this thread, to see that a live key is used.
    pub(crate) static READS: std::cell::RefCell<std::collections::BTreeSet<String>> = const {
        std::cell::RefCell::new(std::collections::BTreeSet::new())
    };
}

fn unknown_key(role: Role, name: &str) -> String {
    let elsewhere = [Role::Broker, Role::Namesrv].into_iter().find(|other| keys::find(*other, name).is_some());
    if let Some(other) = elsewhere {
        return format!("{name} is a key of {}, {} ignores it", other.program(), role.program());
    }
    match keys::nearest(role, name) {
        Some(key) => format!("unknown key {name} is ignored; did you mean {} ({})?", key.name, key.meaning),
        None => format!("unknown key {name} is ignored; docs/config.md lists every key"),
    }
}

/// The value as Java would print it, or what is wrong with it. A number outside a clamped range comes back moved.
pub fn check_value(key: &Key, value: &str) -> Result<String, String> {
    let wrong = |wanted: String| -> String {
        match comment_in(value) {
            Some(bare) => format!("{wanted} expected; a comment needs a line of its own: {}={bare}", key.name),
            None if value.is_empty() => {
                format!("{wanted} expected, the value is empty; remove the key for its default")
            }
            None => format!("{wanted} expected"),
        }
    };
    match key.kind {
        Kind::Text | Kind::Path => match value.chars().find(|c| c.is_control()) {
            Some(c) => Err(format!("control character U+{:04X} in the value", u32::from(c))),
            None => Ok(value.to_owned()),
        },
        Kind::Bool => match value.to_ascii_lowercase().as_str() {
            flag @ ("true" | "false") => Ok(flag.to_owned()),
            _ => Err(wrong("true or false".into())),
        },
        Kind::Number { java, min, max, clamp } => {
            let number: i64 = value.parse().map_err(|_| wrong(format!("a whole number ({java})")))?;
            if (min..=max).contains(&number) {
                Ok(number.to_string())
            } else if clamp {
                Ok(number.clamp(min, max).to_string())
            } else {
                Err(wrong(format!("a number from {min} to {max}")))
            }
        }
        Kind::Choice(values) if values.contains(&value) => Ok(value.to_owned()),
        Kind::Choice(values) => {
            let distance = |choice: &&&str| strsim::damerau_levenshtein(&value.to_uppercase(), &choice.to_uppercase());
            let near = values.iter().min_by_key(distance).filter(|choice| distance(choice) <= 4);
            let hint = near.map(|choice| format!("; did you mean {choice}?")).unwrap_or_default();
            Err(wrong(format!("one of {}", values.join(", "))) + &hint)
        }
    }
}

/// The value without a comment someone wrote behind it.
fn comment_in(value: &str) -> Option<&str> {
    let at = value.find(['#', '!']).or_else(|| value.find("//")).or_else(|| value.find("--"))?;
    value.get(..at).map(str::trim_end)
}
