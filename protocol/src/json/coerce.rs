//! Making values of serde types out of a tree with fastjson's coercions.
//!
//! A null member counts as absent, so that its default applies; numbers, booleans and strings stand for one another
//! where their text allows; a map key that is an object's text can become a struct again. Any core.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error, IntoDeserializer, Visitor};
use serde_json::{Error as JsonError, Map, Value};

/// A tree to be read with coercions.
pub(crate) struct Coerce(pub Value);

impl IntoDeserializer<'_, JsonError> for Coerce {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn mismatch(value: &Value, wanted: &str) -> JsonError {
    let mut found = value.to_string();
    if found.len() > 60 {
        found = found.chars().take(60).chain("…".chars()).collect();
    }
    JsonError::custom(format_args!("{found} is no {wanted}"))
}

fn integer(value: &Value) -> Result<i64, JsonError> {
    let found = match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15);
            whole.map(|number| number as i64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(truth) => Some(i64::from(*truth)),
        _ => None,
    };
    found.ok_or_else(|| mismatch(value, "integer"))
}

fn float(value: &Value) -> Result<f64, JsonError> {
    let found = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    found.ok_or_else(|| mismatch(value, "number"))
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn visit_map<'de, V: Visitor<'de>>(members: Map<String, Value>, visitor: V) -> Result<V::Value, JsonError> {
    let present = members.into_iter().filter(|(_, member)| !member.is_null());
    visitor.visit_map(MapDeserializer::new(present.map(|(key, member)| (Coerce(Value::String(key)), Coerce(member)))))
}

fn visit_seq<'de, V: Visitor<'de>>(elements: Vec<Value>, visitor: V) -> Result<V::Value, JsonError> {
    let present = elements.into_iter().filter(|element| !element.is_null());
    visitor.visit_seq(SeqDeserializer::new(present.map(Coerce)))
}

/// Integers of every width come through i64; the visitor checks the range.
macro_rules! integers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
            visitor.visit_i64(integer(&self.0)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Coerce {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(truth),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_i64(number),
                (_, Some(number), _) => visitor.visit_u64(number),
                (_, _, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(elements) => visit_seq(elements, visitor),
            Value::Object(members) => visit_map(members, visitor),
        }
    }

    integers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0.as_u64() {
            Some(number) => visitor.visit_u64(number),
            None => visitor.visit_i64(integer(&self.0)?),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_f64(float(&self.0)?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_f64(float(&self.0)?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        let truth = match &self.0 {
            Value::Bool(truth) => Some(*truth),
            Value::Number(number) => Some(number.as_f64() != Some(0.0)),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "y" | "yes" => Some(true),
                "false" | "0" | "n" | "no" | "" => Some(false),
                _ => None,
            },
            _ => None,
        };
        visitor.visit_bool(truth.ok_or_else(|| mismatch(&self.0, "boolean"))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_string(text(self.0))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_string(text(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Array(elements) => visit_seq(elements, visitor),
            Value::Null => visit_seq(Vec::new(), visitor),
            other => Err(mismatch(&other, "list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Object(members) => visit_map(members, visitor),
            Value::Null => visit_map(Map::new(), visitor),
            // A key that was an object: the lenient reader kept its text.
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(Value::Object(members)) => visit_map(members, visitor),
                _ => Err(mismatch(&Value::String(text), "object")),
            },
            other => Err(mismatch(&other, "object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use crate::json::read;

    #[derive(Debug, Deserialize, PartialEq, PartialOrd, Eq, Ord)]
    #[serde(default)]
    struct Sample {
        number: i32,
        truth: bool,
        text: String,
        list: Vec<String>,
        table: BTreeMap<i64, i64>,
        option: Option<i64>,
    }

    impl Default for Sample {
        fn default() -> Self {
            Sample { number: 7, truth: true, text: "t".into(), list: vec![], table: BTreeMap::new(), option: None }
        }
    }

    #[test]
    fn values_are_taken_as_fastjson_takes_them() {
        let check = |text: &str, want: Sample| assert_eq!(read::<Sample>(text.as_bytes()), Ok(want), "{text}");
        check("{}", Sample::default());
        check(r#"{"number":null,"truth":null,"text":null,"list":null,"table":null,"more":[{}]}"#, Sample::default());
        check(
            r#"{"number":"12","truth":"FALSE","option":"5"}"#,
            Sample { number: 12, truth: false, option: Some(5), ..Sample::default() },
        );
        check(
            r#"{"number":3.0,"text":5,"list":["a",null,1]}"#,
            Sample { number: 3, text: "5".into(), list: vec!["a".into(), "1".into()], ..Sample::default() },
        );
        check("{table:{0:'1',3:44}}", Sample { table: BTreeMap::from([(0, 1), (3, 44)]), ..Sample::default() });
        for text in [r#"{"number":"x"}"#, r#"{"number":2147483648}"#, r#"{"list":5}"#, r#"{"table":"x"}"#, "5"] {
            assert!(read::<Sample>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_in_the_place_of_a_key_is_read_back() {
        let map: BTreeMap<Sample, i64> = read(b"{{number:1}:5,{number:2}:6}").expect("readable");
        assert_eq!(map.iter().map(|(key, value)| (key.number, *value)).collect::<Vec<_>>(), [(1, 5), (2, 6)]);
    }
}
