//! The members of an object with their single values, for whoever reads all of them once.

use super::super::path::scalar;
use super::{next_item, opened, read, scan_string, skip_space, skip_value, unquote};
use crate::row::Scalar;

/// Shows each member of an object in its order, with its value; none for what no column holds: an object, an array, a
/// number beyond 64 bits. What is no object has no members. A name that cannot be read is passed over, and a value that
/// cannot be is one that no column holds: as if members were looked up one by one.
pub(crate) fn json_value_of(object: &str, visit: &mut dyn FnMut(&str, Option<Scalar<'_>>)) {
    let object = object.trim_ascii();
    let bytes = object.as_bytes();
    let Some(mut at) = opened(bytes, b'{') else { return };
    loop {
        let (key_end, _) = scan_string(bytes, at);
        let name = object.get(at..key_end).and_then(unquote);
        at = skip_space(bytes, key_end);
        if bytes.get(at) != Some(&b':') {
            return;
        }
        at = skip_space(bytes, at + 1);
        let end = skip_value(bytes, at);
        if let Some(name) = name {
            visit(&name, object.get(at..end).and_then(read).and_then(scalar));
        }
        let Some(next) = next_item(bytes, end) else { return };
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_behind_one_that_cannot_be_read_are_shown() {
        let mut seen = Vec::new();
        let object = r#"{"a": 1e999, "\ud800": 1, "b": "\ud800", "c": 2}"#;
        json_value_of(object, &mut |name, value| {
            seen.push((name.to_owned(), value.map(|value| value == Scalar::Int(2))));
        });
        let expected = [("a", None), ("b", None), ("c", Some(true))];
        assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
