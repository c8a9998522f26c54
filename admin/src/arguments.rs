//! The command line as Java's tools take it: `-t T`, `-tT`, `--topic T`, `--topic=T`, `-topic T`, and flags bundled.
//!
//! Owns the options of all commands and the reading of words. Must not know what an option is good for. Pure, any
//! thread.

use crate::failure::Failure;

/// One option of a command.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// `None`: only the long name.
    pub short: Option<char>,
    pub long: &'static str,
    /// Whether a value follows.
    pub value: bool,
    pub required: bool,
    pub about: &'static str,
}

impl Opt {
    /// An option that is there or not.
    pub const fn flag(short: char, long: &'static str, about: &'static str) -> Opt {
        Opt { short: Some(short), long, value: false, required: false, about }
    }

    /// An option with a value.
    pub const fn value(short: char, long: &'static str, about: &'static str) -> Opt {
        Opt { short: Some(short), long, value: true, required: false, about }
    }

    /// The same, but it must be given.
    pub const fn required(self) -> Opt {
        Opt { required: true, ..self }
    }

    /// `-t` or `--json`.
    pub fn name(&self) -> String {
        self.short.map_or_else(|| format!("--{}", self.long), |short| format!("-{short}"))
    }
}

/// What every command takes.
pub const COMMON: &[Opt] = &[
    Opt::flag('h', "help", "show this help"),
    Opt::value('n', "namesrvAddr", "nameservers, 'h1:9876;h2:9876'; also from the environment's NAMESRV_ADDR"),
    Opt { short: None, long: "json", value: false, required: false, about: "print JSON for programs" },
];

/// The options that were given.
#[derive(Debug, Default)]
pub struct Arguments {
    given: Vec<(&'static str, String)>,
}

impl Arguments {
    /// Reads the words after the command's name.
    pub fn parse(own: &'static [Opt], words: &[String]) -> Result<Arguments, Failure> {
        let all = || own.iter().chain(COMMON);
        let mut arguments = Arguments::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (dashes, rest) = match word.strip_prefix("--") {
                Some(rest) => (2, rest),
                None => match word.strip_prefix('-') {
                    Some(rest) => (1, rest),
                    None => return Err(Failure::Usage(format!("{word} is no option"))),
                },
            };
            let (name, attached) = match rest.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (rest, None),
            };
            if let Some(option) = all().find(|option| option.long == name) {
                arguments.take(option, attached, &mut words)?;
                continue;
            }
            let mut rest = if dashes == 1 { rest } else { "" };
            if rest.is_empty() {
                return Err(unknown(word, all()));
            }
            while let Some(short) = rest.chars().next() {
                let option = all().find(|option| option.short == Some(short)).ok_or_else(|| unknown(word, all()))?;
                rest = &rest[short.len_utf8()..];
                if option.value {
                    let attached = (!rest.is_empty()).then(|| rest.strip_prefix('=').unwrap_or(rest));
                    arguments.take(option, attached, &mut words)?;
                    break;
                }
                arguments.take(option, None, &mut words)?;
            }
        }
        if !arguments.has("help")
            && let Some(option) = own.iter().find(|option| option.required && !arguments.has(option.long))
        {
            return Err(Failure::Usage(format!("{} ({}) is missing", option.name(), option.long)));
        }
        Ok(arguments)
    }

    fn take<'a>(
        &mut self,
        option: &Opt,
        attached: Option<&str>,
        words: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), Failure> {
        let value = match (option.value, attached) {
            (false, None) => String::new(),
            (false, Some(_)) => return Err(Failure::Usage(format!("{} takes no value", option.name()))),
            (true, Some(value)) => value.to_owned(),
            (true, None) => match words.next() {
                Some(word) => word.clone(),
                None => return Err(Failure::Usage(format!("{} needs a value", option.name()))),
            },
        };
        let value = value.trim().to_owned();
        if option.value && value.is_empty() {
            return Err(Failure::Usage(format!("{} needs a value that is not empty", option.name())));
        }
        self.given.push((option.long, value));
        Ok(())
    }

    /// Whether the option of this long name was given.
    pub fn has(&self, long: &str) -> bool {
        self.get(long).is_some()
    }

    /// Its value; the first, if it was given twice, as in Java.
    pub fn get(&self, long: &str) -> Option<&str> {
        self.given.iter().find(|(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// `--interval` in seconds, at least 1.
    pub fn interval_s(&self) -> Result<Option<u64>, Failure> {
        let Some(text) = self.get("interval") else { return Ok(None) };
        match text.parse() {
            Ok(seconds) if seconds > 0 => Ok(Some(seconds)),
            _ => Err(Failure::Usage(format!("-i {text}: give a whole number of seconds, 1 or more"))),
        }
    }
}

fn unknown(word: &str, options: impl Iterator<Item = &'static Opt>) -> Failure {
    let bare = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    let near = options
        .map(|option| (strsim::damerau_levenshtein(&bare.to_lowercase(), &option.long.to_lowercase()), option))
        .filter(|(distance, option)| *distance * 3 <= option.long.len())
        .min_by_key(|(distance, _)| *distance);
    Failure::Usage(match near {
        Some((_, option)) => format!("{word} is no option of this command; did you mean --{}?", option.long),
        None => format!("{word} is no option of this command"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[Opt] = &[
        Opt::value('t', "topic", "a topic").required(),
        Opt::flag('l', "list", "as a list"),
        Opt::value('i', "interval", "seconds"),
    ];

    #[track_caller]
    fn check(line: &str, want: &str) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let got = match Arguments::parse(OPTIONS, &words) {
            Ok(arguments) => {
                let given = arguments.given.iter();
                given.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            }
            Err(failure) => format!("{failure:?}"),
        };
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn words_are_read_as_java_reads_them() {
        check("-t T", "topic=T");
        check("-tT -l", "topic=T list=");
        check("-lt T -n h:1", "list= topic=T namesrvAddr=h:1");
        check("--topic T --json", "topic=T json=");
        check("--topic=T=U", "topic=T=U");
        check("-topic T -namesrvAddr h:1", "topic=T namesrvAddr=h:1");
        check("-t=T", "topic=T");
        check("-t T -t U", "topic=T topic=U");
        check("-h", "help=");
    }

    #[test]
    fn mistakes_are_named() {
        check("", "Usage(\"-t (topic) is missing\")");
        check("-t", "Usage(\"-t needs a value\")");
        check("-t T extra", "Usage(\"extra is no option\")");
        check("-t T -x", "Usage(\"-x is no option of this command\")");
        check("-t T -", "Usage(\"- is no option of this command\")");
        check("-t T -lä", "Usage(\"-lä is no option of this command\")");
        check("--topik T", "Usage(\"--topik is no option of this command; did you mean --topic?\")");
        check("-t T --list=3", "Usage(\"-l takes no value\")");
        check("--topic=", "Usage(\"-t needs a value that is not empty\")");
    }

    #[test]
    fn an_interval_is_a_positive_number_of_seconds() {
        for (text, want) in
            [("3", Some(Some(3))), ("0", None), ("-1", None), ("x", None), ("99999999999999999999", None)]
        {
            let words = ["-t", "T", "-i", text].map(str::to_owned);
            let arguments = Arguments::parse(OPTIONS, &words).expect("arguments");
            assert_eq!(arguments.interval_s().ok(), want, "{text}");
        }
    }
}
