//! Lists of keys and values, in which most parameters of requests come.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::common::KeyValuePair;
use crate::service::index::NESTED;

/// One pair.
pub(super) fn pair(key: impl Into<String>, value: impl Into<String>) -> KeyValuePair {
    KeyValuePair { key: key.into(), value: value.into() }
}

/// The pairs by key; of several with one key the last counts.
pub(super) fn texts(pairs: Vec<KeyValuePair>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

/// The value of a key.
pub(super) fn find<'p>(pairs: &'p [KeyValuePair], key: &str) -> Option<&'p str> {
    pairs.iter().rev().find(|pair| pair.key == key).map(|pair| pair.value.as_str())
}

/// Whether a key has the value true, as Python or anybody else writes it.
pub(super) fn is_true(pairs: &[KeyValuePair], key: &str) -> bool {
    find(pairs, key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The pairs as a JSON object: an object or an array in a value is taken as such, everything else as text, which the
/// readers of parameters take for numbers and words alike. Empty values are none.
pub(super) fn json(pairs: &[KeyValuePair]) -> Map<String, Value> {
    let value = |text: &str| match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        _ => Value::from(text),
    };
    let given = pairs.iter().filter(|pair| !pair.value.is_empty());
    given.map(|pair| (pair.key.clone(), value(&pair.value))).collect()
}

/// The same where parameters may also be within the JSON object `params`, which some clients send and others do not. It
/// is kept beside them: see [`crate::service::index::shown`].
pub(super) fn flat(pairs: Vec<KeyValuePair>) -> BTreeMap<String, String> {
    texts(merged(&pairs))
}

/// All parameters in one list, those within `params` before the others: [`find`] takes the last.
pub(super) fn merged(pairs: &[KeyValuePair]) -> Vec<KeyValuePair> {
    let nested = find(pairs, NESTED).and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    let nested = nested.into_iter().flatten().map(|(key, value)| match value {
        Value::String(text) => pair(key, text),
        other => pair(key, other.to_string()),
    });
    nested.chain(pairs.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_flat_and_nested() {
        let pairs = vec![pair("index_type", "HNSW"), pair("params", r#"{"M":16,"x":"y"}"#), pair("M", "8")];
        let flat = flat(pairs.clone());
        assert_eq!((flat["index_type"].as_str(), flat["M"].as_str(), flat["x"].as_str()), ("HNSW", "8", "y"));
        assert_eq!(json(&pairs)["params"]["M"], 16);
        assert_eq!(json(&pairs)["index_type"], "HNSW");
        assert!(is_true(&[pair("a", "True")], "a") && !is_true(&[pair("a", "1")], "a"));
    }
}
