//! fastjson's references: an object that occurs twice in a Java graph is written once, and `{"$ref":"$.path"}` stands
//! for it elsewhere. Pure functions, any core.

use serde_json::{Map, Value};

/// Replaces each reference by a copy of what it names. What cannot be followed becomes null: paths relative to the
/// reference, targets that hold references themselves (circles among them), and whatever comes once `nodes` values
/// were copied.
pub(super) fn resolve(root: Value, nodes: usize) -> Value {
    let mut resolved = root.clone();
    let mut budget = nodes;
    replace(&mut resolved, &root, &mut budget);
    resolved
}

/// The path of a reference: an object with the member `$ref` alone, a string that starts as paths do.
fn path(members: &Map<String, Value>) -> Option<&str> {
    let path = members.get("$ref")?.as_str()?;
    (members.len() == 1 && path.starts_with(['$', '.', '@'])).then_some(path)
}

/// Recursion is as deep as the text was nested, which the parser bounds.
fn replace(value: &mut Value, root: &Value, budget: &mut usize) {
    match value {
        Value::Object(members) => match path(members) {
            Some(path) => *value = copy(find(root, path), budget),
            None => members.values_mut().for_each(|member| replace(member, root, budget)),
        },
        Value::Array(elements) => elements.iter_mut().for_each(|element| replace(element, root, budget)),
        _ => {}
    }
}

fn copy(target: Option<&Value>, budget: &mut usize) -> Value {
    let Some(target) = target else { return Value::Null };
    match count(target).and_then(|nodes| budget.checked_sub(nodes)) {
        Some(left) => {
            *budget = left;
            target.clone()
        }
        None => Value::Null,
    }
}

/// Number of values in a tree; `None` when a reference is among them.
fn count(value: &Value) -> Option<usize> {
    match value {
        Value::Object(members) if path(members).is_some() => None,
        Value::Object(members) => members.values().try_fold(1, |sum, member| Some(count(member)? + sum)),
        Value::Array(elements) => elements.iter().try_fold(1, |sum, element| Some(count(element)? + sum)),
        _ => Some(1),
    }
}

/// Walks `$.name.other[3]`; a backslash takes the character behind it as part of the name.
fn find<'v>(root: &'v Value, path: &str) -> Option<&'v Value> {
    let mut value = root;
    let mut rest = path.strip_prefix('$')?;
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let (name, behind) = take_name(name);
            value = value.get(&name)?;
            rest = behind;
        } else {
            let (index, behind) = rest.strip_prefix('[')?.split_once(']')?;
            value = value.get(index.parse::<usize>().ok()?)?;
            rest = behind;
        }
    }
    Some(value)
}

fn take_name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '.' | '[' => return (name, text.get(at..).unwrap_or_default()),
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            other => name.push(other),
        }
    }
    (name, "")
}
