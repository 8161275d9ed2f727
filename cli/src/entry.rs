//! An entry as a line of JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

/// A key, its value and when it expires, in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) expires_at_ms: Option<u64>,
}

/// The line of an entry.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) key: Bytes<'a>,
    pub(crate) value: Bytes<'a>,
    pub(crate) expires_at_ms: Option<u64>,
}

/// Bytes in JSON: UTF-8 as a string, others in base64.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Bytes<'a> {
    Text(&'a str),
    Other { base64: String },
}

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text),
            Err(_) => Bytes::Other { base64: STANDARD.encode(bytes) },
        }
    }
}

impl Entry {
    pub(crate) fn line(&self) -> Line<'_> {
        Line {
            key: self.key.as_slice().into(),
            value: self.value.as_slice().into(),
            expires_at_ms: self.expires_at_ms,
        }
    }

    /// Reads a line; the error says what is wrong with it.
    pub(crate) fn parse(line: &[u8]) -> Result<Entry, String> {
        let parsed: Value = serde_json::from_slice(line).map_err(|error| told(&error))?;
        let Value::Object(mut fields) = parsed else {
            return Err(format!("expected an object, found {}", kind_of(&parsed)));
        };
        let entry = Entry {
            key: take_bytes(&mut fields, "key")?,
            value: take_bytes(&mut fields, "value")?,
            expires_at_ms: match fields.remove("expires_at_ms") {
                None | Some(Value::Null) => None,
                Some(number) => Some(number.as_u64().ok_or_else(|| {
                    format!(
                        "\"expires_at_ms\" is {number}: expected null or milliseconds from 0 to {}",
                        u64::MAX
                    )
                })?),
            },
        };
        match fields.keys().next() {
            None => Ok(entry),
            Some(other) => Err(format!(
                "unknown field {other:?}: an entry has \"key\", \"value\" and \"expires_at_ms\""
            )),
        }
    }
}

/// Without the number of the line, which to the parser is always 1.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("not JSON at byte {}: {what}", error.column())
}

fn take_bytes(fields: &mut Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    match fields.remove(name) {
        None => Err(format!("\"{name}\" is missing")),
        Some(Value::String(text)) => Ok(text.into_bytes()),
        Some(Value::Object(coded)) if coded.len() == 1 => match coded.get("base64") {
            Some(Value::String(text)) => {
                STANDARD.decode(text).map_err(|error| format!("\"{name}\" is not base64: {error}"))
            }
            _ => Err(format!("\"{name}\" is an object: expected {{\"base64\": \"...\"}}")),
        },
        Some(other) => Err(format!(
            "\"{name}\" is {}: expected a string or {{\"base64\": \"...\"}}",
            kind_of(&other)
        )),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back() {
        let bytes: [&[u8]; 4] =
            [b"plain", "é\n\"\u{0}".as_bytes(), &[0xff, 0xfe], b"{\"base64\":\"\"}"];
        for key in bytes {
            for expires_at_ms in [None, Some(1), Some(u64::MAX)] {
                let entry = Entry { key: key.to_vec(), value: Vec::new(), expires_at_ms };
                let line = serde_json::to_vec(&entry.line()).unwrap();
                assert_eq!(Entry::parse(&line), Ok(entry));
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told() {
        for (line, told) in [
            ("{\"key\":\"a\"", "not JSON at byte 10: EOF while parsing an object"),
            ("[]", "expected an object, found an array"),
            ("{\"value\":\"a\"}", "\"key\" is missing"),
            ("{\"key\":1,\"value\":\"\"}", "\"key\" is a number: expected a string"),
            (
                "{\"key\":{\"hex\":\"\"},\"value\":\"\"}",
                "\"key\" is an object: expected {\"base64\"",
            ),
            ("{\"key\":\"a\",\"value\":{\"base64\":\"*\"}}", "\"value\" is not base64"),
            (
                "{\"key\":\"a\",\"value\":\"\",\"expires_at_ms\":-1}",
                "\"expires_at_ms\" is -1: expected",
            ),
            ("{\"key\":\"a\",\"value\":\"\",\"ttl\":1}", "unknown field \"ttl\""),
        ] {
            let error = Entry::parse(line.as_bytes()).unwrap_err();
            assert!(error.starts_with(told), "{line}: {error}");
        }
    }
}
