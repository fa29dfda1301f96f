//! The members of an object with their single values, for whoever reads all of them once.

use super::super::path::single;
use super::{next_item, opened, read, scan_string, skip_space, skip_value, unquote};
use crate::index::scalar::Single;

/// Shows each member of an object in its order. What is no object has none.
pub(crate) fn json_value_of(object: &str, visit: &mut dyn FnMut(&str, Single)) {
    let object = object.trim_ascii();
    let bytes = object.as_bytes();
    let Some(mut at) = opened(bytes, b'{') else { return };
    loop {
        let (key_end, _) = scan_string(bytes, at);
        let Some(name) = object.get(at..key_end).and_then(unquote) else { return };
        at = skip_space(bytes, key_end);
        if bytes.get(at) != Some(&b':') {
            return;
        }
        at = skip_space(bytes, at + 1);
        let end = skip_value(bytes, at);
        let Some(value) = object.get(at..end).and_then(read) else { return };
        visit(&name, single(value));
        let Some(next) = next_item(bytes, end) else { return };
        at = next;
    }
}
