//! Primary keys in requests (`get`, search by ids) and in answers.

use axum::http::StatusCode;
use elanus_engine::limits::MAX_RESULT_WINDOW;
use elanus_engine::row::{Key, Keys};
use elanus_engine::schema::Field;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::scalar::{self, Scalar};
use crate::error::{ApiError, code};

/// Reads one key or an array of keys for this key field.
///
/// # Errors
/// 1806 for a value that is no such key, 1100 for too many.
pub(super) fn read(field: &Field, raw: &RawValue) -> Result<Keys, ApiError> {
    let one;
    let items: Vec<&RawValue> = if raw.get().starts_with('[') {
        serde_json::from_str(raw.get()).map_err(|e| wrong(&e.to_string()))?
    } else {
        one = raw;
        vec![one]
    };
    if items.len() > MAX_RESULT_WINDOW {
        let message =
            format!("{} ids are given, at most {MAX_RESULT_WINDOW} can be: invalid parameter", items.len());
        return Err(ApiError::invalid(message));
    }
    let mut keys = Keys::empty(field.data_type);
    for item in items {
        keys.push(read_one(field, item.get())?.as_ref());
    }
    Ok(keys)
}

/// Reads one key for this key field.
///
/// # Errors
/// 1806 for a value that is no such key, as an array is.
pub(super) fn read_one(field: &Field, json: &str) -> Result<Key, ApiError> {
    match scalar::read_single(field.data_type, json).map_err(|reason| wrong(&reason))? {
        Scalar::Int(key) => Ok(Key::Int(key)),
        Scalar::Text(key) => Ok(Key::Text(key.into_owned())),
        _ => Err(wrong(&format!("cannot use {json} as {}", field.data_type))),
    }
}

/// The same keys in ascending order, each once: the order in which Milvus answers a get.
pub(super) fn ascending(keys: Keys) -> Keys {
    fn sorted<T: Ord>(mut keys: Vec<T>) -> Vec<T> {
        keys.sort();
        keys.dedup();
        keys
    }
    match keys {
        Keys::Int(keys) => Keys::Int(sorted(keys)),
        Keys::Text(keys) => Keys::Text(sorted(keys)),
    }
}

fn wrong(reason: &str) -> ApiError {
    let message =
        format!("please check the primary key and its' type can only in [int, string], error: {reason}");
    ApiError::new(code::BAD_KEYS, StatusCode::BAD_REQUEST, message)
}

/// Keys of written rows, as JSON.
pub(super) struct KeysJson<'a> {
    pub(super) keys: &'a Keys,
    pub(super) int64_as_string: bool,
}

impl Serialize for KeysJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.keys {
            Keys::Int(keys) if self.int64_as_string => {
                serializer.collect_seq(keys.iter().map(i64::to_string))
            }
            Keys::Int(keys) => serializer.collect_seq(keys),
            Keys::Text(keys) => serializer.collect_seq(keys),
        }
    }
}

#[cfg(test)]
mod tests {
    use elanus_engine::schema::DataType;

    use super::*;

    fn int(text: &str) -> Result<Keys, ApiError> {
        read(&Field::new("id", DataType::Int64), serde_json::from_str(text).unwrap())
    }

    fn varchar(text: &str) -> Result<Keys, ApiError> {
        read(&Field::new("id", DataType::VarChar), serde_json::from_str(text).unwrap())
    }

    #[test]
    fn one_or_many_as_numbers_or_text() {
        assert_eq!(int("7").unwrap(), Keys::Int(vec![7]));
        assert_eq!(int(r#"["9007199254740993", 1]"#).unwrap(), Keys::Int(vec![9_007_199_254_740_993, 1]));
        assert_eq!(varchar(r#"["a'b\"c", 12]"#).unwrap(), Keys::Text(vec!["a'b\"c".into(), "12".into()]));
        assert_eq!(ascending(int("[3,1,3]").unwrap()), Keys::Int(vec![1, 3]));
        assert_eq!(varchar("[]").unwrap(), Keys::Text(vec![]));
    }

    #[test]
    fn anything_else_is_1806() {
        for error in [
            int("\"x\""),
            int("1.5"),
            int("[null]"),
            int("{}"),
            int("[[1]]"),
            varchar("true"),
            varchar("[{}]"),
        ] {
            assert_eq!(error.unwrap_err().code, 1806);
        }
        assert_eq!(int(&format!("[{}0]", "0,".repeat(MAX_RESULT_WINDOW))).unwrap_err().code, 1100);
    }
}
