//! docs/config.md, written from the table of keys so that it cannot lag behind.

use crate::keys::{ALIASES, Conversion, Default, Effect, Key, Kind, Object, Switch};

const HEAD: &str = "\
# Configuration keys

Written from the table in `config/src/keys`; change it there and run `cargo run -p config --example config_doc`.

`mqbroker -c FILE` reads BrokerConfig, NettyServerConfig, NettyClientConfig, MessageStoreConfig and the keys of RingMQ;
`mqnamesrv -c FILE` reads NamesrvConfig, NettyServerConfig and the keys of RingMQ. Names, types and defaults of the first
five are those of Apache RocketMQ 4.9.7, misspelt ones too.

- Order of precedence: default, environment (`NAMESRV_ADDR`, `ROCKETMQ_HOME`), file, command line (`-n`).
- Files are UTF-8 in the syntax of Java properties. `${NAME}` in a value is replaced by the environment variable, which
  must be set; `${user.home}` by the home directory. Blanks behind a value do not count; lines without a letter or digit,
  such as `-----------------`, are passed over. The last of several lines for one key counts, with a warning.
- A value that is no number, outside its range or not among the choices stops the start and is named with file, line and
  column. (Java keeps the default without a word.) An unknown key is a warning that names the nearest key.
- `--check` prints the same findings without starting; `-p` prints every value, `-m` the important ones, as Java does.

Effect: **yes** does what the meaning says; **none** is read and means nothing here, for the reason given; **later**
belongs to a feature this version does not have, and a value that would switch it on stops the start.
";

/// The whole page.
pub fn config_md() -> String {
    let mut out = HEAD.to_owned();
    for object in Object::ALL {
        out.push_str(&format!(
            "\n## {}\n\n| Key | Type | Default | Meaning | Effect here |\n|---|---|---|---|---|\n",
            object.name()
        ));
        for key in object.keys() {
            let default = match key.default {
                Default::Value("") => "(empty)".to_owned(),
                Default::Value(value) => value.to_owned(),
                Default::Null => "(unset)".to_owned(),
                Default::Computed(formula) => formula.describe().to_owned(),
            };
            out.push_str(&format!(
                "| {} | {} | {default} | {} | {} |\n",
                key.name,
                kind(key),
                key.meaning,
                effect(key.effect)
            ));
        }
    }
    out.push_str("\n## Other spellings\n\n| Written | Read as | Remark |\n|---|---|---|\n");
    for alias in ALIASES {
        let remark = match (alias.conversion, alias.slip) {
            (Conversion::ConsumeQueueUnits, _) => "counts units of 20 bytes: 300000 is a file of 6000000 bytes",
            (Conversion::Same, true) => "with a warning: a Java broker ignores this spelling",
            (Conversion::Same, false) => "of another version",
        };
        out.push_str(&format!("| {} | {} | {remark} |\n", alias.name, alias.key));
    }
    out
}

fn kind(key: &Key) -> String {
    match key.kind {
        Kind::Number { min, max, clamp, .. } if min > i64::from(i32::MIN) => {
            let limit = if max >= i64::from(i32::MAX) { String::new() } else { max.to_string() };
            let moved = if clamp { ", moved into it" } else { "" };
            format!("{}, {min}…{limit}{moved}", key.kind.name())
        }
        kind => kind.name(),
    }
}

fn effect(effect: Effect) -> String {
    match effect {
        Effect::Live => "yes".to_owned(),
        Effect::Accepted(reason) => format!("none: {reason}"),
        Effect::Later { switch, feature } => {
            let refused = match switch {
                Switch::Never => String::new(),
                Switch::Set => "; any value is refused".to_owned(),
                Switch::Value(values) => format!("; {} refused", values.join(", ")),
            };
            format!("later: {feature}{refused}")
        }
    }
}
