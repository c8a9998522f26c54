//! Values as text: `-p`, `-m`, and the bodies of GET_BROKER_CONFIG and GET_NAMESRV_CONFIG.
//!
//! Order, names and the treatment of null follow Java 4.9.7; keys of this project come last. Nothing is computed here.

use crate::keys::{Effect, Key, Object, Role};
use crate::values::Values;

/// `-p`: every key, object after object in the order of Java's fields, an unset one as `key=`.
pub fn all(values: &Values) -> String {
    print(values, |_| true)
}

/// `-m`: only what Java marks as important.
pub fn important(values: &Values) -> String {
    print(values, |key| key.important)
}

fn print(values: &Values, wanted: impl Fn(&Key) -> bool) -> String {
    let keys = objects(values.role()).flat_map(|object| object.keys()).filter(|key| wanted(key));
    keys.map(|key| format!("{}={}\n", key.name, values.text(key.name).unwrap_or_default())).collect()
}

/// A nameserver prints its own object before the server's, as its table does.
fn objects(role: Role) -> impl Iterator<Item = Object> {
    role.objects().iter().copied()
}

/// The body of GET_BROKER_CONFIG or GET_NAMESRV_CONFIG: every key that has a value, each once, then what the file holds
/// beyond the table. Own keys without effect (of other versions) are left out unless set. It reads back as it was:
/// backslashes are doubled, which Java forgets to do.
pub fn config_body(values: &Values) -> String {
    let mut out = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for object in objects(values.role()) {
        for key in object.keys() {
            let idle = object == Object::Own && key.effect != Effect::Live && !values.is_set(key.name);
            if idle || seen.contains(&key.name) {
                continue;
            }
            seen.push(key.name);
            if let Some(text) = values.text(key.name) {
                line(&mut out, key.name, text);
            }
        }
    }
    for (name, text) in values.unknown() {
        line(&mut out, name, text);
    }
    out
}

fn line(out: &mut String, name: &str, text: &str) {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    out.push_str(&format!("{name}={text}\n"));
}
