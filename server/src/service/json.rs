//! Walking JSON that is known to be valid (a [`RawValue`](serde_json::value::RawValue) was read from the body), as slices
//! of its text. Where most of a request is numbers, reading it a second time value by value costs more than all else.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

/// The elements of an array.
pub(crate) struct Elements<'a> {
    rest: &'a str,
}

/// The members of an object.
pub(crate) struct Members<'a> {
    rest: &'a str,
}

/// The elements of an array, in order; `None` when the value is none.
pub(crate) fn elements(json: &str) -> Option<Elements<'_>> {
    inner(json, '[').map(|rest| Elements { rest })
}

/// Keys and values of an object, in order; `None` when the value is none.
pub(crate) fn members(json: &str) -> Option<Members<'_>> {
    inner(json, '{').map(|rest| Members { rest })
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        take_value(&mut self.rest)
    }
}

impl<'a> Iterator for Members<'a> {
    /// A key that is valid JSON and still no text (half of a surrogate pair) is none.
    type Item = (Option<Cow<'a, str>>, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let key = take_value(&mut self.rest)?;
        let value = take_value(&mut self.rest)?;
        Some((unquoted(key), value))
    }
}

/// What stands between the brackets.
fn inner(json: &str, opening: char) -> Option<&str> {
    let inside = json.trim_ascii().strip_prefix(opening)?;
    Some(inside.get(..inside.len().checked_sub(1)?)?.trim_ascii())
}

/// A string without its quotes and escapes.
fn unquoted(string: &str) -> Option<Cow<'_, str>> {
    let plain = string.strip_prefix('"')?.strip_suffix('"')?;
    match memchr(b'\\', plain.as_bytes()) {
        None => Some(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(string).ok().map(Cow::Owned),
    }
}

/// Cuts off the next value with the comma or colon behind it.
fn take_value<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let end = match rest.as_bytes().first()? {
        b'"' => string_end(rest.as_bytes(), 0),
        b'[' | b'{' => nested_end(rest.as_bytes()),
        _ => rest.find([',', ':', ' ', '\t', '\n', '\r']).unwrap_or(rest.len()),
    };
    // Ends lie behind ASCII, so these cuts are between characters; in valid JSON they are within the text.
    let (value, after) = rest.split_at_checked(end)?;
    let after = after.trim_ascii_start();
    *rest = after.strip_prefix([',', ':']).unwrap_or(after).trim_ascii_start();
    Some(value)
}

/// Where a string that begins at `start` ends.
pub(crate) fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// Where an array or object that begins at the start ends. Numbers, which are most of what comes, are jumped over.
fn nested_end(bytes: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    // The next place where something begins, kept until it is reached: looked for again at each end, it would cost the
    // square of the length where ends come in rows.
    let mut begin = 0;
    loop {
        if begin < at || at == 0 {
            begin = memchr3(b'"', b'[', b'{', &bytes[at..]).map_or(bytes.len(), |found| at + found);
        }
        if let Some(found) = memchr2(b']', b'}', &bytes[at..begin]) {
            at += found + 1;
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at;
            }
        } else if begin == bytes.len() {
            return begin;
        } else if bytes[begin] == b'"' {
            at = string_end(bytes, begin).min(bytes.len());
        } else {
            depth += 1;
            at = begin + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The value read by walking alone, down to scalars.
    fn walk(json: &str) -> Value {
        if let Some(members) = members(json) {
            return Value::Object(
                members.map(|(key, value)| (key.unwrap().into_owned(), walk(value))).collect(),
            );
        }
        match elements(json) {
            Some(elements) => Value::Array(elements.map(walk).collect()),
            None => serde_json::from_str(json).unwrap(),
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            "[\\PC\"\\\\\\[\\]{},: \n]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\ü\\[{]{0,5}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn walking_is_reading(value in any_json()) {
            prop_assert_eq!(walk(&serde_json::to_string(&value).unwrap()), value.clone());
            prop_assert_eq!(walk(&serde_json::to_string_pretty(&value).unwrap()), value);
        }
    }

    #[test]
    fn what_is_no_array_or_object_is_none() {
        for json in ["1", "\"[1]\"", "null", "{}"] {
            assert!(elements(json).is_none(), "{json}");
        }
        for json in ["1", "\"{}\"", "[]"] {
            assert!(members(json).is_none(), "{json}");
        }
        assert_eq!(elements(" [ ] ").unwrap().count(), 0);
        assert_eq!(elements("[1 , [2,3] ,\"a,]\"]").unwrap().collect::<Vec<_>>(), ["1", "[2,3]", "\"a,]\""]);
    }
}
