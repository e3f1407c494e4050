//! JSON that is copied from the input to the output as it is written: a number keeps all of its digits.
//!
//! A parsed number would be rounded to 64 bits, and `1.10` would become `1.1`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The key of a name that is not UTF-8.
pub(crate) const BYTES: &str = "bytes";

/// A name in JSON: `{"bytes": BASE64}` if it is not UTF-8, as ripgrep writes it.
pub(crate) fn of_name(name: &OsStr) -> Value {
    match name.to_str() {
        Some(text) => text.into(),
        None => serde_json::json!({ BYTES: BASE64_STANDARD.encode(name.as_encoded_bytes()) }),
    }
}

/// The name that [`of_name`] wrote; `None` for another value.
pub(crate) fn name_in(value: &Value) -> Option<OsString> {
    match value {
        Value::String(text) => Some(text.into()),
        other => of_bytes(BASE64_STANDARD.decode(other.get(BYTES)?.as_str()?).ok()?),
    }
}

#[cfg(unix)]
fn of_bytes(bytes: Vec<u8>) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn of_bytes(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(Into::into)
}

/// A JSON value, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value. Numbers are rounded.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Json(value.to_string())
    }
}

impl fmt::Display for Json {
    /// A text without quotes and escapes; anything else as it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.starts_with('"') {
            true => f.write_str(self.value().as_str().unwrap_or(&self.0)),
            false => f.write_str(&self.0),
        }
    }
}

/// The members of a JSON object by name. Of members of the same name, the last one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonFields(BTreeMap<String, Json>);

impl JsonFields {
    /// Reads an object.
    ///
    /// # Errors
    /// What is wrong, if it is not an object.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|error| format!("it is not UTF-8: {error}"))?;
        let in_words = |error: serde_json::Error| error.to_string();
        serde_json::from_str::<BTreeMap<String, IgnoredAny>>(text).map_err(in_words)?;
        let mut fields = BTreeMap::new();
        for (name, value) in Members::of(text) {
            let name: String = serde_json::from_str(name).map_err(in_words)?;
            // Of a number's digits, only those of a text are kept: a text or a list is checked as a whole.
            serde_json::from_str::<IgnoredAny>(value).map_err(in_words)?;
            fields.insert(name, Json(value.to_owned()));
        }
        Ok(JsonFields(fields))
    }

    /// Adds a member, or replaces it.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(name.into(), Json::from(value.into()));
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Json> {
        self.0.remove(name)
    }

    /// A member.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// All members, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Appends `"name":value` to an object that is being written, with a comma before it if it is not the first.
pub(crate) fn push_member(object: &mut String, name: &str, value: &str) {
    if !object.ends_with('{') {
        object.push(',');
    }
    object.push_str(&Value::from(name).to_string());
    object.push(':');
    object.push_str(value);
}

/// The names and values of an object, as they are written in a text that is valid JSON.
struct Members<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Members<'a> {
    fn of(text: &'a str) -> Self {
        let at = text.find('{').map_or(text.len(), |brace| brace + 1);
        Members { text, at }
    }

    /// The text up to the first of `ends` outside of brackets and strings, and the position after it.
    fn up_to(&self, ends: [u8; 2]) -> Option<(&'a str, usize)> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for (i, byte) in self.text.bytes().enumerate().skip(self.at) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                _ if depth == 0 && ends.contains(&byte) => return Some((self.text[self.at..i].trim(), i + 1)),
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        None
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, at) = self.up_to([b':', b'}'])?;
        if name.is_empty() {
            return None;
        }
        self.at = at;
        let (value, at) = self.up_to([b',', b'}'])?;
        self.at = at;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_text() {
        let line = br#" { "big" : 123456789012345678901234567890 , "x":1.10,"e": -0.0E+5, "t":"a \"}, \\", "l":[1, {"}":2.0}],"n":null, "x": 2.50}"#;
        let fields = JsonFields::parse(line).unwrap();
        let all: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name, value.as_str())).collect();
        let expected = [
            ("big", "123456789012345678901234567890"),
            ("e", "-0.0E+5"),
            ("l", r#"[1, {"}":2.0}]"#),
            ("n", "null"),
            ("t", r#""a \"}, \\""#),
            ("x", "2.50"),
        ];
        assert_eq!(all, expected);
        assert_eq!(fields.get("t").unwrap().to_string(), r#"a "}, \"#);
        assert!(JsonFields::parse(b"{}").unwrap().iter().next().is_none());
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for line in [
            &b"[1]"[..],
            b"3",
            b"{\"a\":1",
            b"{\"a\":1} 2",
            b"{\"a\":01}",
            b"{\"a\":\"\xff\"}",
            b"",
        ] {
            assert!(JsonFields::parse(line).is_err(), "{line:?}");
        }
    }
}
