//! Reading JSON the way fastjson 1.2.69 does: for bodies and table files written by Java.
//!
//! Besides standard JSON it takes bare integer keys, single quotes, names without quotes, superfluous commas, and
//! objects in the place of keys (a map keyed by a message queue; the key becomes that object's compact standard JSON).
//! References to objects that stand elsewhere in the text (`{"$ref":"$.a.b[0]"}`) are followed. Bytes that are not
//! UTF-8 become U+FFFD. Bounded in depth and size; any core.

use serde_json::{Map, Number, Value};

use super::JsonError;
use super::escape::{escape_len, unescape};
use super::reference;

/// How much text is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest text, bytes.
    pub bytes: usize,
    /// Deepest nesting of objects and arrays.
    pub depth: usize,
    /// Most values, members and elements counted.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 64 * 1024 * 1024, depth: 64, nodes: 4_000_000 }
    }
}

/// Reads one value with the default limits.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    parse_with(text, Limits::default())
}

/// Reads one value.
pub fn parse_with(text: &[u8], limits: Limits) -> Result<Value, JsonError> {
    if text.len() > limits.bytes {
        return Err(JsonError::Syntax { at: limits.bytes, problem: "text longer than allowed" });
    }
    let text = String::from_utf8_lossy(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut parser = Parser { text, at: 0, depth_left: limits.depth, nodes_left: limits.nodes, references: false };
    let value = parser.value()?;
    if parser.skip_space().is_some() {
        return Err(parser.error("bytes after the end of the value"));
    }
    if parser.references { Ok(reference::resolve(value, parser.nodes_left)) } else { Ok(value) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth_left: usize,
    nodes_left: usize,
    /// A member called `$ref` was seen.
    references: bool,
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'-' | b'+' | b'.') || byte >= 0x80
}

impl<'a> Parser<'a> {
    fn error(&self, problem: &'static str) -> JsonError {
        JsonError::Syntax { at: self.at, problem }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is not white space.
    fn skip_space(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 8 | 12) {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn peek(&mut self) -> Result<u8, JsonError> {
        self.skip_space().ok_or_else(|| self.error("text ends too early"))
    }

    fn count(&mut self) -> Result<(), JsonError> {
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or_else(|| self.error("more values than allowed"))?;
        Ok(())
    }

    fn value(&mut self) -> Result<Value, JsonError> {
        self.count()?;
        match self.peek()? {
            b'{' => self.deeper(Self::object),
            b'[' => self.deeper(Self::array),
            b'"' | b'\'' => self.string().map(Value::String),
            b'0'..=b'9' | b'-' | b'+' | b'.' => self.number(),
            _ => self.word(),
        }
    }

    fn deeper(&mut self, read: fn(&mut Self) -> Result<Value, JsonError>) -> Result<Value, JsonError> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or_else(|| self.error("nested deeper than allowed"))?;
        let value = read(self);
        self.depth_left += 1;
        value
    }

    /// Passes over commas; true when there was one.
    fn commas(&mut self) -> Result<bool, JsonError> {
        let mut any = false;
        while self.peek()? == b',' {
            self.at += 1;
            any = true;
        }
        Ok(any)
    }

    fn object(&mut self) -> Result<Value, JsonError> {
        let mut members = Map::new();
        self.at += 1;
        self.commas()?;
        while self.peek()? != b'}' {
            let key = self.key()?;
            if self.peek()? != b':' {
                return Err(self.error("expected a colon"));
            }
            self.at += 1;
            self.references |= key == "$ref";
            let value = self.value()?;
            members.insert(key, value);
            if !self.commas()? && self.peek()? != b'}' {
                return Err(self.error("expected a comma or the end of an object"));
            }
        }
        self.at += 1;
        Ok(Value::Object(members))
    }

    fn array(&mut self) -> Result<Value, JsonError> {
        let mut elements = Vec::new();
        self.at += 1;
        self.commas()?;
        while self.peek()? != b']' {
            elements.push(self.value()?);
            if !self.commas()? && self.peek()? != b']' {
                return Err(self.error("expected a comma or the end of an array"));
            }
        }
        self.at += 1;
        Ok(Value::Array(elements))
    }

    fn key(&mut self) -> Result<String, JsonError> {
        match self.peek()? {
            b'"' | b'\'' => self.string(),
            b'{' | b'[' => Ok(self.value()?.to_string()),
            _ => match self.run(is_name) {
                "" => Err(self.error("expected a member name")),
                name => Ok(name.to_owned()),
            },
        }
    }

    /// Takes bytes as long as they fit.
    fn run(&mut self, fits: fn(u8) -> bool) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let len = rest.bytes().position(|byte| !fits(byte)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let quote = self.byte();
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let Some(run) = rest.iter().position(|byte| Some(*byte) == quote || *byte == b'\\') else {
                return Err(self.error("string without an end"));
            };
            self.at += run;
            if self.byte() == quote {
                let text = self.text.get(start..self.at).unwrap_or_default();
                self.at += 1;
                return Ok(if escaped { unescape(text) } else { text.to_owned() });
            }
            escaped = true;
            let escape = rest.get(run..).and_then(escape_len);
            self.at += escape.ok_or_else(|| self.error("unknown escape in a string"))?;
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        let text = self.run(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'));
        // Type suffixes that fastjson writes with class names on: 1L, 1S, 1B, 1F, 1D.
        if matches!(self.byte(), Some(b'L' | b'S' | b'B' | b'F' | b'D')) {
            self.at += 1;
        }
        let integer = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
        let number = match integer {
            Ok(integer) => Some(integer),
            Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64),
        };
        number.map(Value::Number).ok_or(JsonError::Syntax { at: start, problem: "not a number" })
    }

    fn word(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        match self.run(is_name) {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" | "undefined" | "NaN" => Ok(Value::Null),
            _ => Err(JsonError::Syntax { at: start, problem: "expected a value" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, want: &str) {
        let value = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(value.to_string(), want, "{text}");
    }

    #[test]
    fn what_fastjson_writes_and_takes_is_read() {
        check(r#"{"b":[1,-2,3.5,true,null],"a":{"x":"y"}}"#, r#"{"a":{"x":"y"},"b":[1,-2,3.5,true,null]}"#);
        check(r#"{0:"10.0.0.1:10911",1:"x"}"#, r#"{"0":"10.0.0.1:10911","1":"x"}"#);
        check(r#"{"offsetTable":{"T@G":{0:15,1:7}}}"#, r#"{"offsetTable":{"T@G":{"0":15,"1":7}}}"#);
        check(
            r#"{{"brokerName":"b","queueId":0,"topic":"T"}:{"maxOffset":3}}"#,
            r#"{"{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"T\"}":{"maxOffset":3}}"#,
        );
        check(r#"{{topic:'T','queueId':0}:1}"#, r#"{"{\"queueId\":0,\"topic\":\"T\"}":1}"#);
        check("{'a':'it\\'s',b_1:\"\\u4e2d\",-3:1,}", r#"{"-3":1,"a":"it's","b_1":"中"}"#);
        check("\u{feff}\r\n{\n\t\"a\" : 1 ,\n}\n", r#"{"a":1}"#);
        check("[,1,,2,]", "[1,2]");
        check("[1L,+2,1.0E10,.5,18446744073709551615,NaN]", "[1,2,10000000000.0,0.5,18446744073709551615,null]");
        check(r#""just text""#, r#""just text""#);
    }

    #[test]
    fn references_are_followed_once_and_never_in_circles() {
        check(r#"{"a":[{"x":1}],"b":{"$ref":"$.a[0]"}}"#, r#"{"a":[{"x":1}],"b":{"x":1}}"#);
        check(r#"{"a":{"t.x":{"y":[7,8]}},"b":[{"$ref":"$.a.t\\.x.y"}]}"#, r#"{"a":{"t.x":{"y":[7,8]}},"b":[[7,8]]}"#);
        check(
            r#"{"a":{"$ref":"$"},"b":{"$ref":".."},"c":{"$ref":"$.no"},"d":{"$ref":"@"}}"#,
            r#"{"a":null,"b":null,"c":null,"d":null}"#,
        );
        check(r#"{"a":{"$ref":"$.b"},"b":{"$ref":"$.a"}}"#, r#"{"a":null,"b":null}"#);
        check(r#"{"table":{"$ref":5,"x":"y"}}"#, r#"{"table":{"$ref":5,"x":"y"}}"#);
    }

    #[test]
    fn copies_made_by_references_are_bounded() {
        let element = r#"{"$ref":"$.a"}"#;
        let text = format!(r#"{{"a":[{}],"b":[{}]}}"#, ["1"; 100].join(","), [element; 100].join(","));
        let limits = Limits { nodes: 1000, ..Limits::default() };
        let value = parse_with(text.as_bytes(), limits).expect("readable");
        let copies = value["b"].as_array().expect("array").iter().filter(|value| value.is_array()).count();
        assert!((1..10).contains(&copies), "{copies}");
    }

    #[test]
    fn other_text_is_refused_where_it_goes_wrong() {
        let check = |text: &str, at: usize, problem: &str| match parse(text.as_bytes()) {
            Err(JsonError::Syntax { at: found, problem: why }) => {
                assert!(found == at && why.contains(problem), "{text}: {found} {why}");
            }
            other => panic!("{text}: {other:?}"),
        };
        check("", 0, "ends");
        check("{", 1, "ends");
        check("{\"a\"}", 4, "colon");
        check("{\"a\":}", 5, "value");
        check("{\"a\":1 \"b\":2}", 7, "comma");
        check("[1 2]", 3, "comma");
        check("{:1}", 1, "name");
        check("\"abc", 1, "without an end");
        check(r#""\q""#, 1, "escape");
        check("1.2.3", 0, "number");
        check("-", 0, "number");
        check("tru", 0, "value");
        check("{} x", 3, "after");
        check(&"[".repeat(65), 64, "deeper");
        check(&format!("{}1{}", "{".repeat(65), "}".repeat(65)), 64, "deeper");
        let few = Limits { nodes: 3, bytes: 10, ..Limits::default() };
        assert!(parse_with(b"[1,2]", few).is_ok());
        assert!(parse_with(b"[1,2,3]", few).is_err());
        assert!(parse_with(b"[1        ]", few).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[^$].{0,6}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn standard_json_is_read_as_it_is(value in any_json()) {
            prop_assert_eq!(parse(value.to_string().as_bytes()).expect("readable"), value.clone());
            prop_assert_eq!(parse(serde_json::to_string_pretty(&value).expect("text").as_bytes()).expect("readable"), value);
        }
    }
}
