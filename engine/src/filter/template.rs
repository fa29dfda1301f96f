//! Values for the `{name}`s of an expression. They reach the filter as they are: an int64 keeps its 64 bits, and what no
//! constant of the language can be (null, objects, larger integers) is refused at the door.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::error::{EngineError, Result};

/// Arrays within arrays, at most.
const MAX_DEPTH: usize = 16;

/// A value that takes the place of a `{name}`.
#[derive(Debug, Clone, PartialEq)]
pub enum TemplateValue {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A finite float.
    Float(f64),
    /// A string.
    Text(String),
    /// An array of values of any of these kinds.
    List(Vec<TemplateValue>),
}

impl TemplateValue {
    /// Reads JSON text. A number with a fraction or an exponent is a float, any other an integer.
    ///
    /// # Errors
    /// `InvalidParameter` for null, an object, an integer outside of int64, a float outside of double, and text that is
    /// no JSON.
    pub fn from_json(json: &str) -> Result<Self> {
        read(json.trim_ascii(), 0).map_err(EngineError::invalid)
    }
}

fn read(json: &str, depth: usize) -> std::result::Result<TemplateValue, String> {
    let broken = |e: serde_json::Error| format!("an expression template value is no JSON: {e}");
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).map(TemplateValue::Text).map_err(broken),
        Some(b't' | b'f') => serde_json::from_str(json).map(TemplateValue::Bool).map_err(broken),
        Some(b'[') if depth >= MAX_DEPTH => {
            Err(format!("an expression template value is nested deeper than {MAX_DEPTH} arrays"))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json).map_err(broken)?;
            items
                .iter()
                .map(|item| read(item.get(), depth + 1))
                .collect::<std::result::Result<_, _>>()
                .map(TemplateValue::List)
        }
        Some(b'-' | b'0'..=b'9') => {
            let _: &RawValue = serde_json::from_str(json).map_err(broken)?;
            number(json)
        }
        Some(b'{') => Err("an expression template value can't be an object".to_owned()),
        Some(b'n') => Err("an expression template value can't be null".to_owned()),
        _ => Err("an expression template value is no JSON".to_owned()),
    }
}

fn number(text: &str) -> std::result::Result<TemplateValue, String> {
    if text.contains(['.', 'e', 'E']) {
        let float: Option<f64> = text.parse().ok().filter(|f: &f64| f.is_finite());
        return float
            .map(TemplateValue::Float)
            .ok_or_else(|| format!("expression template value {text} is out of the double range"));
    }
    text.parse()
        .map(TemplateValue::Int)
        .map_err(|_| format!("expression template value {text} is out of the int64 range"))
}

/// The values of all `{name}`s of an expression.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Templates(BTreeMap<String, TemplateValue>);

impl Templates {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of `{name}`.
    pub fn insert(&mut self, name: impl Into<String>, value: TemplateValue) {
        self.0.insert(name.into(), value);
    }

    /// The value of `{name}`.
    pub fn get(&self, name: &str) -> Option<&TemplateValue> {
        self.0.get(name)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>> FromIterator<(N, TemplateValue)> for Templates {
    fn from_iter<I: IntoIterator<Item = (N, TemplateValue)>>(values: I) -> Self {
        Self(values.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::TemplateValue::{self, Bool, Float, Int, List, Text};

    #[test]
    fn reads_json_exactly() {
        let good = [
            ("9007199254740993", Int(9_007_199_254_740_993)),
            (" -9223372036854775808 ", Int(i64::MIN)),
            ("1e2", Float(100.0)),
            ("1.0", Float(1.0)),
            ("true", Bool(true)),
            (r#""a\"\u00e9""#, Text("a\"é".into())),
            ("[]", List(vec![])),
            (
                r#"[1, "a", [2.5, false]]"#,
                List(vec![Int(1), Text("a".into()), List(vec![Float(2.5), Bool(false)])]),
            ),
        ];
        for (text, value) in good {
            assert_eq!(TemplateValue::from_json(text).unwrap(), value, "{text}");
        }
        let bad = [
            ("9223372036854775808", "int64 range"),
            ("99999999999999999999999", "int64 range"),
            ("1e999", "double range"),
            ("null", "null"),
            ("[null]", "null"),
            ("{}", "object"),
            ("", "no JSON"),
            ("nope", "null"),
            ("01", "no JSON"),
            ("-", "no JSON"),
            ("+1", "no JSON"),
            ("[1", "no JSON"),
            ("tru", "no JSON"),
        ];
        for (text, words) in bad {
            let error = TemplateValue::from_json(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(TemplateValue::from_json(&"[".repeat(1_000_000)).is_err());
        assert!(TemplateValue::from_json(&format!("{}{}", "[".repeat(17), "]".repeat(17))).is_err());
    }
}
