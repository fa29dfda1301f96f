//! Finds and reads one value inside stored JSON text, skipping the rest without building a tree. Stored text was
//! validated when it was inserted; on anything malformed these functions find nothing, and they never panic.

use std::borrow::Cow;

use super::ast::Step;
pub(crate) use members::json_value_of;

use super::number::Number;

mod list;
mod members;

pub(super) use list::{ValueSet, count, same_list};

/// A JSON value as far as filters look at it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum JsonValue<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    /// An object or an array.
    Container,
}

/// The text of the value at `path`. Of members with the same key the first counts.
pub(super) fn find<'a>(text: &'a str, path: &[Step]) -> Option<&'a str> {
    let mut value = text.trim_ascii();
    for step in path {
        value = match step {
            Step::Key(key) => member(value, key)?,
            Step::Index(index) => element(value, *index)?,
        };
    }
    Some(value)
}

/// Reads a scalar exactly: integers of up to 128 bits, other numbers as the nearest float.
pub(super) fn read(text: &str) -> Option<JsonValue<'_>> {
    Some(match text.as_bytes().first()? {
        b'{' | b'[' => JsonValue::Container,
        b'"' => JsonValue::Text(unquote(text)?),
        b't' => JsonValue::Bool(true),
        b'f' => JsonValue::Bool(false),
        b'n' => JsonValue::Null,
        b'-' | b'0'..=b'9' => JsonValue::Number(number(text)?),
        _ => return None,
    })
}

/// Whether a value is null, `{}`, `[]`, or a container of nothing but such values.
pub(super) fn is_empty(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = skip_string(bytes, at);
                // A string that is no key is a value.
                if bytes.get(skip_space(bytes, at)) != Some(&b':') {
                    return false;
                }
            }
            b'n' => at += "null".len(),
            b'0'..=b'9' | b't' | b'f' | b'-' => return false,
            _ => at += 1,
        }
    }
    true
}

fn number(text: &str) -> Option<Number> {
    if let Ok(int) = text.parse::<i64>() {
        return Some(Number::Int(int.into()));
    }
    if let Ok(int) = text.parse::<i128>() {
        return Some(Number::Int(int));
    }
    text.parse().ok().filter(|f: &f64| f.is_finite()).map(Number::Float)
}

fn unquote(token: &str) -> Option<Cow<'_, str>> {
    let body = token.strip_prefix('"')?.strip_suffix('"')?;
    if body.contains('\\') {
        serde_json::from_str(token).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(body))
    }
}

fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let bytes = object.as_bytes();
    let mut at = opened(bytes, b'{')?;
    loop {
        let (key_end, escaped) = scan_string(bytes, at);
        let name = object.get(at..key_end)?;
        // Only names with escapes need decoding.
        let found = if escaped {
            unquote(name).is_some_and(|name| name == key)
        } else {
            name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) == Some(key)
        };
        at = skip_space(bytes, key_end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(bytes, at + 1);
        let value_end = skip_value(bytes, at);
        if found {
            return object.get(at..value_end);
        }
        at = next_item(bytes, value_end)?;
    }
}

fn element(array: &str, index: usize) -> Option<&str> {
    let bytes = array.as_bytes();
    let mut at = opened(bytes, b'[')?;
    for _ in 0..index {
        at = next_item(bytes, skip_value(bytes, at))?;
    }
    let end = skip_value(bytes, at);
    array.get(at..end).filter(|value| !value.is_empty())
}

/// Where the first item of a container starts.
fn opened(bytes: &[u8], bracket: u8) -> Option<usize> {
    (bytes.first() == Some(&bracket)).then(|| skip_space(bytes, 1))
}

/// Where the next item starts, from behind an item; `None` behind the last.
fn next_item(bytes: &[u8], at: usize) -> Option<usize> {
    let comma = skip_space(bytes, at);
    (bytes.get(comma) == Some(&b',')).then(|| skip_space(bytes, comma + 1))
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Behind the string that starts at `at`; `at` itself if none does.
fn skip_string(bytes: &[u8], at: usize) -> usize {
    scan_string(bytes, at).0
}

/// As [`skip_string`], and whether the string has escapes.
fn scan_string(bytes: &[u8], mut at: usize) -> (usize, bool) {
    if bytes.get(at) != Some(&b'"') {
        return (at, false);
    }
    at += 1;
    let mut escaped = false;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(found) if rest.get(found) == Some(&b'"') => return (at + found + 1, escaped),
            Some(escape) => {
                at += escape + 2;
                escaped = true;
            }
            None => return (bytes.len(), escaped),
        }
    }
}

/// Behind the value that starts at `at`; containers are skipped by counting brackets outside strings.
fn skip_value(bytes: &[u8], mut at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => return skip_string(bytes, at),
        Some(b'{' | b'[') => {}
        _ => {
            let rest = bytes.get(at..).unwrap_or_default();
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            return at + rest.iter().position(ends).unwrap_or(rest.len());
        }
    }
    let mut open = 0usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(found) = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))
        else {
            return bytes.len();
        };
        at += found;
        match rest.get(found) {
            Some(b'"') => {
                at = skip_string(bytes, at);
                continue;
            }
            Some(b'{' | b'[') => open += 1,
            _ => open = open.saturating_sub(1),
        }
        at += 1;
        if open == 0 {
            return at;
        }
    }
}

#[cfg(test)]
mod tests;
